"""CUHK01 and CUHK02: persons on a campus, two views of each. The persons of CUHK01 are pair P1 of CUHK02."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from passerby.data.readers.shots import check_choice, check_shots, draw, halves, of, own_split, swapped
from passerby.data.readers.tree import find_folder, parse_names
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError

CUHK01_FOLDERS = ("CUHK01", "cuhk01")
CUHK02_FOLDERS = ("Dataset", "CUHK02/Dataset", "cuhk02/Dataset", "CUHK02", "cuhk02")
CUHK01_NAME = r"(?P<pid>\d{4})(?P<image>00[1-4])\.png"
CUHK02_NAME = r"(?P<pid>\d+)_.*\.png"
_PAIRS = ("P1", "P2", "P3", "P4", "P5")
_IDS_A_PAIR = 100_000  # person numbers restart in each pair


def scan_cuhk01(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of CUHK01; the last digits of a name count images: 1 and 2 are view A, 3 and 4 view B.

    Raises:
        DataError: persons that do not have four images.
    """
    folder = find_folder(root, ("campus",), CUHK01_FOLDERS, dataset="cuhk01") / "campus"
    samples = tuple(
        Sample(path, int(name["pid"]), (int(name["image"]) - 1) // 2)
        for path, name in parse_names(folder, CUHK01_NAME, "0001001.png", dataset="cuhk01")
    )
    wrong = [pid for pid, n in Counter(s.pid for s in samples).items() if n != 4]
    if wrong:
        raise DataError(f"cuhk01: {len(wrong)} persons in {folder} do not have 4 images, first person {wrong[0]:04d}")
    return {"campus": samples}


def read_cuhk01(root: Path, *, split: int = 0, test_ids: int = 0, shots: int = 2, direction: str = "ab") -> ReIDDataset:
    """CUHK01 (Li, Zhao, Wang, ACCV 2012): random splits, view A against view B.

    Args:
        root: the dataset's folder or its parent.
        split: which random split, 0 to 9.
        test_ids: how many of the 971 persons are test persons; 0 is the larger half (486), 100 the other usual number.
        shots: images of each test person and view, 2 (all there are) or 1.
        direction: "ab" asks for view A in view B, "ba" the other way round.

    Raises:
        DataError: wrong names, not four images of a person, or too few persons.
    """
    check_choice("cuhk01", "shots", shots, (1, 2))
    samples = scan_cuhk01(root)["campus"]
    train, test = halves("cuhk01", (s.pid for s in samples), split, test_ids or None)
    drawn = draw(of(samples, test), shots, "cuhk01", split)
    notes = (own_split(split), f"{shots} images a view", "its persons are pair P1 of CUHK02: do not mix the two")
    protocol = check_shots("cuhk01", shots)
    data = ReIDDataset("cuhk01", of(samples, train), of(drawn, test, 0), of(drawn, test, 1), protocol, notes)
    return swapped(data, direction)


def scan_cuhk02(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of CUHK02 by camera pair; a person's number is 100,000 x pair + the number in the pair."""
    needs = tuple(f"{pair}/cam{camera}" for pair in _PAIRS for camera in (1, 2))
    folder = find_folder(root, needs, CUHK02_FOLDERS, dataset="cuhk02")
    return {pair: _pair_samples(folder / pair, number) for number, pair in enumerate(_PAIRS, start=1)}


def read_cuhk02(root: Path, *, split: int = 0) -> ReIDDataset:
    """CUHK02 (Li, Wang, CVPR 2013): pairs P1 to P4 train, P5 tests, its camera 1 against its camera 2."""
    del split
    parts = scan_cuhk02(root)
    train = tuple(s for pair in _PAIRS[:4] for s in parts[pair])
    cameras = sorted({s.camid for s in parts["P5"]})
    query, gallery = (tuple(s for s in parts["P5"] if s.camid == camid) for camid in cameras)
    return ReIDDataset("cuhk02", train, query, gallery, "market1501", ("pair P1 holds the persons of CUHK01",))


def _pair_samples(folder: Path, pair: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(path, pair * _IDS_A_PAIR + int(name["pid"]), 2 * (pair - 1) + camera - 1)
        for camera in (1, 2)
        for path, name in parse_names(folder / f"cam{camera}", CUHK02_NAME, "0001_01.png", dataset="cuhk02")
    )
