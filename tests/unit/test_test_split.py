"""One's own people without parts: who is in the test, and that a run goes on knowing it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.config import DataConfig
from passerby.data.dataset_of_config import fitted_to, load_configured
from passerby.data.datasets import load_dataset
from passerby.data.test_split import ENOUGH_TO_TEST, drawn_share
from passerby.errors import DataError, EmbeddingError, UsageError
from passerby.evaluation.evaluate import evaluate
from passerby.report.report import report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 people of two images each, without cameras."""
    for person in range(1, 31):
        for i in range(2):
            path = tmp_path / "people" / f"p{person:02d}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 4, 3), person, np.uint8)).save(path)
    return tmp_path / "people"


def test_few_people_are_all_learnt_from(folder: Path) -> None:
    data = load_dataset(folder)
    assert (len(data.train), len(data.query), data.protocol) == (60, 0, "no_cameras")
    assert any("all 30 identities are to learn from" in note and "test_share = 0.5" in note for note in data.notes)
    _, held_out = data.hold_out(6)
    assert held_out.protocol == "no_cameras"
    assert len(held_out.query) == 6
    with pytest.raises(EmbeddingError, match=r"found none; nothing can be evaluated \(no split .*test_share = 0\.5"):
        evaluate(None, data)  # type: ignore[arg-type]  # it is not reached
    hint = (
        "Name people whom the encoder did not learn from .--data.name, .*test_share=1.* or train again with --data.arg"
    )
    for run in (lambda: evaluate(None, data), lambda: report(folder, data)):  # type: ignore[arg-type]
        with pytest.raises(EmbeddingError, match=hint):
            run()
    halved = load_dataset(folder, test_share=0.5)
    assert len({s.pid for s in halved.train}) == 15


def test_enough_people_are_halved(tmp_path: Path) -> None:
    for number, test in ((ENOUGH_TO_TEST, ENOUGH_TO_TEST // 2), (ENOUGH_TO_TEST - 1, 0)):
        lines = [f"{person}-{i}.png,{person}" for person in range(1, number + 1) for i in range(2)]
        (tmp_path / "own.csv").write_text("\n".join(["path,pid", *lines]))
        assert len({s.pid for s in load_dataset(tmp_path / "own.csv", verify=False).query}) == test


def test_what_became_of_the_people_is_written_down(folder: Path) -> None:
    settings = DataConfig(name=str(folder))
    assert fitted_to(settings, load_dataset(folder)).arguments == {"test_share": 0.0}
    third = load_dataset(folder, test_share=0.3)
    assert drawn_share(third) == pytest.approx(0.3)
    assert fitted_to(settings, third).arguments == {"test_share": pytest.approx(0.3)}
    (folder / "p01").rename(folder.parent / "p01")
    parts = folder.parent / "parts"
    for part, person in (("train", "p02"), ("test", "p03")):
        (parts / part).mkdir(parents=True)
        (folder / person).rename(parts / part / person)
    assert drawn_share(load_dataset(parts)) is None, "the data name their parts"


def test_a_run_of_0_1_has_the_halves_it_had(folder: Path, tmp_path: Path) -> None:
    settings = DataConfig(name=str(folder))
    run = tmp_path / "run"
    run.mkdir()
    assert load_configured(settings, run=run) == load_dataset(folder, test_share=0.5)
    assert load_configured(fitted_to(settings, load_dataset(folder)), run=run).query == ()


def test_a_run_without_a_name_of_data_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="given a dataset as an object"):
        load_configured(DataConfig(), run=tmp_path)


def test_too_many_held_out_names_the_most_and_the_default(folder: Path) -> None:
    with pytest.raises(DataError, match=r"40 of 30 .*two must be left.* so 28 is the most.* = 6 is what"):
        load_dataset(folder).hold_out(40)
