"""What the commands share: parsing by type, loading what arguments name, printing results."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro
from pydantic import ValidationError

from passerby.cli import speaks
from passerby.errors import ConfigError, DataError, UsageError, unknown_name

if TYPE_CHECKING:
    from passerby.data.records import ReIDDataset, Sample

_log = logging.getLogger(__name__)
T = TypeVar("T")
Json = Annotated[bool, tyro.conf.arg(help="Print JSON for machines instead of a table.")]
ReaderArguments = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE ...", help="Further arguments of the dataset's reader.")
]


def parse(options: type[T], arguments: Sequence[str], verb: str, *, doc: str | None = None, default: Any = None) -> T:
    """Parse arguments into a dataclass; wrong usage exits with code 2 and a message.

    Raises:
        ConfigError: a value out of its range.
    """
    extra = {} if default is None else {"default": default}
    try:
        parsed: T = tyro.cli(options, args=list(arguments), prog=f"passerby {verb}", description=doc, **extra)
        return parsed
    except ValidationError as error:
        problems = "; ".join(f"--{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(problems) from None


def pick_action(verb: str, arguments: Sequence[str], actions: dict[str, str]) -> str:
    """The action of a verb with several (`passerby data list`), or its help and the end.

    Raises:
        UsageError: an unknown action.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, actions))
        print(f"usage: passerby {verb} ACTION [options]\n")
        print("\n".join(f"  {name:{width}}  {text}" for name, text in actions.items()))
        raise SystemExit(0 if arguments else 2)
    if arguments[0] not in actions:
        raise UsageError(unknown_name(f"action of `passerby {verb}`", arguments[0], actions))
    return arguments[0]


def show(result: Any, *, as_json: bool) -> None:
    """Print a result as a table or as JSON."""
    if as_json:
        print(json.dumps(result.to_dict() if hasattr(result, "to_dict") else result, indent=2, default=str))
    else:
        print(result)


@dataclass(frozen=True)
class DataChoice:
    """Which dataset; without a name, the one that the run was trained on."""

    name: str | None = None
    """A name of `passerby data list`, or one's own: a .csv or .parquet manifest, or a folder of folders."""
    root: Path | None = None
    """Folder that holds the dataset (or the images a manifest names)."""
    split: int = 0
    """Which split, for datasets with several."""
    arguments: ReaderArguments = ()

    def load_splits(self) -> list[ReIDDataset]:
        """Read every split of the dataset.

        Raises:
            DataError: no name, or the dataset is not what it should be.
        """
        from passerby.data import load_splits

        if self.name is None or self.root is None:
            raise DataError("which splits? name the dataset with --data.name NAME and --data.root FOLDER")
        return load_splits(self.name, self.root, **reader_arguments(self.arguments))

    def load(self, run: Path | None = None) -> ReIDDataset:
        """Read the dataset.

        Raises:
            DataError: neither a name nor a run that knows one, or the dataset is not what it should be.
        """
        from passerby.data import load_dataset

        if self.name is not None:
            return load_dataset(self.name, self.root, split=self.split, **reader_arguments(self.arguments))
        settings = run / "config.toml" if run is not None else None
        if settings is None or not settings.exists():
            raise DataError("which data? name it with --data.name NAME and --data.root FOLDER")
        trained_on = tomllib.loads(settings.read_text("utf-8"))["data"]
        root = self.root if self.root is not None else trained_on.get("root")
        return load_dataset(
            trained_on["name"], root, split=trained_on.get("split", 0), **trained_on.get("arguments", {})
        )


def reader_arguments(pairs: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE pairs as a dict; values are read as TOML where they can be, else as text.

    Raises:
        UsageError: a pair without "=".
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"--data.arguments: expected KEY=VALUE, found {pair!r}")
        try:
            parsed[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed[key] = value
    return parsed


def varied(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """KEY=[VALUE, ...] as a dict; values are read as TOML.

    Raises:
        UsageError: no "=", or not a list.
    """
    found: dict[str, list[Any]] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        try:
            values = tomllib.loads(f"values = {text}")["values"]
        except tomllib.TOMLDecodeError:
            values = None
        if not isinstance(values, list) or not values:
            raise UsageError(f"--vary: expected KEY=[VALUE,...] such as objective.lin.weight=[0.2,0.6], found {pair!r}")
        found[key] = values
    return found


@dataclass(frozen=True)
class Judging:
    """How rankings are judged."""

    protocol: str | None = None
    """Protocol by name; default: the dataset's own."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance of two vectors."""
    ap: Literal["step", "trapezoid"] = "step"
    """Definition of average precision: step as in recent papers' code, trapezoid as in the official Market-1501 one."""
    rerank: Literal["none", "k_reciprocal"] = "none"
    """Re-rank with k-reciprocal neighbours (transductive: uses the other queries)."""

    def settings(self) -> dict[str, Any]:
        """Keyword arguments of the evaluation functions."""
        rerank = None if self.rerank == "none" else self.rerank
        return {"protocol": self.protocol, "metric": self.metric, "ap": self.ap, "rerank": rerank}


def held_out_of(run: Path, wanted: int | None, *, same_data: bool) -> int:
    """How many training identities to hold out for calibration: those the run itself held out, unless told.

    Args:
        run: the run's folder.
        wanted: the number asked for, if any.
        same_data: the data are those the run was trained on.

    Raises:
        DataError: nothing says how many; or more than the run held out, so that it was trained on some of them.
    """
    settings = run / "config.toml"
    held_out = tomllib.loads(settings.read_text("utf-8"))["data"]["held_out_identities"] if settings.exists() else 0
    if same_data and (wanted or 1) > held_out:
        raise DataError(
            f"{run}: the run held {held_out} training identities out, and calibration needs people it was not trained "
            "on. Train with --data.held-out-identities N, or name other data"
        )
    if wanted is None and not same_data:
        raise DataError(
            "other data than the run's: say how many of its training identities with --held-out-identities N"
        )
    return int(held_out if wanted is None else wanted)


def images_below(folder: Path) -> tuple[Sample, ...]:
    """Every image file below a folder, in order of its path, as samples of nobody in particular (pid 0).

    Other files are counted by extension in the log.

    Raises:
        DataError: no such folder, or no image in it.
    """
    from passerby.data.readers.tree import is_image_name, is_litter, not_read_by_extension
    from passerby.data.records import Sample

    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of images, found none")
    below = [p for p in folder.rglob("*") if not any(map(is_litter, p.relative_to(folder).parts)) and not p.is_dir()]
    found = sorted(p for p in below if is_image_name(p.name))
    others = [str(p.relative_to(folder)) for p in sorted(below) if not is_image_name(p.name)]
    left = not_read_by_extension(others) if others else ""
    if not found:
        raise DataError(f"{folder}: no image below it{'; ' if left else ''}{left}")
    if left and speaks():
        _log.warning("%s: %s", folder, left)
    return tuple(Sample(path, 0) for path in found)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file ({error})") from None
