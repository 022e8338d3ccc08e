"""1. What exists: image files become samples, batches and pixels."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passerby.data.combine import combine_datasets
from passerby.data.info import (
    Count,
    DatasetInfo,
    count_samples,
    dataset_info,
    differences,
    level_of,
    published,
    table_name,
)
from passerby.data.manifest import read_folder, read_manifest
from passerby.data.readers.market import is_market_style, read_market_style
from passerby.data.readers.options import check_kinds, complete_options
from passerby.data.readers.table import READERS
from passerby.data.readers.tree import NOT_READ
from passerby.data.records import ReIDDataset
from passerby.data.tracklets import thin_tracklets
from passerby.errors import DataError, unknown_name

__all__ = [
    "DATASETS",
    "combine_datasets",
    "dataset_info",
    "list_datasets",
    "load_dataset",
    "load_splits",
    "table_name",
]

DATASETS = READERS
_MANIFESTS = (".csv", ".parquet", ".txt")
_log = logging.getLogger(__name__)


def load_dataset(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    split: int = 0,
    verify: bool = True,
    frames: int = 0,
    **arguments: Any,
) -> ReIDDataset:
    """Read a dataset: a benchmark by name, the drawn pedestrians, or one's own images.

    Args:
        name: a name of `DATASETS`; "synthetic"; a manifest (.csv, .parquet) or a list of "path label" (.txt); or a
            folder: with one folder a person (and in it one a camera, if you like), with lists train.txt, query.txt
            and gallery.txt, or with Market-1501's folders and names.
            "A+B:C" of the table trains on A and B and tests on C, "A+B" trains on both and tests on A.
        root: the benchmark's folder or its parent; for a manifest the folder its paths are relative to (default: the
            manifest's own); for "synthetic" where to draw (default: the user's cache folder).
        split: which split, for datasets with several.
        verify: compare with the published counts. What is sure raises an error, what is not logs a warning.
        frames: keep at most so many evenly spread frames of each tracklet; 0 keeps all.
        **arguments: further arguments of the reader, for example `mode="labeled"` for cuhk03.

    Returns:
        The dataset; its `notes` say what a report must repeat, and what lies there and is not read, which is logged,
        too.

    Raises:
        DataError: an unknown name, argument or split; a folder, file name or manifest row that is not as it should
            be; counts that differ from the published ones.
    """
    dataset = read_dataset(name, root, split=split, verify=verify, frames=frames, **arguments)
    if os.environ.get("RANK", "0") == "0":  # of several processes the first one tells
        for note in (note for note in dataset.notes if note.startswith(NOT_READ)):
            _log.warning("%s: %s", dataset.name, note)
    return dataset


def read_dataset(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    split: int = 0,
    verify: bool = True,
    frames: int = 0,
    **arguments: Any,
) -> ReIDDataset:
    """`load_dataset` for a caller who tells what is not read, which is then not logged.

    Raises:
        DataError: as there.
    """
    check_kinds(os.fspath(name), load_dataset, {"split": split, "verify": verify, "frames": frames})
    if frames < 0:
        raise DataError(f"{os.fspath(name)}: frames is {frames}; expected 0 (all) or more")
    dataset = _load(os.fspath(name), root, split, verify, arguments)
    return thin_tracklets(dataset, frames) if frames else dataset


def load_splits(
    name: str, root: str | os.PathLike[str], *, verify: bool = True, frames: int = 0, **arguments: Any
) -> list[ReIDDataset]:
    """Every split of a benchmark, whose results are reported as mean and deviation (never pooled).

    Args:
        name: a name of `DATASETS`.
        root: as for `load_dataset`, like the other arguments.
        verify: as for `load_dataset`.
        frames: as for `load_dataset`.
        **arguments: as for `load_dataset`.

    Raises:
        DataError: as for `load_dataset`.
    """
    info = dataset_info(name)
    splits = info.splits_for(complete_options(info.name, READERS[info.name].read, arguments))
    return [load_dataset(name, root, split=k, verify=verify, frames=frames, **arguments) for k in range(splits)]


def _load(
    text: str, root: str | os.PathLike[str] | None, split: int, verify: bool, arguments: Mapping[str, Any]
) -> ReIDDataset:
    if _is_combination(text):
        return _load_combination(text, root, split, verify, arguments)
    benchmark = table_name(text)
    if benchmark is not None:
        return _load_benchmark(benchmark, root, split, verify, arguments)
    if text == "synthetic":
        return _load_synthetic(root, split, arguments)
    if is_manifest(text):
        complete = complete_options(text, read_manifest, arguments)
        return read_manifest(text, root, split=split, verify=verify, **complete)
    folder = Path(text) if root is None else Path(root) / text
    if os.sep in text or folder.expanduser().is_dir():
        return _load_folder(folder.expanduser(), split, arguments)
    parts = re.split(r"[+:]", text)
    wrong = [part for part in parts if not table_name(part)]
    if len(wrong) < len(parts):  # "A+B:C": the parts that are right say what was meant
        raise DataError(f"{text}: " + "; ".join(unknown_name("dataset", part, [*DATASETS]) for part in wrong))
    known = unknown_name("dataset", text, [*DATASETS, "synthetic"])
    raise DataError(f"{known}; or a manifest (.csv, .parquet), or a folder with one folder a person")


def is_manifest(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends as that of a manifest does: .csv, .parquet or .txt."""
    return os.fspath(path).lower().endswith(_MANIFESTS)


