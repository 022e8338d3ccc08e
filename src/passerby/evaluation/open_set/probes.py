"""Each probe's search: the nearest enrolled image, and where the probe's own identity stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passerby import array_types
from passerby.array_types import Float32, Float64, Int64
from passerby.errors import EmbeddingError
from passerby.evaluation.good_and_junk import EXCLUSIONS, relevance_of
from passerby.evaluation.inputs import SearchInputs, check_inputs, check_name
from passerby.evaluation.open_set.normalization import Normalize, cohort_normalization
from passerby.search import arrays
from passerby.search.distances import pairwise, row_blocks
from passerby.search.relevance import METRICS, Relevance


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
    normalization: str | None = None,
    cohort_vectors: arrays.Vectors | None = None,
    cohort_size: int = 200,
) -> tuple[ProbeScores, int]:
    """Each probe's nearest image, and its own identity's distance and place; and the number of enrolled identities.

    Arguments and errors as in `passerby.evaluate_open_set`.

    Raises:
        EmbeddingError: nobody is enrolled, or a person id below 1 stands on both sides.
    """
    check_name("metric", metric, METRICS)
    check_name("exclusion", exclude, EXCLUSIONS)
    inputs = check_inputs(
        probe_vectors, gallery_vectors, probe_pids, gallery_pids, probe_camids, gallery_camids, query_name="probe"
    )
    normalize = cohort_normalization(
        normalization, cohort_vectors, inputs.query, inputs.gallery, metric=metric, size=cohort_size
    )
    counted = np.flatnonzero(inputs.counted(junk_pids))
    if len(counted) == 0:
        raise EmbeddingError("gallery_pids: every gallery image is junk, nobody is enrolled")
    inputs.check_nobody(junk_pids, query_name="probe")
    people = _with_distractors_apart(inputs)
    # by identity, so that each identity is one run of columns; the stable sort keeps the gallery's order within one
    order = counted[np.argsort(people[counted], kind="stable")]
    pids, camids = people[order], inputs.gallery_camids[order]
    ids, starts = np.unique(pids, return_index=True)
    everything = np.ones(len(order), dtype=np.bool_)
    relevance = relevance_of(inputs.query_pids, pids, inputs.query_camids, camids, everything, exclude)
    gallery = inputs.gallery[order]
    parts = [
        _search_block(inputs.query, gallery, relevance, order, ids, starts, rows, metric, normalize)
        for rows in row_blocks(len(inputs.query), len(order))
    ]
    nearest, own, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    enrolled = np.isin(inputs.query_pids, ids)
    return ProbeScores(nearest, own, rank, np.isfinite(own), ~enrolled), len(ids)


def _with_distractors_apart(inputs: SearchInputs) -> Int64:
    """Person of each gallery image, [g]: every distractor (person id 0) is somebody else, below all ids."""
    distractors = inputs.gallery_pids == 0
    lowest = min(0, int(inputs.gallery_pids.min()), int(inputs.query_pids.min()))
    return np.where(distractors, lowest - np.cumsum(distractors), inputs.gallery_pids)


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
        labels = relevance.gallery_labels[at]
        first = order[at[labels == pids[row]]].min()
        as_near = best[row, np.searchsorted(ids, labels)] == own[row]  # not those who have a nearer image besides
        rank[row] += len(np.unique(labels[as_near & (order[at] < first)]))
    return best.min(axis=1), own, rank
