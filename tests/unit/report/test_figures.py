"""Every figure draws on full and on degenerate input, in both themes, without a warning (warnings are errors here)."""

import base64
import inspect
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from passerby.report import figures
from passerby.report.figures import DARK, LIGHT, Theme

NAN = float("nan")
CASES: dict[str, dict[str, Callable[..., Figure]]] = {
    "cmc_curves": {
        "two": partial(figures.cmc_curves, {"plain": np.linspace(0.4, 1, 50), "re-ranked": np.linspace(0.5, 1, 50)}),
        "one rank": partial(figures.cmc_curves, {"plain": [0.0]}),
        "perfect": partial(figures.cmc_curves, {"plain": np.ones(10)}),
    },
    "precision_recall": {
        "one query": partial(figures.precision_recall, {"plain": ([0.0, 1.0], [1.0, 1.0])}),
        "zero": partial(figures.precision_recall, {"plain": (np.linspace(0, 1, 101), np.zeros(101))}),
    },
    "roc_curve": {
        "full": partial(figures.roc_curve, np.logspace(-6, 0, 50), np.linspace(0, 1, 50)),
        "no pair of two": partial(figures.roc_curve, np.zeros(4), np.linspace(0, 1, 4)),
        "one point": partial(figures.roc_curve, [1.0], [1.0]),
    },
    "dir_far_curve": {
        "full": partial(
            figures.dir_far_curve, np.linspace(0, 1, 9), {"rank 1": np.linspace(0, 1, 9)}, points=((0.0, 0.0), (0.5, 1))
        ),
        "no impostor": partial(figures.dir_far_curve, [NAN], {"rank 1": [1.0]}, points=((NAN, 1.0),)),
        "nothing": partial(figures.dir_far_curve, [], {"rank 1": []}),
        "one impostor": partial(figures.dir_far_curve, [0.0, 1.0], {"rank 1": [0.2, 0.4]}),
    },
    "threshold_curves": {
        "full": partial(figures.threshold_curves, [0.1, 0.5, math.inf], {"named": [0, 0.5, 1]}, threshold=0.3),
        "only infinity": partial(figures.threshold_curves, [math.inf], {"named": [1.0]}, threshold=math.inf),
    },
    "distance_histogram": {
        "full": partial(figures.distance_histogram, [0, 1, 2, 3], [5, 2, 0], [0, 2, 9], threshold=1.5),
        "no pair": partial(figures.distance_histogram, [0.0, 1.0], [0], [0]),
        "one bin": partial(figures.distance_histogram, [0.0, 1.0], [3], [0], threshold=math.inf),
    },
    "camera_matrix": {
        "full": partial(figures.camera_matrix, [[NAN, 0.5], [0.9, NAN]], (0, 1), (0, 1)),
        "one cell": partial(figures.camera_matrix, [[1.0]], (3,), (3,)),
        "many": partial(figures.camera_matrix, np.full((15, 15), 0.5), range(15), range(15)),
        "empty": partial(figures.camera_matrix, np.full((2, 2), NAN), (0, 1), (0, 1)),
    },
    "identity_map": {
        "one point": partial(figures.identity_map, [[0.0, 0.0]], [7]),
        "cameras": partial(figures.identity_map, [[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]], [1, 1, 2], [0, 1, 5]),
        "many cameras": partial(figures.identity_map, np.eye(20)[:, :2], np.arange(20) % 3, np.arange(20)),
        "many people": partial(figures.identity_map, np.random.default_rng(0).normal(size=(60, 2)), np.arange(60)),
    },
    "training_curves": {
        "hostile names": partial(
            figures.training_curves,
            {"$\\frac{1}$": ([1, 2], [1.0, 0.5]), "_hidden": ([1], [NAN]), "人\n": ([1], [2.0])},
            x_label="epoch",
            y_label="loss",
        ),
        "log": partial(figures.training_curves, {"": ([1, 2], [1e-3, 1e-5])}, x_label="x", y_label="y", log=True),
        "log of zero": partial(figures.training_curves, {"": ([1, 2], [0.0, 1.0])}, x_label="x", y_label="y", log=True),
    },
}


def test_every_figure_has_cases() -> None:
    public = {
        name
        for name, function in inspect.getmembers(figures, inspect.isfunction)
        if not name.startswith("_") and inspect.signature(function).return_annotation == "Figure"
    }
    assert public == set(CASES)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_draws_on_any_input(name: str, case: str, theme: Theme) -> None:
    uri = figures.to_svg(CASES[name][case](theme=theme))
    text = base64.b64decode(uri.removeprefix("data:image/svg+xml;base64,")).decode()
    assert text.startswith("<?xml")
    assert text.rstrip().endswith("</svg>")
    assert theme.ink in text or theme.muted in text


def test_png_is_a_png() -> None:
    uri = figures.to_png(figures.cmc_curves({"plain": [0.5, 1.0]}))
    assert base64.b64decode(uri.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG\r\n")


def test_threads_draw_what_one_thread_draws() -> None:
    draw = [next(iter(cases.values())) for cases in CASES.values()]
    alone = [figures.to_svg(one()) for one in draw]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: figures.to_svg(one()), draw))
    assert together == alone


def test_nothing_imports_pyplot() -> None:
    for file in Path(figures.__file__).parent.glob("*.py"):
        assert "pyplot import" not in file.read_text("utf-8"), file
        assert "import matplotlib.pyplot" not in file.read_text("utf-8"), file


def luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_read(theme: Theme) -> None:
    for color in (theme.ink, theme.muted, theme.same, theme.different, theme.accent, *theme.series):
        assert contrast(color, theme.page) >= 4.5, color
