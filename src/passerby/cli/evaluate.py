"""`passerby evaluate`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.evaluation_flags import Evaluation, EvaluationFlags, evaluation_of, given_for
from passerby.cli.output import show
from passerby.cli.shared_parameters import Encoder, Json
from passerby.config.evaluation import with_changes


def evaluate(
    encoder: Encoder,
    /,
    *,
    data: DatasetFlags = DatasetFlags(),
    evaluation: Evaluation = EvaluationFlags(),
    all_splits: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """The scores mAP, CMC and mINP of a trained encoder, with everything that was counted or skipped.

    Args:
        encoder: see `Encoder`.
        data: Which dataset.
        evaluation: How rankings are scored; what is not given is as the run's recipe says.
        all_splits: Mean and deviation over every split of a dataset that the encoder was not trained on.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    source = source_of(encoder, reading)
    sets = data.load_splits() if all_splits else [data.load(encoder)]
    from passerby.evaluation.closed_set.splits import evaluate_splits
    from passerby.evaluation.engine_of_settings import load_for
    from passerby.evaluation.evaluate import evaluate as run_evaluate

    settings = with_changes(evaluation_of(encoder), given_for(evaluation, sets[0].protocol))
    model = load_for(source, settings, images=sum(len(one.query) + len(one.gallery) for one in sets))
    if all_splits:
        show(evaluate_splits(model, sets, settings=settings), as_json=json)
    else:
        show(run_evaluate(model, sets[0], settings=settings), as_json=json)
