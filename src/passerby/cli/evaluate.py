"""`passerby evaluate`."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.evaluation_flags import Evaluation, EvaluationFlags, evaluation_of, given_for
from passerby.cli.output import show
from passerby.cli.shared_parameters import Encoder, Json


def evaluate(
    encoder: Encoder,
    /,
    *,
    data: DatasetFlags = DatasetFlags(),
    evaluation: Evaluation = EvaluationFlags(),
    all_splits: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> None:
    """MAP, CMC and mINP of a trained encoder, with everything that was counted or skipped.

    Args:
        encoder: see `Encoder`.
        data: Which dataset.
        evaluation: How rankings are scored; what is not given is as the run's recipe says.
        all_splits: Mean and deviation over every split of a dataset that the encoder was not trained on.
        json: see `Json`.
    """
    from passerby.evaluation.evaluate import evaluate as run_evaluate
    from passerby.models.encoder import load_encoder

    model = load_encoder(encoder)
    settings: dict[str, Any] = {"settings": evaluation_of(encoder)}
    if all_splits:
        from passerby.evaluation.closed_set.splits import evaluate_splits

        splits = data.load_splits()
        show(evaluate_splits(model, splits, **settings, **given_for(evaluation, splits[0].protocol)), as_json=json)
        return
    dataset = data.load(encoder)
    show(run_evaluate(model, dataset, **settings, **given_for(evaluation, dataset.protocol)), as_json=json)
