"""CUHK03, straight from `cuhk-03.mat`: the new protocol (767/700) and the classic one (20 test sets of 100)."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.data.readers.extract_once import extract_once, write_png
from passerby.data.readers.mat import as_indices, load_mat, open_mat73
from passerby.data.readers.shots import check_choice
from passerby.data.readers.tree import find_folder, parse_names
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError
from passerby.progress import progress_bar

CUHK03_FOLDERS = ("cuhk03_release", "CUHK03/cuhk03_release", "cuhk03/cuhk03_release", "CUHK03", "cuhk03")
CUHK03_NAME = r"(?P<pair>[1-5])_(?P<person>\d{3})_(?P<view>[12])_(?P<cell>\d{2})\.png"
PERSONS_A_PAIR = (843, 440, 77, 58, 49)
_MAT = "cuhk-03.mat"
_TEST_SETS = "testsets.json"
_VIEW_CELLS = 5
_MODES = ("detected", "labeled")


def scan_cuhk03(root: Path, *, only: str = "", extracted: str | Path | None = None) -> dict[str, tuple[Sample, ...]]:
    """Every image of CUHK03, detected and labelled (or `only` one of them), extracted at first use."""
    folder = _find(root)
    parts = {}
    there = [each for each in _MODES if (folder / _MAT).is_file() or (folder / f"images_{each}").is_dir()]
    for each in (only,) if only else there:
        images = _images(folder, each, extracted)
        parts[each] = tuple(
            Sample(path, person_number(int(name["pair"]), int(name["person"])), int(name["view"]) - 1)
            for path, name in parse_names(images, CUHK03_NAME, "1_001_2_06.png", dataset="cuhk03")
        )
    return parts


def read_cuhk03(
    root: Path,
    *,
    split: int = 0,
    mode: str = "detected",
    protocol: str = "new",
    config: str | Path | None = None,
    extracted: str | Path | None = None,
) -> ReIDDataset:
    """CUHK03 (Li et al., CVPR 2014).

    Args:
        root: `cuhk03_release` or its parent; it holds `cuhk-03.mat`, or the folders `images_detected` and
            `images_labeled` extracted from it.
        split: 0 under the new protocol; 0 to 19 under the classic one.
        mode: "detected" or "labeled" boxes.
        protocol: "new" (Zhong et al., CVPR 2017: 767/700 persons, fixed) or "classic" (20 test sets of 100 persons,
            one gallery image a person).
        config: `cuhk03_new_protocol_config_{mode}.mat`; default: looked for in `root`.
        extracted: folder for the images of the .mat; default: beside it.

    Raises:
        DataError: a missing or foreign file, or a listed image that does not exist.
        MissingExtraError: h5py or scipy is not installed.
        StorageError: the images cannot be written.
    """
    check_choice("cuhk03", "mode", mode, _MODES)
    check_choice("cuhk03", "protocol", protocol, ("new", "classic"))
    if protocol == "new" and split != 0:
        raise DataError(f"cuhk03: there is no split {split}; the new protocol has one")
    folder = _find(root)
    samples = scan_cuhk03(root, only=mode, extracted=extracted)[mode]
    if protocol == "new":
        return _new_protocol(samples, _config_file(folder, mode, config), mode)
    return _classic(samples, _test_set(folder, mode, extracted, split), mode, split)


def person_number(pair: int, person: int) -> int:
    """A person's number 1 to 1,467, running over the pairs."""
    return sum(PERSONS_A_PAIR[: pair - 1]) + person


def _find(root: Path) -> Path:
    for need in (_MAT, "images_detected", "images_labeled"):
        try:
            return find_folder(root, (need,), CUHK03_FOLDERS, dataset="cuhk03")
        except DataError:
            continue
    return find_folder(root, (_MAT,), CUHK03_FOLDERS, dataset="cuhk03")  # for its message


def _images(folder: Path, mode: str, extracted: str | Path | None) -> Path:
    target = (Path(extracted).expanduser() if extracted else folder) / f"images_{mode}"
    write = functools.partial(_extract, folder / _MAT, mode)
    return extract_once(target, write, dataset="cuhk03")


def _extract(mat: Path, mode: str, target: Path) -> None:
    with open_mat73(mat) as file:
        for needed in (mode, "testsets"):
            if needed not in file:
                raise DataError(f"{mat}: no variable {needed}; expected detected, labeled and testsets")
        pairs = [_matrix(file, reference) for reference in _cells(file[mode])]
        with progress_bar(f"extracting CUHK03, {mode}", sum(pair.size for pair in pairs)) as bar:
            for pair, cells in enumerate(pairs, start=1):
                for name, picture in _pictures(file, pair, cells):
                    if picture is not None:
                        write_png(target / name, picture)
                    bar.advance()
        sets = [_matrix(file, reference).astype(int).tolist() for reference in _cells(file["testsets"])]
    (target / _TEST_SETS).write_text(json.dumps(sets), "utf-8")


