"""`passerby cross-domain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, source_of
from passerby.cli.evaluation_flags import Evaluation, EvaluationFlags
from passerby.cli.output import show
from passerby.cli.setting_flags import given
from passerby.cli.shared_parameters import Json


def cross_domain(
    encoders: Annotated[tuple[Path, ...], Parameter(name="ENCODER")],
    /,
    *,
    on: Annotated[tuple[str, ...], Parameter(metavar="NAME=ROOT")],
    evaluation: Evaluation = EvaluationFlags(),
    json: Json = False,
) -> None:
    """Evaluate every encoder on every dataset: a matrix of mAP and rank-1.

    Args:
        encoders: Runs, encoders, descriptions, exported graphs, or names of the hub.
        on: Datasets: a name of `passerby data list` and its folder; or one's own manifest or folder, without =ROOT.
        evaluation: How rankings are scored.
        json: see `Json`.
    """
    from passerby.config.evaluation import with_changes
    from passerby.data.datasets import load_dataset

    sources = [source_of(encoder, EncoderFlags()) for encoder in encoders]
    places = [(place, *place.partition("=")) for place in on]
    datasets = {place: load_dataset(name, root or None) for place, name, _, root in places}
    from passerby.evaluation.closed_set.splits import cross_domain as run_cross_domain
    from passerby.evaluation.engine_of_settings import load_for

    settings = with_changes(None, given(evaluation))
    images = sum(len(data.query) + len(data.gallery) for data in datasets.values())
    loaded = {str(source): load_for(source, settings, images=images) for source in sources}
    show(run_cross_domain(loaded, datasets, settings=settings), as_json=json)
