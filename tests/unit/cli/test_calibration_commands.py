"""`passerby gallery calibration | comparison | duplicates | judge`, on people drawn as vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.contracts.galleries import people

from passerby.cli import run
from passerby.cli.output import plain, table
from passerby.gallery.duplicates import DuplicatePair
from passerby.gallery.gallery import Gallery
from passerby.gallery.result_types import Identification, Match, in_words
from passerby.models.sources import EncoderSource

CROWD = people(60, 5, seed=3, spread=0.12)


@pytest.fixture
def path(tmp_path: Path) -> str:
    location = str(tmp_path / "people.gallery")
    with Gallery.open(location) as gallery:
        rows = CROWD[:, :4].reshape(-1, CROWD.shape[2])
        gallery.enroll_many([f"p{i // 4}" for i in range(240)], vectors=rows, cameras=["door", "hall"] * 120)
        gallery.enroll("again", vectors=CROWD[0, 4], camera="hall")
    return location


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == 0
    return capsys.readouterr().out


def test_calibration_in_words_and_for_machines(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "gallery", "calibration", path)
    assert "accept below" in text
    assert "61 people" in text
    both = json.loads(said(capsys, "gallery", "calibration", path, "--json"))
    assert (both["kind"], both["observe"]["kind"]) == ("identify", "observe")
    assert both["threshold"] != both["observe"]["threshold"]
    line = f"observe, and identify without --camera: accept below {both['observe']['threshold']:.4f}"
    assert line in text
    assert "without --camera" not in said(capsys, "gallery", "calibration", path, "--kind", "identify")
    found = json.loads(said(capsys, "gallery", "calibration", path, "--kind", "observe", "--far", "0.1", "--json"))
    assert (found["kind"], found["far"], found["source"]) == ("observe", 0.1, "gallery")
    assert found["threshold"] > found["in_force"]


def test_setting_the_rate(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "gallery", "calibration", path, "--far", "0.1", "--set-far")
    assert json.loads(said(capsys, "gallery", "calibration", path, "--json"))["far"] == 0.1
    said(capsys, "gallery", "undo", path)
    assert json.loads(said(capsys, "gallery", "calibration", path, "--json"))["far"] == 0.01
    assert run(["gallery", "calibration", path, "--set-far"]) == 2
    assert "--set-far goes with --far" in capsys.readouterr().err
    assert run(["gallery", "calibration", path, "--far", "2"]) == 2
    assert "above 0 and below 1" in capsys.readouterr().err


def test_a_bare_model_file_is_read_by_its_flags(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.pth", "a.jpg"):
        Path(name).touch()
    taken: list[EncoderSource] = []
    monkeypatch.setattr("passerby.cli.open_gallery._encoder", lambda source, *_: taken.append(source))
    said(capsys, "gallery", "calibration", path, "--encoder", "net.pth", "--backbone", "osnet_x0_25")
    assert [(source.place, source.settings.backbone) for source in taken] == [("net.pth", "osnet_x0_25")]
    assert run(["gallery", "find-sightings", path, "a.jpg", "--encoder", "net.pth", "--backbone", "osnet_x0_25"]) == 2
    assert "unknown option" not in capsys.readouterr().err
    assert taken[-1].settings.backbone == "osnet_x0_25"
    assert run(["gallery", "calibration", path, "--backbone", "osnet_x0_25"]) == 2
    assert "--backbone: goes with --encoder" in capsys.readouterr().err


def test_duplicates_are_listed_and_judged(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    def pairs() -> set[tuple[str, str]]:
        found = json.loads(said(capsys, "gallery", "duplicates", path, "--json"))
        return {(pair["identity"], pair["other"]) for pair in found}

    assert ("p0", "again") in pairs()
    assert "again" in said(capsys, "gallery", "duplicates", path)
    said(capsys, "gallery", "judge", path, "p0", "again", "different-people")
    assert ("p0", "again") not in pairs()
    assert run(["gallery", "judge", path, "p0", "nobody", "one-person"]) == 2


def test_an_answer_has_the_p_value_in_words(path: str) -> None:
    with Gallery.open(path) as gallery:
        near, far = gallery.identify(CROWD[1, 4], camera="door"), gallery.identify(-CROWD[1, 4], camera="door")
    assert "people who are not enrolled, about 1 would come this near" in str(near)
    assert "of 100 people who are not enrolled, about " in str(far)


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (1.0, "nearly everybody"),
        (0.5, "of 100 people who are not enrolled, about 50"),
        (0.05, "of 20 people who are not enrolled, about 1"),
        (0.005, "of 200 people"),
        (0.00314, "of 320 people"),
        (1e-5, "of 100,000 people"),
        (1e-9, "fewer than 1 in 1,000,000 people"),
    ],
)
def test_p_values_in_words(p_value: float, words: str) -> None:
    assert in_words(p_value).startswith(words)


def test_p_values_below_a_thousandth_are_shown_as_such() -> None:
    rows = [{"image": "a.jpg", "p-value": 9.969e-05}, {"image": "b.jpg", "p-value": 0.1084}]
    assert table(rows, empty="").splitlines()[1:] == ["a.jpg  < 0.001", "b.jpg     0.11"]
    pair = DuplicatePair("ann", "bob", 0.01, 9.969e-05)
    assert str(pair) == "ann and bob: distance 0.0100, p < 0.001"
    near = Identification((Match("ann", 0.1, None, None, 1),), 0.5, 1, p_value=9.969e-05)
    assert near.likelihood.startswith("p < 0.001: of 10,000 people who are not enrolled, about 1")
    assert plain(pair)["p_value"] == 9.969e-05


def test_comparison_is_shown_set_and_undone(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "compared as they are; a nearest distance is judged alone" in said(capsys, "gallery", "comparison", path)
    assert run(["gallery", "comparison", path, "--cohort"]) == 2
    assert "200 enrolled people or more, found 61" in capsys.readouterr().err
    crowd = people(210, 1, seed=4)[:, 0]
    with Gallery.open(path) as gallery:
        gallery.enroll_many([f"more{i}" for i in range(210)], vectors=crowd, cameras=["door", "hall"] * 105)
    found = json.loads(said(capsys, "gallery", "comparison", path, "--cohort", "--json"))
    assert (found["cohort"], found["camera_means"]) == (True, 0)
    about = json.loads(said(capsys, "gallery", "calibration", path, "--json"))
    assert (about["cohort"], about["camera_means"]) == (True, 0)
    assert "20 next nearest people" in said(capsys, "gallery", "calibration", path)
    assert json.loads(said(capsys, "gallery", "undo", path, "--json"))["action"] == "comparison"
    assert not json.loads(said(capsys, "gallery", "comparison", path, "--json"))["cohort"]