def _cells(dataset: Any) -> list[Any]:
    return list(np.asarray(dataset).ravel())


def _matrix(file: Any, reference: Any) -> npt.NDArray[Any]:
    """HDF5 holds MATLAB's arrays transposed."""
    return np.asarray(file[reference]).T


def _pictures(file: Any, pair: int, cells: npt.NDArray[Any]) -> Iterator[tuple[str, npt.NDArray[np.uint8] | None]]:
    """Names and pictures of one camera pair; an empty cell (there are holes between full ones) has no picture."""
    for person, row in enumerate(cells, start=1):
        for cell, reference in enumerate(row, start=1):
            view = 1 if cell <= _VIEW_CELLS else 2
            content = file[reference]
            is_empty = content.size == 0 or content.ndim < 3
            yield f"{pair}_{person:03d}_{view}_{cell:02d}.png", None if is_empty else np.asarray(content).T


def _config_file(folder: Path, mode: str, config: str | Path | None) -> Path:
    name = f"cuhk03_new_protocol_config_{mode}.mat"
    if config is not None:
        given = Path(config).expanduser()
        return given / name if given.is_dir() else given
    for place in (folder, folder / "protocols", folder.parent, folder.parent / "protocols"):
        if (place / name).is_file():
            return place / name
    raise DataError(
        f"cuhk03: the new protocol needs {name}, which its authors (Zhong et al. 2017) publish with their re-ranking "
        f"code; put it into {folder} or name it with config=FILE (--data.arguments config=FILE)"
    )


def _new_protocol(samples: tuple[Sample, ...], config: Path, mode: str) -> ReIDDataset:
    names, labels, cameras, train, query, gallery = read_config(config)
    by_name = {s.path.name: s for s in samples}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise DataError(f"cuhk03: {len(missing):,} images that {config} lists are missing, first {missing[0]}")
    for name, label, camera in zip(names, labels, cameras, strict=True):
        found = by_name[name]
        if (found.pid, found.camid) != (label, camera):
            raise DataError(f"{config}: {name} is person {label}, camera {camera + 1}; its name says otherwise")
    parts = [tuple(by_name[names[i]] for i in indices) for indices in (train, query, gallery)]
    note = f"{mode} boxes, new protocol"
    return ReIDDataset("cuhk03", parts[0], parts[1], parts[2], "market1501", (note,))


def read_config(path: Path) -> tuple[list[str], list[int], list[int], list[int], list[int], list[int]]:
    """The new protocol's file: image names, person numbers, cameras from 0; indices of train, query and gallery."""
    variables = ("filelist", "labels", "camId", "train_idx", "query_idx", "gallery_idx")
    filelist, labels, cameras, *indices = load_mat(path, *variables)
    names = [str(name) for name in filelist]
    train, query, gallery = (
        as_indices(values, f"{path}: {what}", len(names)) for values, what in zip(indices, variables[3:], strict=True)
    )
    return names, [int(x) for x in labels], [int(x) - 1 for x in cameras], train, query, gallery


def _test_set(folder: Path, mode: str, extracted: str | Path | None, split: int) -> set[int]:
    file = _images(folder, mode, extracted) / _TEST_SETS
    if not file.is_file():
        raise DataError(
            f"cuhk03: the classic protocol needs the test sets of {_MAT}, which {file.parent} does not hold; remove "
            f"that folder and put {_MAT} beside it, and it will be extracted again"
        )
    sets = json.loads(file.read_text("utf-8"))
    if not 0 <= split < len(sets):
        raise DataError(f"cuhk03: there is no split {split}; {file} has {len(sets)}, counted from 0")
    return {person_number(pair, person) for pair, person in sets[split]}


def _classic(samples: tuple[Sample, ...], test: set[int], mode: str, split: int) -> ReIDDataset:
    train = tuple(s for s in samples if s.pid not in test)
    query = tuple(s for s in samples if s.pid in test and s.camid == 0)
    gallery = tuple(s for s in samples if s.pid in test and s.camid == 1)
    notes = (f"{mode} boxes, classic protocol, test set {split} of 20: report the mean over all, CMC only",)
    return ReIDDataset("cuhk03", train, query, gallery, "cuhk03", notes)
