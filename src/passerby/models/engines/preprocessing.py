"""From pixels to what a network reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from passerby.array_types import Float32, UInt8
from passerby.config.settings_group import GreyBits

if TYPE_CHECKING:
    from torch import Tensor


class Preprocessing(BaseModel):
    """From RGB uint8 pixels to what a network reads; it travels with the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(gt=0)
    """Pixels."""
    width: int = Field(gt=0)
    """Pixels."""
    mean: tuple[float, float, float]
    """Subtracted per channel, after scaling."""
    std: tuple[float, float, float]
    """Divided by per channel."""
    scale: float = Field(255.0, gt=0)
    """Pixels are divided by this first: 255 gives 0..1, 1 keeps 0..255."""
    colors: Literal["RGB", "BGR"] = "RGB"
    """Order of the network's input channels (and of `mean` and `std`)."""
    bits: GreyBits = 16
    """Bits of the values that files store in 16; it decides how files are decoded, before pixels are uint8."""

    @model_serializer(mode="wrap")
    def _without_the_usual_bits(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Encoders of before, and most of after, know no bits: their files and fingerprints stay what they are."""
        content: dict[str, Any] = serialize(self)
        return {name: value for name, value in content.items() if name != "bits" or value != 16}

    def __call__(self, images: Tensor) -> Tensor:
        """RGB [n, 3, height, width], uint8 or float in 0..255 -> float32, normalised, channels last."""
        import torch  # graphs run without it, and it takes seconds to import

        x = images.to(torch.float32, memory_format=torch.channels_last)
        if self.colors == "BGR":
            x = x.flip(1)
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (x / self.scale - mean) / std

    def normalize(self, images: UInt8) -> Float32:
        """The same numbers without torch: RGB uint8 [n, 3, height, width] -> float32 of this shape, normalised."""
        x = self.order(images).astype(np.float32)
        mean, std = (np.asarray(v, np.float32).reshape(1, 3, 1, 1) for v in (self.mean, self.std))
        x /= np.float32(self.scale)
        x -= mean
        x /= std
        return x

    def order(self, images: UInt8) -> UInt8:
        """Pixels [n, 3, height, width] with the channels in the network's order."""
        return images[:, ::-1] if self.colors == "BGR" else images
