"""Market-1501, its 500,000 distractors and its multi-query pool; and DukeMTMC-reID, which was retracted."""

from __future__ import annotations

import re
from pathlib import Path

from passerby.data.ignored_files import beside, notes_beside
from passerby.data.readers.tree import find_folder, image_names, parse_names, subfolders
from passerby.data.records import JUNK_PID, ReIDDataset, Sample
from passerby.errors import DataError

MARKET_FOLDERS = ("Market-1501-v15.09.15", "Market-1501", "market1501", "Market1501", "market")
DUKE_FOLDERS = ("DukeMTMC-reID", "dukemtmc-reid", "dukemtmcreid", "DukeMTMC")
_PARTS = ("bounding_box_train", "bounding_box_test", "query")
_RELEASED = ("gt_bbox", "gt_query", "images")  # beside the parts, in releases of Market-1501
JUNK = "images of person -1, junk, left out: {n:,} (no protocol counts them)"

# The double extension is in the release: 18 names in the test folder and 6 in the queries, most of them person 1488.
MARKET_NAME = r"(?P<pid>-1|\d{4})_c(?P<cam>[1-6])s(?P<seq>[1-6])_(?P<frame>\d{6})_(?P<box>\d{2})\.jpg(?:\.jpg)?"
MARKET_STYLE_NAME = (
    r"(?P<pid>-1|\d{4,})_c(?P<cam>\d+)s(?P<seq>\d+)_(?P<frame>\d+)_(?P<box>\d+)(?:\.(?:jpg|jpeg|png)){1,2}"
)
DISTRACTOR_NAME = r"(?P<pid>-?\d+)_c(?P<cam>[1-6]).*\.jpg"
DUKE_NAME = r"(?P<pid>\d{4})_c(?P<cam>[1-8])_f(?P<frame>\d{7})\.jpg"
_MARKET_EXAMPLE = "0002_c1s1_000451_03.jpg"
_FRAMES_A_SEQUENCE = 1_000_000

RETRACTED = (
    "DukeMTMC-reID was withdrawn by its authors in 2019 over consent and privacy. Do not download, mirror or share "
    "it, and do not use it in new work; this reader exists only so that old results can be reproduced."
)


