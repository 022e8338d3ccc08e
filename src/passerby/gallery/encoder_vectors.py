"""Vectors of a gallery's encoder: made from pictures by it, or given and checked to be of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from passerby.array_types import Float32, UInt8
from passerby.errors import GalleryError, GalleryRequestError
from passerby.gallery.images_or_vectors import (
    VectorEncoder,
    encode_pictures,
    grey_bits,
    looks_like_vectors,
    mean_vector,
    read_pictures,
    thumbnail,
    unit_vectors,
)
from passerby.gallery.stores.protocol import Settings, Store
from passerby.models.encoder_names import known_name, name_of, with_fingerprint


@dataclass(frozen=True)
class EncodedInput:
    """Unit vectors [n, D], and the picture of each; None where it was given as a vector."""

    vectors: Float32
    pictures: Sequence[UInt8 | None]

    def pooled(self) -> EncodedInput:
        """One observation of a tracklet: the mean of its vectors, with the middle frame's picture."""
        return EncodedInput(mean_vector(self.vectors), [self.pictures[len(self.pictures) // 2]])

    def thumbnails(self) -> list[bytes | None]:
        """A small JPEG for each vector; None where there is no picture."""
        return [None if picture is None else thumbnail(picture) for picture in self.pictures]


def encoder_of(encoder: object) -> VectorEncoder | None:
    """An encoder as it is, or the one at a path (or of the hub); None stays None.

    Raises:
        GalleryRequestError: anything else.
        WeightsError: there is no encoder at the path.
    """
    if encoder is None:
        return None
    if isinstance(encoder, (str, os.PathLike)):
        from passerby.models.encoder import load_encoder  # brings torch, which an encoder of one's own may not need

        return load_encoder(encoder)
    if not all(hasattr(type(encoder), name) or hasattr(encoder, name) for name in ("encode", "dim", "fingerprint")):
        raise GalleryRequestError(
            f"encoder: expected an encoder (`passerby.load_encoder`) or the path of one, found {type(encoder).__name__}"
        )
    return cast(VectorEncoder, encoder)


class EncoderVectors:
    """What a store and an encoder agree upon, and the only way from pictures and bare vectors to the store's vectors.

    Args:
        store: of the gallery.
        encoder: turns pictures into vectors; None where only bare vectors are given.
        fingerprint: without an encoder: that of the encoder that made the bare vectors, "" where it is not known.

    Raises:
        GalleryError: the store holds vectors of another encoder.
    """

    def __init__(self, store: Store, encoder: VectorEncoder | None, fingerprint: str) -> None:
        self._store = store
        self._encoder = encoder
        self._fingerprint = encoder.fingerprint if encoder is not None else fingerprint
        self._agreed: Settings | None = None
        if encoder is not None or fingerprint:
            self._check_encoder(store.settings())

    @property
    def encoder(self) -> VectorEncoder | None:
        """What turns pictures into vectors, if anything does."""
        return self._encoder

    @property
    def threshold(self) -> float | None:
        """The encoder's calibrated threshold, if there is one."""
        return None if self._encoder is None else self._encoder.threshold

    @property
    def has_laws(self) -> bool:
        """Whether the encoder's calibration holds impostor laws; those of version 0.1 have a threshold alone."""
        return "impostor_laws" in self.calibration

    @property
    def calibration(self) -> Mapping[str, Any]:
        """What `passerby calibrate` found for the encoder; {} before."""
        found = getattr(self._encoder, "calibration", None)  # a caller's own encoder may have a threshold alone
        return found if isinstance(found, Mapping) else {}

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the encoder whose vectors are expected; "" where it is not known."""
        return self._fingerprint or self._of_stored_vectors().fingerprint

    def read(self, images_or_vectors: Any) -> EncodedInput:
        """Pictures through the encoder; floating-point numbers as vectors.

        Raises:
            GalleryError: neither, or not of this gallery's encoder.
            ImageError: a picture cannot be read.
        """
        if looks_like_vectors(images_or_vectors):
            return self.read_vectors(images_or_vectors)
        if self._encoder is None:
            raise GalleryRequestError(
                f"{self._store.location}: opened without an encoder; images need one, vectors do not"
            )
        pictures = read_pictures(images_or_vectors, bits=grey_bits(self._encoder))
        return EncodedInput(encode_pictures(self._encoder, pictures), pictures)

    def read_one_of(self, images: Any, vectors: Any, expected: str) -> EncodedInput:
        """`read` of images, or `read_vectors` of vectors.

        Raises:
            GalleryError: both are given or none (`expected` says what was); see `read` and `read_vectors`.
        """
        if (images is None) == (vectors is None):
            raise GalleryRequestError(expected)
        return self.read(images) if vectors is None else self.read_vectors(vectors)

    def read_vectors(self, vectors: Any) -> EncodedInput:
        """One vector [D] or several [n, D], brought to unit length.

        Raises:
            GalleryError: not numbers, of another dimension, or of unknown origin where the store's is known.
        """
        settings = self._of_stored_vectors()
        if settings.fingerprint and not self._fingerprint:
            raise GalleryRequestError(
                f"{self._store.location}: holds vectors of the encoder {settings.fingerprint!r}; say where yours come "
                "from: open the gallery with the encoder, or with fingerprint="
            )
        dim = self._encoder.dim if self._encoder is not None else settings.dim
        rows = unit_vectors(vectors, dim or None)
        return EncodedInput(rows, [None] * len(rows))

    def adopt(self, dim: int) -> Settings:
        """Called in the transaction that stores vectors [n, dim]: a store belongs to the encoder of its first ones.

        Returns:
            The store's settings, as this transaction found or made them.

        Raises:
            GalleryRequestError: vectors of another length.
        """
        settings = self._store.settings()
        self._check_encoder(settings)
        if not settings.dim:
            settings = replace(settings, dim=dim, fingerprint=self._fingerprint)
            self._store.change_settings(settings)
        elif settings.dim != dim:
            raise GalleryRequestError(f"{self._store.location}: holds vectors of {settings.dim} numbers, found {dim}")
        return settings

    def _of_stored_vectors(self) -> Settings:
        """Settings whose length and fingerprint hold: the first vectors fix both."""
        if self._agreed is not None:
            return self._agreed
        settings = self._store.settings()
        if settings.dim:
            self._agreed = settings
        return settings

    def _check_encoder(self, settings: Settings) -> None:
        location = self._store.location
        if self._fingerprint and settings.fingerprint and self._fingerprint != settings.fingerprint:
            made_by = known_name(settings.fingerprint)
            given = name_of(getattr(self._encoder, "provenance", {}), self._fingerprint)
            own = made_by or "the run or model file that made it (a run's encoder.json has its fingerprint)"
            raise GalleryError(
                f"{location}: made with {with_fingerprint(made_by, settings.fingerprint)}, opened with "
                f"{with_fingerprint(given, self._fingerprint)}: their vectors cannot be compared. Open it with "
                f"{own}, or enrol the images anew in a new gallery"
            )
        if self._encoder is not None and settings.dim not in (0, self._encoder.dim):
            raise GalleryError(
                f"{location}: holds vectors of {settings.dim} numbers; the encoder gives {self._encoder.dim}. Open it "
                "with the encoder that made them, or enrol the images anew in a new gallery"
            )
