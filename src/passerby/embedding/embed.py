"""Images to vectors: with any encoder, one process or all processes of a training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from passerby import distributed
from passerby.data.records import Sample
from passerby.embedding.embeddings import Embeddings, embeddings_of
from passerby.embedding.precision_effect import precision_effect
from passerby.errors import EmbeddingError
from passerby.models.encoder import Encoder
from passerby.progress import progress_bar

log = logging.getLogger("passerby")


class Embedder(Protocol):
    """What `embed` needs of an encoder; `passerby.Encoder` is one."""

    @property
    def fingerprint(self) -> str:
        """Names what makes the vectors: those of another fingerprint cannot be compared with them."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, images: Any, *, batch_size: int = 128, flip: bool = True) -> npt.NDArray[np.float32]:
        """Images (paths, arrays or a uint8 tensor) -> float32 [n, dim], rows of unit length."""
        ...


def embed(
    encoder: Embedder,
    samples: Sequence[Sample],
    *,
    batch_size: int = 128,
    flip: bool = True,
    progress: bool = True,
    measure_precision: bool = True,
) -> Embeddings:
    """Encode the images of samples.

    Args:
        encoder: a `passerby.Encoder`, or anything with its `encode`, `dim` and `fingerprint`.
        samples: images with their labels.
        batch_size: images a forward pass.
        flip: average the vectors of an image and of its mirror image.
        progress: show a bar on stderr.
        measure_precision: an encoder in bfloat16 or int8: rank a part of the images by it and in float32, and put what
            differs into the log and the notes.

    Returns:
        Embeddings in the order of `samples`.

    Raises:
        EmbeddingError: no samples, or an encoder that returns something else than [n, dim] finite floats.
        ImageError: an image cannot be read.
    """
    if not samples:
        raise EmbeddingError("embed: expected at least one sample, found none")
    notes: tuple[str, ...] = ()
    if isinstance(encoder, Encoder) and encoder.exact is not None and measure_precision:
        notes = (str(precision_effect(encoder, samples, batch_size=batch_size, flip=flip)),)
        log.info("%s", notes[0])
    vectors = np.empty((len(samples), encoder.dim), dtype=np.float32)
    done = 0
    with progress_bar("embed", len(samples), quiet=not progress) as bar:
        for encoded in encode_in_order(encoder, samples, batch_size=batch_size, flip=flip):
            vectors[done : done + len(encoded)] = encoded
            done += len(encoded)
            bar.advance(len(encoded))
    return embeddings_of(vectors, samples, fingerprint=encoder.fingerprint, notes=notes)


def encode_in_order(
    encoder: Embedder, samples: Sequence[Sample], *, batch_size: int, flip: bool
) -> Iterator[npt.NDArray[np.float32]]:
    """Vectors of samples batch by batch, float32 [at most batch_size, dim]; later images are decoded meanwhile.

    Raises:
        EmbeddingError: the encoder returns something else.
        ImageError: an image cannot be read.
    """
    done = 0
    for encoded in _encoded(encoder, [s.path for s in samples], batch_size, flip):
        n = min(batch_size, len(samples) - done)
        if encoded.shape != (n, encoder.dim):
            raise EmbeddingError(
                f"embed: expected vectors of shape {[n, encoder.dim]} from the encoder, found {list(encoded.shape)}"
            )
        done += n
        yield encoded


def embed_together(
    encoder: Embedder, samples: Sequence[Sample], *, batch_size: int = 128, flip: bool = True, progress: bool = True
) -> Embeddings:
    """As `embed`, by all processes of a training together: each encodes every so many-th batch, all get all vectors.

    Batches are the same ones as in a single process, and so are the vectors. Every process must call this, with the
    same weights. What less than float32 does is left to the caller to measure.
    """
    if distributed.world_size() == 1:
        return embed(encoder, samples, batch_size=batch_size, flip=flip, progress=progress, measure_precision=False)
    starts = range(0, len(samples), batch_size)
    dealt = [
        [
            i
            for start in starts[number :: distributed.world_size()]
            for i in range(len(samples))[start : start + batch_size]
        ]
        for number in range(distributed.world_size())
    ]
    own = [samples[i] for i in dealt[distributed.rank()]]
    encoded = np.empty((0, encoder.dim), np.float32)
    if own:
        encoded = embed(
            encoder, own, batch_size=batch_size, flip=flip, progress=progress, measure_precision=False
        ).vectors
    vectors = np.empty((len(samples), encoder.dim), dtype=np.float32)
    for rows, part in zip(dealt, distributed.gather_rows(torch.from_numpy(encoded)), strict=True):
        vectors[rows] = part.numpy()
    return embeddings_of(vectors, samples, fingerprint=encoder.fingerprint)


def _encoded(
    encoder: Embedder, paths: Sequence[Path], batch_size: int, flip: bool
) -> Iterator[npt.NDArray[np.float32]]:
    """Vectors batch by batch; passerby's own encoder decodes the next images meanwhile."""
    if isinstance(encoder, Encoder):
        yield from encoder.encode_batches(paths, batch_size=batch_size, flip=flip)
        return
    for start in range(0, len(paths), batch_size):
        yield np.asarray(encoder.encode(paths[start : start + batch_size], batch_size=batch_size, flip=flip))