def scan_market1501(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of Market-1501 by folder, junk (-1) and distractors (0) included."""
    folder = find_folder(root, _PARTS, MARKET_FOLDERS, dataset="market1501")
    parts = {part: _market_samples(folder / part) for part in _PARTS}
    if (folder / "gt_bbox").is_dir():
        parts["gt_bbox"] = _market_samples(folder / "gt_bbox")
    if (folder / "images").is_dir():
        parts["images"] = _distractors(folder / "images")
    return parts


def read_market1501(
    root: Path, *, split: int = 0, junk: bool = False, distractors: bool = False, multi_query: bool = False
) -> ReIDDataset:
    """Market-1501 (Zheng et al., ICCV 2015): fixed split, cameras 1 to 6 as 0 to 5.

    Args:
        root: the dataset's folder or its parent.
        split: 0, the only one.
        junk: keep the images of person -1 in the gallery; every protocol ignores them, so they only cost time.
        distractors: add the 500,000 distractors (folder `images`) to the gallery.
        multi_query: a query is all hand-drawn boxes (`gt_bbox`) of the query's person and camera, as one tracklet.

    Raises:
        DataError: a folder is missing or a name does not parse.
    """
    del split  # there is one; load_dataset has checked the number
    folder = find_folder(root, _PARTS, MARKET_FOLDERS, dataset="market1501")
    parts = {part: _market_samples(folder / part) for part in _PARTS}
    notes = []
    gallery = parts["bounding_box_test"]
    if distractors:
        gallery += _distractors(_optional(folder, "images", "the distractors"))
        notes.append("gallery with the 500,000 distractors")
    if not junk:
        gallery = tuple(sample for sample in gallery if sample.pid != JUNK_PID)
    query = parts["query"]
    if multi_query:
        query = _pools(query, _market_samples(_optional(folder, "gt_bbox", "the multi-query pool")))
        notes.append("multi-query: each query is a pool of hand-drawn boxes, numbered as a tracklet")
    return ReIDDataset("market1501", parts["bounding_box_train"], query, gallery, "market1501", tuple(notes))


def read_market_style(root: Path, *, split: int = 0, name: str = "market_style") -> ReIDDataset:
    """Any dataset in Market-1501's folders and names, with any number of cameras and persons, JPEG or PNG.

    Junk, and what lies there and is not read (other files, deeper folders), is counted in the notes.
    """
    del split
    folder = find_folder(root, _PARTS, (name,), dataset=name)
    train, test, query = (_market_samples(folder / part, MARKET_STYLE_NAME) for part in _PARTS)
    notes = _beside_market_style(folder, [s.path for part in (train, test, query) for s in part])
    gallery = tuple(s for s in test if s.pid != JUNK_PID)
    if len(gallery) < len(test):
        notes.append(JUNK.format(n=len(test) - len(gallery)))
    return ReIDDataset(name, train, query, gallery, "market1501", tuple(notes))


def _beside_market_style(folder: Path, read: list[Path]) -> list[str]:
    found = beside(read)
    others = [name for name in subfolders(folder) if name not in (*_PARTS, *_RELEASED)]
    found.folders.extend(str(folder / name) for name in others)
    found.images.extend(str(folder / name) for name in image_names(folder))
    return notes_beside(folder, found)


def is_market_style(folder: Path) -> bool:
    """Whether a folder holds Market-1501's three folders."""
    return all((folder / part).is_dir() for part in _PARTS)


def scan_dukemtmc(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of DukeMTMC-reID by folder."""
    folder = find_folder(root, _PARTS, DUKE_FOLDERS, dataset="dukemtmc_reid")
    return {part: _duke_samples(folder / part) for part in _PARTS}


def read_dukemtmc(root: Path, *, split: int = 0) -> ReIDDataset:
    """DukeMTMC-reID (Zheng et al., ICCV 2017), **retracted**: fixed split, cameras 1 to 8 as 0 to 7."""
    del split
    train, test, query = scan_dukemtmc(root).values()
    return ReIDDataset("dukemtmc_reid", train, query, test, "market1501", (RETRACTED,))


def _market_samples(folder: Path, grammar: str = MARKET_NAME) -> tuple[Sample, ...]:
    return tuple(
        Sample(path, int(name["pid"]), int(name["cam"]) - 1, _market_time(name))
        for path, name in parse_names(folder, grammar, _MARKET_EXAMPLE, dataset="market1501")
    )


def _market_time(name: re.Match[str]) -> float:
    """Frame numbers restart in every sequence of a camera, so the sequence leads."""
    return float((int(name["seq"]) - 1) * _FRAMES_A_SEQUENCE + int(name["frame"]))


def _duke_samples(folder: Path) -> tuple[Sample, ...]:
    return tuple(
        Sample(path, int(name["pid"]), int(name["cam"]) - 1, float(name["frame"]))
        for path, name in parse_names(folder, DUKE_NAME, "0005_c2_f0046985.jpg", dataset="dukemtmc_reid")
    )


def _distractors(folder: Path) -> tuple[Sample, ...]:
    samples = tuple(
        Sample(path, int(name["pid"]), int(name["cam"]) - 1)
        for path, name in parse_names(folder, DISTRACTOR_NAME, "0000_c1s1_000151_01.jpg", dataset="market1501")
    )
    persons = [sample.path.name for sample in samples if sample.pid > 0]
    if persons:
        raise DataError(
            f"market1501: {len(persons):,} images in {folder} name a person (first {persons[0]}); distractors have the "
            "ids 0 and -1 only, so this folder holds something else"
        )
    return samples


def _optional(folder: Path, part: str, what: str) -> Path:
    if not (folder / part).is_dir():
        raise DataError(f"market1501: {what} needs the folder {part}/ beside bounding_box_test/ in {folder}")
    return folder / part


def _pools(query: tuple[Sample, ...], boxes: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """The hand-drawn boxes of each query's person and camera, numbered by the query."""
    number = {(sample.pid, sample.camid): i for i, sample in enumerate(query)}
    pooled = [
        Sample(s.path, s.pid, s.camid, s.time, number[s.pid, s.camid]) for s in boxes if (s.pid, s.camid) in number
    ]
    return tuple(sorted(pooled, key=lambda s: (s.tracklet or 0, s.path.name)))
