"""`passerby calibrate`: on whom, and what it says about few people and low rates."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.evaluation.test_calibration_laws import people_of

import passerby as pb
from passerby.cli import run
from passerby.config import parse_config
from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.calibration import calibrate_on_people, everybody
from passerby.models.model import build_model
from passerby.training.snapshot import snapshot


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of random weights, and 8 people of three images of one colour each."""
    folder = tmp_path_factory.mktemp("place")
    config = parse_config({"input": {"height": 32, "width": 16}, "model": {"backbone": "tiny:osnet_x0_25"}}, where="t")
    snapshot(build_model(config.model), None, config, {}).save(folder / "encoder")
    rng = np.random.default_rng(0)
    for person in range(8):
        color = rng.integers(0, 255, 3)
        for i in range(3):
            path = folder / "people" / f"person {person}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(0, 20, (32, 16, 3))
            Image.fromarray(np.clip(color + noise, 0, 255).astype(np.uint8)).save(path)
    return folder


def test_everybody_of_a_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", str(place / "encoder"), "--people", str(place / "people"), "--far", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "accept below" in out
    assert "note: means over 10 draws of who is enrolled" in out
    assert "note: only 8 people" in out
    assert f"next: passerby enroll people.gallery --people FOLDER --encoder {place / 'encoder'}" in out
    assert "a gallery finds the distance for its own number of people" in out
    calibration = pb.load_encoder(place / "encoder").calibration
    assert (calibration["impostors"], calibration["genuine"]) == (24, 8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--far", "2"], "far: expected a share above 0 and below 1 (0.01 is 1 %), found 2"),
        (["--far", "0"], "found 0"),
        (["--draws", "0"], "draws: expected at least 1"),
        ([], "an encoder without a run, so nobody is held out: name people"),
        (["--people", "absent"], "absent: no such folder or manifest"),
        (["--people", "absent", "--held-out-identities", "3"], "--people takes everybody"),
    ],
)
def test_what_is_wrong_is_named_first(
    place: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["calibrate", str(place / "encoder"), *words]) == 2
    assert message in capsys.readouterr().err


def test_people_whom_it_was_trained_on_are_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = parse_config({"data": {"name": str(place / "people"), "held_out_identities": 2}}, where="test")
    (tmp_path / "config.toml").write_text(settings.to_toml())
    assert run(["calibrate", str(tmp_path), "--people", str(place / "people")]) == 2
    err = capsys.readouterr().err
    assert "was trained on" in err
    assert "the 2 people that the run held out" in err


def test_rates_are_means_over_draws() -> None:
    query, gallery = people_of(0, 12, noise=0.9)
    once = [calibrate_on_people(query, gallery, far=0.1, seed=seed, draws=1) for seed in range(10)]
    means = calibrate_on_people(query, gallery, far=0.1, draws=10)
    assert (means.impostors, means.genuine, means.finest_far) == (
        once[0].impostors,
        once[0].genuine,
        once[0].finest_far,
    )
    assert min(t.value for t in once) < means.value < max(t.value for t in once)
    assert means == calibrate_on_people(query, gallery, far=0.1, draws=10)


def test_few_people_and_a_low_rate_are_noted_with_their_meaning() -> None:
    few = calibrate_on_people(*people_of(0, 6, noise=3.0), far=0.05)
    assert any("only 6 people" in note for note in few.notes)
    (low,) = [note for note in few.notes if "DIR" in note]
    assert f"rejects {1 - few.dir:.0%} of the pictures of people you know" in low
    assert any("6 people cannot show a FAR of 5.00%" in note and "20 or more show it" in note for note in few.notes)
    many = calibrate_on_people(*people_of(0, 60, noise=0.1), far=0.05)
    assert not any("only" in note or "DIR" in note or "cannot show" in note for note in many.notes)


def test_a_fine_tuned_encoder_is_not_advised_to_be_fine_tuned(place: Path, tmp_path: Path) -> None:
    """Whoever has just done so needs another advice: more images, or more to begin with."""
    (low,) = [note for note in calibrate_on_people(*people_of(0, 6, noise=3.0), far=0.05).notes if "DIR" in note]
    assert "passerby train finetune" in low
    config = parse_config({"input": {"height": 32, "width": 16}, "model": {"backbone": "tiny:osnet_x0_25"}}, where="t")
    snapshot(build_model(config.model), None, config, {"recipe": "finetune"}).save(tmp_path / "encoder")
    rng = np.random.default_rng(0)
    for i in range(24):
        path = tmp_path / "people" / f"person {i // 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 16, 3), dtype=np.uint8)).save(path)
    found = pb.calibrate(tmp_path / "encoder", everybody(pb.load_dataset(tmp_path / "people")), far=0.05)
    (low,) = [note for note in found.notes if "DIR" in note]
    assert "finetune" not in low
    assert low.endswith("or a stronger encoder to begin with (`passerby hub list`), help with both")


def test_nobody_twice(place: Path, tmp_path: Path) -> None:
    data = pb.load_dataset(place / "people").hold_out(3)[1]
    with pytest.raises(EmbeddingError, match="--people FOLDER"):
        pb.calibrate(place / "encoder", data)
