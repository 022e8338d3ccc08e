"""`passerby evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.evaluation_flags import EvaluationFlags
from passerby.cli.output import show
from passerby.cli.parameters import Encoder, Flip, Json


def evaluate(
    encoder: Encoder,
    /,
    *,
    data: DatasetFlags = DatasetFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
    pooling: Literal["mean", "max", "attention", "sharpness", "norm", "min_distance"] = "mean",
    all_splits: Annotated[bool, Parameter(negative=())] = False,
    flip: Flip = True,
    json: Json = False,
) -> None:
    """MAP, CMC and mINP of a trained encoder, with everything that was counted or skipped.

    Args:
        encoder: see `Encoder`.
        data: Which dataset.
        evaluation: How rankings are scored.
        pooling: How the frames of a tracklet, or a person's queries under multi_query, become one vector.
        all_splits: Mean and deviation over every split of a dataset that the encoder was not trained on.
        flip: see `Flip`.
        json: see `Json`.
    """
    from passerby.evaluation.evaluate import evaluate as run_evaluate
    from passerby.models.encoder import load_encoder

    settings = {"flip": flip, "pooling": pooling, **evaluation.settings()}
    if all_splits:
        from passerby.evaluation.closed_set.splits import evaluate_splits

        show(evaluate_splits(load_encoder(encoder), data.load_splits(), **settings), as_json=json)
        return
    show(run_evaluate(load_encoder(encoder), data.load(encoder), **settings), as_json=json)
