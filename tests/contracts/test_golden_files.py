"""What version 0.1 wrote opens in this version, and gives the answers that 0.1 gave.

The files lie in tests/golden/v0_1 and were made once, by 0.1.0 (see make.py there). Where a test fails here, the
package broke a promise: repair the package, not the files. Later versions may answer with more fields, never fewer.
"""

from __future__ import annotations

import importlib.util
import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.golden.answers import QUESTIONS, THRESHOLD, digests, gallery_answers, plain, probes_of, unpack

import passerby as pb
from passerby.cli import main
from passerby.errors import GalleryError

FOLDER = Path(__file__).parents[1] / "golden" / "v0_1"
ANSWERS: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text("utf-8"))
NEEDS_ONNX_RUNTIME = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed (extra `export`)"
)
INT8 = "encoder (int8)"
LEAST_COSINE = 0.98  # of int8 vectors: eight-bit sums saturate on some processors and not on others
RECIPES = sorted(path.name for path in (FOLDER / "recipes").glob("*.toml"))


def disagreements(expected: Any, found: Any, where: str) -> Iterator[str]:
    """Where an answer lacks something that was answered before, or differs from it."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key in found:
                yield from disagreements(value, found[key], f"{where} / {key}")
            else:
                yield f"{where}: {key!r} is missing"
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for place, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from disagreements(one, other, f"{where} / {place}")
    elif isinstance(expected, float) and isinstance(found, (int, float)):
        same = (math.isnan(expected) and math.isnan(found)) or math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-5)
        if not same:
            yield f"{where}: {found!r} instead of {expected!r}"
    elif expected != found:
        yield f"{where}: {found!r} instead of {expected!r}"


def assert_agrees(expected: Any, found: Any, where: str) -> None:
    wrong = list(disagreements(expected, found, where))
    assert not wrong, f"{len(wrong)} answers are not those of 0.1:\n" + "\n".join(wrong[:20])


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A copy of the files, since opening may change them."""
    return unpack(FOLDER, tmp_path / "golden")


def test_the_files_are_the_ones_that_0_1_wrote() -> None:
    assert ANSWERS["passerby"] == "0.1.0"
    assert digests(FOLDER) == ANSWERS["files"]
    assert set(ANSWERS) == {"passerby", "files", *QUESTIONS}


@pytest.mark.parametrize(
    "name", [pytest.param(q, marks=NEEDS_ONNX_RUNTIME) if "ONNX" in q else q for q in QUESTIONS if q != INT8]
)
def test_the_answers_are_those_of_0_1(golden: Path, name: str) -> None:
    assert_agrees(ANSWERS[name], QUESTIONS[name](golden), name)


@NEEDS_ONNX_RUNTIME
def test_an_int8_encoder_is_the_one_of_0_1_whatever_the_processor(golden: Path) -> None:
    expected, found = dict(ANSWERS[INT8]), QUESTIONS[INT8](golden)
    for vectors in ("vectors", "vectors_without_flip"):
        one, other = np.array(expected.pop(vectors)), np.array(found[vectors])
        assert one.shape == other.shape
        cosines = np.sum(one * other, axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))
        assert cosines.min() > LEAST_COSINE
    assert_agrees(expected, found, INT8)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_somebody_copied_says_what_it_said(name: str) -> None:
    path = FOLDER / "recipes" / name
    written = tomllib.loads(path.read_text("utf-8"))
    assert_agrees(written, pb.load_recipe(path).model_dump(mode="json"), name)


def test_a_finished_run_is_finished(golden: Path) -> None:
    run = golden / "run"
    before = digests(run)
    again = pb.train(pb.load_recipe(run / "config.toml"), pb.load_dataset(golden / "people.csv"), out=run)
    assert digests(run) == before
    assert again.encoder.fingerprint == ANSWERS["run"]["fingerprint"]


def test_an_interrupted_run_goes_on(golden: Path) -> None:
    path = golden / "run-interrupted"
    config = pb.load_recipe(path / "config.toml")
    first = pb.Run(path, config).metrics
    assert [row["epoch"] for row in first] == [1]
    run = pb.train(config, pb.load_dataset(golden / "people.csv"), out=path)
    epochs = [row for row in run.metrics if row["kind"] == "epoch"]
    assert epochs[0] == first[0], "it began anew"
    assert [row["epoch"] for row in epochs] == [1, 2]
    assert all(math.isfinite(loss) for loss in epochs[1]["losses"].values())
    assert run.encoder.dim == ANSWERS["run"]["dim"]


