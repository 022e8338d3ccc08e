"""CUHK-SYSU, a person-search set, as a re-ID set: its ground-truth boxes are cut out of the scenes.

Every scene is its own camera: nobody appears twice in a scene, so the same-camera rule leaves nothing out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.data.readers.extract_once import extract_once, write_png
from passerby.data.readers.mat import as_list, load_mat
from passerby.data.readers.shots import check_choice
from passerby.data.readers.tree import entries, find_folder, parse_names
from passerby.data.records import DISTRACTOR_PID, ReIDDataset, Sample
from passerby.errors import DataError
from passerby.images.decode import read_image
from passerby.progress import progress_bar

CUHK_SYSU_FOLDERS = ("CUHK-SYSU", "cuhk-sysu", "CUHK-SYSU/dataset", "cuhk_sysu", "ssm")
CROP_NAME = r"(?:p(?P<pid>\d+)|u)_s(?P<scene>\d+)_(?P<index>\d+)\.(?:png|jpg)"
SCENE_NAME = r"s(\d+)\.jpg"
_ANNOTATION = "annotation"
_TEST = "annotation/test/train_test"
_Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Crop:
    """One person's box (x, y, width, height, from the top left) in one scene; pid 0 where nobody knows who it is."""

    scene: str
    pid: int
    box: _Box


def scan_cuhk_sysu(
    root: Path, *, mode: str = "gt", extracted: str | Path | None = None
) -> dict[str, tuple[Sample, ...]]:
    """The boxes of training and test persons, cut out at first use."""
    data = read_cuhk_sysu(root, mode=mode, extracted=extracted)
    return {"boxes": (*data.train, *data.query, *data.gallery)}


def read_cuhk_sysu(
    root: Path,
    *,
    split: int = 0,
    mode: str = "gt",
    distractors: bool = False,
    extracted: str | Path | None = None,
) -> ReIDDataset:
    """CUHK-SYSU (Xiao et al., CVPR 2017) as in MSML and SphereReID: ground-truth boxes, no detector.

    Args:
        root: the folder that holds `Image/SSM` and `annotation`, or its parent.
        split: 0, the only one.
        mode: "gt" cuts the boxes out of the scenes; "pack" reads a folder of cut-out persons
            (`p11422_s16929_1.jpg`), which can only train, because it holds the test persons too.
        distractors: add the test scenes' boxes of unknown persons to the gallery, as person 0.
        extracted: folder for the cut-out boxes; default: `passerby_boxes` in the dataset's folder.

    Raises:
        DataError: a missing file or scene, or annotations without identities.
        MissingExtraError: scipy is not installed.
        StorageError: the boxes cannot be written.
    """
    del split
    check_choice("cuhk_sysu", "mode", mode, ("gt", "pack"))
    if mode == "pack":
        return _read_pack(root)
    folder = find_folder(root, ("Image/SSM", f"{_ANNOTATION}/pool.mat", _TEST), CUHK_SYSU_FOLDERS, dataset="cuhk_sysu")
    train, query, gallery = _roles(folder)
    unknown = _unknown(folder, [*train, *query, *gallery]) if distractors else []
    target = Path(extracted).expanduser() if extracted else folder / "passerby_boxes"
    known = [*train, *query, *gallery]
    extract_once(target, lambda place: _cut(folder / "Image" / "SSM", known, place), dataset="cuhk_sysu")
    if unknown:
        place = target.with_name(f"{target.name}_unknown")
        extract_once(place, lambda p: _cut(folder / "Image" / "SSM", unknown, p), dataset="cuhk_sysu")
    scenes = folder / "Image" / "SSM"
    samples = [_samples(part, target, scenes) for part in (train, query, gallery)]
    extra = _samples(unknown, target.with_name(f"{target.name}_unknown"), scenes)
    notes = ["ground-truth boxes, one camera a scene; person search ranks other galleries: do not compare"]
    if outside := len(known) + len(unknown) - sum(map(len, (*samples, extra))):
        notes.append(f"{outside} boxes left out: no pixel of them lies within their scene")
    return ReIDDataset("cuhk_sysu", samples[0], samples[1], samples[2] + extra, "market1501", tuple(notes))


def clip(box: Sequence[float], height: int, width: int) -> tuple[int, int, int, int] | None:
    """A box (x, y, w, h) as (top, bottom, left, right) within the image; None if less than a pixel is left of it."""
    x, y, w, h = (round(float(value)) for value in box)
    left, right, top, bottom = max(x, 0), min(x + w, width), max(y, 0), min(y + h, height)
    return None if right - left < 1 or bottom - top < 1 else (top, bottom, left, right)


def _roles(folder: Path) -> tuple[list[Crop], list[Crop], list[Crop]]:
    pool_names, persons = _pool(folder), _persons(folder / _ANNOTATION / "Person.mat", "Person")
    train = _persons(folder / _TEST / "Train.mat", "Train")
    queries = _queries(folder / _TEST / "TestG50.mat", persons)
    asked, tested = {(c.scene, c.box) for c in queries}, {c.pid for c in queries}
    gallery = [c for c in persons if c.pid in tested and c.scene in pool_names and (c.scene, c.box) not in asked]
    shared = tested & {c.pid for c in train}
    if shared:
        raise DataError(f"cuhk_sysu: {len(shared):,} persons are in Train.mat and TestG50.mat, first p{min(shared)}")
    return train, queries, gallery


