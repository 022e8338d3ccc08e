"""`passerby enroll-stream`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from passerby.cli.output import show
from passerby.cli.shared_parameters import Json, Metric
from passerby.cli.vector_flags import VectorFile, VectorFlags


def enroll_stream(
    vectors: VectorFile,
    /,
    *,
    threshold: Annotated[float, Parameter(metavar="DISTANCE")],
    source: VectorFlags = VectorFlags(),
    metric: Metric = "euclidean",
    add_accepted: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> None:
    """Recognise or enrol vectors one after the other, starting from nobody; how often that was right.

    Args:
        vectors: see `VectorFile`.
        threshold: Accept nearer matches only.
        source: Where labels stand.
        metric: see `Metric`.
        add_accepted: Also enrol recognised vectors, under the identity they were given.
        json: see `Json`.
    """
    from passerby.evaluation.open_set.stream import enroll_stream as run_stream

    stream = source.read(vectors)
    report = run_stream(stream.vectors, stream.pids, threshold=threshold, metric=metric, add_accepted=add_accepted)
    show(report, as_json=json)
