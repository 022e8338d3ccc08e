"""Everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import pickle
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from passerby.config import Config, parse_config
from passerby.config.settings_group import AUTO
from passerby.data.dataset_of_config import with_absolute_paths
from passerby.data.test_split import TEST_SHARE
from passerby.distributed import world_size
from passerby.errors import ConfigError, WeightsError
from passerby.files import replace_file
from passerby.models.weights.reading import why_unreadable

FILE_NAME = "checkpoint.pt"
FORMAT = 1

# Settings that may change between stopping and resuming because they do not touch the numbers of the training.
FREE = frozenset(
    {
        "description",
        "data.root",
        "input.cache",
        "input.cache_dir",
        "run.device",
        "run.threads",
        "run.recompute",
        "run.compile",
        "run.cuda_graphs",
        "run.checkpoint_minutes",
        "run.timeout_minutes",
        "run.evaluate_epochs",
    }
)
_TEST_SHARE = "test_share"
FREE_GROUP = "evaluation."
"""... and how the held-out identities are evaluated: it chooses among checkpoints, and changes none."""


def save_checkpoint(folder: Path, state: dict[str, Any], config: Config) -> None:
    """Write a checkpoint in one step; the previous one survives a kill or a full disk.

    Raises:
        StorageError: it could not be written.
    """
    about = {"format": FORMAT, "config": config.to_toml(), "world_size": world_size()}
    save_state(folder / FILE_NAME, about | state)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values in one step.

    Raises:
        StorageError: it could not be written.
    """
    with replace_file(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:
            # torch's zip writer reports a full disk as RuntimeError
            raise OSError(f"writing the checkpoint failed: {error}") from error


def load_checkpoint(folder: Path, config: Config) -> dict[str, Any] | None:
    """Read a run's checkpoint, or None where there is none.

    Args:
        folder: the run's folder.
        config: the settings the run is to go on with.

    Raises:
        WeightsError: the file is damaged or not a checkpoint.
        ConfigError: the run was made with other settings (those that differ are named).
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols; the refusal below says enough
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a readable checkpoint ({why_unreadable(error)}); move it away to start the run anew"
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise WeightsError(f"{path}: not a checkpoint of this version of passerby; choose another output folder")
    _refuse(folder, differing_settings(str(state["config"]), config, run=folder, fitted=False))
    state.setdefault("world_size", 1)
    return state


def refuse_other_settings(folder: Path, state: Mapping[str, Any], config: Config) -> None:
    """Refuse to go on with a run of other settings, once they are fitted to the data.

    Args:
        folder: the run's folder.
        state: its checkpoint.
        config: the settings the run is to go on with.

    Raises:
        ConfigError: the run was made with other settings (those that differ are named).
    """
    _refuse(folder, differing_settings(str(state["config"]), config, run=folder))


def fitted_as_before(config: Config, state: Mapping[str, Any]) -> Config:
    """Settings with the numbers that a run's checkpoint has where they leave them to the data."""
    before = parse_config(tomllib.loads(str(state["config"])), where="the saved run")
    arguments = {**config.data.arguments}
    if _TEST_SHARE in before.data.arguments:
        arguments.setdefault(_TEST_SHARE, before.data.arguments[_TEST_SHARE])
    data = {"arguments": arguments, "held_out_identities": before.data.held_out_identities}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=data),
            "schedule": config.schedule.model_copy(update={"epochs": before.schedule.epochs}),
            "sampler": before.sampler,
        }
    )


def _refuse(folder: Path, changed: Sequence[str]) -> None:
    if changed:
        raise ConfigError(
            f"{folder} holds a run with other settings ({'; '.join(changed)}): "
            "choose another output folder, or the same settings to resume it"
        )


def differing_settings(saved: str, config: Config, *, run: Path | None = None, fitted: bool = True) -> list[str]:
    """Settings of a saved run that differ from `config`, other than those that may, as "name: old -> new".

    Settings that the saved run did not know yet had their defaults, but for those whose default is not what version 0.1
    did. Paths of the data are the same where they mean
    the same place.

    Args:
        saved: the run's settings as TOML.
        config: the settings now.
        run: the run's folder.
        fitted: `config` has numbers where a recipe says "auto"; otherwise these settings are not compared.
    """
    content = tomllib.loads(saved)
    before = _flat(_located(parse_config(content, where="the saved run"), run))
    now = _flat(_located(config, run))
    if not config.data.named:  # they were given as an object; version 0.1 wrote a name all the same
        before.pop("data.name", None)
    if "full_size_rate" not in content.get("schedule", {}):
        before["schedule.full_size_rate"] = 0.0
    if config.schedule.small_until == 0.0:
        before["schedule.full_size_rate"] = now["schedule.full_size_rate"]
    share = f"data.arguments.{_TEST_SHARE}"
    if share in now:
        before.setdefault(share, TEST_SHARE)
    if not fitted:
        for name in ("schedule.epochs", "data.held_out_identities"):
            before[name] = AUTO if now[name] == AUTO else before[name]
        if now["schedule.epochs"] == AUTO:  # the batch is then fitted to very few people
            before["sampler.identities"] = now["sampler.identities"]
        if share in before:
            now.setdefault(share, before[share])
    names = sorted(n for n in (before.keys() | now.keys()) - FREE if not n.startswith(FREE_GROUP))
    return [f"{n}: {before.get(n)} -> {now.get(n)}" for n in names if before.get(n) != now.get(n)]


def _located(config: Config, run: Path | None) -> dict[str, Any]:
    """Settings as plain values, the data's paths absolute."""
    data = with_absolute_paths(config.data, run=run)
    return tomllib.loads(config.model_copy(update={"data": data}).to_toml())


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
