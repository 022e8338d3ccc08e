"""Where in an image an encoder's embedding comes from: the norm of the last feature map."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image

from passerby.array_types import Floating, UInt8
from passerby.images.decode import read_image, resize_image
from passerby.models.encoder import Encoder

ImageSource: TypeAlias = str | os.PathLike[str] | UInt8

_OPACITY = 0.6


@dataclass(frozen=True)
class ActivationMap:
    """One image and how much each place of it contributes.

    Attributes:
        image: RGB uint8 [H, W, 3], as the network sees it.
        heat: [H, W] in 0..1, the weakest and the strongest place of this image.
    """

    image: UInt8
    heat: Floating

    def overlay(self) -> UInt8:
        """The heat in colour over the image in grey: RGB uint8 [H, W, 3]."""
        grey = self.image.astype(np.float64).mean(axis=2, keepdims=True) / 255.0
        color = np.asarray(colormaps["inferno"](self.heat))[..., :3]
        mixed: UInt8 = np.rint(255.0 * ((1.0 - _OPACITY) * grey + _OPACITY * color)).astype(np.uint8)
        return mixed

    def side_by_side(self) -> UInt8:
        """The image and its overlay in one picture: RGB uint8 [H, 2 W, 3]."""
        both: UInt8 = np.concatenate([self.image, self.overlay()], axis=1)
        return both

    @property
    def height_of_mean(self) -> float:
        """How far down the heat lies on average: 0 at the top, 1 at the bottom."""
        weights = self.heat.sum(axis=1)
        places = (np.arange(len(weights)) + 0.5) / len(weights)
        return float((weights * places).sum() / weights.sum()) if weights.sum() > 0 else 0.5


def activation_maps(encoder: Encoder, images: Sequence[ImageSource]) -> list[ActivationMap]:
    """Map each image by h(y, x) = |F[:, y, x]|, the norm over the channels of the backbone's feature map F.

    No gradient and no class is needed, so the map tells where the network responds, not why two images match. Scaled
    to 0..1 image by image and enlarged bilinearly to the input size.

    Args:
        encoder: on the torch engine.
        images: image files or RGB uint8 [H, W, 3].

    Raises:
        ImageError: an image cannot be read.
        WeightsError: another engine than torch runs the encoder.

    Source: the attention maps of Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017,
    arXiv:1612.03928 (p = 2), which Zhou et al. 2019, arXiv:1905.00953 use to look at OSNet.
    """
    if not images:
        return []
    height, width = encoder.preprocessing.height, encoder.preprocessing.width
    bits = encoder.preprocessing.bits
    pixels = [
        resize_image(image if isinstance(image, np.ndarray) else read_image(image, bits=bits), height, width)
        for image in images
    ]
    features = _feature_maps(encoder, torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2))
    norms = torch.linalg.vector_norm(features.float(), dim=1).cpu().numpy()
    return [ActivationMap(image, _enlarge(norm, height, width)) for image, norm in zip(pixels, norms, strict=True)]


@torch.no_grad()
def _feature_maps(encoder: Encoder, images: torch.Tensor) -> torch.Tensor:
    """What the backbone gives for uint8 images, [n, channels, h, w]; the engine may run a fused copy, this does not."""
    model = encoder.model
    was_training = model.training
    model.eval()
    try:
        features: torch.Tensor = model.backbone(encoder.preprocessing(images.to(next(model.parameters()).device)))
    finally:
        model.train(was_training)
    return features


def _enlarge(norm: Floating, height: int, width: int) -> Floating:
    spread = float(norm.max() - norm.min())
    scaled = (norm - norm.min()) / spread if spread > 0 else np.zeros_like(norm)
    enlarged = Image.fromarray(scaled.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(enlarged, dtype=np.float32), 0.0, 1.0)
