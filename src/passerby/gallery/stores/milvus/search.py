"""Ranking identities in Milvus: filtered HNSW with the effort a filter needs, exact where few observations pass."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32
from passerby.gallery.stores.milvus.cameras import CameraNames
from passerby.gallery.stores.milvus.connection import MAX_LIMIT, Connection
from passerby.gallery.stores.milvus.filters import condition, time_of
from passerby.gallery.stores.milvus.observations import COLUMNS, ObservationRows
from passerby.gallery.stores.rows import Ranking, Where
from passerby.search.index_groups import mean_of_nearest
from passerby.search.score import Score

_EXACT_ROWS = 2_000  # a filter that lets no more pass is answered exactly, without the index
_COUNT_SECONDS = 5.0  # how long the size of a filter's result is reused (it sets the effort of a search)


class MilvusSearch:
    """Searches in the observations of one gallery."""

    def __init__(self, connection: Connection, observations: ObservationRows, cameras: CameraNames) -> None:
        self._connection = connection
        self._client = connection.client
        self._name = connection.observations_name
        self._observations = observations
        self._cameras = cameras
        self._counts: dict[Where, tuple[float, int]] = {}
        self._expected = 0

    def observations_changed(self) -> None:
        """Sizes of filters' results must be counted anew."""
        self._counts.clear()

    def search(self, probes: Float32, wheres: Sequence[Where], *, top: int, score: Score) -> list[Ranking]:
        """Rank identities for each probe [q, D], each with its own filter; approximate where the index is.

        `mean` and `centroid` are computed exactly for the identities of the nearest observations that the index finds.
        """
        rankings: dict[int, Ranking] = {}
        for where in set(wheres):
            rows = [row for row, other in enumerate(wheres) if other == where]
            asked = replace(where, exclude_cameras=self._cameras.all_writings(where.exclude_cameras))
            rankings.update(zip(rows, self._search(probes[rows], asked, top, score), strict=True))
        return [rankings[row] for row in range(len(probes))]

    def _search(self, probes: Float32, where: Where, top: int, score: Score) -> list[Ranking]:
        """Rankings under one filter; the first look at the index is one request for all probes."""
        rows = self._rows(where)
        if rows is not None:
            seen = len(rows)
            stored = seen if where.everything else max(seen, self._remembered_count(Where()))
            return [
                self._rank(probe, where, hits, top, score, seen, stored)
                for probe, hits in zip(probes, _compared(probes, rows), strict=True)
            ]
        seen = self._remembered_count(where)
        stored = max(seen, self._remembered_count(Where()))
        share = seen / stored
        wanted = min(4 * top + 32, MAX_LIMIT)
        first = self._nearest(probes, where, wanted, share)
        rankings = []
        for probe, hits in zip(probes, first, strict=True):
            limit = wanted
            while len(hits) < seen and limit < MAX_LIMIT and not _enough(hits, top, score):
                limit = min(4 * limit, MAX_LIMIT)
                hits = self._nearest(probe[None], where, limit, share)[0]
            rankings.append(self._rank(probe, where, hits, top, score, seen, stored))
        return rankings

    def _rank(
        self,
        probe: Float32,
        where: Where,
        hits: list[dict[str, Any]],
        top: int,
        score: Score,
        seen: int,
        stored: int,
    ) -> Ranking:
        by_identity: dict[int, dict[str, Any]] = {}
        for hit in hits:
            by_identity.setdefault(hit["identity"], hit)
        best = list(by_identity.values())
        distances = np.array([hit["distance"] for hit in best])
        if score.name != "min":
            distances = self._exact_scores(probe, where, [hit["identity"] for hit in best], score)
        order = np.argsort(distances, kind="stable")[:top]
        chosen = [best[place] for place in order]
        return Ranking(
            np.array([hit["identity"] for hit in chosen], np.int64),
            distances[order],
            np.array([hit["id"] for hit in chosen], np.int64),
            tuple(self._cameras.one(hit["camera"]) for hit in chosen),
            np.array([time_of(hit) for hit in chosen], np.float64),
            seen,
            stored,
        )

    def _rows(self, where: Where) -> list[dict[str, Any]] | None:
        """All observations that pass, where these are few; None: they are better searched by the index.

        In a gallery that held few when it was last counted they are read at once, and no more than a few.
        """
        if not self._observations.exist:
            return []
        fields = [*COLUMNS, "vector"]
        if self._expected <= _EXACT_ROWS:
            rows = self._connection.some(self._name, condition(where), fields, _EXACT_ROWS + 1)
            if len(rows) <= _EXACT_ROWS:
                return rows
        if self._remembered_count(where) <= _EXACT_ROWS:
            return self._connection.query(self._name, condition(where), fields)
        return None

    def _nearest(self, probes: Float32, where: Where, limit: int, share: float) -> list[list[dict[str, Any]]]:
        """For each probe the nearest observations, ascending by (distance, id)."""
        answers = self._client.search(
            self._name,
            data=list(probes),
            filter=condition(where),
            limit=limit,
            output_fields=COLUMNS,
            search_params={"metric_type": "L2", "params": {"ef": effort(limit, share)}},
            consistency_level="Strong",
        )
        hits = [
            [{**hit["entity"], "id": hit["id"], "distance": max(hit["distance"], 0.0) ** 0.5} for hit in answer]
            for answer in answers
        ]
        return [sorted(found, key=lambda hit: (hit["distance"], hit["id"])) for found in hits]

    def _exact_scores(
        self, probe: Float32, where: Where, identities: list[int], score: Score
    ) -> npt.NDArray[np.float64]:
        chosen = f"identity in {identities}"
        if not where.everything:
            chosen = f"({chosen}) and ({condition(where)})"
        rows = self._connection.query(self._name, chosen, ["identity", "vector"])
        vectors = np.array([row["vector"] for row in rows], np.float64)
        owners = np.array([row["identity"] for row in rows], np.int64)
        places = np.searchsorted(np.unique(owners), identities)
        if score.name == "mean":
            distances = np.linalg.norm(vectors - probe, axis=1)
            return mean_of_nearest(owners, distances, score.k)[places]
        sums = np.array([vectors[owners == owner].sum(axis=0) for owner in np.unique(owners)])
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        return np.asarray(np.linalg.norm(sums - probe, axis=1)[places], np.float64)

    def _remembered_count(self, where: Where) -> int:
        known = self._counts.get(where)
        if known is None or clock.monotonic() - known[0] > _COUNT_SECONDS:
            known = (clock.monotonic(), self._observations.count(where))
            self._counts[where] = known
            if where.everything:
                self._expected = known[1]
        return known[1]


def effort(limit: int, selectivity: float) -> int:
    """HNSW's `ef` for a filtered search: the fewer observations pass the filter, the more must be visited.

    Args:
        limit: neighbours wanted.
        selectivity: share of observations that pass the filter, in (0, 1].
    """
    visited = 8 * limit / max(selectivity, 1e-6)
    return int(min(max(visited, 256, limit), 32_768))


def _compared(probes: Float32, rows: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
    """For each probe all these observations, ascending by (distance, id)."""
    vectors = np.array([row["vector"] for row in rows], np.float64).reshape(len(rows), probes.shape[1])
    plain = [{name: value for name, value in row.items() if name != "vector"} for row in rows]
    answers = []
    for probe in probes:
        distances = np.linalg.norm(vectors - probe, axis=1).tolist()
        hits = [{**row, "distance": distance} for row, distance in zip(plain, distances, strict=True)]
        answers.append(sorted(hits, key=lambda hit: (hit["distance"], hit["id"])))
    return answers


def _enough(hits: Sequence[Mapping[str, Any]], top: int, score: Score) -> bool:
    return len({hit["identity"] for hit in hits}) >= (top if score.name == "min" else 2 * top)
