"""The comparison of the losses (docs/which-loss.md) as tables and as a picture.

    python -m benchmarks.which_loss [--results FILE.json] [--svg docs/which-loss.svg]

Reads what the trainings left, prints one Markdown table for each start (mean and standard deviation over seeds), and
draws every recipe's mAP on the test set, a dot a seed, where `--svg` names a file.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from matplotlib import rc_context
from matplotlib.figure import Figure

from passerby.config import recipe_names
from passerby.report.figures import LIGHT

Trials: TypeAlias = Sequence[dict[str, Any]]

STARTS = {
    "msmt17": "OSNet x0.25 from MSMT17, 90,000 images",
    "mobilenet_v2": "MobileNetV2 from ImageNet, 30,000 images",
    "resnet18": "ResNet-18 from ImageNet (last stage fresh), 30,000 images",
    "resnet18_long": "ResNet-18 from ImageNet (last stage fresh), 90,000 images",
    "scratch": "OSNet x0.25 from scratch, 90,000 images",
}
MARKERS = "osD^X"


def main() -> None:
    options = _options()
    trials = json.loads(options.results.read_text())["trials"]
    for start, title in STARTS.items():
        print(f"\n{title}\n\n" + table([t for t in trials if t["start"] == start]))
    if options.svg:
        with rc_context({"svg.hashsalt": "passerby"}):  # the same ids each time
            picture(trials).savefig(options.svg, format="svg", metadata={"Date": None, "Creator": None})


def table(trials: Trials) -> str:
    """Markdown: a row a recipe, best mAP first."""
    groups = _by_recipe(trials)
    lines = ["| recipe | seeds | held-out mAP | mAP | rank-1 | mINP |", "|---|---|---|---|---|---|"]
    for recipe in sorted(groups, key=lambda name: -_mean(groups[name], "mAP")):
        columns = (_spread(groups[recipe], key) for key in ("held_out_mAP", "mAP", "rank1", "mINP"))
        lines.append(f"| `{recipe}` | {len(groups[recipe])} | " + " | ".join(columns) + " |")
    return "\n".join(lines) + "\n"


def picture(trials: Trials) -> Figure:
    """A row a recipe, a marker a start, a dot a seed; only recipes as they come, none of the variants."""
    trials = [t for t in trials if t["recipe"] in recipe_names()]
    groups = _by_recipe([t for t in trials if t["start"] == "msmt17"])
    order = sorted(groups, key=lambda name: _mean(groups[name], "mAP"))
    figure = Figure(figsize=(8.0, 0.3 * len(order) + 1.6), layout="constrained", facecolor=LIGHT.page)
    axes = figure.subplots()
    for number, (start, title) in enumerate(STARTS.items()):
        dots = [(100 * t["mAP"], order.index(t["recipe"])) for t in trials if t["start"] == start]
        if dots:
            color = LIGHT.series[number]
            axes.scatter(*zip(*dots, strict=True), s=26, marker=MARKERS[number], color=color, alpha=0.85, label=title)
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel("mAP on Market-1501, %")
    axes.set_xlim(left=0)
    axes.grid(color=LIGHT.grid)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.which_loss")
    results = Path(__file__).parent / "results" / "market1501_comparison.json"
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--svg", type=Path)
    return parser.parse_args()


def _by_recipe(trials: Trials) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for trial in trials:
        groups[trial["recipe"]].append(trial)
    return dict(groups)


def _mean(trials: Trials, key: str) -> float:
    return statistics.mean(100 * t[key] for t in trials)


def _spread(trials: Trials, key: str) -> str:
    mean = f"{_mean(trials, key):.1f}"
    return mean if len(trials) == 1 else f"{mean} ± {statistics.stdev(100 * t[key] for t in trials):.1f}"


if __name__ == "__main__":
    main()
