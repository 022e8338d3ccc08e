"""`passerby keys`: API keys of a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from passerby.cli.output import show, table
from passerby.cli.shared_parameters import Json

KeysFile: TypeAlias = Annotated[Path, Parameter(help="The keys file, as for `passerby serve --keys`.")]
Holder: TypeAlias = Annotated[str, Parameter(help="Who holds the key; stands in logs and in the audit.")]


def add(
    file: KeysFile,
    name: Holder,
    /,
    *,
    role: Literal["read", "write", "admin"] = "read",
    rate: Annotated[float | None, Parameter(metavar="N")] = None,
    json: Json = False,
) -> None:
    """Make a key and print it once: the file holds its hash only.

    Args:
        file: The keys file; made where there is none.
        name: Who holds it.
        role: What it may do: read (identify and look), write (enrol, observe, merge), admin (forget, audit).
        rate: Requests per second (default: the service's; 0: no limit).
        json: see `Json`.
    """
    from passerby.service.api_keys import add_key

    token = add_key(file, name, role=role, rate=rate)
    show({"name": name, "role": role, "rate": rate, "key": token}, as_json=json, text=token)


def list_keys(file: KeysFile, /, *, json: Json = False) -> None:
    """Names, roles and rates of the keys."""
    from passerby.service.api_keys import list_keys as run_list

    rows = [{"name": key.name, "role": key.role, "rate": key.rate} for key in run_list(file)]
    shown = [{**row, "rate": "default" if row["rate"] is None else f"{row['rate']:g}/s"} for row in rows]
    show(rows, as_json=json, text=table(shown, empty=f"{file}: no keys"))


def remove(file: KeysFile, name: Holder, /, *, json: Json = False) -> None:
    """Take a key back; a running service notices at its next request."""
    from passerby.service.api_keys import remove_key

    remove_key(file, name)
    show({"removed": name}, as_json=json, text=f"{name}: removed from {file}")
