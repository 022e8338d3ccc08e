"""An encoder that runs a graph and needs no torch, so that a command that looks at one picture starts at once.

It gives the vectors of `Encoder` on the same engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from passerby.array_types import Float32, UInt8
from passerby.images.decode import read_image, resize_image
from passerby.models.described_encoder import DescribedEncoder
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.graph_output import unit_rows
from passerby.models.graph_loading import LoadedModel


class GraphEncoder:
    """What a gallery needs of an encoder: `encode`, `dim`, `fingerprint`, `threshold`.

    Args:
        engine: its graph, opened.
        described: what is known of it: an encoder's folder, or what `find_graph` read.
    """

    def __init__(self, engine: GraphEngine, described: DescribedEncoder | LoadedModel) -> None:
        self.engine = engine
        self.preprocessing = described.preprocessing
        self.fingerprint = described.fingerprint
        self.model_config: Mapping[str, Any] = described.model_config
        self.provenance: Mapping[str, Any] = described.provenance
        self.calibration: Mapping[str, Any] = described.calibration

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.engine.dim

    @property
    def threshold(self) -> float | None:
        """Distance above which two vectors count as different people; None before calibration."""
        value = self.calibration.get("value")
        return None if value is None else float(value)

    def encode(self, images: Sequence[Any], *, batch_size: int = 128, flip: bool = True) -> Float32:
        """Vectors of images, in their order.

        Args:
            images: paths, or RGB uint8 arrays [H, W, 3] of any size.
            batch_size: images per pass.
            flip: average the vectors of each image and of its mirror image.

        Returns:
            float32 [n, dim], rows of unit length.
        """
        rows = [self._batch(images[i : i + batch_size], flip) for i in range(0, len(images), batch_size)]
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32)

    def _batch(self, images: Sequence[Any], flip: bool) -> Float32:
        size = (self.preprocessing.height, self.preprocessing.width)
        ready = np.stack([resize_image(self._pixels(image), *size) for image in images]).transpose(0, 3, 1, 2)
        vectors = self.engine.vectors(ready)
        if not flip:
            return vectors
        # each view is a unit vector first, as in `Encoder.encode_batch`
        return unit_rows(vectors + self.engine.vectors(ready[..., ::-1]), self.engine.path)

    def _pixels(self, image: Any) -> UInt8:
        return image if isinstance(image, np.ndarray) else read_image(image, bits=self.preprocessing.bits)