@pytest.mark.parametrize("name", ["format-1", "format-2"])
def test_an_old_gallery_lives_on(golden: Path, name: str) -> None:
    """It is used as a new one is: changed, undone, forgotten, opened again."""
    path, encoder, probes = (
        golden / "galleries" / f"{name}.gallery",
        pb.load_encoder(golden / "encoder"),
        probes_of(golden),
    )
    expected = ANSWERS[f"gallery ({name.replace('-', ' ')})"]
    looks = {key: value for key, value in expected.items() if key != "own_threshold"}
    for _ in range(2):
        with pb.Gallery.open(path, encoder) as gallery:
            assert_agrees(looks, plain(gallery_answers(gallery, probes)), "opened")
    with pb.Gallery.open(path, encoder) as gallery:
        merge = next(event for event in gallery.history("Ada") if event.action == "merge")
        assert gallery.undo(merge.id).action == "merge"
        assert "unknown-1" in [identity.name for identity in gallery.identities()]
        assert gallery.describe("Ada").observations == 3
        gallery.merge("Ada", "unknown-1")
        # four were named, one of them in a change that was undone: no number is used twice
        new = gallery.observe(probes["stranger"], camera="gate", threshold=THRESHOLD)
        assert (new.identity, new.new) == ("unknown-5", True)
        assert gallery.identify(probes["stranger"], threshold=THRESHOLD).identity == "unknown-5"
        gallery.enroll("Ada", golden / "probes" / "known.png", camera="gate")
        assert gallery.identify(probes["known"], threshold=THRESHOLD).identity == "Ada"
        assert gallery.forget("Ada").observations == 5
        gallery.check()
    with pb.Gallery.open(path, encoder) as gallery:
        gallery.check()
        assert "Ada" not in gallery
        assert "unknown-1" not in gallery
        assert_agrees(expected["identities"][1:], plain([vars(i) for i in gallery.identities()])[:-1], "the others")


def test_a_gallery_of_another_encoder_is_still_refused(golden: Path) -> None:
    with pytest.raises(GalleryError, match="encoder"):
        pb.Gallery.open(golden / "galleries" / "format-2.gallery", fingerprint="another")


def report(golden: Path, name: str) -> Any:
    content = json.loads((golden / "reports" / f"{name}.json").read_text("utf-8"))
    content.pop("notes", None)  # notes are sentences, and may be worded better
    return content


def test_evaluations_give_the_reports_of_0_1(golden: Path) -> None:
    encoder, data = pb.load_encoder(golden / "run"), pb.load_dataset(golden / "people.csv")
    found = pb.evaluate(encoder, data, progress=False)
    assert_agrees(report(golden, "evaluate"), plain(found.to_dict(per_query=True)), "evaluate")
    rerank = {"k1": 4, "k2": 2, "lambda_value": 0.3}
    reranked = pb.evaluate(encoder, data, rerank=rerank, ap="trapezoid", progress=False)
    assert_agrees(report(golden, "evaluate-reranked"), plain(reranked.to_dict()), "evaluate, re-ranked")


def test_an_open_set_evaluation_of_old_embeddings_gives_the_report_of_0_1(golden: Path) -> None:
    query, gallery = (
        pb.Embeddings.from_parquet(golden / "embeddings" / f"{part}.parquet") for part in ("query", "gallery")
    )
    enrolled = gallery.select([row for row, pid in enumerate(gallery.pids.tolist()) if pid in (9, 11)])
    found = pb.evaluate_open_set(
        query.vectors, enrolled.vectors, query.pids, enrolled.pids, query.camids, enrolled.camids,
        far=(0.0, 0.25, 0.5), ranks=(1, 2),
    )  # fmt: skip
    assert_agrees(report(golden, "open-set"), plain(found.to_dict()), "open set")


def test_the_command_line_gives_the_reports_of_0_1(
    golden: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(golden)  # the run's settings name its data from here

    def answer(*arguments: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    expected = {key: value for key, value in report(golden, "evaluate").items() if key != "per_query"}
    assert_agrees(expected, answer("evaluate", "run", "--json"), "passerby evaluate")
    ranked = answer("rank", "embeddings/query.parquet", "embeddings/gallery.parquet", "--top", "3", "--json")
    assert_agrees(report(golden, "rank")["rows"], ranked["rows"], "passerby rank")


def test_keys_of_a_service_stay_valid(golden: Path) -> None:
    from passerby.service.api_keys import list_keys

    written = json.loads((golden / "keys.json").read_text("utf-8"))["keys"]
    assert_agrees(written, [vars(key) for key in list_keys(golden / "keys.json")], "keys")
    assert [key["name"] for key in written] == ["front-desk", "audit"]
