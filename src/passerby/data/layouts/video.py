"""Layouts of the video sets: folders of frames, and the index files that go with them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from passerby.data.layouts.drawn_people import DrawnPeople
from passerby.data.layouts.mats import save_mat

_SPLITS = 10
_ENOUGH_FRAMES = 27
_TOO_FEW = 2  # persons of PRID2011 with a frame too few


def write_prid2011(root: Path, drawn: DrawnPeople) -> None:
    """PRID2011's multi-shot folders: the last persons lack a frame, and numbers above 200 differ by camera."""
    top = root / "prid_2011" / "multi_shot"
    for person in drawn.everyone():
        frames = _ENOUGH_FRAMES - (person > drawn.persons - _TOO_FEW)
        for camera, part in enumerate(("cam_a", "cam_b")):
            for frame in range(frames):
                path = top / part / f"person_{person:04d}" / f"{frame + 1:04d}.png"
                drawn.save(path, person, camera, frame % drawn.images)
    for camera, part in enumerate(("cam_a", "cam_b")):
        drawn.save(top / part / "person_0201" / "0001.png", drawn.extra_person(camera), camera, 0)
    save_mat(root / "prid_2011" / "train_test_splits_prid.mat", ls_set=_splits(drawn.persons - _TOO_FEW))


def write_ilids_vid(root: Path, drawn: DrawnPeople) -> None:
    """iLIDS-VID: folder numbers have gaps, and what macOS leaves behind lies among the frames."""
    top = root / "i-LIDS-VID"
    for person, camera, image in drawn.views(2):
        name = f"person{2 * person - 1:03d}"
        path = top / "sequences" / f"cam{camera + 1}" / name / f"cam{camera + 1}_{name}_{317 + image:05d}.png"
        drawn.save(path, person, camera, image)
    (top / "sequences" / "cam1" / "person001" / "._cam1_person001_00317.png").write_bytes(b"left by macOS")
    (top / "train-test people splits").mkdir()
    save_mat(top / "train-test people splits" / "train_test_splits_ilidsvid.mat", ls_set=_splits(drawn.persons))


def write_mars(root: Path, drawn: DrawnPeople) -> None:
    """MARS: two tracklets of each person under each of two cameras, distractors, junk, and the `info` files."""
    half = drawn.persons // 2
    tracks: dict[str, list[tuple[int, int, str]]] = {"train": [], "test": []}  # (person drawn, camera, written id)
    for person in drawn.everyone():
        part = "train" if person <= half else "test"
        tracks[part] += [(person, camera, f"{person:04d}") for camera in (0, 1) for _ in (0, 1)]
    tracks["test"] += [(drawn.extra_person(0), 0, "0000"), (drawn.extra_person(1), 1, "00-1")]
    for part, rows in tracks.items():
        names, table = [], []
        for number, (person, camera, pid) in enumerate(rows, start=1):
            for frame in range(drawn.images):
                name = f"{pid}C{camera + 1}T{number:04d}F{frame + 1:03d}.jpg"
                drawn.save(root / "MARS" / f"bbox_{part}" / pid / name, person, camera, frame)
                names.append(name)
            last = len(names)
            table.append([last - drawn.images + 1, last, -1 if pid == "00-1" else int(pid), camera + 1])
        info = root / "MARS" / "info"
        info.mkdir(exist_ok=True)
        (info / f"{part}_name.txt").write_text("\n".join(names) + "\n", "utf-8")
        save_mat(info / f"tracks_{part}_info.mat", **{f"track_{part}_info": np.array(table, dtype=np.int32)})
    # the first tracklet of each person and camera asks
    queries = np.arange(1, 4 * (drawn.persons - half), 2, dtype=np.uint16)
    save_mat(root / "MARS" / "info" / "query_IDX.mat", query_IDX=queries[None])


def _splits(persons: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rows = [random.Random(split).sample(range(1, persons + 1), persons) for split in range(_SPLITS)]
    return np.array(rows, dtype=np.float64)
