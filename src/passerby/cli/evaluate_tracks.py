"""`passerby evaluate-tracks`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from passerby.cli.output import show
from passerby.cli.shared_parameters import Json
from passerby.cli.track import by_film


def evaluate_tracks(
    results: Annotated[tuple[str, ...], Parameter(name="RESULT")],
    /,
    *,
    truth: Annotated[tuple[str, ...], Parameter(metavar="[FILM=]FILE", consume_multiple=True)],
    first_frame: Annotated[int | None, Parameter(metavar="N")] = None,
    every: Annotated[int | None, Parameter(metavar="N")] = None,
    json: Json = False,
) -> None:
    """Compare tracks with the truth: IDF1, MOTA, HOTA and identity switches; over several cameras one IDF1 (MTMC).

    Args:
        results: A folder that `passerby track` wrote, JSON lines of `passerby watch --with-boxes` (then also how soon
            and how often it decided), or files of boxes with identities in any format that `passerby track` reads.
            FILM=FILE names a file's film; default: its name without extension.
        truth: True boxes with identities: FILM=FILE, files that are called like the films, or one file a film in their
            order. A person has the same identity in all of them.
        first_frame: Number that the files give a film's first frame.
        every: The result has every so many frames (default: what a folder or `passerby watch` says, else 1).
        json: see `Json`.
    """
    from passerby.tracking.evaluate_tracks import evaluate_tracks as run_evaluate

    show(
        run_evaluate(
            by_film(results, "RESULT"),
            by_film(truth, "--truth"),
            first_frame=first_frame,
            every=every,
        ),
        as_json=json,
    )
