"""The report is one HTML file that refers to nothing outside itself, whatever names and files it is given."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from passerby.errors import EmbeddingError
from passerby.evaluation.embed import Embeddings
from passerby.evaluation.protocols import evaluate_embeddings
from passerby.evaluation.report import write_report

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


def test_page_is_well_formed_and_self_contained(tmp_path: Path) -> None:
    page = page_of(tmp_path / "deep" / "report.html", people(10, seed=0), people(40, seed=1))
    for tag, attributes in page.tags:
        assert tag != "script"
        for name in ("src", "srcset", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), f"{tag} {name}={value[:60]}"
    headings = page.words["h2"]
    assert headings == [
        "Numbers", "Curves", "Distances", "Ranked lists", "Cameras", "Map of identities", "Provenance",
        "Responsible use",
    ]  # fmt: skip


def test_no_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="at least one report"):
        write_report(tmp_path / "r.html", reports={}, query=people(4, seed=0), gallery=people(4, seed=1))
    assert list(tmp_path.iterdir()) == []
