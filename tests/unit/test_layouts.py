"""Drawn people in the layout of a benchmark: what goes wrong, and what is drawn by default."""

import errno
import sys
from pathlib import Path

import numpy as np
import pytest

from passerby.data.datasets import load_dataset
from passerby.data.layouts.write import write_layout
from passerby.data.readers import cuhk03
from passerby.errors import DataError, MissingExtraError, StorageError
from passerby.images.decode import read_image


def grey(person: int, camera: int, image: int) -> np.ndarray:
    return np.full((8, 4, 3), (person, camera, image), np.uint8)


def test_default_is_the_drawn_pedestrians(tmp_path: Path) -> None:
    first = write_layout("viper", tmp_path / "a", persons=10, seed=3)
    again = write_layout("viper", tmp_path / "b", persons=10, seed=3)
    other = write_layout("viper", tmp_path / "c", persons=10, seed=4)
    names = [p.relative_to(first) for p in sorted(first.rglob("*.bmp"))]
    assert all((first / n).read_bytes() == (again / n).read_bytes() for n in names)
    assert all((first / n).read_bytes() != (other / n).read_bytes() for n in names)
    assert read_image(first / names[0]).shape == (128, 64, 3)


def test_wrong_calls(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'market1501'"):
        write_layout("market", tmp_path / "a", draw=grey)
    with pytest.raises(DataError, match="at least 10"):
        write_layout("viper", tmp_path / "a", persons=3, draw=grey)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(DataError, match="not an empty folder"):
        write_layout("viper", tmp_path / "full", draw=grey)


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="viper: seed is -1; expected 0 or more"):
        write_layout("viper", tmp_path / "viper", seed=-1)


def test_a_drawing_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def breaks(person: int, camera: int, image: int) -> np.ndarray:
        if person == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        return grey(person, camera, image)

    (tmp_path / "a").mkdir()
    for folder in (tmp_path / "a", tmp_path / "b" / "c"):
        with pytest.raises(StorageError, match="No space left"):
            write_layout("viper", folder, draw=breaks)
    assert list((tmp_path / "a").iterdir()) == list((tmp_path / "b").iterdir()) == []
    assert write_layout("viper", tmp_path / "a", draw=grey) == tmp_path / "a"


def test_disk_full_while_extracting_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py")
    root = write_layout("cuhk03", tmp_path / "x", draw=grey) / "cuhk03_release"
    written = []

    def full(path: Path, pixels: np.ndarray) -> None:
        written.append(path)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(cuhk03, "write_png", full)
    with pytest.raises(StorageError, match="No space left"):
        load_dataset("cuhk03", root, verify=False)
    assert len(written) == 6
    assert [p.name for p in root.iterdir() if p.is_dir()] == []
    monkeypatch.undo()
    assert load_dataset("cuhk03", root, verify=False, extracted=tmp_path / "here").train
    assert (tmp_path / "here" / "images_detected").is_dir()


@pytest.mark.parametrize(("name", "module"), [("cuhk03", "h5py"), ("raid", "h5py"), ("grid", "scipy.io")])
def test_without_the_extra_the_message_says_what_to_install(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    root = write_layout(name, tmp_path / name, draw=grey)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'passerby\[mat\]'"):
        load_dataset(name, root, verify=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'passerby\[mat\]'"):
        write_layout(name, tmp_path / "other", draw=grey)
