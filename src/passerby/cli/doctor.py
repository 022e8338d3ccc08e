"""`passerby doctor`."""

from __future__ import annotations

from passerby.cli.output import show
from passerby.cli.shared_parameters import Json


def doctor(*, json: Json = False) -> None:
    """What is installed, what this machine can do, and what is missing."""
    from passerby.doctor import doctor as run_doctor

    show(run_doctor(), as_json=json)
