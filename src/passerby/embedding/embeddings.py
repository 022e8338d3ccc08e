"""Vectors with the person, camera and file they belong to; to and from Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.data.records import Sample
from passerby.errors import EmbeddingError
from passerby.files import replace_file
from passerby.search.arrays import as_labels, as_vectors


@dataclass(frozen=True)
class Embeddings:
    """Vectors and what they are of, row by row.

    Attributes:
        vectors: float32 [n, dim].
        pids: int64 [n], person ids (-1 junk, 0 distractor).
        camids: int64 [n], cameras, -1 where unknown.
        paths: the image files (empty: not known).
        times: float64 [n], or None; NaN where unknown.
        tracklets: int64 [n], or None; -1 where an image belongs to none.
        fingerprint: of the encoder that made the vectors.
        notes: facts a report must repeat.

    Raises:
        EmbeddingError: parts of different lengths, NaN vectors, labels that are not integers.
    """

    vectors: Float32
    pids: Int64
    camids: Int64
    paths: tuple[str, ...] = ()
    times: Float64 | None = None
    tracklets: Int64 | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.vectors)
        # frozen: the checked arrays replace what came in (lists, tensors, other integer widths)
        object.__setattr__(self, "vectors", as_vectors(self.vectors, "vectors"))
        object.__setattr__(self, "pids", as_labels(self.pids, n, "pids", "vectors"))
        object.__setattr__(self, "camids", as_labels(self.camids, n, "camids", "vectors"))
        if self.tracklets is not None:
            object.__setattr__(self, "tracklets", as_labels(self.tracklets, n, "tracklets", "vectors"))
        if self.times is not None:
            times = np.asarray(self.times, dtype=np.float64)
            if times.shape != (n,):
                raise EmbeddingError(f"times: expected {n:,}, one for each vector, found shape {list(times.shape)}")
            object.__setattr__(self, "times", times)
        if self.paths and len(self.paths) != n:
            raise EmbeddingError(f"paths: expected {n:,}, one for each vector, found {len(self.paths):,}")

    def __len__(self) -> int:
        return len(self.vectors)

    def select(self, mask: Bool | Int64 | Sequence[int]) -> Embeddings:
        """The rows where a boolean mask [n] is true, or the rows of an index array, in that order."""
        rows = np.asarray(mask)
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        return Embeddings(
            vectors=self.vectors[rows],
            pids=self.pids[rows],
            camids=self.camids[rows],
            paths=tuple(self.paths[i] for i in rows) if self.paths else (),
            times=None if self.times is None else self.times[rows],
            tracklets=None if self.tracklets is None else self.tracklets[rows],
            fingerprint=self.fingerprint,
            notes=self.notes,
        )

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write columns vector, pid, camid, path, time, tracklet; fingerprint and notes go into the metadata.

        Raises:
            StorageError: writing failed; what was there before is intact.
        """
        n, dim = self.vectors.shape
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(self.vectors.reshape(-1)), dim)
        columns = {"vector": vectors, "pid": pa.array(self.pids), "camid": pa.array(self.camids)}
        if self.paths:
            columns["path"] = pa.array(self.paths, pa.string())
        if self.times is not None:
            columns["time"] = pa.array(self.times)
        if self.tracklets is not None:
            columns["tracklet"] = pa.array(self.tracklets)
        about = json.dumps({"fingerprint": self.fingerprint, "notes": list(self.notes), "rows": n, "dim": dim})
        table = pa.table(columns).replace_schema_metadata({"passerby": about})
        with replace_file(path) as temporary:
            pq.write_table(table, temporary, use_dictionary=["path"])  # vectors never repeat

    @classmethod
    def from_parquet(cls, path: str | os.PathLike[str]) -> Embeddings:
        """Read what `to_parquet` wrote.

        Raises:
            EmbeddingError: no such file, not Parquet, or without the columns vector, pid and camid.
        """
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise EmbeddingError(f"{os.fspath(path)}: cannot be read as a Parquet file ({error})") from None
        missing = {"vector", "pid", "camid"} - set(table.column_names)
        if missing:
            raise EmbeddingError(
                f"{os.fspath(path)}: expected the columns vector, pid and camid, found {', '.join(table.column_names)}"
            )
        about = json.loads((table.schema.metadata or {}).get(b"passerby", b"{}"))
        column = table.column("vector").combine_chunks()
        dim = table.schema.field("vector").type.list_size
        names = table.column_names
        return cls(
            vectors=column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim),
            pids=table.column("pid").to_numpy(),
            camids=table.column("camid").to_numpy(),
            paths=tuple(table.column("path").to_pylist()) if "path" in names else (),
            times=table.column("time").to_numpy() if "time" in names else None,
            tracklets=table.column("tracklet").to_numpy() if "tracklet" in names else None,
            fingerprint=str(about.get("fingerprint", "")),
            notes=tuple(about.get("notes", ())),
        )


def embeddings_of(
    vectors: Float32, samples: Sequence[Sample], *, fingerprint: str = "", notes: tuple[str, ...] = ()
) -> Embeddings:
    """Join vectors [n, dim] with the labels of the n samples they were computed from."""
    times = [np.nan if s.time is None else s.time for s in samples]
    tracklets = [-1 if s.tracklet is None else s.tracklet for s in samples]
    return Embeddings(
        vectors=vectors,
        pids=np.array([s.pid for s in samples], dtype=np.int64),
        camids=np.array([s.camid for s in samples], dtype=np.int64),
        paths=tuple(str(s.path) for s in samples),
        times=None if np.isnan(times).all() else np.array(times, dtype=np.float64),
        tracklets=None if max(tracklets) < 0 else np.array(tracklets, dtype=np.int64),
        fingerprint=fingerprint,
        notes=notes,
    )
