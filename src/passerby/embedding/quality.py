"""How good a frame is: the weight it gets where the frames of a tracklet are pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from passerby.array_types import Float64
from passerby.data.records import Sample
from passerby.data.tracklets import sharpness
from passerby.embedding.embed import Embedder
from passerby.embedding.pooling import QUALITIES
from passerby.errors import ConfigError, unknown_name
from passerby.models.encoder import Encoder
from passerby.models.image_batches import prepared_batches
from passerby.progress import progress_bar


def frame_quality(
    encoder: Embedder, samples: Sequence[Sample], quality: str, *, batch_size: int = 128, progress: bool = True
) -> Float64:
    """A weight for each image, [n].

    - "sharpness": the variance of the Laplacian at the encoder's input size (see `passerby.data.tracklets.sharpness`),
      so that a blurred frame counts for less. Of the picture alone.
    - "norm": the length of the embedding before it is brought to unit length, which grows with how much of a person a
      network recognises (Ranjan et al. 2017, arXiv:1703.09507, of faces). Costs a second forward pass.

    Args:
        encoder: a `passerby.Encoder`; for "norm" on the torch engine.
        samples: images.
        quality: a name of `QUALITIES`.
        batch_size: images a forward pass.
        progress: show a bar on stderr.

    Raises:
        ConfigError: an unknown quality, or an encoder that is not passerby's own.
        WeightsError: "norm" on another engine than torch.
        ImageError: an image cannot be read.
    """
    if quality not in QUALITIES:
        raise ConfigError(unknown_name("quality", quality, QUALITIES))
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"pooling {quality!r}: expected a passerby.Encoder, found {type(encoder).__name__}")
    size = encoder.preprocessing
    found: list[Float64] = []
    with progress_bar(f"weigh frames ({quality})", len(samples), quiet=not progress) as bar:
        for images in prepared_batches([s.path for s in samples], size.height, size.width, batch_size, bits=size.bits):
            found.append(_sharpness(images) if quality == "sharpness" else _norm(encoder, images))
            bar.advance(len(images))
    return np.concatenate(found)


def _sharpness(images: torch.Tensor) -> Float64:
    return np.array([sharpness(image) for image in images.permute(0, 2, 3, 1).numpy()])


@torch.no_grad()
def _norm(encoder: Encoder, images: torch.Tensor) -> Float64:
    model = encoder.model
    was_training = model.training
    model.eval()
    try:
        pixels = encoder.preprocessing(images.to(next(model.parameters()).device))
        return cast(Float64, model(pixels).embedding.double().norm(dim=1).cpu().numpy())
    finally:
        model.train(was_training)
