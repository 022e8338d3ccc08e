"""`--data.name`, `--data.root`, `--data.split`, `--data.arguments`: which dataset a command reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from passerby.cli.input_files import check_there
from passerby.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from passerby.config.data import DataConfig
    from passerby.data.records import ReIDDataset

ReaderArguments: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(
        metavar="KEY=VALUE", help='Further arguments of the dataset\'s reader, such as mode="labeled" for cuhk03.'
    ),
]


@Parameter(name="data")
@dataclass(frozen=True)
class DatasetFlags:
    """Which dataset; without a name, the one that the run was trained on."""

    name: Annotated[str | None, Parameter(metavar="NAME")] = None
    """A name of `passerby data list`, or one's own: a .csv or .parquet manifest, or a folder of folders."""
    root: Annotated[Path | None, Parameter(metavar="FOLDER")] = None
    """Folder that holds the dataset (or the images a manifest names)."""
    split: Annotated[int | None, Parameter(metavar="N")] = None
    """Which split, for datasets with several (default: 0, or the run's own)."""
    arguments: ReaderArguments = ()

    @property
    def given(self) -> bool:
        """Whether any of these flags is there."""
        return self != DatasetFlags()

    def load_splits(self) -> list[ReIDDataset]:
        """Read every split of the dataset.

        Raises:
            UsageError: no name or root, or one split is asked for.
            DataError: the dataset is not what it should be.
        """
        from passerby.data.datasets import load_splits

        if self.name is None or self.root is None:
            raise UsageError("--all-splits: name the dataset with --data.name NAME and --data.root FOLDER")
        if self.split is not None:
            raise UsageError("--all-splits takes every split: leave --data.split out")
        return load_splits(self.name, self.root, **reader_arguments(self.arguments))

    def load(self, run: Path | None = None) -> ReIDDataset:
        """Read the dataset.

        Args:
            run: folder of the run whose dataset is read where no other is named.

        Raises:
            UsageError: neither a name nor a run that knows one.
            DataError: the dataset is not what it should be.
        """
        from passerby.data.datasets import load_dataset

        if self.name is not None:
            return load_dataset(self.name, self.root, split=self.split or 0, **reader_arguments(self.arguments))
        trained_on = data_of(run)
        if trained_on is None:
            raise UsageError("which data? name it with --data.name NAME and --data.root FOLDER")
        if self.arguments:
            raise UsageError("--data.arguments goes with --data.name; without it, the run's own arguments are used")
        from passerby.data.dataset_of_config import load_configured

        changes = {name: value for name in ("root", "split") if (value := getattr(self, name)) is not None}
        return load_configured(trained_on.model_copy(update=changes), run=run)

    def settings(self) -> dict[str, Any]:
        """The same as the table `data` of a recipe, {} where no flag is there.

        Raises:
            UsageError: flags without a name.
        """
        if not self.given:
            return {}
        if self.name is None:
            raise UsageError("--data.root, --data.split and --data.arguments go with --data.name")
        found: dict[str, Any] = {"name": self.name, "split": self.split or 0}
        found |= {} if self.root is None else {"root": str(self.root)}
        return found | {"arguments": reader_arguments(self.arguments)}


def data_of(run: Path | None) -> DataConfig | None:
    """Settings of a run's data; None for an encoder without a run.

    Raises:
        UsageError: no such folder, or one that holds neither a run nor an encoder.
    """
    from passerby.config.recipe_files import load_recipe
    from passerby.models.sources import is_hub_name

    if run is None or is_hub_name(run):
        return None
    check_there("a run, an encoder or a model file", run)
    settings = run / "config.toml"
    if settings.exists():
        return load_recipe(settings).data
    _check_encoder(run)
    return None


def _check_encoder(folder: Path) -> None:
    """Refuse a folder, of pictures for one, in which there is nothing to encode with."""
    from passerby.models.description import description_path

    try:
        description_path(folder)
    except WeightsError:
        if not folder.is_dir():
            raise
        raise UsageError(
            f"{folder}: holds no run (config.toml) and no encoder (encoder.json or encoder.toml, here or in encoder/); "
            "expected the folder of a run (`passerby train`) or of an encoder"
        ) from None


_FLAGS_OF_ALL = {"name": "--data.name", "root": "--data.root", "split": "--data.split"}


def reader_arguments(
    pairs: Sequence[str], *, flag: str = "--data.arguments", elsewhere: Mapping[str, str] = _FLAGS_OF_ALL
) -> dict[str, Any]:
    """KEY=VALUE pairs as a dict; values are read as TOML where they can be, else as text.

    Args:
        pairs: what stands behind the flag.
        flag: its name, for error messages.
        elsewhere: keys that the command takes in another way, and in which.

    Raises:
        UsageError: a pair without "=", or a key that is given elsewhere.
    """
    from passerby.config.toml import read_value

    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"{flag}: expected KEY=VALUE, found {pair!r}")
        if key in elsewhere:
            raise UsageError(f"{flag}: {key} is no argument of a dataset's reader; give {elsewhere[key]}")
        parsed[key] = read_value(value)
    return parsed
