"""`passerby score`."""

from __future__ import annotations

from dataclasses import replace

from passerby.cli.evaluation_flags import Score, ScoreFlags, given_for
from passerby.cli.output import show
from passerby.cli.shared_parameters import Json
from passerby.cli.vector_flags import GalleryFile, QueryFile, VectorFlags


def score(
    query: QueryFile,
    gallery: GalleryFile,
    /,
    *,
    source: VectorFlags = VectorFlags(),
    evaluation: Score = ScoreFlags(),
    json: Json = False,
) -> None:
    """The scores mAP, CMC and mINP of anyone's vectors, without ranked lists."""
    vectors = source.read_pair(query, gallery)
    from passerby.evaluation.evaluate import remarks_on, rules_for
    from passerby.evaluation.evaluate import score as run_score

    report = run_score(*vectors, **given_for(evaluation, rules_for(*vectors)))
    show(replace(report, notes=(*report.notes, *remarks_on(*vectors, report))), as_json=json)
