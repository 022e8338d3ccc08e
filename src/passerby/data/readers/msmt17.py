"""MSMT17, version 1 and version 2 (faces masked). The lists are the truth: membership and labels come from them."""

from __future__ import annotations

import re
from pathlib import Path

from passerby.data.readers.shots import check_choice
from passerby.data.readers.tree import find_folder, refuse_absent
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError

MSMT17_NAME = (
    r"(?P<pid>\d{4})_(?P<image>\d{3})_(?P<cam>0[1-9]|1[0-5])_(?P<day>\d{4})(?P<period>morning|noon|afternoon)"
    r"_\d{4}_\d+(?:_ex)?\.jpg"
)
# version -> (known folders, training images, test images)
VERSIONS = {
    "v2": (("MSMT17_V2", "MSMT17/MSMT17_V2", "msmt17/MSMT17_V2"), "mask_train_v2", "mask_test_v2"),
    "v1": (("MSMT17_V1", "MSMT17/MSMT17_V1", "msmt17/MSMT17_V1", "MSMT17"), "train", "test"),
}
_LISTS = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")
_EXAMPLE = "0000/0000_045_12_0303morning_0006_2.jpg 0"


def scan_msmt17(root: Path, *, version: str = "auto") -> dict[str, tuple[Sample, ...]]:
    """Every listed image, by list; persons numbered from 1, test persons after the training persons."""
    _, folder, train_folder, test_folder = _locate(root, version)
    train = _read_list(folder / "list_train.txt", folder / train_folder, 1)
    val = _read_list(folder / "list_val.txt", folder / train_folder, 1)
    first = 1 + max(s.pid for s in (*train, *val))
    query = _read_list(folder / "list_query.txt", folder / test_folder, first)
    gallery = _read_list(folder / "list_gallery.txt", folder / test_folder, first)
    return {"list_train": train, "list_val": val, "list_query": query, "list_gallery": gallery}


def read_msmt17(root: Path, *, split: int = 0, val: bool = True, version: str = "auto") -> ReIDDataset:
    """MSMT17 (Wei et al., CVPR 2018): fixed split, 15 cameras as 0 to 14.

    Args:
        root: the version's folder or its parent.
        split: 0, the only one.
        val: train on list_val.txt too (32,621 images, as most papers count; without it 30,248).
        version: "v1", "v2" (masked faces), or "auto": whichever is there. Results of the two differ.

    Raises:
        DataError: a missing list or image, a wrong line, or another version than asked for.
    """
    del split
    check_choice("msmt17", "version", version, ("auto", *VERSIONS))
    found, folder, *_ = _locate(root, version)
    parts = scan_msmt17(root, version=version)
    for part, samples in parts.items():
        refuse_absent((s.path for s in samples), folder / f"{part}.txt", dataset="msmt17")
    train = parts["list_train"] + (parts["list_val"] if val else ())
    notes = (f"MSMT17 {found.upper()}", f"trained on list_train.txt {'and' if val else 'without'} list_val.txt")
    return ReIDDataset("msmt17", train, parts["list_query"], parts["list_gallery"], "market1501", notes)


def _locate(root: Path, version: str) -> tuple[str, Path, str, str]:
    """(version, folder, training images, test images) of what lies there."""
    for name in sorted(VERSIONS, key=lambda each: each != version):  # both may lie there: the wanted one first
        known, train, test = VERSIONS[name]
        try:
            folder = find_folder(root, (train, test), known, dataset="msmt17")
        except DataError:
            continue
        if version not in ("auto", name):
            raise DataError(f"msmt17: {folder} is version {name} (it holds {train}/), asked for was {version}")
        missing = [each for each in _LISTS if not (folder / each).is_file()]
        if missing:
            raise DataError(
                f"msmt17: {folder} lacks {', '.join(missing)}, which name the images of each part; copies without them "
                "cannot be read as MSMT17"
            )
        return name, folder, train, test
    find_folder(root, ("train", "test", *_LISTS), VERSIONS["v1"][0], dataset="msmt17")
    raise DataError(f"msmt17: no version of it in {root}")


def _read_list(file: Path, images: Path, first: int) -> tuple[Sample, ...]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None
    grammar = re.compile(MSMT17_NAME, re.IGNORECASE)
    samples = []
    for number, line in enumerate(lines, start=1):
        path, _, label = line.strip().rpartition(" ")
        if not line.strip():
            continue
        name = grammar.fullmatch(path.rpartition("/")[2])
        if name is None or not label.isdecimal():
            raise DataError(f"{file}, row {number}: {line!r} is not like {_EXAMPLE!r}")
        samples.append(Sample(images / path, int(label) + first, int(name["cam"]) - 1))
    if not samples:
        raise DataError(f"{file}: the list is empty")
    return tuple(samples)
