"""The dataset that a recipe or a run names, wherever it is read from, and the identities that it holds out."""

from __future__ import annotations

import os
import re
from pathlib import Path

from passerby.config import DataConfig
from passerby.config.settings_group import AUTO_PEOPLE
from passerby.data.datasets import load_dataset
from passerby.data.info import table_name
from passerby.data.readers.market import is_market_style
from passerby.data.records import ReIDDataset, held_out_by_default
from passerby.data.test_split import TEST_SHARE, drawn_share
from passerby.errors import UsageError

_MANIFESTS = (".csv", ".parquet")


def load_configured(config: DataConfig, *, run: Path | None = None) -> ReIDDataset:
    """Read the dataset that settings name.

    Args:
        config: the settings.
        run: folder of the run they belong to, for relative paths (see `with_absolute_paths`). One's own data without
            parts were always halved by version 0.1; later runs say in their settings what became of them.

    Raises:
        UsageError: no dataset is named.
        DataError: as for `load_dataset`.
    """
    if not config.named:
        who = f"{run}: its training was given a dataset as an object, and" if run else "which data?"
        raise UsageError(f"{who} nothing names them; {HOW_TO_NAME}")
    found = with_absolute_paths(config, run=run)
    arguments = dict(found.arguments)
    if run is not None and _divides_itself(found):
        arguments.setdefault("test_share", TEST_SHARE)
    return load_dataset(found.name, found.root, split=found.split, **arguments)


def check_place(config: DataConfig) -> None:
    """Refuse data that are not where the settings say, without reading those that are.

    Raises:
        UsageError: no dataset is named.
        DataError: as for `load_dataset`.
    """
    found = with_absolute_paths(config)
    known = all(table_name(part) for part in re.split(r"[+:]", found.name))
    place = found.root if known else Path(found.name)
    if not known and found.root is not None and not found.name.lower().endswith(_MANIFESTS):
        place = found.root / found.name
    if found.name != "synthetic" and (place is None or not place.expanduser().exists()):
        load_configured(config)  # which says what is missing


HOW_TO_NAME = (
    "name them with --data.name NAME and --data.root FOLDER (`passerby data list`), --data.name MANIFEST.csv, or "
    "--data.name FOLDER with one folder a person"
)


def fitted_to(config: DataConfig, data: ReIDDataset) -> DataConfig:
    """The settings with numbers for what was left to the data: who is held out, and the share of test identities.

    Args:
        config: the settings.
        data: what they name.
    """
    changes: dict[str, object] = {"held_out_identities": held_out_of(config, data)}
    share = drawn_share(data)
    if share is not None:
        changes["arguments"] = {"test_share": share, **config.arguments}
    return config.model_copy(update=changes)


def held_out_of(config: DataConfig, data: ReIDDataset) -> int:
    """How many training identities the settings hold out of a dataset."""
    if config.held_out_identities == AUTO_PEOPLE:
        return held_out_by_default(len({s.pid for s in data.train}))
    return config.held_out_identities


def split_held_out(config: DataConfig, data: ReIDDataset) -> tuple[ReIDDataset, ReIDDataset]:
    """What is trained on, and query and gallery of the held-out identities.

    They are the same whatever the run's seed, so that runs with other seeds can be compared.

    Raises:
        DataError: fewer than two identities would be left to train on.
    """
    return data.hold_out(held_out_of(config, data))


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


def _divides_itself(config: DataConfig) -> bool:
    """Whether settings, their paths absolute, name a manifest or a folder a person: only these take `test_share`."""
    if config.name.lower().endswith(_MANIFESTS):
        return True
    if not _names_folder(config.name, [] if config.root is None else [config.root]):
        return False
    return not is_market_style(Path(config.name) if config.root is None else config.root / config.name)


def _names_folder(name: str, places: list[Path]) -> bool:
    if name == "synthetic" or all(table_name(part) for part in re.split(r"[+:]", name)):
        return False
    return os.sep in name or any((place / Path(name).expanduser()).is_dir() for place in places)


def _absolute(path: Path, places: list[Path]) -> Path:
    candidates = [place / path.expanduser() for place in places]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])
