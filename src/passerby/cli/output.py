"""Results on stdout: text for people, JSON for machines."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from passerby.evaluation.p_values import shown_p_value

_P_VALUES = ("p", "p-value")
"""Headings of columns with p-values."""


def is_first_process() -> bool:
    """Whether this process prints: of several that torchrun started, the first one does."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or os.environ.get("RANK", "0") == "0"


def show(result: Any, *, as_json: bool, text: str | None = None) -> None:
    """Print a result, in the first process only.

    Args:
        result: what has a `to_dict`, a dataclass, a pydantic model or plain values.
        as_json: print JSON instead of the text.
        text: for people; default: the result's own `str`.
    """
    if is_first_process():
        words = (
            json.dumps(plain(result), indent=2, allow_nan=False) if as_json else str(result) if text is None else text
        )
        print(words.encode(errors="backslashreplace").decode())  # names of files need not be text


def plain(value: Any) -> Any:
    """A result as what JSON has; numbers that are not finite become null."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def table(rows: Sequence[Mapping[str, Any]], *, empty: str) -> str:
    """Rows with the same keys as aligned columns; columns in which nothing stands are left out.

    Args:
        rows: what the lines show, by heading.
        empty: what to say where there is no row.
    """
    if not rows:
        return empty
    cells = [{heading: _cell(heading, value) for heading, value in row.items()} for row in rows]
    columns = [heading for heading in cells[0] if any(row[heading] for row in cells)]
    widths = {c: max(len(c), *(len(row[c]) for row in cells)) for c in columns}
    right = {c for c in columns if all(isinstance(row[c], (int, float)) or row[c] is None for row in rows)}
    lines = [{c: c for c in columns}, *cells]
    return "\n".join(
        "  ".join(f"{line[c]:{'>' if c in right else '<'}{widths[c]}}" for c in columns).rstrip() for line in lines
    )


def _cell(heading: str, value: Any) -> str:
    if heading in _P_VALUES:
        return shown_p_value(value)
    if value is None or value is False or value in ("", (), [], {}):
        return ""
    if value is True:
        return "yes"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text.replace("\r", "\\r").replace("\n", "\\n")  # as in a file's name; a row is one line


def iso_time(seconds: float | None) -> str:
    """Seconds since 1970 as ISO 8601 in UTC; other numbers (seconds of a film) as they are; "" where unknown."""
    from passerby.gallery.times import show_time

    shown = show_time(seconds)
    return "" if shown == "-" else shown.replace(" ", "T")
