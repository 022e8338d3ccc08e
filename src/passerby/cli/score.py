"""`passerby score`."""

from __future__ import annotations

from passerby.cli.evaluation_flags import Score, ScoreFlags
from passerby.cli.output import show
from passerby.cli.setting_flags import given
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
    """MAP, CMC and mINP of anyone's vectors, without ranked lists."""
    from passerby.evaluation.evaluate import score as run_score

    show(run_score(*source.read_pair(query, gallery), **given(evaluation)), as_json=json)
