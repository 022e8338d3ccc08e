"""A comparison as files: Markdown, CSV, JSON and one HTML page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from passerby.experiments.compare.comparison_table import Comparison
from passerby.files import replace_file
from passerby.report.figures import cmc_curves, training_curves
from passerby.report.html_page import Plot, Section, Table, Tile, render_page, write_page


def write_files(folder: Path, comparison: Comparison) -> None:
    """Write table.md, table.csv, table.json and report.html.

    Raises:
        StorageError: writing failed.
    """
    texts = {
        "table.md": comparison.to_markdown() + "\n",
        "table.csv": comparison.to_csv(),
        "table.json": json.dumps(comparison.to_dict(), indent=2),
    }
    for name, text in texts.items():
        with replace_file(folder / name) as temporary:
            temporary.write_text(text, "utf-8")
    write_page(folder / "report.html", _page(comparison))


def _page(comparison: Comparison) -> str:
    best = comparison.rows[0]
    header, *rows = comparison.cells()
    firsts = [t for t in comparison.trials if t.seed == 0]
    cmc = {t.recipe: t.report.cmc for t in firsts}
    losses = {t.recipe: (np.array(t.curve[0]), np.array(t.curve[1])) for t in firsts}
    sections = [
        Section(
            "Recipes",
            table=Table(tuple(header), tuple(map(tuple, rows)), caption=comparison.protocol),
            code=(("Shared settings", comparison.conditions),),
        ),
        Section(
            "Curves",
            plots=(
                Plot(lambda *, theme: cmc_curves(cmc, theme=theme), "CMC of every recipe", title="CMC (seed 0)"),
                Plot(
                    lambda *, theme: training_curves(losses, x_label="epoch", y_label="loss", log=True, theme=theme),
                    "total loss of every recipe over its epochs",
                    title="Training loss (seed 0)",
                ),
            ),
        ),
    ]
    tiles = [
        Tile("best mAP", f"{100 * best.mAP:.1f} %", best.recipe),
        Tile("its rank-1", f"{100 * best.rank1:.1f} %", f"{len(best.seeds)} seeds"),
        Tile("trainings", str(len(comparison.trials)), f"{sum(t.minutes for t in comparison.trials):.0f} minutes"),
    ]
    return render_page("Recipes compared", comparison.protocol, tiles, sections)
