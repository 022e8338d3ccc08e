"""The report is one HTML file that refers to nothing outside itself, whatever names and files it is given."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from passerby.config import InputConfig, ModelConfig, parse_config
from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import draw_dataset
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, EmbeddingError, StorageError
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.evaluation.open_set.curves import evaluate_open_set
from passerby.evaluation.open_set.thresholds import calibrate_threshold
from passerby.models.encoder import Encoder
from passerby.models.model import build_model
from passerby.report.html_page import Picture, Section, Strip, Table
from passerby.report.report import report, write_report

VOID = {"meta", "img", "br", "source", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting, and collects headings, references and tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.words.setdefault(self.open[-1], []).append(data.strip())


def people(rows: int, *, seed: int, cameras: int = 3) -> Embeddings:
    generator = np.random.default_rng(seed)
    pids = np.arange(rows) % 5 + 1
    vectors = np.eye(8)[pids] + generator.normal(0, 0.3, (rows, 8))
    paths = tuple(f"/nowhere/<b>{row}</b>.jpg" for row in range(rows))
    camids = generator.integers(0, cameras, rows) if cameras else np.full(rows, -1)
    return Embeddings(vectors.astype(np.float32), pids, camids, paths)


def page_of(path: Path, query: Embeddings, gallery: Embeddings, **arguments: object) -> Page:
    report = evaluate_embeddings(query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids)
    write_report(path, reports={"plain": report}, query=query, gallery=gallery, **arguments)  # type: ignore[arg-type]
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a page in a folder that was not there; its title was no text."""
    return tmp_path_factory.mktemp("page") / "deep" / "report.html"


@pytest.fixture(scope="module")
def written(place: Path) -> Page:
    return page_of(place, people(10, seed=0), people(30, seed=1), title="caf\udce9")


def test_page_is_well_formed_and_self_contained(written: Page) -> None:
    for tag, attributes in written.tags:
        assert tag != "script"
        for name in ("src", "srcset", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), f"{tag} {name}={value[:60]}"
    headings = written.words["h2"]
    assert headings == [
        "Numbers", "Curves", "Distances", "Ranked lists", "Cameras", "Map of identities", "Provenance",
        "Responsible use",
    ]  # fmt: skip


def test_no_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="at least one report"):
        write_report(tmp_path / "r.html", reports={}, query=people(4, seed=0), gallery=people(4, seed=1))
    assert list(tmp_path.iterdir()) == []


HOSTILE = "\"><script>alert(1)</script>'{{ 7 * 7 }}&"


def test_hostile_words_are_escaped(tmp_path: Path) -> None:
    picture = Picture(None, HOSTILE, (HOSTILE,), "wrong")
    extra = Section(
        HOSTILE,
        text=(HOSTILE,),
        table=Table((HOSTILE, "value"), ((HOSTILE, HOSTILE),), HOSTILE),
        strips=(Strip(HOSTILE, picture, (picture, replace(picture, mark="correct"))),),
        code=((HOSTILE, HOSTILE),),
        notes=(HOSTILE,),
    )
    path = tmp_path / "report.html"
    page = page_of(path, people(10, seed=0), people(30, seed=1), title=HOSTILE, notes=[HOSTILE], extra_sections=[extra])
    assert "script" not in {tag for tag, _ in page.tags}
    assert "{{ 7 * 7 }}" in path.read_text("utf-8")
    assert HOSTILE in page.words["h2"]
    assert page.words["h1"] == [HOSTILE]


