"""The mean vector of each camera, which takes a camera's light and angle out of vectors.

Of n_c people (or tracklets) seen by camera c, each the mean x_p of its unit vectors:

    m_c = mean of x_p                        v_c = Σ |x_p - m_c|² / (n_c - 1)
    g   = mean of m_c over C cameras         t   = max(0, Σ_c |m_c - g|² / (C - 1) - mean of v_c / n_c)
    o_c = g + w_c (m_c - g)                  w_c = t / (t + v_c / n_c)
    x  -> (x - o_c) / |x - o_c|

t is how far cameras lie apart beyond what so few people differ by chance, and w_c the empirical-Bayes shrinkage of a
mean (Efron, Morris 1973, JASA 68): few people move vectors little, and where t is 0 nothing is subtracted. A camera
with fewer people than `minimum`, or an unknown one, takes no part and has o_c = g. From few people means do harm:
of two people the mean is half of each, and it is the person that is subtracted.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.pooling import group_rows, pool
from passerby.errors import EmbeddingError
from passerby.files import replace_file
from passerby.plain_names import plain_key
from passerby.search.arrays import as_labels, as_vectors
from passerby.search.camera_offsets import CameraOffsets

FORMAT = 1
FILE_NAME = "camera_statistics.parquet"
"""How the file beside an encoder is called."""
MINIMUM = 50
COUNTED = ("people", "tracklets")
_NO_CAMERA = "\0"  # a name that no camera has


@dataclass(frozen=True, eq=False)
class CameraStatistics:
    """Mean vectors of a place's cameras; frozen: other crops make another version (`measure_camera_statistics`).

    They belong to the place and to one encoder. Vectors mapped by two versions are never comparable: store them raw,
    map them when they are compared, and calibrate thresholds anew with each version.

    Attributes:
        cameras: names, each once; a camera number as its digits.
        counts: int64 [c], people (or tracklets) that each camera saw.
        means: float32 [c, dim], m_c.
        variances: float64 [c], v_c; 0 for a camera with one person.
        counted: "people" or "tracklets".
        minimum: people that a camera needs to take part.
        fingerprint: of the encoder, "" unknown.
        version: counts from 1.
        left_out: images that were not counted when it was measured: without a camera, or of nobody in particular.

    Raises:
        EmbeddingError: parts that do not fit each other.
    """

    cameras: tuple[str, ...]
    counts: Int64
    means: Float32
    variances: Float64
    counted: str = "people"
    minimum: int = MINIMUM
    fingerprint: str = ""
    version: int = 1
    left_out: int = 0

    def __post_init__(self) -> None:
        n = len(self.cameras)
        object.__setattr__(self, "means", as_vectors(self.means, "camera means"))
        object.__setattr__(self, "counts", as_labels(self.counts, len(self.means), "counts", "camera means"))
        object.__setattr__(self, "variances", np.asarray(self.variances, np.float64))
        if n != len(self.means) or len(set(self.cameras)) != n or self.variances.shape != (n,):
            raise EmbeddingError(
                f"camera statistics: expected one name, mean and variance a camera, found {len(set(self.cameras))} "
                f"names, {len(self.means)} means and {self.variances.size} variances"
            )
        if self.counted not in COUNTED or self.minimum < 2 or self.version < 1:
            raise EmbeddingError(
                f"camera statistics: expected people or tracklets counted, a minimum of 2 or more and a version of 1 "
                f"or more, found {self.counted!r}, {self.minimum} and {self.version}"
            )

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.means.shape[1])

    @cached_property
    def takes_part(self) -> Bool:
        """[c], cameras that saw enough people; none of them where only one did: it has none to differ from."""
        enough = self.counts >= self.minimum
        return enough if enough.sum() > 1 else np.zeros_like(enough)

    @cached_property
    def weights(self) -> Float64:
        """w_c, [c]: 0 where nothing of a camera's own is subtracted, near 1 where many people were seen."""
        weights = np.zeros(len(self))
        part = self.takes_part
        if part.any():
            means, chance = self.means[part].astype(np.float64), self.variances[part] / self.counts[part]
            apart = ((means - means.mean(axis=0)) ** 2).sum() / (part.sum() - 1) - chance.mean()
            if apart > 0:
                weights[part] = apart / (apart + chance)
        return weights

    @property
    def active(self) -> bool:
        """Whether anything is subtracted at all."""
        return bool((self.weights > 0).any())

    @cached_property
    def digest(self) -> str:
        """Hash of all that decides what is subtracted."""
        content = hashlib.sha256(f"{self.minimum} {self.fingerprint} {self.version}\n".encode())
        for name, count, variance, mean in zip(self.cameras, self.counts, self.variances, self.means, strict=True):
            content.update(f"{name}\0{count}\0{variance!r}\n".encode() + mean.tobytes())
        return content.hexdigest()[:16]

    def offsets(self, cameras: Sequence[str]) -> Float32:
        """o_c of cameras by name, in any writing, [len(cameras), dim]; 0 where nothing is active."""
        if not self.active:
            return np.zeros((len(cameras), self.dim), np.float32)
        middle = self.means[self.takes_part].astype(np.float64).mean(axis=0)
        own = middle + self.weights[:, None] * (self.means - middle)
        rows = [self._row_of.get(plain_key(name)) for name in cameras]
        return np.stack([middle if row is None else own[row] for row in rows]).astype(np.float32)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        """The row of each camera by the key of its name; of the first, where older files have it in two writings."""
        return {plain_key(self.cameras[row]): row for row in reversed(range(len(self)))}

    def taking_part(self) -> CameraStatistics:
        """Without the cameras that take no part: the mean of few people shows who they are. It subtracts the same."""
        part = self.takes_part
        names = tuple(name for name, takes in zip(self.cameras, part, strict=True) if takes)
        return replace(
            self, cameras=names, counts=self.counts[part], means=self.means[part], variances=self.variances[part]
        )

    def offsets_by_number(self, names: Mapping[int, str]) -> CameraOffsets:
        """What `apply` subtracts, for cameras by their numbers, whose names these are."""
        numbers = sorted(number for number, name in names.items() if plain_key(name) in self._row_of)
        return CameraOffsets(np.array(numbers, np.int64), self.offsets([*(names[n] for n in numbers), _NO_CAMERA]))

    def unknown(self, cameras: Sequence[str] | Sequence[int] | Int64) -> int:
        """How many of these cameras, names or numbers, are not among its own."""
        names, counts = np.unique(np.asarray(cameras).astype(str), return_counts=True)
        return sum(
            int(n) for name, n in zip(names.tolist(), counts, strict=True) if plain_key(name) not in self._row_of
        )

    def apply(self, vectors: Float32, cameras: Sequence[str] | Sequence[int] | Int64) -> Float32:
        """Vectors without what their cameras add.

        Args:
            vectors: float [n, dim], raw.
            cameras: [n], the camera of each, as names or numbers; unknown ones have the mean of all subtracted.

        Returns:
            float32 [n, dim], rows of unit length (a vector that equals its camera's mean stays 0); where nothing is
            active the vectors' own directions.

        Raises:
            EmbeddingError: vectors of another length, or not one camera a vector.
        """
        checked = as_vectors(vectors, "vectors")
        names, which = np.unique(np.asarray(cameras).astype(str), return_inverse=True)
        if checked.shape[1] != self.dim or len(which) != len(checked):
            raise EmbeddingError(
                f"camera statistics: expected vectors of {self.dim} dimensions with one camera each, found "
                f"{checked.shape[1]} dimensions, {len(checked):,} vectors and {len(which):,} cameras"
            )
        return _unit(_unit(checked) - self.offsets(names.tolist())[which.reshape(-1)])

    def map(self, embeddings: Embeddings) -> Embeddings:
        """Embeddings without what their cameras add; their fingerprint names these statistics too.

        Raises:
            EmbeddingError: embeddings of another encoder, or already mapped.
        """
        self.check_encoder(embeddings.fingerprint)
        mapped = replace(
            embeddings,
            vectors=self.apply(embeddings.vectors, embeddings.camids),
            fingerprint=f"{embeddings.fingerprint or self.fingerprint}+cameras-{self.digest}",
            notes=(*embeddings.notes, str(self)),
        )
        return mapped if self.active else replace(embeddings, notes=mapped.notes)

    def check_encoder(self, fingerprint: str) -> None:
        """Refuse vectors of another encoder.

        Raises:
            EmbeddingError: `fingerprint` is known and not that of these statistics' encoder.
        """
        if fingerprint and self.fingerprint and fingerprint != self.fingerprint:
            raise EmbeddingError(
                f"camera statistics of encoder {self.fingerprint[:12]} do not fit vectors of {fingerprint[:40]}; "
                "measure them on raw vectors of that encoder"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the means."""
        cameras = [
            {"camera": name, self.counted: int(count), "weight": float(weight)}
            for name, count, weight in zip(self.cameras, self.counts, self.weights, strict=True)
        ]
        about = {name: getattr(self, name) for name in ("version", "digest", "fingerprint", "counted", "minimum")}
        return {**about, "active": self.active, "left_out": self.left_out, "cameras": cameras}

    def __str__(self) -> str:
        left = (
            f"; {self.left_out:,} images without a camera or of nobody in particular left out" if self.left_out else ""
        )
        return f"camera statistics, version {self.version} ({self.digest}): {self._effect()}{left}"

    def _effect(self) -> str:
        if self.active:
            return f"{int((self.weights > 0).sum())} of {len(self)} cameras have their mean subtracted"
        if not self.takes_part.any():
            few = int((self.counts < self.minimum).sum())
            return f"off, {few} of {len(self)} cameras saw fewer than {self.minimum} {self.counted}"
        return f"off, cameras differ by no more than so few {self.counted} do by chance"

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write one row a camera; everything else goes into the file's metadata.

        Raises:
            StorageError: writing failed; what was there before is intact.
        """
        with replace_file(path) as temporary:
            pq.write_table(self._table(), temporary)

    def _table(self) -> pa.Table:
        means = pa.FixedSizeListArray.from_arrays(pa.array(self.means.reshape(-1)), self.dim)
        columns = {"camera": pa.array(self.cameras, pa.string()), "count": pa.array(self.counts), "mean": means}
        about = {name: getattr(self, name) for name in ("counted", "minimum", "fingerprint", "version")}
        metadata = {"passerby_camera_statistics": json.dumps({"format": FORMAT, **about})}
        return pa.table({**columns, "variance": pa.array(self.variances)}).replace_schema_metadata(metadata)

    def to_bytes(self) -> bytes:
        """What `to_parquet` writes."""
        out = io.BytesIO()
        pq.write_table(self._table(), out)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> CameraStatistics:
        """What `to_bytes` gave.

        Raises:
            EmbeddingError: it is not that.
        """
        return cls._of_parquet(io.BytesIO(data), "camera statistics")

    @classmethod
    def from_parquet(cls, path: str | os.PathLike[str]) -> CameraStatistics:
        """Read what `to_parquet` wrote.

        Raises:
            EmbeddingError: no such file, or not camera statistics.
        """
        return cls._of_parquet(path, os.fspath(path))

    @classmethod
    def _of_parquet(cls, source: str | os.PathLike[str] | io.BytesIO, name: str) -> CameraStatistics:
        try:
            table = pq.read_table(source)
            about = json.loads((table.schema.metadata or {})[b"passerby_camera_statistics"])
        except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
            raise EmbeddingError(f"{name}: cannot be read as camera statistics ({error!r})") from None
        if about.pop("format", None) != FORMAT:
            raise EmbeddingError(f"{name}: camera statistics of another version of passerby")
        means = table.column("mean").combine_chunks()
        return cls(
            cameras=tuple(table.column("camera").to_pylist()),
            counts=table.column("count").to_numpy(),
            means=means.flatten().to_numpy(zero_copy_only=False).reshape(-1, means.type.list_size),
            variances=table.column("variance").to_numpy(),
            **about,
        )


def measure_camera_statistics(
    embeddings: Embeddings,
    *,
    groups: Int64 | Sequence[int] | None = None,
    minimum: int = MINIMUM,
    previous: CameraStatistics | None = None,
) -> CameraStatistics:
    """Mean vectors of the cameras in raw embeddings.

    What counts is people, not crops: each person of a camera counts once, however long it was in view.

    Args:
        embeddings: raw vectors with cameras. Rows without a camera (-1) or of nobody in particular (person 0 or -1) are
            left out and counted.
        groups: int64 [n], which rows of a camera show one person (or tracklet), -1 for nobody in particular; None:
            the person ids where any is positive, else the tracklets.
        minimum: people that a camera needs; below, nothing of its own is subtracted.
        previous: the version that this one replaces; it counts on from there.

    Raises:
        EmbeddingError: no groups, person ids or tracklets; no row with a camera and a group; another encoder than
            `previous` has.
    """
    counted, numbers = _who(embeddings, groups)
    used = np.flatnonzero((numbers >= 0) & (embeddings.camids >= 0))
    if not len(used):
        raise EmbeddingError("camera statistics: expected vectors with a camera and a person or tracklet, found none")
    if previous is not None:
        previous.check_encoder(embeddings.fingerprint)
    camids = embeddings.camids[used]
    one_each = group_rows(camids, numbers[used])
    means = pool(_unit(embeddings.vectors[used]), one_each, "mean").astype(np.float64)
    camera_of = camids[one_each.first]
    found = [means[camera_of == camera] for camera in np.unique(camids)]
    return CameraStatistics(
        cameras=tuple(str(camera) for camera in np.unique(camids)),
        counts=np.array([len(people) for people in found], np.int64),
        means=np.stack([people.mean(axis=0) for people in found]).astype(np.float32),
        variances=np.array([people.var(axis=0).sum() * len(people) / max(len(people) - 1, 1) for people in found]),
        counted=counted,
        minimum=minimum,
        fingerprint=embeddings.fingerprint,
        version=1 if previous is None else previous.version + 1,
        left_out=len(embeddings) - len(used),
    )


def _who(embeddings: Embeddings, groups: Int64 | Sequence[int] | None) -> tuple[str, Int64]:
    """What is counted, and its number on each row, -1 for none."""
    if groups is not None:
        return "people", as_labels(groups, len(embeddings), "groups", "vectors")
    if (embeddings.pids > 0).any():
        return "people", np.where(embeddings.pids > 0, embeddings.pids, -1)
    if embeddings.tracklets is not None:
        return "tracklets", embeddings.tracklets
    raise EmbeddingError(
        "camera statistics: neither person ids nor tracklets are known, so nobody can say how many people a camera "
        "saw; give `groups` (clusters of the crops, for example)"
    )


def _unit(vectors: Float32) -> Float32:
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), np.float32)
