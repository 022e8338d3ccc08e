"""Readers leave nothing out without a word: what a list names and is missing, folders beside those of persons, ..."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerby.data.check.dataset_check import check_dataset
from passerby.data.datasets import load_dataset
from passerby.data.layouts.write import write_layout
from passerby.data.readers import cuhk_sysu
from passerby.data.records import ReIDDataset
from passerby.errors import DataError

scipy_io = pytest.importorskip("scipy.io")

Tree = Callable[[str], Path]


def noise(person: int, camera: int, image: int) -> np.ndarray:
    return np.random.default_rng((person, camera, image)).integers(0, 256, (16, 8, 3), dtype=np.uint8)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write the layout of a dataset; gives the folder in it."""

    def write(name: str) -> Path:
        root = write_layout(name, tmp_path / name, draw=noise)
        return next(p for p in sorted(root.iterdir()) if p.is_dir())

    return write


def load(name: str, root: Path, **arguments: Any) -> ReIDDataset:
    return load_dataset(name, root, verify=False, **arguments)


@pytest.mark.parametrize("name", ["msmt17", "mars"])
def test_listed_images_that_are_missing_are_counted(name: str, tree: Tree) -> None:
    root = tree(name)
    folder = load(name, root).gallery[0].path.parent
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=rf"{name}: \d+ images that .*\.txt lists are missing, first {folder}"):
        load(name, root)
    assert any("cannot be read" in error for error in check_dataset(name, root, progress=False).errors)


def test_both_versions_of_msmt17_in_one_folder(tree: Tree) -> None:
    second = tree("msmt17")
    first = shutil.copytree(second, second.with_name("MSMT17_V1"))
    for part in ("train", "test"):
        (first / f"mask_{part}_v2").rename(first / part)
    for version in ("v1", "v2"):
        data = load("msmt17", second.parent, version=version)
        assert f"MSMT17 {version.upper()}" in data.notes
        assert {s.path.parents[2].name for s in data.gallery} == {f"MSMT17_{version.upper()}"}


def test_a_list_may_begin_with_a_byte_order_mark(tree: Tree) -> None:
    root = tree("msmt17")
    text = (root / "list_train.txt").read_text("utf-8")
    (root / "list_train.txt").write_text(text, "utf-8-sig")
    assert all(s.path.is_file() for s in load("msmt17", root).train)


@pytest.mark.parametrize(
    ("name", "folder", "other"),
    [
        ("ethz", "seq1", "P0001"),
        ("prid2011", "multi_shot/cam_a", "Person_0001"),
        ("ilids_vid", "sequences/cam1", "person1"),
    ],
)
def test_folders_of_persons_with_other_names_are_refused(name: str, folder: str, other: str, tree: Tree) -> None:
    root = tree(name)
    place = root / folder
    first = sorted(place.iterdir())[0]
    first.rename(place / other)
    with pytest.raises(DataError, match=rf"{name}: 1 of \d+ names in .* are no folders like .*: {other}"):
        load(name, root)
    (place / other).rename(first)
    shutil.copy(next(first.iterdir()), place / "loose.png")
    with pytest.raises(DataError, match=r"loose\.png"):
        load(name, root)


def test_a_frame_of_another_camera_or_person_is_refused(tree: Tree) -> None:
    root = tree("ilids_vid")
    folder = root / "sequences" / "cam1" / "person001"
    frame = sorted(folder.glob("cam1_*"))[0]
    for other in (frame.name.replace("cam1", "cam2"), frame.name.replace("person001", "person002")):
        shutil.copy(frame, folder / other)
        with pytest.raises(DataError, match=rf"the frame .*{other} is not named like the others"):
            load("ilids_vid", root)
        (folder / other).unlink()


def test_persons_without_an_image_and_without_a_query_in_ethz(tree: Tree) -> None:
    root = tree("ethz")
    person = root / "seq1" / "p001"
    for image in sorted(person.iterdir())[2:]:
        image.unlink()
    data = load("ethz", root, shots=2)
    assert "1 persons have no more images than shots (2): nobody asks for them" in data.notes
    with pytest.raises(DataError, match="shots is 100, and nobody in sequence 1 has more images"):
        load("ethz", root, shots=100)
    for image in person.iterdir():
        image.unlink()
    with pytest.raises(DataError, match=r"1 folders of persons hold no image, first .*p001"):
        load("ethz", root)


