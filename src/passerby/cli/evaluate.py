"""`passerby evaluate`."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.evaluation_flags import Evaluation, EvaluationFlags, evaluation_of, given_for
from passerby.cli.output import show
from passerby.cli.shared_parameters import Encoder, Engine, Json


def evaluate(
    encoder: Encoder,
    /,
    *,
    data: DatasetFlags = DatasetFlags(),
    evaluation: Evaluation = EvaluationFlags(),
    all_splits: Annotated[bool, Parameter(negative=())] = False,
    engine: Engine = "auto",
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """The scores mAP, CMC and mINP of a trained encoder, with everything that was counted or skipped.

    Args:
        encoder: see `Encoder`.
        data: Which dataset.
        evaluation: How rankings are scored; what is not given is as the run's recipe says.
        all_splits: Mean and deviation over every split of a dataset that the encoder was not trained on.
        engine: see `Engine`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    from passerby.evaluation.evaluate import evaluate as run_evaluate
    from passerby.models.engines.choice import pick_encoder

    source = source_of(encoder, reading)
    settings: dict[str, Any] = {"settings": evaluation_of(encoder)}
    if all_splits:
        from passerby.evaluation.closed_set.splits import evaluate_splits

        splits = data.load_splits()
        model, _ = pick_encoder(source, engine, images=sum(len(s.query) + len(s.gallery) for s in splits))
        show(evaluate_splits(model, splits, **settings, **given_for(evaluation, splits[0].protocol)), as_json=json)
        return
    dataset = data.load(encoder)
    model, _ = pick_encoder(source, engine, images=len(dataset.query) + len(dataset.gallery))
    show(run_evaluate(model, dataset, **settings, **given_for(evaluation, dataset.protocol)), as_json=json)
