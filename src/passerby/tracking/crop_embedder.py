"""An encoder in the form in which other people's trackers ask for vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from passerby.array_types import Float32, UInt8
from passerby.errors import ConfigError
from passerby.models.encoder import Encoder


class CropEmbedder:
    """Vectors of crops, for trackers that use appearance.

    deep-sort-realtime (1.3) calls `predict`: `tracker = DeepSort(embedder=None); tracker.embedder =
    CropEmbedder(encoder)`. Trackers that hand over a frame and boxes call `get_features`. Both work in the colours that
    OpenCV reads.

    Args:
        encoder: a `passerby.Encoder`.
        colors: order of the channels of the crops and frames that come.
        flip: average with the mirror image, at twice the cost.

    Raises:
        ConfigError: another order of colours.
    """

    def __init__(self, encoder: Encoder, *, colors: Literal["BGR", "RGB"] = "BGR", flip: bool = False) -> None:
        if colors not in ("BGR", "RGB"):
            raise ConfigError(f"colors: expected BGR or RGB, found {colors!r}")
        self._encoder, self._reversed, self._flip = encoder, colors == "BGR", flip

    def predict(self, crops: Sequence[UInt8]) -> list[Float32]:
        """Crops uint8 [h, w, 3] -> unit vectors [dim], one each; a crop without a pixel counts as a black one."""
        pictures = [self._rgb(crop) if crop.size else np.zeros((1, 1, 3), np.uint8) for crop in crops]
        return list(self._encoder.encode(pictures, flip=self._flip)) if pictures else []

    def get_features(self, xyxy: Any, frame: UInt8) -> Float32:
        """Boxes [n, 4] (left, top, right, bottom) in a frame uint8 [H, W, 3] -> unit vectors [n, dim].

        Raises:
            ImageError: a box without a pixel in the frame.
        """
        return self._encoder.encode_boxes(self._rgb(frame), xyxy, flip=self._flip)

    def _rgb(self, picture: UInt8) -> UInt8:
        return np.ascontiguousarray(picture[:, :, ::-1]) if self._reversed else picture