def test_boxes_of_cuhk_sysu_that_are_not_there(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("cuhk_sysu")
    data = load("cuhk_sysu", root)
    assert not any("left out" in note for note in data.notes)
    data.query[0].path.unlink()
    (data.query[0].path.parent / "extracted.json").unlink()
    with pytest.raises(DataError, match=rf"1 of 10 boxes are missing in .*passerby_boxes, {data.query[0].path.name}"):
        load("cuhk_sysu", root)
    with monkeypatch.context() as patched:  # a box that lies outside its scene
        patched.setattr(cuhk_sysu, "clip", lambda *_: None)
        again = load("cuhk_sysu", root)
    assert len(again.query) == len(data.query) - 1
    assert "1 boxes left out: no pixel of them lies within their scene" in again.notes
    shutil.rmtree(root / "passerby_boxes")
    (root / "passerby_boxes").mkdir()
    with pytest.raises(DataError, match="60 of 60 boxes are missing"):
        load("cuhk_sysu", root)


def test_persons_that_take_no_part_are_counted(tree: Tree) -> None:
    viper = tree("viper")
    sorted((viper / "cam_a").iterdir())[0].unlink()
    assert "1 persons under one camera only left out" in load("viper", viper).notes
    grid = tree("grid")
    known = sorted((grid / "gallery").iterdir())[-1]
    shutil.copy(known, known.with_name(f"0249{known.name[4:]}"))
    assert "1 persons of gallery/ whom probe/ does not hold left out" in load("grid", grid).notes
    peds = tree("3dpes")
    for image in sorted((peds / "RGB").glob("1_*"))[1:]:
        image.unlink()
    assert "persons of one view are left out" in load("3dpes", peds).notes[1]


def test_a_partition_file_of_one_partition(tree: Tree) -> None:
    root = tree("grid")
    pids = np.array(sorted({s.pid for s in load("grid", root).train}))
    scipy_io.savemat(root / "features_and_partitions.mat", {"trainIdxAll": {"a": 1, "b": 2, "c": pids}})
    assert {s.pid for s in load("grid", root).train} == set(pids.tolist())
    with pytest.raises(DataError, match="1 partitions, asked for was number 1"):
        load("grid", root, split=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:0], "up to line 0"),
        (lambda rows: np.vstack([rows[:1, [1, 0, 2, 3]], rows[1:]]), "does not fit train_name"),
        (
            lambda rows: np.vstack([rows[:1] + np.array([0, 0, 0, 1]), rows[1:]]),
            "is not a frame of person 1 and camera 2",
        ),
    ],
    ids=["empty", "backwards", "camera"],
)
def test_tables_of_mars_that_cannot_be(change: Callable[[np.ndarray], np.ndarray], message: str, tree: Tree) -> None:
    root = tree("mars")
    file = root / "info" / "tracks_train_info.mat"
    rows = scipy_io.loadmat(file)["track_train_info"].astype(np.int64)
    scipy_io.savemat(file, {"track_train_info": change(rows)})
    with pytest.raises(DataError, match=message):
        load("mars", root)


def test_pictures_beside_market_are_read_only_where_they_are_asked_for(tree: Tree) -> None:
    root = tree("market1501")
    before = len(load("market1501", root).gallery)
    (root / "images").mkdir()
    shutil.copy(sorted((root / "query").iterdir())[0], root / "images" / "holiday.jpg")
    assert len(load("market1501", root).gallery) == before
    with pytest.raises(DataError, match=r"holiday\.jpg"):
        load("market1501", root, distractors=True)


def test_an_empty_folder_of_raid_asks_for_its_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not hold RAiD_4Cams\.mat"):
        load("raid", tmp_path)


@pytest.mark.parametrize(
    ("name", "folder", "arguments"),
    [
        ("raid", "images", {}),
        ("cuhk03", "images_detected", {"protocol": "classic"}),
        ("cuhk_sysu", "passerby_boxes", {}),
    ],
)
def test_images_that_have_gone_since_they_were_extracted_are_missed(
    name: str, folder: str, arguments: dict[str, Any], tree: Tree
) -> None:
    pytest.importorskip("h5py")
    root = tree(name)
    load(name, root, **arguments)
    place = next(root.rglob(folder))
    lost = sorted(p for p in place.iterdir() if p.suffix != ".json")[-1]
    lost.unlink()
    with pytest.raises(DataError, match=rf"1 images that .*{folder}/extracted\.json lists are missing"):
        load(name, root, **arguments)
    lost.touch()
    (place / "extracted.json").write_text("[]")
    with pytest.raises(DataError, match=r"extracted\.json cannot be read"):
        load(name, root, **arguments)


def test_images_that_were_extracted_elsewhere_are_read(tree: Tree) -> None:
    pytest.importorskip("h5py")
    root = tree("raid")
    first = load("raid", root)
    next(root.rglob("extracted.json")).unlink()
    assert load("raid", root) == first
