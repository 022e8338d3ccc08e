"""`passerby verify`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from passerby.cli.output import show
from passerby.cli.shared_parameters import Json, Metric, Rates
from passerby.cli.vector_flags import GalleryFile, QueryFile, VectorFlags

Exclusion: TypeAlias = Annotated[
    Literal["same_id_same_camera", "same_camera", "none"],
    Parameter(help="Gallery images that do not count for a query."),
]


def verify(
    query: QueryFile,
    gallery: GalleryFile,
    /,
    *,
    source: VectorFlags = VectorFlags(),
    fpr: Rates = (1e-4, 1e-3, 1e-2),
    metric: Metric = "euclidean",
    exclude: Exclusion = "same_id_same_camera",
    json: Json = False,
) -> None:
    """Verify pairs of a query and a gallery image: true positive rates at given false positive rates.

    Args:
        query: see `QueryFile`.
        gallery: see `GalleryFile`.
        source: Where labels stand.
        fpr: False positive rates.
        metric: see `Metric`.
        exclude: see `Exclusion`.
        json: see `Json`.
    """
    from passerby.evaluation.open_set.verification import verify_pairs

    first, second = source.read_pair(query, gallery)
    report = verify_pairs(
        first.vectors,
        second.vectors,
        first.pids,
        second.pids,
        first.camids,
        second.camids,
        fpr=fpr,
        metric=metric,
        exclude=exclude,
    )
    show(report, as_json=json)
