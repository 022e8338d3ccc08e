"""Numbers of a report as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_SPACE = "\u00a0"  # a number and its sign stay on one line


def percent(fraction: float) -> str:
    """A fraction as text, with two digits where it is small; "–" where there is none."""
    if not math.isfinite(fraction):
        return "–"
    if 0 < fraction < 1e-6:
        return f"< 0.0001{_SPACE}%"
    digits = max(1, 1 - math.floor(math.log10(100 * fraction))) if 0 < fraction < 0.01 else 1
    return f"{100 * fraction:.{digits}f}{_SPACE}%"


def is_empty(value: Any) -> bool:
    """Whether there is nothing to show: None, no text, an empty list or mapping (0 and False are values)."""
    return value is None or (isinstance(value, (str, tuple, list, dict)) and not value)


def plain_text(value: Any) -> str:
    """Any value of a table of facts: mappings and lists joined without what is empty, all else as it prints."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain_text(item)}" for key, item in value.items() if not is_empty(item))
    if isinstance(value, (list, tuple)):
        return "; ".join(plain_text(item) for item in value)
    return str(value)


def settings_text(rerank: Mapping[str, Any]) -> str:
    """Settings of a re-ranking: its name, and its numbers in brackets."""
    settings = dict(rerank)
    name = str(settings.pop("method", "yes"))
    return f"{name} ({', '.join(f'{key} {value}' for key, value in settings.items())})" if settings else name
