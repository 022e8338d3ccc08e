"""The entrance check of every evaluation on plain arrays: vectors, person ids and cameras that fit each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.array_types import Bool, Float32, Int64
from passerby.errors import ConfigError, EmbeddingError, unknown_name
from passerby.evaluation.good_and_junk import relevance_of
from passerby.search import arrays
from passerby.search.relevance import Relevance


@dataclass(frozen=True)
class SearchInputs:
    """Queries (or probes) and the gallery they are searched in, checked.

    Attributes:
        query: float32 [q, dim].
        gallery: float32 [g, dim].
        query_pids: int64 [q].
        gallery_pids: int64 [g].
        query_camids: int64 [q], -1 unknown.
        gallery_camids: int64 [g], -1 unknown.
    """

    query: Float32
    gallery: Float32
    query_pids: Int64
    gallery_pids: Int64
    query_camids: Int64
    gallery_camids: Int64

    def counted(self, junk_pids: Sequence[int]) -> Bool:
        """Which gallery images count at all: [g], false for those of junk ids.

        Raises:
            EmbeddingError: junk ids that are not whole numbers.
        """
        junk = np.asarray(junk_pids)
        if junk.size and junk.dtype.kind not in "iu":
            raise EmbeddingError(f"junk_pids: expected whole numbers, found {junk_pids!r}")
        return ~np.isin(self.gallery_pids, junk.astype(np.int64))

    def check_nobody(self, junk_pids: Sequence[int], *, query_name: str = "query") -> None:
        """Refuse 0, or another number of nobody, on both sides: it would be one person and a different one each time.

        Args:
            junk_pids: gallery images of these ids count for nobody.
            query_name: how messages call the first set, "query" or "probe".

        Raises:
            EmbeddingError: a person id below 1 that a query and a gallery image that counts have.
        """
        gallery = self.gallery_pids[self.counted(junk_pids)]
        both = (self.query_pids <= 0) & np.isin(self.query_pids, gallery)
        if both.any():
            row = int(np.argmax(both))
            pid = self.query_pids[row]
            count = int((gallery == pid).sum())
            raise EmbeddingError(
                f"{query_name}_pids: row {row} is {pid}, and so are {count:,} gallery images; "
                "ids below 1 are nobody in particular, a different person each time: number people from 1, and those "
                "who are not enrolled by ids that the gallery has not"
            )

    def relevance(self, exclude: str, junk_pids: Sequence[int]) -> Relevance:
        """Who is who, and what is left out of a query's ranking.

        Args:
            exclude: a name of `passerby.evaluation.good_and_junk.EXCLUSIONS`.
            junk_pids: gallery images of these ids count for nobody.
        """
        return relevance_of(
            self.query_pids,
            self.gallery_pids,
            self.query_camids,
            self.gallery_camids,
            self.counted(junk_pids),
            exclude,
        )


def check_inputs(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    query_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    query_camids: arrays.Labels | None,
    gallery_camids: arrays.Labels | None,
    *,
    query_name: str = "query",
) -> SearchInputs:
    """Check two sets of vectors and their labels; persons and cameras may be called by names.

    Args:
        query_vectors: [q, dim], numpy, torch or lists.
        gallery_vectors: [g, dim].
        query_pids: [q].
        gallery_pids: [g].
        query_camids: [q], -1 unknown; None: unknown everywhere.
        gallery_camids: [g], likewise.
        query_name: how messages call the first set, "query" or "probe".

    Raises:
        EmbeddingError: vectors that are not finite floats [n, dim] of one length, or labels that do not fit them.
    """
    (query_pids, gallery_pids), _ = arrays.number_names(query_pids, gallery_pids)  # type: ignore[assignment]
    (query_camids, gallery_camids), _ = arrays.number_names(query_camids, gallery_camids, first=0, unknown=-1)
    query_words, gallery_words = f"{query_name}_vectors", "gallery_vectors"
    query, gallery = arrays.as_vector_pair(query_vectors, gallery_vectors, query_words, gallery_words)
    return SearchInputs(
        query,
        gallery,
        arrays.as_labels(query_pids, len(query), f"{query_name}_pids", query_words),
        arrays.as_labels(gallery_pids, len(gallery), "gallery_pids", gallery_words),
        as_cameras(query_camids, len(query), f"{query_name}_camids", query_words),
        as_cameras(gallery_camids, len(gallery), "gallery_camids", gallery_words),
    )


def as_cameras(camids: arrays.Labels | None, count: int, name: str, vectors_name: str) -> Int64:
    """Checked cameras, int64 [count]; None becomes -1 (camera unknown) everywhere.

    Raises:
        EmbeddingError: not integers, not one-dimensional, or not as many as there are vectors.
    """
    if camids is None:
        return np.full(count, -1, dtype=np.int64)
    return arrays.as_labels(camids, count, name, vectors_name)


def check_name(kind: str, name: str, known: Mapping[str, Any] | Sequence[str]) -> None:
    """Refuse a name that a table does not have.

    Raises:
        ConfigError: an unknown name (with the nearest known one).
    """
    if not isinstance(name, str) or name not in known:
        raise ConfigError(unknown_name(kind, str(name), known))


def check_whole(name: str, value: object, *, least: int = 1) -> None:
    """Refuse what is no whole number of `least` or more.

    Raises:
        EmbeddingError: it is not.
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise EmbeddingError(f"{name}: expected a whole number, at least {least}, found {value!r}")


def check_resampling(confidence: object, resamples: object, seed: object) -> None:
    """Refuse what no bootstrap interval can be drawn by.

    Raises:
        ConfigError: a confidence that is no share above 0 and below 1, no resamples, or a seed that is none.
    """
    if not isinstance(confidence, (float, np.floating)) or not 0 < confidence < 1:
        raise ConfigError(f"confidence: expected a share above 0 and below 1, found {confidence!r}")
    for name, value, least in (("resamples", resamples, 1), ("seed", seed, 0)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{name}: expected a whole number, at least {least}, found {value!r}")


def is_number(value: object) -> bool:
    """Whether it is a number, Python's or numpy's, and no bool."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
