"""p-values for people: few digits, and nothing below a thousandth."""

from __future__ import annotations

_LEAST = 0.001


def shown_p_value(p_value: float | None) -> str:
    """As a table shows it: "0.042", "< 0.001"; "" where there is none."""
    if p_value is None:
        return ""
    return f"< {_LEAST:g}" if p_value < _LEAST else f"{p_value:.2g}"


def p_value_words(p_value: float) -> str:
    """As a sentence says it: "p = 0.042", "p < 0.001"."""
    shown = shown_p_value(p_value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"
