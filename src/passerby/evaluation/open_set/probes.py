"""Each probe's search: the nearest enrolled image, and where the probe's own identity stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from passerby import array_types
from passerby.array_types import Float32, Float64, Int64
from passerby.errors import ConfigError, EmbeddingError, unknown_name
from passerby.evaluation.relevance import EXCLUSIONS, relevance_of
from passerby.search import arrays
from passerby.search.ranking import pairwise
from passerby.search.relevance import METRICS, Relevance

_BLOCK = 2**21  # entries of a block of distances

Normalize: TypeAlias = Callable[[Float64, slice, Int64], Float64]
"""(distances [rows, g], rows of the probes, rows of the gallery) -> normalised distances."""


@dataclass(frozen=True)
class ProbeScores:
    """What each probe's search found.

    Attributes:
        nearest: distance of the nearest enrolled image of anybody (infinity: nobody left to compare with), [p].
        own: distance of the nearest image of the probe's own identity (infinity: not enrolled), [p].
        own_rank: place of the own identity among identities, 1-based (0: not enrolled), [p].
        genuine: the own identity is enrolled and can be found, [p].
        impostor: the own identity is not enrolled, [p]; a probe that is neither was enrolled by images that do not
            count for it only.
    """

    nearest: Float64
    own: Float64
    own_rank: Int64
    genuine: array_types.Bool
    impostor: array_types.Bool

    def select(self, mask: array_types.Bool) -> ProbeScores:
        """The probes where a boolean mask [p] is true."""
        return ProbeScores(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


def join_scores(parts: Sequence[ProbeScores]) -> ProbeScores:
    """The probes of several searches, one after the other."""
    return ProbeScores(*(np.concatenate([getattr(p, n) for p in parts]) for n in ProbeScores.__dataclass_fields__))


@dataclass(frozen=True)
class OpenSetPoint:
    """One operating point.

    Attributes:
        target: the false accept rate that was asked for.
        far: the one achieved (ties and few impostors make it smaller).
        threshold: accept when the distance is smaller than this.
        dir: rank -> detection and identification rate.
    """

    target: float
    far: float
    threshold: float
    dir: dict[int, float]


def search_probes(
    probe_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    probe_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    probe_camids: arrays.Labels | None = None,
    gallery_camids: arrays.Labels | None = None,
    *,
    metric: str = "euclidean",
    exclude: str = "same_id_same_camera",
    junk_pids: Sequence[int] = (-1,),
    normalize: Normalize | None = None,
) -> tuple[ProbeScores, int]:
    """Each probe's nearest image, and its own identity's distance and place; and the number of enrolled identities.

    Arguments and errors as in `passerby.evaluate_open_set`; `normalize` changes the distances before they count.
    """
    for kind, name, known in (("metric", metric, METRICS), ("exclusion", exclude, EXCLUSIONS)):
        if name not in known:
            raise ConfigError(unknown_name(kind, name, known))
    probe = arrays.as_vectors(probe_vectors, "probe_vectors")
    gallery = arrays.as_vectors(gallery_vectors, "gallery_vectors")
    arrays.check_same_dim(probe, gallery, "probe_vectors", "gallery_vectors")
    p_pids = arrays.as_labels(probe_pids, len(probe), "probe_pids", "probe_vectors")
    g_pids = arrays.as_labels(gallery_pids, len(gallery), "gallery_pids", "gallery_vectors")
    p_cams = arrays.as_cameras(probe_camids, len(probe), "probe_camids", "probe_vectors")
    g_cams = arrays.as_cameras(gallery_camids, len(gallery), "gallery_camids", "gallery_vectors")
    counted = np.flatnonzero(~np.isin(g_pids, list(junk_pids)))
    if len(counted) == 0:
        raise EmbeddingError("gallery_pids: every gallery image is junk, nobody is enrolled")
    # by identity, so that each identity is one run of columns; the stable sort keeps the gallery's order within one
    order = counted[np.argsort(g_pids[counted], kind="stable")]
    ids, starts = np.unique(g_pids[order], return_index=True)
    relevance = relevance_of(p_pids, g_pids[order], p_cams, g_cams[order], np.ones(len(order), dtype=np.bool_), exclude)
    gallery_sorted = gallery[order]
    step = max(1, _BLOCK // len(order))
    parts = [
        _search_block(
            probe, gallery_sorted, relevance, order, ids, starts, slice(i, min(i + step, len(probe))), metric, normalize
        )
        for i in range(0, len(probe), step)
    ]
    nearest, own, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    enrolled = np.isin(p_pids, ids)
    return ProbeScores(nearest, own, rank, np.isfinite(own), ~enrolled), len(ids)


def _search_block(
    probe: Float32,
    gallery: Float32,
    relevance: Relevance,
    order: Int64,
    ids: Int64,
    starts: Int64,
    rows: slice,
    metric: str,
    normalize: Normalize | None,
) -> tuple[Float64, Float64, Int64]:
    distances = pairwise(probe[rows], gallery, metric)
    if normalize is not None:
        distances = normalize(distances, rows, order)
    distances[~relevance.kept(rows)] = np.inf
    best = np.minimum.reduceat(distances, starts, axis=1)
    pids = relevance.query_labels[rows]
    column = np.minimum(np.searchsorted(ids, pids), len(ids) - 1)
    own = np.where(ids[column] == pids, best[np.arange(len(best)), column], np.inf)
    rank = np.where(np.isfinite(own), 1 + (best < own[:, None]).sum(axis=1), 0)
    for row in np.flatnonzero(np.isfinite(own) & ((best == own[:, None]).sum(axis=1) > 1)):
        # equally near identities: the one whose nearest image has the smaller gallery index stands first
        at = np.flatnonzero(distances[row] == own[row])
        first = order[at[relevance.gallery_labels[at] == pids[row]]].min()
        rank[row] += len(np.unique(relevance.gallery_labels[at[order[at] < first]]))
    return best.min(axis=1), own, rank


def operating_point(scores: ProbeScores, far: float, ranks: Sequence[int]) -> OpenSetPoint:
    """The largest threshold that accepts at most floor(far * impostors) impostors, and its rates.

    With impostor distances s in ascending order: s[floor(far * n)], infinity at far = 1 or without impostors.
    """
    if not 0 <= far <= 1:
        raise EmbeddingError(f"far: expected a share between 0 and 1, found {far}")
    impostors = np.sort(scores.nearest[scores.impostor])
    threshold = threshold_at(impostors, far)
    own, rank = scores.own[scores.genuine], scores.own_rank[scores.genuine]
    return OpenSetPoint(
        target=far,
        far=float((impostors < threshold).mean()) if len(impostors) else math.nan,
        threshold=threshold,
        dir={r: float(((own < threshold) & (rank <= r)).mean()) if len(own) else math.nan for r in ranks},
    )


def threshold_at(sorted_impostors: Float64, far: float) -> float:
    """s[floor(far * n)] of ascending impostor distances s, infinity beyond their end."""
    # 0.29 * 100 is 28.999999999999996: the guard keeps such products whole
    allowed = math.floor(far * len(sorted_impostors) + 1e-9)
    return float(sorted_impostors[allowed]) if allowed < len(sorted_impostors) else math.inf
