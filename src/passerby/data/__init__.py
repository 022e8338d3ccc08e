"""1. What exists: image files become samples, batches and pixels."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerby.data.info import Count, DatasetInfo, count_samples, dataset_info, differences, level_of, published
from passerby.data.manifest import read_folder, read_manifest
from passerby.data.readers import READERS
from passerby.data.readers.market import read_market_style
from passerby.data.records import ReIDDataset
from passerby.errors import DataError, unknown_name

if TYPE_CHECKING:
    from passerby.data.check import CheckReport

__all__ = ["DATASETS", "check_dataset", "dataset_info", "list_datasets", "load_dataset"]

DATASETS = READERS
_MANIFESTS = (".csv", ".parquet")
_log = logging.getLogger(__name__)


def load_dataset(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    split: int = 0,
    verify: bool = True,
    **arguments: Any,
) -> ReIDDataset:
    """Read a dataset: a benchmark by name, the drawn pedestrians, or one's own images.

    Args:
        name: a name of `DATASETS`; "synthetic"; a manifest (.csv, .parquet); or a folder with one folder a person.
        root: the benchmark's folder or its parent; for a manifest the folder its paths are relative to (default: the
            manifest's own); for "synthetic" where to draw (default: the user's cache folder).
        split: which split, for datasets with several.
        verify: compare with the published counts. What is sure raises an error, what is not logs a warning.
        **arguments: further arguments of the reader, for example `detector="labeled"` for cuhk03.

    Returns:
        The dataset; its `notes` say what a report must repeat.

    Raises:
        DataError: an unknown name, argument or split; a folder, file name or manifest row that is not as it should
            be; counts that differ from the published ones.
    """
    text = os.fspath(name)
    if text in DATASETS:
        return _load_benchmark(text, root, split, verify, arguments)
    if text == "synthetic":
        return _load_synthetic(root, split, arguments)
    if text.lower().endswith(_MANIFESTS):
        return read_manifest(text, root, split=split, verify=verify, **arguments)
    if os.sep in text or Path(text).expanduser().is_dir():
        return read_folder(text if root is None else Path(root) / text, split=split, **arguments)
    known = unknown_name("dataset", text, [*DATASETS, "synthetic"])
    raise DataError(f"{known}; or a manifest (.csv, .parquet), or a folder with one folder a person")


def list_datasets() -> list[dict[str, Any]]:
    """One row a benchmark: name, title, year, kind, splits, persons and images where they are published."""
    return [_table_row(info) for info in published().values()]


def check_dataset(
    name: str, root: str | os.PathLike[str], *, images: bool = True, progress: bool = True, **arguments: Any
) -> CheckReport:
    """Tell whether what lies at `root` is the dataset, whole and sound; see `passerby.data.check`."""
    from passerby.data.check import check_dataset as check

    return check(name, root, images=images, progress=progress, **arguments)


def _load_benchmark(
    name: str, root: str | os.PathLike[str] | None, split: int, verify: bool, arguments: Mapping[str, Any]
) -> ReIDDataset:
    info = dataset_info(name)
    if info.retracted:
        _log.warning("%s: %s", name, info.retracted)
    if root is None:
        raise DataError(f"{name}: give root, the folder that holds it. {info.get}")
    if not 0 <= split < info.splits:
        raise DataError(f"{name}: there is no split {split}; it has {info.splits}, counted from 0")
    complete = READERS[name].complete(name, arguments)
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
            f"`passerby data check {info.name} --root {root}` says more; verify=False loads it all the same"
        )


def _compare(dataset: ReIDDataset, expected: Count) -> tuple[str, str]:
    part = {"train": dataset.train, "query": dataset.query, "gallery": dataset.gallery}[expected.part]
    found = count_samples(expected.part, part)
    return differences(expected, found), level_of(expected, found)


def _load_synthetic(root: str | os.PathLike[str] | None, split: int, arguments: Mapping[str, Any]) -> ReIDDataset:
    from passerby.data.synthetic import draw_dataset  # type: ignore[import-not-found, unused-ignore]

    folder = _cache_folder() if root is None else Path(root).expanduser()
    if not (folder / "bounding_box_train").is_dir():
        draw_dataset(folder, **arguments)
    return read_market_style(folder, split=split, name="synthetic")


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "passerby" / "synthetic"


def _table_row(info: DatasetInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "title": info.title,
        "year": info.year,
        "kind": info.kind,
        "splits": info.splits,
        "retracted": bool(info.retracted),
        "paper": info.paper,
    }
