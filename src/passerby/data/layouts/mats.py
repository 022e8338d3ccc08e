"""Layouts with MATLAB files: CUHK03, CUHK-SYSU, RAiD and GRID."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from passerby.array_types import UInt8
from passerby.data.layouts.drawn_people import DrawnPeople
from passerby.errors import MissingExtraError
from passerby.images.decode import resize_image

_PAIRS = 5
_VIEW_CELLS = 5
_TEST_SETS = 20
_UNMATCHED = 4


def save_mat(path: Path, **variables: Any) -> None:
    """Write a version 5 .mat file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _package("scipy.io", "scipy").savemat(path, variables)


def struct_array(structs: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
    """MATLAB's 1 x n struct array; all structs have the same fields."""
    array = np.empty((1, len(structs)), dtype=[(field, object) for field in structs[0]])
    for i, struct in enumerate(structs):
        array[0, i] = tuple(struct.values())
    return array


def write_grid(root: Path, drawn: DrawnPeople) -> None:
    """GRID: probe and gallery, unmatched people, ten partitions."""
    top = root / "underground_reid"
    for person in drawn.everyone():
        for camera, part in enumerate(("probe", "gallery")):
            name = f"{person:04d}_{camera + 1 + person % 4}_{25100 + person}_229_94_99_249.jpeg"
            drawn.save(top / part / name, person, camera, 0)
    for i in range(_UNMATCHED):
        drawn.save(top / "gallery" / f"0000_{i + 1}_{100 + i}_10_20_30_60.jpeg", drawn.extra_person(i), 1, 0)
    partitions = np.empty((1, 10), dtype=object)
    for split in range(10):
        train = sorted(random.Random(split).sample(list(drawn.everyone()), drawn.persons // 2))
        partitions[0, split] = {"idxProbe": np.arange(3), "idxGallery": np.arange(3), "personIdx": np.array(train)}
    save_mat(top / "features_and_partitions.mat", trainIdxAll=partitions)


def write_cuhk03(root: Path, drawn: DrawnPeople) -> None:
    """CUHK03: `cuhk-03.mat` with holes in its cells and twenty test sets, and the new protocol's two files."""
    top = root / "cuhk03_release"
    top.mkdir()
    cells = {(person, view): _shots(drawn, person, view) for person in drawn.everyone() for view in (1, 2)}
    with _mat73(top / "cuhk-03.mat") as file:
        for mode in ("detected", "labeled"):
            _write_pairs(file, mode, drawn, cells)
        sets = [
            np.array([_place(p) for p in random.Random(s).sample(list(drawn.everyone()), drawn.persons // 4)], float)
            for s in range(_TEST_SETS)
        ]
        _write_cell(file, "testsets", [_write_array(file, matrix) for matrix in sets])
    for mode in ("detected", "labeled"):
        _write_config(top / f"cuhk03_new_protocol_config_{mode}.mat", drawn, cells)


def write_raid(root: Path, drawn: DrawnPeople) -> None:
    """RAiD: one struct of images, persons and cameras in one file."""
    views = list(drawn.views(4))
    pictures = np.stack([resize_image(drawn.draw(*view), 128, 64) for view in views])
    (root / "RAiD").mkdir()
    with _mat73(root / "RAiD" / "RAiD_4Cams.mat") as file:
        struct = file.create_group("dataset")
        struct["images"] = pictures.transpose(0, 3, 2, 1)  # MATLAB's [H, W, 3, n], reversed
        struct["personID"] = np.array([[person for person, _, _ in views]], float)
        struct["cam"] = np.array([[camera + 1 for _, camera, _ in views]], float)


def write_cuhk_sysu(root: Path, drawn: DrawnPeople) -> None:
    """CUHK-SYSU: scenes with three people side by side, one of them unknown, and the annotations."""
    top = root / "CUHK-SYSU"
    (top / "Image" / "SSM").mkdir(parents=True)
    half = drawn.persons // 2
    boxes: dict[int, list[tuple[str, tuple[int, int, int, int]]]] = {person: [] for person in drawn.everyone()}
    images, pool = [], []
    groups = (list(range(1, half + 1)), list(range(half + 1, drawn.persons + 1)))
    for first_scene, group in zip((0, 1000), groups, strict=True):
        for image in range(drawn.images):
            for i, person in enumerate(group):
                neighbour = group[(i + 1 + image) % len(group)]
                name = f"s{first_scene + image * len(group) + i + 1}.jpg"
                who = [person, neighbour, drawn.extra_person(i)]
                placed = _scene(top / "Image" / "SSM" / name, [drawn.draw(p, i % 4, image) for p in who])
                for p, box in zip(who, placed, strict=True):
                    if p in boxes:
                        boxes[p].append((name, box))
                images.append(
                    {"imname": name, "nAppear": 3, "box": struct_array([_located(None, box) for box in placed])}
                )
                if first_scene:
                    pool.append(name)
    _write_annotations(top / "annotation", boxes, images, pool, half)


def _write_annotations(top: Path, boxes: dict[int, Any], images: list[Any], pool: list[str], half: int) -> None:
    people = [
        {"idname": f"p{p}", "nAppear": len(places), "scene": struct_array([_located(*place) for place in places])}
        for p, places in boxes.items()
    ]
    queries = [
        {
            "Query": _located(*places[0]) | {"idname": f"p{p}"},
            # the gallery names scenes without the person too, with an empty box
            "Gallery": struct_array([*(_located(*place) for place in places[1:]), _located(pool[0], None)]),
        }
        for p, places in boxes.items()
        if p > half
    ]
    save_mat(top / "Person.mat", Person=struct_array(people))
    save_mat(top / "Images.mat", Img=struct_array(images))
    save_mat(top / "pool.mat", pool=np.array(pool, dtype=object)[:, None])
    save_mat(top / "test" / "train_test" / "Train.mat", Train=_cells_of(people[:half]))
    save_mat(top / "test" / "train_test" / "TestG50.mat", TestG50=struct_array(queries))


def _located(scene: str | None, box: tuple[int, int, int, int] | None) -> dict[str, Any]:
    name: dict[str, Any] = {} if scene is None else {"imname": scene}
    return {**name, "idlocate": np.array([box] if box else [], dtype=np.float64), "ishard": 0}


def _cells_of(structs: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
    """A column of cells, each with one struct."""
    cells = np.empty((len(structs), 1), dtype=object)
    for i, struct in enumerate(structs):
        cells[i, 0] = struct_array([struct])
    return cells


def _scene(path: Path, people: list[UInt8]) -> list[tuple[int, int, int, int]]:
    """Paste people side by side; the last one stands half outside the picture."""
    height, step = max(p.shape[0] for p in people) + 8, max(p.shape[1] for p in people) + 4
    canvas = np.full((height, step * len(people), 3), 128, dtype=np.uint8)
    boxes = []
    for i, person in enumerate(people):
        h, w = person.shape[:2]
        canvas[4 : 4 + h, i * step : i * step + w] = person
        boxes.append((i * step, 4, w, h))
    right = (len(people) - 1) * step + people[-1].shape[1] // 2
    Image.fromarray(canvas[:, :right]).save(path, quality=95)
    return boxes


def _place(person: int) -> tuple[int, int]:
    """(pair, person in the pair), both from 1."""
    return (person - 1) % _PAIRS + 1, (person - 1) // _PAIRS + 1


def _shots(drawn: DrawnPeople, person: int, view: int) -> list[UInt8 | None]:
    """Five cells, of which the second is a hole and the last ones are empty."""
    pictures: list[UInt8 | None] = [drawn.draw(person, view - 1, i) for i in range(min(drawn.images, 4))]
    pictures.insert(1, None)
    return pictures + [None] * (_VIEW_CELLS - len(pictures))


def _write_pairs(file: Any, mode: str, drawn: DrawnPeople, cells: dict[tuple[int, int], list[UInt8 | None]]) -> None:
    pairs = []
    for pair in range(1, _PAIRS + 1):
        people = [p for p in drawn.everyone() if _place(p)[0] == pair]
        rows = [[_write_array(file, c) for view in (1, 2) for c in cells[person, view]] for person in people]
        references = np.array(rows, dtype=object).T  # transposed, as everything in such a file
        pairs.append(_write_references(file, references))
    _write_cell(file, mode, pairs)


def _write_config(path: Path, drawn: DrawnPeople, cells: dict[tuple[int, int], list[UInt8 | None]]) -> None:
    from passerby.data.readers.cuhk03 import person_number

    half, names, labels, cameras = drawn.persons // 2, [], [], []
    roles: dict[str, list[int]] = {"train_idx": [], "query_idx": [], "gallery_idx": []}
    for (person, view), shots in sorted(cells.items(), key=lambda item: (_place(item[0][0]), item[0][1])):
        pair, number = _place(person)
        there = [i + 1 + _VIEW_CELLS * (view - 1) for i, shot in enumerate(shots) if shot is not None]
        for cell in there:
            names.append(f"{pair}_{number:03d}_{view}_{cell:02d}.png")
            labels.append(person_number(pair, number))
            cameras.append(view)
            role = "train_idx" if person <= half else "query_idx" if cell == there[0] else "gallery_idx"
            roles[role].append(len(names))
    columns = {key: np.array(rows, dtype=np.uint16)[:, None] for key, rows in roles.items()}
    filelist = np.array(names, dtype=object)[:, None]
    labelled = {"labels": np.array(labels, np.uint16)[:, None], "camId": np.array(cameras, np.uint8)[:, None]}
    save_mat(path, filelist=filelist, **labelled, **columns)


@contextmanager
def _mat73(path: Path) -> Iterator[Any]:
    """A new MATLAB 7.3 file: HDF5 behind 512 bytes of MATLAB's own."""
    with _package("h5py", "h5py").File(path, "w", userblock_size=512) as file:
        yield file
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: none, drawn by passerby".ljust(124) + b"\x00\x02IM")


def _write_array(file: Any, matrix: npt.NDArray[Any] | None) -> Any:
    """Store an array as MATLAB does, transposed; None as its empty cell."""
    number = len(file.require_group("#refs#"))
    content = np.zeros(2, dtype=np.uint64) if matrix is None else matrix.T
    stored = file["#refs#"].create_dataset(f"a{number}", data=content)
    if matrix is None:
        stored.attrs["MATLAB_empty"] = np.uint8(1)
    return stored.ref


def _write_references(file: Any, references: npt.NDArray[Any]) -> Any:
    h5py = _package("h5py", "h5py")
    number = len(file["#refs#"])
    return file["#refs#"].create_dataset(f"a{number}", data=references, dtype=h5py.ref_dtype).ref


def _write_cell(file: Any, name: str, references: list[Any]) -> None:
    row = np.empty((1, len(references)), dtype=object)
    row[0] = references
    file.create_dataset(name, data=row, dtype=_package("h5py", "h5py").ref_dtype)


def _package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(package, "mat", "writing this layout") from None
