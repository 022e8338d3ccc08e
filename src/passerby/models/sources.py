"""Where an encoder comes from, and what its file does not say about itself."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passerby.config.encoder import EncoderSettings
from passerby.config.group_validation import parse_settings
from passerby.errors import WeightsError

GRAPHS = (".onnx", ".xml")
DESCRIPTIONS = (".toml", ".json")
CHECKPOINTS = (".pth", ".pt", ".ckpt", ".tar", ".safetensors")
OF_GRAPHS = frozenset({"height", "width", "colors", "scale", "mean", "std", "bits", "output"})
OF_CHECKPOINTS = frozenset(EncoderSettings.model_fields) - {"output"}


@dataclass(frozen=True)
class EncoderSource:
    """A file or folder of an encoder, with settings that it does not hold itself.

    It is a path wherever one is expected, so that every function that takes an encoder's folder takes it.

    Attributes:
        place: a folder, a file, or a hub's name ("hub:NAME", "hf:USER/MODEL").
        settings: how to read it.
    """

    place: str
    settings: EncoderSettings = field(default_factory=EncoderSettings)

    def __fspath__(self) -> str:
        """The place."""
        return self.place

    def __str__(self) -> str:
        return self.place

    def allow(self, names: Collection[str], what: str) -> None:
        """Refuse settings that would do nothing.

        Args:
            names: settings that this kind of encoder reads.
            what: the kind, for the message.

        Raises:
            WeightsError: another setting is there.
        """
        idle = [name for name in self.settings.given() if name not in names]
        if idle:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
            raise WeightsError(
                f"{self.place}: {', '.join(idle)} ({flags}) would do nothing: {what}"
                + (f"; what can be said is {', '.join(sorted(names))}" if names else "")
            )


def encoder_source(place: str | os.PathLike[str], given: Mapping[str, Any] | None = None) -> EncoderSource:
    """The place of an encoder together with settings.

    Args:
        place: a path, a hub's name, or a source already.
        given: settings by name (see `EncoderSettings`), which are added to those of the source.

    Raises:
        ConfigError: an unknown setting, or a value that does not fit.
    """
    base = place if isinstance(place, EncoderSource) else EncoderSource(os.fspath(place))
    if not given:
        return base
    settings = parse_settings(EncoderSettings, {**base.settings.given(), **given}, where="encoder")
    return EncoderSource(base.place, settings)


def is_hub_name(place: str | os.PathLike[str]) -> bool:
    """Whether it names an encoder of a hub: "hub:NAME" or "hf:USER/MODEL"."""
    return os.fspath(place).startswith(("hub:", "hf:"))


def kind_of(place: str | os.PathLike[str]) -> str:
    """What lies there: "hub", "graph", "checkpoint", or "described" (a folder or a description file).

    Raises:
        WeightsError: a model file that is not there.
    """
    if is_hub_name(place):
        return "hub"
    path = Path(place)
    graph, checkpoint = path.suffix in GRAPHS, path.suffix.startswith(CHECKPOINTS)
    if (graph or checkpoint) and not path.exists():
        raise WeightsError(f"{path}: no such model file")
    if path.is_dir() or path.suffix in DESCRIPTIONS or not path.exists():
        return "described"
    return "graph" if graph else "checkpoint"
