"""What gallery tests share: the stores to run against, people drawn as vectors, and a small encoder."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from passerby.gallery.gallery import Gallery

DIM = 16
SERVER = os.environ.get("PASSERBY_MILVUS", "")
"""Address of a Milvus server to run the contract against, too (see benchmarks/milvus.py)."""
STORES = [
    pytest.param("people.gallery", id="sqlite"),
    pytest.param(
        "people.db",
        id="milvus",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(
                importlib.util.find_spec("milvus_lite") is None, reason="milvus-lite is not installed (extra `milvus`)"
            ),
        ],
    ),
    *([pytest.param("server", id="server", marks=pytest.mark.slow)] if SERVER else []),
]


def people(identities: int, images: int, *, seed: int = 0, spread: float = 0.05, dim: int = DIM) -> np.ndarray:
    """Unit vectors [identities, images, dim]: each identity a cluster."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((identities, 1, dim))
    vectors = centres / np.linalg.norm(centres, axis=2, keepdims=True)
    vectors = vectors + spread * draw.standard_normal((identities, images, dim))
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    return unit.astype(np.float32)


def picture(seed: int, height: int = 32, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


class TinyEncoder:
    """Colours of the image's stripes: deterministic, 16 numbers."""

    dim = DIM

    def __init__(self, fingerprint: str = "tiny-1", threshold: float | None = 0.3) -> None:
        self.fingerprint = fingerprint
        self.threshold = threshold

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        rows = [
            [stripe.mean() for stripe in np.array_split(np.asarray(image, np.float64).ravel(), DIM)] for image in images
        ]
        centred = np.asarray(rows) - 127.0
        unit: np.ndarray = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        return unit.astype(np.float32)


def threshold_of(
    gallery: Gallery, kind: Literal["identify", "observe"] = "identify", far: float | None = None
) -> float:
    """The threshold that there must be."""
    threshold = gallery.calibration(kind, far=far).threshold
    assert threshold is not None
    return threshold


def open_gallery(folder: Path, name: str, encoder: Any = None, **arguments: Any) -> Gallery:
    return Gallery.open(location(folder, name), encoder, **arguments)


def location(folder: Path, name: str) -> str:
    """A file in the folder, or a collection of the server that belongs to the folder."""
    if name != "server":
        return f"milvus:{folder / name}" if name.endswith(".db") else str(folder / name)
    return f"{SERVER}/t{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
