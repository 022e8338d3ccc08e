"""Commands that prove a model: evaluate, embed, rank, calibrate, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from passerby.cli.arguments import DataChoice, Json, Judging, parse, show


@dataclass(frozen=True)
class _EvaluateOptions:
    encoder: Positional[Path]
    """Folder of a run or an encoder."""
    data: DataChoice = DataChoice()
    judging: Annotated[Judging, tyro.conf.arg(name="")] = Judging()
    flip: bool = True
    """Average the vectors of an image and its mirror image."""
    json: Json = False


def evaluate(arguments: Sequence[str]) -> None:
    """MAP, CMC and mINP of a trained encoder, with everything that was counted or skipped."""
    options = parse(_EvaluateOptions, arguments, "evaluate", doc=evaluate.__doc__)
    from passerby.evaluation.evaluate import evaluate as run_evaluate
    from passerby.models.encoder import load_encoder

    data = options.data.load(options.encoder)
    encoder = load_encoder(options.encoder)
    show(run_evaluate(encoder, data, flip=options.flip, **options.judging.settings()), as_json=options.json)