def _pool(folder: Path) -> set[str]:
    (pool,) = load_mat(folder / _ANNOTATION / "pool.mat", "pool")
    return {str(name) for name in as_list(pool)}


def _persons(path: Path, variable: str) -> list[Crop]:
    (table,) = load_mat(path, variable)
    crops = []
    for person in as_list(table):
        _need(person, path, "idname", "scene")
        for scene in as_list(person["scene"]):
            box = _box(scene["idlocate"])
            if box is not None:
                crops.append(Crop(str(scene["imname"]), _pid(str(person["idname"]), path), box))
    if not crops:
        raise DataError(f"{path}: no persons with boxes; some copies lack the identities")
    return crops


def _queries(path: Path, persons: Iterable[Crop]) -> list[Crop]:
    (table,) = load_mat(path, "TestG50")
    who = {(c.scene, c.box): c.pid for c in persons}
    queries = []
    for entry in as_list(table):
        _need(entry, path, "Query")
        scene, box = str(entry["Query"]["imname"]), _box(entry["Query"]["idlocate"])
        if box is None:
            raise DataError(f"{path}: a query in {scene} has no box")
        name = entry["Query"].get("idname")
        if name is None and (scene, box) not in who:
            raise DataError(f"{path}: the query in {scene} is a box of nobody in Person.mat")
        queries.append(Crop(scene, who[scene, box] if name is None else _pid(str(name), path), box))
    return queries


def _unknown(folder: Path, known: Sequence[Crop]) -> list[Crop]:
    """Boxes of the test scenes that belong to no person of the protocol."""
    path = folder / _ANNOTATION / "Images.mat"
    (table,) = load_mat(path, "Img")
    named = {(c.scene, c.box) for c in known}
    named |= {(c.scene, c.box) for c in _persons(folder / _ANNOTATION / "Person.mat", "Person")}
    pool, crops = _pool(folder), []
    for image in as_list(table):
        scene = str(image["imname"])
        if scene in pool:
            boxes = [_box(entry["idlocate"]) for entry in as_list(image["box"])]
            crops += [Crop(scene, DISTRACTOR_PID, b) for b in boxes if b is not None and (scene, b) not in named]
    return crops


def _need(struct: Any, path: Path, *fields: str) -> None:
    missing = [field for field in fields if not isinstance(struct, Mapping) or field not in struct]
    if missing:
        raise DataError(f"{path}: no field {', '.join(missing)}; is this the right file?")


def _box(values: Any) -> _Box | None:
    numbers = np.asarray(values).ravel()
    if numbers.size != 4:
        return None  # an empty box: the person is not in that scene
    x, y, w, h = (int(value) for value in numbers.astype(np.int64))
    return x, y, w, h


def _pid(name: str, path: Path) -> int:
    match = re.fullmatch(r"p(\d+)", name)
    if match is None:
        raise DataError(f"{path}: the person is called {name!r}; expected p and a number")
    return int(match[1])


def _scene_number(scene: str) -> int:
    match = re.fullmatch(SCENE_NAME, scene)
    if match is None:
        raise DataError(f"cuhk_sysu: the scene is called {scene!r}; expected s123.jpg")
    return int(match[1])


def _crop_name(crop: Crop) -> str:
    x, y, w, h = crop.box
    who = (
        f"p{crop.pid}_s{_scene_number(crop.scene)}_1" if crop.pid else f"u_s{_scene_number(crop.scene)}_{x}-{y}-{w}-{h}"
    )
    return f"{who}.png"


def _cut(scenes: Path, crops: Sequence[Crop], target: Path) -> None:
    by_scene: dict[str, list[Crop]] = {}
    for crop in crops:
        by_scene.setdefault(crop.scene, []).append(crop)
    with progress_bar("cutting persons out of CUHK-SYSU", len(by_scene)) as bar:
        for scene, wanted in by_scene.items():
            picture = read_image(scenes / scene)
            for crop in wanted:
                area = clip(crop.box, picture.shape[0], picture.shape[1])
                if area is not None:
                    top, bottom, left, right = area
                    write_png(target / _crop_name(crop), picture[top:bottom, left:right])
            bar.advance()


def _samples(crops: Sequence[Crop], folder: Path, scenes: Path) -> tuple[Sample, ...]:
    """The crops, without boxes that lie outside their scene.

    Raises:
        DataError: others are missing.
    """
    held = set(entries(folder)) if crops else set()
    missing = [c for c in crops if _crop_name(c) not in held]
    lost = next((c for c in missing if clip(c.box, *read_image(scenes / c.scene).shape[:2]) is not None), None)
    if lost is not None:
        raise DataError(
            f"cuhk_sysu: {len(missing):,} of {len(crops):,} boxes are missing in {folder}, {_crop_name(lost)} too; "
            "remove that folder, and they are cut out again"
        )
    there = [c for c in crops if _crop_name(c) in held]
    return tuple(Sample(folder / _crop_name(c), c.pid, _scene_number(c.scene)) for c in there)


def _read_pack(root: Path) -> ReIDDataset:
    folder = find_folder(root, ("cropped_images",), CUHK_SYSU_FOLDERS, dataset="cuhk_sysu") / "cropped_images"
    train = tuple(
        Sample(path, int(name["pid"]), int(name["scene"]))
        for path, name in parse_names(folder, CROP_NAME, "p11422_s16929_1.jpg", dataset="cuhk_sysu")
    )
    return ReIDDataset(
        "cuhk_sysu", train, protocol="market1501", notes=("this pack holds the 2,900 test persons: train only",)
    )
