"""`passerby completion`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="Which shell.")], /) -> None:
    """Print the script that completes commands and flags: eval "$(passerby completion bash)"."""
    from passerby.cli.main import build_app

    print(build_app().generate_completion(shell=shell))
