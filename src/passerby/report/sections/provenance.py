"""The run behind a model: its training, where its numbers come from, and how they may be used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from passerby.report import figures
from passerby.report.formatting import is_empty, plain_text
from passerby.report.html_page import Plot, Section, Table

_FEWEST_POINTS = 3
"""Below so many points a line says no more than its numbers."""
_HELD_OUT = (("mAP", "mAP"), ("rank1", "rank-1"))

RESPONSIBLE_USE = Section(
    "Responsible use",
    text=(
        "Images of people and the vectors computed from them are personal data, and vectors that single somebody out "
        "are biometric data. Their use needs a lawful basis, in many places consent, and in some it is forbidden.",
        "A match is a statement about likeness, not about identity. These numbers hold for the images they were "
        "measured on; other cameras, other light and people unlike those of the training data make them worse. No "
        "decision about a person should rest on a match alone.",
    ),
)


def training(metrics: Path) -> Section | None:
    """What a run wrote down as it went; None where there is nothing to show."""
    rows = _read_rows(metrics)
    epochs = [row for row in rows if row.get("kind") == "epoch" and isinstance(row.get("losses"), dict)]
    tests = [row for row in rows if row.get("kind") == "evaluation"]
    names = sorted({name for row in epochs for name in row["losses"]}, key=lambda name: (name != "total", name))
    groups = [
        ("Loss", "loss", {name: _series(epochs, lambda row, name=name: row["losses"].get(name)) for name in names}),
        ("Learning rate", "learning rate", {"": _series(epochs, lambda row: row.get("lr"))}),
        (
            "Held-out identities",
            "fraction",
            {label: _series(tests, lambda row, key=key: row.get(key)) for key, label in _HELD_OUT},
        ),
    ]
    plots, rows_of_few = [], []
    for title, unit, series in groups:
        drawn = {name: pair for name, pair in series.items() if len(pair[0])}
        if drawn and max(len(x) for x, _ in drawn.values()) < _FEWEST_POINTS:
            rows_of_few += [
                (
                    f"{title}, {name}" if name else title,
                    ", ".join(f"{v:.4g} ({e:g})" for e, v in zip(*pair, strict=True)),
                )
                for name, pair in drawn.items()
            ]
        elif drawn:
            last = ", ".join(f"{name or unit} {pair[1][-1]:.4g}" for name, pair in drawn.items())
            draw = partial(figures.training_curves, drawn, x_label="epoch", y_label=unit)
            plots.append(Plot(draw, f"{title} over epochs; at the end {last}.", "", title))
    table = Table(("quantity", "value (epoch)"), tuple(rows_of_few), words=True) if rows_of_few else None
    return Section("Training", plots=tuple(plots), table=table) if plots or table else None


def provenance(entries: Mapping[str, Any], config: str | None) -> Section:
    """Where the numbers come from."""
    rows = tuple((name, plain_text(value)) for name, value in entries.items() if not is_empty(value))
    code = (("Configuration (TOML)", config),) if config else ()
    return Section("Provenance", table=Table(("what", "value"), rows, words=True), code=code)


def _read_rows(metrics: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file; a last line that a kill cut short is left out."""
    try:
        lines = metrics.read_text("utf-8").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and isinstance(row.get("epoch"), int):
            rows.append(row)
    return rows


def _series(rows: Sequence[dict[str, Any]], read: Any) -> tuple[list[float], list[float]]:
    pairs = [(row["epoch"], read(row)) for row in rows]
    pairs = [(x, y) for x, y in pairs if isinstance(y, (int, float))]
    return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
