"""The dataset that a recipe or a run names, wherever it is read from, and the identities that it holds out."""

from __future__ import annotations

import os
import re
from pathlib import Path

from passerby.config import DataConfig
from passerby.data.datasets import load_dataset
from passerby.data.info import table_name
from passerby.data.records import ReIDDataset

_MANIFESTS = (".csv", ".parquet")


def load_configured(config: DataConfig, *, run: Path | None = None) -> ReIDDataset:
    """Read the dataset that settings name.

    Args:
        config: the settings.
        run: folder of the run they belong to, for relative paths (see `with_absolute_paths`).

    Raises:
        DataError: as for `load_dataset`.
    """
    found = with_absolute_paths(config, run=run)
    return load_dataset(found.name, found.root, split=found.split, **found.arguments)


def split_held_out(config: DataConfig, data: ReIDDataset) -> tuple[ReIDDataset, ReIDDataset]:
    """What is trained on, and query and gallery of the held-out identities.

    They are the same whatever the run's seed, so that runs with other seeds can be compared.

    Raises:
        DataError: fewer than two identities would be left to train on.
    """
    return data.hold_out(config.held_out_identities)


def with_absolute_paths(config: DataConfig, *, run: Path | None = None) -> DataConfig:
    """The same settings with absolute paths, which mean the same in every working folder.

    A relative path is looked for in the working folder, in the run's folder and in the folders above that; one that
    is in none of them is taken to be in the working folder.

    Args:
        config: the settings.
        run: folder of the run they belong to; None: none, look in the working folder alone.
    """
    places = [Path.cwd()]
    if run is not None:
        places += [run.absolute(), *run.absolute().parents]
    changes: dict[str, object] = {}
    if config.root is not None:
        changes["root"] = _absolute(config.root, places)
    if config.name.lower().endswith(_MANIFESTS) or (config.root is None and _names_folder(config.name, places)):
        changes["name"] = str(_absolute(Path(config.name), places))
    return config.model_copy(update=changes)


def _names_folder(name: str, places: list[Path]) -> bool:
    if name == "synthetic" or all(table_name(part) for part in re.split(r"[+:]", name)):
        return False
    return os.sep in name or any((place / Path(name).expanduser()).is_dir() for place in places)


def _absolute(path: Path, places: list[Path]) -> Path:
    candidates = [place / path.expanduser() for place in places]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])
