"""Drawn datasets: the same from the same seed, shaped like Market-1501, finished where they were left."""

import hashlib
import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import MARKER, draw_dataset
from passerby.errors import DataError, StorageError
from passerby.images.decode import read_image

synthetic: Any = importlib.import_module("passerby.data.synthetic.dataset")
SMALL: dict[str, Any] = {
    "identities": 7, "train_identities": 4, "cameras": 3, "images_per_camera": 2, "distractors": 4, "progress": False,
}  # fmt: skip


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*.jpg"))
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("drawn"), **SMALL)


def test_the_seed_decides_every_pixel(drawn: Path, tmp_path: Path) -> None:
    assert hashes(draw_dataset(tmp_path / "same", **SMALL)) == hashes(drawn)
    other = hashes(draw_dataset(tmp_path / "other", **SMALL, seed=1))
    assert not set(other.values()) & set(hashes(drawn).values())


def test_more_people_leave_the_first_ones_as_they_are(drawn: Path, tmp_path: Path) -> None:
    more = hashes(draw_dataset(tmp_path / "more", **{**SMALL, "identities": 9, "train_identities": 4}))
    train = {name: value for name, value in hashes(drawn).items() if name.startswith("bounding_box_train")}
    assert train.items() <= more.items()


def test_it_reads_as_market_1501(drawn: Path) -> None:
    data = load_dataset("synthetic", root=drawn)
    assert Counter(s.pid for s in data.train) == dict.fromkeys(range(1, 5), 6)
    assert Counter((s.pid, s.camid) for s in data.query) == {(p, c): 1 for p in (5, 6, 7) for c in range(3)}
    gallery = Counter(s.pid for s in data.gallery)
    assert {pid: gallery[pid] for pid in (5, 6, 7)} == dict.fromkeys((5, 6, 7), 3)
    assert gallery[0] == 4
    assert not {s.pid for s in data.train} & {s.pid for s in (*data.query, *data.gallery)}
    for query in data.query:  # the protocol needs a match under another camera
        assert any(s.pid == query.pid and s.camid != query.camid for s in data.gallery)
    assert len(list(drawn.glob("bounding_box_test/-1_*.jpg"))) == 2


def test_images_have_market_1501s_size_and_are_all_different(drawn: Path) -> None:
    for path in drawn.rglob("*.jpg"):
        assert read_image(path).shape == (128, 64, 3)
    assert len(set(hashes(drawn).values())) == len(hashes(drawn))


def test_drawing_again_does_nothing(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "draw_person", None)
    assert draw_dataset(drawn, **SMALL) == drawn


def test_an_interrupted_drawing_goes_on(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = synthetic.draw_person
    calls: list[int] = []

    def stop_after_nine(*arguments: Any) -> Any:
        if len(calls) == 9:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(synthetic, "draw_person", stop_after_nine)
    folder = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        draw_dataset(folder, **SMALL)
    assert json.loads((folder / MARKER).read_text())["complete"] is False

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(synthetic, "draw_person", counted)
    draw_dataset(folder, **SMALL)
    assert hashes(folder) == hashes(drawn)
    assert len(calls) == 7 * 3 * 2


def test_other_settings_and_other_peoples_files_are_left_alone(drawn: Path, tmp_path: Path) -> None:
    before = hashes(drawn)
    with pytest.raises(DataError, match=r"other settings, .*choose another folder"):
        draw_dataset(drawn, **{**SMALL, "seed": 5})
    assert hashes(drawn) == before
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds something else"):
        draw_dataset(tmp_path, **SMALL)
    (tmp_path / MARKER).write_text("{")
    with pytest.raises(DataError, match=r"damaged"):
        draw_dataset(tmp_path, **SMALL)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write the drawn dataset"):
        draw_dataset(tmp_path / "file" / "below", **SMALL)


@pytest.mark.parametrize(
    "change",
    [
        {"train_identities": 6}, {"train_identities": 1}, {"cameras": 1}, {"images_per_camera": 1},
        {"distractors": -1}, {"seed": -1},
    ],
)  # fmt: skip
def test_numbers_that_make_no_dataset_are_refused(change: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least"):
        draw_dataset(tmp_path / "none", **{**SMALL, **change})
    assert not (tmp_path / "none").exists()


def test_a_persons_colours_move_more_across_cameras_than_people_differ_under_one(drawn: Path) -> None:
    """The colour cast is what makes it hard: one person's mean colour moves more than people differ."""
    data = load_dataset("synthetic", root=drawn)
    mean = np.array([read_image(s.path)[:, 16:48].mean((0, 1)) for s in data.train])
    pid, cam = (np.array([getattr(s, name) for s in data.train]) for name in ("pid", "camid"))
    within_camera = np.mean([mean[cam == c].std(0).mean() for c in range(3)])
    across_cameras = np.mean([mean[pid == p].std(0).mean() for p in range(1, 5)])
    assert across_cameras > within_camera


def test_few_outfits_make_people_alike(drawn: Path, tmp_path: Path) -> None:
    alone = draw_dataset(tmp_path / "alone", **SMALL, common_outfits=500)
    same, other = hashes(drawn), hashes(alone)
    assert same.keys() == other.keys()
    changed = [name for name in same if same[name] != other[name]]
    assert 0 < len(changed) < len(same), "who wears an outfit of their own looks the same"
    with pytest.raises(DataError, match="common_outfits"):
        draw_dataset(tmp_path / "none", **SMALL, common_outfits=0)


def test_a_folder_of_version_0_1_has_twelve_outfits(tmp_path: Path) -> None:
    folder = draw_dataset(tmp_path / "old", **SMALL)
    marker = json.loads((folder / MARKER).read_text())
    assert marker.pop("common_outfits") == 12
    (folder / MARKER).write_text(json.dumps(marker))
    assert draw_dataset(folder, **SMALL) == folder
    load_dataset("synthetic", root=folder)
    with pytest.raises(DataError, match="other settings"):
        draw_dataset(folder, **SMALL, common_outfits=13)
