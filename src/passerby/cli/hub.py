"""`passerby hub list | info | get`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from passerby.cli.output import show, table
from passerby.cli.shared_parameters import Json

EncoderName: TypeAlias = Annotated[str, Parameter(name="NAME", help="Name of the encoder (`passerby hub list`).")]


def list_encoders(*, json: Json = False) -> None:
    """The known public encoders, with published accuracy.

    Args:
        json: see `Json`.
    """
    from passerby.models.hub import hub_encoders

    entries = hub_encoders()
    rows = [
        {
            "name": entry.name,
            "trained on": entry.trained_on,
            "published": str(entry.published[0]) if entry.published else "",
            "licence": entry.licence,
            "laws": bool(entry.laws),
            "here": entry.is_here,
        }
        for entry in entries
    ]
    show([entry.to_dict() for entry in entries], as_json=json, text=table(rows, empty="no encoders"))


def encoder_info(name: EncoderName, /, *, json: Json = False) -> None:
    """What is known of a public encoder: files, licence, terms of its data, input, figures.

    Args:
        name: see `EncoderName`.
        json: see `Json`.
    """
    from passerby.models.hub import hub_info

    show(hub_info(name), as_json=json)


def get(
    name: EncoderName,
    /,
    *,
    local: Annotated[tuple[Path, ...], Parameter(name="--from", metavar="FILE")] = (),
    json: Json = False,
) -> None:
    """Bring a public encoder's files into the cache; then `hub:NAME` is an encoder in every command.

    Args:
        name: see `EncoderName`.
        local: Take these files (or the files in this folder) instead of downloading.
        json: see `Json`.
    """
    from passerby.models.hub import hub_get

    entry = hub_get(name, files=local)
    show({"name": entry.name, "folder": str(entry.folder)}, as_json=json, text=f"hub:{entry.name}: {entry.folder}")
