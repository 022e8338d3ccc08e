"""Where a model fails: scores for each pair of query camera and gallery camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.errors import EmbeddingError
from passerby.evaluation.closed_set.metrics import AP_DEFINITIONS, average_precision
from passerby.evaluation.inputs import check_inputs, check_name
from passerby.search import arrays
from passerby.search.ranking import match_ranks
from passerby.search.relevance import METRICS


@dataclass(frozen=True)
class CameraPairs:
    """Rows are query cameras, columns gallery cameras; NaN where no query has a true match.

    Attributes:
        query_cameras: [a].
        gallery_cameras: [b].
        mAP: of the queries of one camera among the images of the other alone, [a, b].
        rank1: likewise, [a, b].
        queries: how many queries had a true match there, [a, b].
    """

    query_cameras: Int64
    gallery_cameras: Int64
    mAP: Float64
    rank1: Float64
    queries: Int64

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON (None where there is no value)."""
        table: dict[str, Any] = {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}
        for name in ("mAP", "rank1"):
            table[name] = [[None if np.isnan(v) else v for v in row] for row in table[name]]
        return table

    def __str__(self) -> str:
        lines = ["mAP by camera   " + " ".join(f"{'to ' + str(c):>7}" for c in self.gallery_cameras)]
        for camera, row in zip(self.query_cameras, self.mAP, strict=True):
            lines.append(
                f"{'from ' + str(camera):<16}" + " ".join("      -" if np.isnan(v) else f"{v:7.4f}" for v in row)
            )
        return "\n".join(lines)


def evaluate_camera_pairs(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    query_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    query_camids: arrays.Labels,
    gallery_camids: arrays.Labels,
    *,
    metric: str = "euclidean",
    ap: str = "step",
    junk_pids: Sequence[int] = (-1,),
) -> CameraPairs:
    """Score each query among the images of one gallery camera at a time, by the rules of Market-1501.

    Args:
        query_vectors: [q, dim].
        gallery_vectors: [g, dim].
        query_pids: [q].
        gallery_pids: [g].
        query_camids: [q].
        gallery_camids: [g].
        metric: "euclidean" or "cosine".
        ap: "step" or "trapezoid".
        junk_pids: gallery images of these ids count for nobody.

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, or no known camera.
        ConfigError: an unknown metric or AP definition.
    """
    check_name("metric", metric, METRICS)
    check_name("AP definition", ap, AP_DEFINITIONS)
    inputs = check_inputs(query_vectors, gallery_vectors, query_pids, gallery_pids, query_camids, gallery_camids)
    q_cams, g_cams = inputs.query_camids, inputs.gallery_camids
    rows, columns = np.unique(q_cams[q_cams >= 0]), np.unique(g_cams[g_cams >= 0])
    if len(rows) == 0 or len(columns) == 0:
        raise EmbeddingError("camera pairs: no query or no gallery image names its camera")
    shape = (len(rows), len(columns))
    result = CameraPairs(rows, columns, np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.int64))
    relevance = inputs.relevance("same_id_same_camera", junk_pids)
    for b, camera in enumerate(columns):
        of_camera = replace(relevance, counted=relevance.counted & (g_cams == camera))
        ranks = match_ranks(inputs.query, inputs.gallery, of_camera, metric=metric)
        precision, first = average_precision(ranks, ap), ranks.first()
        for a, own in enumerate(rows):
            used = (q_cams == own) & (ranks.matches > 0)
            result.queries[a, b] = used.sum()
            if used.any():
                result.mAP[a, b] = precision[used].mean()
                result.rank1[a, b] = (first[used] == 1).mean()
    return result
