"""What a model file does not say about itself: how to load anybody's encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from passerby.config.settings_group import GreyBits, Positive, Settings


class EncoderSettings(Settings):
    """How to read a model file that carries no description (a bare graph, a public checkpoint)."""

    backbone: str | None = None
    """Checkpoint: the network that it holds, a name of the BACKBONES table or "timm:NAME"."""
    last_stride: Literal[1, 2] | None = None
    """Checkpoint: stride of a ResNet's last stage, which no file says; default: 1."""
    map_pooling: Literal["average", "max", "gem"] | None = None
    """Checkpoint: how its map becomes a vector; default: gem where the file has its exponent, else average."""
    height: Positive | None = None
    """Pixels of the input; default: what the graph says; of a checkpoint 256."""
    width: Positive | None = None
    """Pixels of the input; default: what the graph says; of a checkpoint 128."""
    colors: Literal["RGB", "BGR"] | None = None
    """Order of the input channels (and of mean and std); a graph needs it, a checkpoint is RGB by default."""
    scale: float | None = Field(None, gt=0)
    """Pixels are divided by this first, 1 keeps 0..255; a graph needs it, of a checkpoint the default is 255."""
    mean: tuple[float, float, float] | None = None
    """Subtracted after scaling; default: zeros; of a checkpoint ImageNet's."""
    std: tuple[float, float, float] | None = None
    """Divided by after that; default: ones; of a checkpoint ImageNet's."""
    bits: GreyBits | None = None
    """Bits of the values that files store in 16: 10, 12 or 14 for such a thermal camera; default: 16."""
    output: str | None = None
    """Graph: name of the output to read, where there are several."""

    def given(self) -> dict[str, object]:
        """The settings that are not absent, by name."""
        return self.model_dump(exclude_none=True)
