"""`passerby open-set`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from passerby.cli.output import plain, show, table
from passerby.cli.shared_parameters import Json, Metric, Rates
from passerby.cli.vector_flags import GalleryFile, QueryFile, VectorFlags
from passerby.cli.verify import Exclusion
from passerby.errors import UsageError

if TYPE_CHECKING:
    from passerby.evaluation.open_set.thresholds import Threshold


def open_set(
    probes: QueryFile,
    gallery: GalleryFile,
    /,
    *,
    source: VectorFlags = VectorFlags(),
    far: Rates = (0.01, 0.1),
    ranks: Annotated[tuple[int, ...], Parameter(metavar="N")] = (1,),
    metric: Metric = "euclidean",
    exclude: Exclusion = "same_id_same_camera",
    normalization: Literal["none", "z", "adaptive_s"] = "none",
    cohort: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    cohort_size: Annotated[int | None, Parameter(metavar="N")] = None,
    camera_thresholds: Annotated[bool, Parameter(negative=())] = False,
    seed: Annotated[int | None, Parameter(metavar="N")] = None,
    json: Json = False,
) -> None:
    """Detection and identification rates at given false accept rates, with the thresholds that have them.

    Probes whose person is not in the gallery are the impostors. A threshold must be chosen on people who served neither
    training nor the test.

    Args:
        probes: see `QueryFile`.
        gallery: see `GalleryFile`.
        source: Where labels stand.
        far: False accept rates.
        ranks: Ranks, over identities, of the detection and identification rates.
        metric: see `Metric`.
        exclude: see `Exclusion`.
        normalization: Distances relative to a cohort: z, or adaptive_s.
        cohort: Vectors of other people, for --normalization.
        cohort_size: With adaptive_s: how many of the cohort's nearest (default: 200).
        camera_thresholds: Also the threshold of each probe camera with enough impostors, for the first rate of --far.
        seed: Of the bootstrap intervals of --camera-thresholds (default: 0).
        json: see `Json`.
    """
    if (normalization == "none") != (cohort is None):
        raise UsageError("--normalization and --cohort go together")
    if cohort_size is not None and normalization != "adaptive_s":
        raise UsageError("--cohort-size goes with --normalization adaptive_s")
    if seed is not None and not camera_thresholds:
        raise UsageError("--seed goes with --camera-thresholds")
    from passerby.embedding.vector_files import read_vectors
    from passerby.evaluation.open_set.curves import evaluate_open_set
    from passerby.evaluation.open_set.thresholds import camera_thresholds as thresholds_by_camera

    first, second = source.read_pair(probes, gallery)
    normalize: dict[str, Any] = {}
    if cohort is not None:
        normalize = {"normalization": normalization, "cohort_vectors": read_vectors(cohort)}
        normalize |= {} if cohort_size is None else {"cohort_size": cohort_size}
    report = evaluate_open_set(
        first.vectors,
        second.vectors,
        first.pids,
        second.pids,
        first.camids,
        second.camids,
        far=far,
        ranks=ranks,
        metric=metric,
        exclude=exclude,
        **normalize,
    )
    if not camera_thresholds:
        show(report, as_json=json)
        return
    cameras = thresholds_by_camera(
        report.scores, first.pids, first.camids, report.identities, far=far[0], metric=metric, seed=seed or 0
    )
    text = f"{report}\n\n{_camera_table(cameras, far[0])}"
    show({**plain(report), "cameras": cameras}, as_json=json, text=text)


def _camera_table(cameras: dict[int, Threshold], far: float) -> str:
    rows = [
        {
            "camera": camera,
            "accept below": f"{threshold.value:.4f}",
            "FAR": f"{threshold.far:.4f}",
            "DIR": f"{threshold.dir:.4f}",
            "impostors": threshold.impostors,
            "genuine": threshold.genuine,
        }
        for camera, threshold in cameras.items()
    ]
    return table(rows, empty=f"no camera has the {1 / far:,.0f} impostors that a false accept rate of {far:g} needs")
