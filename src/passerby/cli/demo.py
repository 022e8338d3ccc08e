"""`passerby demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from passerby.cli.output import show
from passerby.cli.shared_parameters import Json, Seed


def demo(
    *, out: Annotated[Path, Parameter(metavar="FOLDER")] = Path("demo"), seed: Seed = 0, json: Json = False
) -> None:
    """Draw people, train, evaluate, enrol, identify, and write a report; needs no data.

    Args:
        out: Folder of everything that the demo makes; the same command resumes it.
        seed: Of the drawing and the training.
        json: see `Json`.
    """
    from passerby.demo import demo as run_demo

    show(run_demo(out, seed=seed), as_json=json)