def list_datasets() -> list[dict[str, Any]]:
    """One row a benchmark: what it is, and images (tracklets) and persons of its parts where they are published."""
    return [_table_row(info) for info in published().values()]


def _load_folder(folder: Path, split: int, arguments: Mapping[str, Any]) -> ReIDDataset:
    if is_market_style(folder):
        if split != 0 or arguments:
            raise DataError(f"{folder}: a dataset in Market-1501's folders takes neither split nor arguments")
        return read_market_style(folder, name=folder.resolve().name)
    return read_folder(folder, split=split, **complete_options(str(folder), read_folder, arguments))


def _is_combination(text: str) -> bool:
    names = re.split(r"[+:]", text)
    return len(names) > 1 and all(table_name(name) for name in names)


def _load_combination(
    text: str, root: str | os.PathLike[str] | None, split: int, verify: bool, arguments: Mapping[str, Any]
) -> ReIDDataset:
    if split != 0 or arguments or text.count(":") > 1:
        raise DataError(
            f"{text}: a combination is written A+B:C and takes neither split nor arguments; "
            "load its datasets one by one and give them to combine_datasets"
        )
    left, _, right = text.partition(":")
    names = [table_name(name) or name for name in left.split("+")]
    train = [load_dataset(name, root, verify=verify) for name in names]
    other = table_name(right)
    return combine_datasets(train, load_dataset(other, root, verify=verify) if other else train[0])


def _load_benchmark(
    name: str, root: str | os.PathLike[str] | None, split: int, verify: bool, arguments: Mapping[str, Any]
) -> ReIDDataset:
    info = dataset_info(name)
    if info.retracted:
        _log.warning("%s: %s", name, info.retracted)
    if root is None:
        raise DataError(f"{name}: give root, the folder that holds it. {info.get}")
    complete = complete_options(name, READERS[name].read, arguments)
    splits = info.splits_for(complete)
    if not 0 <= split < splits:
        raise DataError(f"{name}: there is no split {split}; it has {splits}, counted from 0")
    dataset = READERS[name].read(Path(root).expanduser(), split=split, **complete)
    if verify:
        _verify(dataset, info, complete, Path(root))
    return dataset


def _verify(dataset: ReIDDataset, info: DatasetInfo, arguments: Mapping[str, Any], root: Path) -> None:
    errors: list[str] = []
    for expected in info.counts:
        if not expected.holds_for(arguments):
            continue
        words, level = _compare(dataset, expected)
        if words and level == "error":
            errors.append(words)
        elif words:
            _log.warning("%s: %s", info.name, words)
    if errors:
        raise DataError(
            f"{info.name}: {root} is not the published dataset: {'; '.join(errors)}. "
            f"`passerby data check {info.name} --root {root}` says more; verify=False (--data.arguments "
            "verify=false) loads it all the same"
        )


def _compare(dataset: ReIDDataset, expected: Count) -> tuple[str, str]:
    part = {"train": dataset.train, "query": dataset.query, "gallery": dataset.gallery}[expected.part]
    found = count_samples(expected.part, part)
    return differences(expected, found), level_of(expected, found)


def _load_synthetic(root: str | os.PathLike[str] | None, split: int, arguments: Mapping[str, Any]) -> ReIDDataset:
    from passerby.data.synthetic.dataset import MARKER, draw_dataset

    if split != 0:
        raise DataError(f"synthetic: there is no split {split}; it has 1, counted from 0")
    complete_options("synthetic", draw_dataset, arguments)
    folder = _cache_folder(arguments) if root is None else Path(root).expanduser()
    if arguments or not (folder / "bounding_box_train").is_dir():
        draw_dataset(folder, **arguments)
    elif (folder / MARKER).is_file():
        draw_dataset(folder, **_settings_drawn(folder / MARKER))  # goes on where an interrupted drawing stopped
    return read_market_style(folder, name="synthetic")


def _settings_drawn(marker: Path) -> dict[str, Any]:
    try:
        settings = json.loads(marker.read_text("utf-8"))
        return {key: int(value) for key, value in settings.items() if key not in ("format", "complete")}
    except (ValueError, AttributeError, TypeError):
        raise DataError(f"{marker} is damaged: remove the folder, it will be drawn again") from None


def _cache_folder(arguments: Mapping[str, Any]) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    words = "-".join(f"{key}-{value}" for key, value in sorted(arguments.items()))
    return Path(base) / "passerby" / f"synthetic{'-' if words else ''}{words}"


def _table_row(info: DatasetInfo) -> dict[str, Any]:
    defaults = READERS[info.name].options()
    expected = {c.part: c for c in info.counts if c.holds_for(defaults) and not c.unverified}
    row: dict[str, Any] = {key: getattr(info, key) for key in ("name", "title", "year", "kind")}
    for part in ("train", "query", "gallery"):
        count = expected.get(part)
        unit = "tracklets" if info.kind == "video" else "images"
        row[part] = getattr(count, unit) if count else None
    row["train_ids"] = expected["train"].ids if "train" in expected else None
    row["test_ids"] = expected["query"].ids if "query" in expected else None
    return {**row, "splits": info.splits_for(defaults), "status": "retracted" if info.retracted else ""}
