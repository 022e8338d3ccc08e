"""Video sets PRID2011, iLIDS-VID and MARS: images of one person and camera that share a number are a tracklet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from passerby.data.readers.mat import as_indices, load_mat
from passerby.data.readers.shots import check_choice, halves, own_split
from passerby.data.readers.tree import find_folder, image_names, person_folders, refuse_absent
from passerby.data.readers.two_cameras import PRID2011_FOLDERS, prid2011_pid
from passerby.data.records import JUNK_PID, ReIDDataset, Sample
from passerby.errors import DataError

ILIDS_VID_FOLDERS = ("i-LIDS-VID", "iLIDS-VID", "ilidsvid", "ilids-vid")
MARS_FOLDERS = ("MARS", "mars")
PRID2011_MIN_FRAMES = 27
MARS_NAME = r"(?P<pid>00-1|\d{4})C(?P<cam>[1-6])T(?P<tracklet>\d{4})F(?P<frame>\d{3})\.jpg"
_ILIDS_VID_SPLITS = "train-test people splits/train_test_splits_ilidsvid.mat"
_PRID_SPLITS = ("train_test_splits_prid.mat", "train-test people splits/train_test_splits_prid.mat")
_PRID_LISTS = "splits_prid2011.json"


def scan_prid2011(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every frame of PRID2011's multi-shot folders, by camera; tracklets are numbered over both cameras."""
    needs = ("multi_shot/cam_a", "multi_shot/cam_b")
    folder = find_folder(root, needs, PRID2011_FOLDERS, dataset="prid2011") / "multi_shot"
    cameras = [folder / "cam_a", folder / "cam_b"]
    return _two_camera_tracks(cameras, r"person_(\d{4})", lambda *_: r"(?P<frame>\d{4})\.png", prid2011_pid, "prid2011")


def read_prid2011(
    root: Path, *, split: int = 0, min_frames: int = PRID2011_MIN_FRAMES, splits: str | Path | None = None
) -> ReIDDataset:
    """PRID2011 as video (Hirzer et al., SCIA 2011): 178 persons in halves 89/89, camera a against camera b.

    Args:
        root: the dataset's folder or its parent.
        split: which split, 0 to 9.
        min_frames: persons with at least so many frames under both cameras take part; 27 gives the usual 178.
        splits: `train_test_splits_prid.mat` (it comes with iLIDS-VID) or `splits_prid2011.json`; default: looked for
            in the dataset's folder, and if there is none, halves are drawn at random.

    Raises:
        DataError: wrong names, or a split file of something else.
        MissingExtraError: scipy is not installed, and there is a split file that needs it.
    """
    a, b = scan_prid2011(root).values()
    enough = [_with_frames(part, min_frames) for part in (a, b)]
    persons = sorted(enough[0] & enough[1])
    folder = find_folder(root, ("multi_shot",), PRID2011_FOLDERS, dataset="prid2011")
    file = Path(splits).expanduser() if splits else _first_file(folder, (*_PRID_SPLITS, _PRID_LISTS))
    test, note = _video_split("prid2011", file, persons, split)
    notes = (note, f"{len(persons)} persons with at least {min_frames} frames under both cameras")
    return _video_dataset("prid2011", a, b, persons, test, notes)