def test_accessible(written: Page) -> None:
    tags = written.tags
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    assert [attributes["lang"] for tag, attributes in tags if tag == "html"] == ["en"]
    levels = [int(tag[1]) for tag, _ in tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    identifiers = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert {str(target)[1:] for target in targets} <= set(identifiers)


def test_missing_and_unreadable_pictures_are_empty_frames(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    (tmp_path / "empty.jpg").write_bytes(b"")
    query, gallery = people(10, seed=0), people(30, seed=1)
    gallery = replace(gallery, paths=tuple(str(tmp_path / ("broken.jpg", "empty.jpg")[i % 2]) for i in range(30)))
    page = page_of(tmp_path / "report.html", query, gallery)
    labels = [str(a.get("aria-label")) for tag, a in page.tags if tag == "span" and a.get("role") == "img"]
    assert len(labels) > 50
    assert all(label.endswith("(no picture)") for label in labels)
    without = replace(gallery, paths=())
    assert page_of(tmp_path / "report.html", query, without).words["h2"] == page.words["h2"]


def test_file_names_that_are_not_text(written: Page, place: Path) -> None:
    assert "caf?" in place.read_text("utf-8")


def test_one_query_and_unknown_cameras(tmp_path: Path) -> None:
    query, gallery = people(1, seed=0, cameras=0), people(6, seed=1, cameras=0)
    headings = page_of(tmp_path / "report.html", query, gallery).words["h2"]
    assert "Cameras" not in headings
    assert "Ranked lists" in headings


def test_everything_given_is_shown(tmp_path: Path) -> None:
    query, gallery = people(15, seed=0), people(40, seed=1)
    arguments = (query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids)
    known = gallery.select(gallery.pids <= 3)
    stranger_arguments = (query.vectors, known.vectors, query.pids, known.pids, query.camids, known.camids)
    threshold = calibrate_threshold(*stranger_arguments, far=0.2)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(
        '{"kind": "epoch", "epoch": 1, "losses": {"total": 2.0, "lin": 1.0}, "lr": 0.001}\n'
        '{"kind": "epoch", "epoch": 2, "losses": {"total": NaN, "lin": 0.5}, "lr": 0.001}\n'
        '{"kind": "epoch", "epoch": 3, "losses": {"total": 1.0, "lin": 0.2}, "lr": 0.001}\n'
        '{"kind": "evaluation", "epoch": 1, "mAP": 0.4, "rank1": 0.6}\n'
        '{"kind": "evaluation", "epoch": 2, "mAP": 0.5, "rank1": 0.7}\n'
        '{"kind": "evaluation", "epoch": 3, "mAP": 0.5, "rank1": 0.8}\n'
        '[1]\n{"kind": "epoch", "epo'
    )
    report = evaluate_embeddings(*arguments)
    path = write_report(
        tmp_path / "report.html",
        reports={"plain": report, "again": report},
        query=query,
        gallery=gallery,
        open_set=evaluate_open_set(*stranger_arguments, far=(0.0, 0.2), ranks=(1, 3)),
        threshold=threshold,
        metrics=metrics,
        config='name = "x"',
    )
    page = Page(path.read_text("utf-8"))
    assert {"Open set", "Training"} <= set(page.words["h2"])
    assert {"Loss", "Learning rate", "Held-out identities"} <= set(page.words["h3"])
    assert 'name = "x"' in page.words["pre"]
    assert f"{threshold.value:.3f}" in page.words["span"]
    assert path.stat().st_size < 5_000_000


def test_without_impostors_and_without_metrics(tmp_path: Path) -> None:
    query, gallery = people(10, seed=0), people(30, seed=1)
    everybody = evaluate_open_set(
        query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids
    )
    page = page_of(tmp_path / "report.html", query, gallery, open_set=everybody, metrics=tmp_path / "none.jsonl")
    assert "Open set" in page.words["h2"]
    assert "Training" not in page.words["h2"]


def test_an_old_report_survives_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(StorageError):
        page_of(target, people(10, seed=0), people(30, seed=1))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (target / "kept").exists()


def test_a_wrong_place_or_seed_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a folder, expected the name of an \.html file"):
        report(tmp_path / "none", out=tmp_path)
    with pytest.raises(ConfigError, match="seed: expected 0 or more, found -1"):
        report(tmp_path, seed=-1)


@pytest.mark.slow
def test_report_of_a_run(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "people", identities=8, train_identities=2, cameras=2, seed=0)
    data = load_dataset("synthetic", root)
    torch.manual_seed(0)
    model = ModelConfig(backbone="tiny:osnet_x0_25")
    encoder = Encoder.from_model(
        build_model(model), InputConfig(height=64, width=32), model, {"recipe": "tiny", "data": {"name": "drawn"}}
    )
    encoder.save(tmp_path / "run" / "encoder")
    path = report(tmp_path / "run", data, progress=False)
    assert path == tmp_path / "run" / "report.html"
    page = Page(path.read_text("utf-8"))
    assert page.words["h2"] == [
        "Numbers", "Curves", "Distances", "Open set", "Ranked lists", "Cameras", "Map of identities",
        "Activation maps", "Provenance", "Responsible use",
    ]  # fmt: skip
    assert encoder.fingerprint in page.words["td"]
    assert sum(tag == "img" for tag, _ in page.tags) > 60
    with pytest.raises(ConfigError, match=r"config\.toml"):
        report(tmp_path / "run", progress=False)
    recipe = {"evaluation": {"metric": "cosine", "ap": "trapezoid", "rerank": {"k1": 3, "k2": 2}, "flip": False}}
    (tmp_path / "run" / "config.toml").write_text(parse_config(recipe, where="test").to_toml())
    text = report(tmp_path / "run", data, ap="step", progress=False).read_text("utf-8")
    assert {"cosine", "step", "False"} <= set(Page(text).words["td"])
    assert "k1 3, k2 2" in text
    with pytest.raises(ConfigError, match="did you mean 'market1501'"):
        report(tmp_path / "run", data, protocol="market1502", progress=False)


def luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(scheme: int) -> None:
    template = (resources.files("passerby.report") / "templates" / "report.html").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", template, re.DOTALL)
    color = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[scheme]))
    pairs = [(word, behind) for word in ("ink", "muted", "link") for behind in ("card", "page")]
    for word, behind in [
        *pairs,
        ("right", "right-soft"),
        ("wrong", "wrong-soft"),
        ("right", "card"),
        ("wrong", "card"),
    ]:
        high, low = sorted((luminance(color[word]), luminance(color[behind])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (word, behind)


def test_examples_of_the_docs_run(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text("utf-8")
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[-1]
    names: dict[str, Any] = {}
    exec(example, names)
    page = page_of(tmp_path / "report.html", people(10, seed=0), people(30, seed=1), extra_sections=[names["visitors"]])
    assert "Visitors" in page.words["h2"]
