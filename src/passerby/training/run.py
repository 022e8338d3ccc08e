"""A training run on disk."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from passerby.config import Config, load_recipe
from passerby.data.dataset_of_config import load_configured, split_held_out
from passerby.data.records import ReIDDataset
from passerby.errors import ConfigError
from passerby.models.encoder import Encoder, load_encoder

log = logging.getLogger("passerby")

CONFIG_FILE = "config.toml"
METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class Run:
    """A training run on disk; `Run.open` reads one.

    Attributes:
        path: the run's folder: config.toml, metrics.jsonl, checkpoint.pt and encoder/.
        config: its settings.
    """

    path: Path
    config: Config

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """A run that `passerby train` made, finished or not, from its folder alone.

        Raises:
            ConfigError: no run there, or settings that cannot be read.
        """
        folder = Path(path)
        settings = folder / CONFIG_FILE
        if not settings.exists():
            raise ConfigError(f"{folder}: holds no {CONFIG_FILE}; expected the folder of a run (`passerby train`)")
        return cls(folder, load_recipe(settings))

    @cached_property
    def encoder(self) -> Encoder:
        """The trained encoder: the best on the held-out identities, or the last where none are held out.

        Raises:
            WeightsError: the run has none yet, or a damaged one.
        """
        return load_encoder(self.path)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Rows of metrics.jsonl: one an epoch, one an evaluation."""
        lines = (self.path / METRICS_FILE).read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @cached_property
    def data(self) -> ReIDDataset:
        """The dataset that the settings name, whole; read on first use.

        Relative paths are looked for in the working folder, in the run's folder and in the folders above that.

        Raises:
            DataError: it is not there, or not what it should be.
        """
        data = load_configured(self.config.data, run=self.path)
        if (self.path / "encoder").is_dir():
            trained_on = self.encoder.provenance.get("data", {}).get("fingerprint")
            if trained_on not in (None, data.fingerprint()):
                log.warning(
                    "%s: was trained on other data than its settings name now (%s): images were added or removed, or "
                    "the training was given a dataset of its own",
                    self.path,
                    data.name,
                )
        return data

    @property
    def training(self) -> ReIDDataset:
        """`data` with only those identities in `train` that the run learnt from.

        Raises:
            DataError: as for `data`.
        """
        return self._split[0]

    @property
    def held_out(self) -> ReIDDataset:
        """Query and gallery of the training identities that the run held out, empty where it held none out.

        Raises:
            DataError: as for `data`.
        """
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[ReIDDataset, ReIDDataset]:
        return split_held_out(self.config.data, self.data)