def scan_ilids_vid(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every frame of iLIDS-VID, by camera; tracklets are numbered over both cameras."""
    needs = ("sequences/cam1", "sequences/cam2")
    folder = find_folder(root, needs, ILIDS_VID_FOLDERS, dataset="ilids_vid") / "sequences"
    cameras = [folder / "cam1", folder / "cam2"]
    return _two_camera_tracks(cameras, r"person(\d{3})", _ilids_vid_name, lambda number, _: number, "ilids_vid")


def _ilids_vid_name(camera: str, person: str) -> str:
    """The grammar of the frames of one tracklet: their names repeat those of their folders."""
    return rf"{camera}_{person}_(?P<frame>\d+)\.png"


def read_ilids_vid(root: Path, *, split: int = 0, splits: str | Path | None = None) -> ReIDDataset:
    """iLIDS-VID (Wang et al., ECCV 2014): ten fixed splits 150/150, camera 1 against camera 2.

    Args:
        root: the dataset's folder or its parent.
        split: which split, 0 to 9.
        splits: `train_test_splits_ilidsvid.mat`; default: where the archive puts it, and if it is not there, halves
            are drawn at random.

    Raises:
        DataError: wrong names, a person of one camera only, or a split file of something else.
        MissingExtraError: scipy is not installed, and there is a split file.
    """
    a, b = scan_ilids_vid(root).values()
    persons = sorted({s.pid for s in a})
    lonely = set(persons) ^ {s.pid for s in b}
    if lonely:
        raise DataError(f"ilids_vid: {len(lonely)} persons lack a camera in {root}, first person{min(lonely):03d}")
    folder = find_folder(root, ("sequences",), ILIDS_VID_FOLDERS, dataset="ilids_vid")
    file = Path(splits).expanduser() if splits else _first_file(folder, (_ILIDS_VID_SPLITS,))
    test, note = _video_split("ilids_vid", file, persons, split)
    return _video_dataset("ilids_vid", a, b, persons, test, (note,))


def scan_mars(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every frame of MARS in training and test tracklets, junk (-1) and distractors (0) included."""
    folder, train, test, _ = _mars_tables(root)
    return {
        "bbox_train": _mars_samples(folder / "bbox_train", *train),
        "bbox_test": _mars_samples(folder / "bbox_test", *test),
    }


def read_mars(root: Path, *, split: int = 0, gallery: str = "official", junk: bool = False) -> ReIDDataset:
    """MARS (Zheng et al., ECCV 2016): fixed split, 6 cameras as 0 to 5.

    Args:
        root: the dataset's folder or its parent; `info/` comes from the authors' evaluation code.
        split: 0, the only one.
        gallery: "official" holds every test tracklet, the queries too (the same-camera rule leaves each query's own
            out); "no_queries" leaves the queries out, and 140 of them then have no match and are skipped.
        junk: keep the tracklets of person -1; every protocol ignores them, so they only cost time.

    Raises:
        DataError: a missing file, a wrong name, or tables that do not fit the lists.
        MissingExtraError: scipy is not installed.
    """
    del split
    check_choice("mars", "gallery", gallery, ("official", "no_queries"))
    folder, train_table, test_table, queries = _mars_tables(root)
    train = _mars_samples(folder / "bbox_train", *train_table)
    test = _mars_samples(folder / "bbox_test", *test_table)
    for part, samples in (("train", train), ("test", test)):
        refuse_absent((s.path for s in samples), folder / "info" / f"{part}_name.txt", dataset="mars")
    asked = set(queries)
    notes = [f"{gallery} gallery"]
    kept = [s for s in test if (gallery == "official" or s.tracklet not in asked) and (junk or s.pid != JUNK_PID)]
    query = tuple(s for s in test if s.tracklet in asked)
    if gallery == "no_queries":
        notes.append(f"{_unmatched(query, kept)} queries have no match under another camera")
    notes.append("filmed on the scene of Market-1501: do not mix the two")
    return ReIDDataset("mars", train, query, tuple(kept), "video", tuple(notes))


def _two_camera_tracks(
    cameras: Sequence[Path],
    person: str,
    frame: Callable[[str, str], str],
    pid: Callable[[int, int], int],
    dataset: str,
) -> dict[str, tuple[Sample, ...]]:
    """One tracklet for each folder of a person, its frames in the order of their numbers.

    Args:
        cameras: folders of the cameras.
        person: grammar of a person's folder, with one group.
        frame: the grammar of a frame's name, given its camera's folder and its person's.
        pid: a person's number, given that of the folder and of the camera.
        dataset: name for error messages.
    """
    parts: dict[str, tuple[Sample, ...]] = {}
    tracklet = 0
    for camid, camera in enumerate(cameras):
        names = person_folders(camera, person, person, dataset=dataset)
        if not names:
            raise DataError(f"{dataset}: {camera} holds no folders like {person}")
        samples: list[Sample] = []
        for name in names:
            match = re.fullmatch(person, name)
            number = pid(int(match[1]) if match else 0, camid)
            frames = _frames(camera / name, frame(camera.name, name), dataset)
            samples += [Sample(path, number, camid, float(time), tracklet) for time, path in frames]
            tracklet += 1
        parts[camera.name] = tuple(samples)
    return parts


def _frames(folder: Path, pattern: str, dataset: str) -> list[tuple[int, Path]]:
    grammar = re.compile(pattern, re.IGNORECASE)
    frames = []
    for name in image_names(folder):
        match = grammar.fullmatch(name)
        if match is None:
            raise DataError(f"{dataset}: the frame {folder / name} is not named like the others ({pattern})")
        frames.append((int(match["frame"]), folder / name))
    if not frames:
        raise DataError(f"{dataset}: the tracklet {folder} holds no frame")
    return sorted(frames)


def _with_frames(samples: Iterable[Sample], least: int) -> set[int]:
    count: dict[int, int] = {}
    for s in samples:
        count[s.pid] = count.get(s.pid, 0) + 1
    return {pid for pid, n in count.items() if n >= least}


def _first_file(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _video_split(dataset: str, file: Path | None, persons: list[int], split: int) -> tuple[set[int], str]:
    """Test persons of one split; the files hold places in the sorted list of persons, not their numbers."""
    if file is None:
        return halves(dataset, persons, split, len(persons) // 2)[1], f"no split file was found: {own_split(split)}"
    if file.suffix == ".json":
        return _listed_persons(file, persons, split), f"split {split} of {file.name}"
    (table,) = load_mat(file, "ls_set")
    rows: npt.NDArray[np.int64] = np.atleast_2d(np.asarray(table)).astype(np.int64)
    if rows.shape[1] != len(persons) or split >= len(rows):
        raise DataError(
            f"{file}: ls_set is {rows.shape[0]} x {rows.shape[1]}, expected at least {split + 1} splits of "
            f"{len(persons)} persons; is this the split file of {dataset}, and are all frames there?"
        )
    places = as_indices(rows[split], f"{file}: ls_set", len(persons))
    return {persons[i] for i in places[: len(persons) // 2]}, f"split {split} of {file.name}"


def _listed_persons(file: Path, persons: list[int], split: int) -> set[int]:
    try:
        entry = json.loads(file.read_text("utf-8"))[split]
        test = {int(re.sub(r"\D", "", str(name))) for name in entry["test"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{file}: no list of splits with train and test persons ({error!r})") from None
    if not test or not test <= set(persons):
        raise DataError(f"{file}: split {split} names persons that do not take part")
    return test


def _video_dataset(
    name: str, a: Sequence[Sample], b: Sequence[Sample], persons: list[int], test: set[int], notes: tuple[str, ...]
) -> ReIDDataset:
    train = set(persons) - test
    return ReIDDataset(
        name,
        tuple(s for s in (*a, *b) if s.pid in train),
        tuple(s for s in a if s.pid in test),
        tuple(s for s in b if s.pid in test),
        "video",
        notes,
    )


_Table = tuple[list[str], npt.NDArray[np.int64]]


def _mars_tables(root: Path) -> tuple[Path, _Table, _Table, list[int]]:
    """(folder, training names and tracks, test names and tracks, rows of the queries in the test tracks)."""
    folder = find_folder(root, ("bbox_train", "bbox_test", "info"), MARS_FOLDERS, dataset="mars")
    info = folder / "info"
    tables: list[_Table] = []
    for part in ("train", "test"):
        names = _lines(info / f"{part}_name.txt")
        (table,) = load_mat(info / f"tracks_{part}_info.mat", f"track_{part}_info")
        rows: npt.NDArray[np.int64] = np.atleast_2d(np.asarray(table)).astype(np.int64)
        if rows.shape[1] != 4 or not _are_lines(rows[:, :2], len(names)):
            last = rows[:, :2].max(initial=0)
            raise DataError(
                f"{info}: tracks_{part}_info.mat ({rows.shape[0]} x {rows.shape[1]}, up to line {last}) "
                f"does not fit {part}_name.txt ({len(names):,} lines)"
            )
        tables.append((names, rows))
    (queries,) = load_mat(info / "query_IDX.mat", "query_IDX")
    return folder, tables[0], tables[1], as_indices(queries, f"{info}/query_IDX.mat", len(tables[1][1]))


def _are_lines(ends: npt.NDArray[np.int64], lines: int) -> bool:
    """Whether there are rows (first line, last line), and all are lines of a file, counted from 1."""
    return len(ends) > 0 and ends.min() >= 1 and ends.max() <= lines and bool((ends[:, 0] <= ends[:, 1]).all())


def _mars_samples(folder: Path, names: list[str], tracks: npt.NDArray[np.int64]) -> tuple[Sample, ...]:
    """Tracks are rows (first line, last line, person, camera), lines counted from 1 and both ends included."""
    grammar = re.compile(MARS_NAME, re.IGNORECASE)
    samples = []
    for tracklet, (first, last, pid, camera) in enumerate(tracks.tolist()):
        for name in names[first - 1 : last]:
            match = grammar.fullmatch(name)
            found = None if match is None else (-1 if match["pid"] == "00-1" else int(match["pid"]), int(match["cam"]))
            if match is None or found != (pid, camera):
                raise DataError(
                    f"mars: {name!r} is not a frame of person {pid} and camera {camera}; expected names like "
                    "0001C1T0002F016.jpg"
                )
            path = folder / match["pid"] / name
            samples.append(Sample(path, pid, camera - 1, float(match["frame"]), tracklet))
    return tuple(samples)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None


def _unmatched(query: Iterable[Sample], gallery: Iterable[Sample]) -> int:
    cameras: dict[int, set[int]] = {}
    for s in gallery:
        cameras.setdefault(s.pid, set()).add(s.camid)
    units = {s.tracklet: s for s in query}.values()
    return sum(not cameras.get(s.pid, set()) - {s.camid} for s in units)
