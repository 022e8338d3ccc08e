"""`compare`: recipes trained under equal conditions, with spread over seeds and paired significance, as one table."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from passerby.config import Config, load_recipe, parse_config
from passerby.data.datasets import load_dataset
from passerby.data.records import labels_of
from passerby.data.sampling.sampler import make_sampler
from passerby.errors import ConfigError, TrainingError
from passerby.evaluation.closed_set.result import PerQuery, Report
from passerby.evaluation.closed_set.statistics import PairedTest, compare_reports
from passerby.evaluation.evaluate import evaluate
from passerby.files import replace_file
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.export.encoder_export import export
from passerby.report.figures import cmc_curves, training_curves
from passerby.report.page import Plot, Section, Table, Tile, render_page, write_page
from passerby.training.checkpoint import load_checkpoint
from passerby.training.run import Run
from passerby.version import __version__

log = logging.getLogger("passerby")

_RESULT = "result.json"


@dataclass(frozen=True)
class Trial:
    """One recipe with one seed.

    Attributes:
        recipe: its name.
        seed: of the training.
        report: on the test set, of the model that the run itself chose (never by its test score).
        held_out_mAP: on the held-out training identities, by which settings may be chosen; None where none are.
        minutes: of training.
        peak_gib: largest memory of the training process.
        curve: (epochs, total loss).
    """

    recipe: str
    seed: int
    report: Report
    held_out_mAP: float | None
    minutes: float
    peak_gib: float
    curve: tuple[list[int], list[float]]


@dataclass(frozen=True)
class Row:
    """One recipe over its seeds: mean, spread (standard deviation), and the test against the best row."""

    recipe: str
    seeds: tuple[int, ...]
    mAP: float
    mAP_spread: float
    rank1: float
    rank1_spread: float
    mINP: float
    minutes: float
    peak_gib: float
    against_best: PairedTest | None


@dataclass(frozen=True)
class Comparison:
    """Rows from the best mAP down; prints as Markdown.

    Attributes:
        rows: one a recipe.
        trials: every training.
        conditions: what all of them shared, as lines of TOML.
        protocol: how they were judged.
    """

    rows: tuple[Row, ...]
    trials: tuple[Trial, ...]
    conditions: str
    protocol: str

    def cells(self) -> list[list[str]]:
        """Header and rows as text."""
        header = ["recipe", "mAP", "rank-1", "mINP", "seeds", "minutes", "peak GiB", "behind the best (mAP)", "p"]
        lines = [header]
        for row in self.rows:
            test = row.against_best
            lines.append(
                [
                    row.recipe,
                    _percent(row.mAP, row.mAP_spread, len(row.seeds)),
                    _percent(row.rank1, row.rank1_spread, len(row.seeds)),
                    f"{100 * row.mINP:.1f}",
                    str(len(row.seeds)),
                    f"{row.minutes:.1f}",
                    f"{row.peak_gib:.2f}",
                    "best" if test is None else _behind(test),
                    "" if test is None else f"{test.p_value:.3f}" if test.p_value >= 5e-4 else "< 0.001",
                ]
            )
        return lines

    def to_markdown(self) -> str:
        """The table, with what was shared and how it was judged."""
        header, *rows = self.cells()
        lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(row) for row in rows)]
        return "\n".join([*(f"| {line} |" for line in lines), "", self.protocol])

    def to_csv(self) -> str:
        """The table as CSV."""
        text = io.StringIO()
        csv.writer(text).writerows(self.cells())
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values: one entry a training, and the shared conditions."""
        return {
            "conditions": self.conditions,
            "protocol": self.protocol,
            "versions": {
                "passerby": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            "trials": [
                {
                    "recipe": t.recipe,
                    "seed": t.seed,
                    "epochs": len(t.curve[0]),
                    "minutes": round(t.minutes, 2),
                    "peak_gib": round(t.peak_gib, 3),
                    "held_out_mAP": t.held_out_mAP,
                    "mAP": t.report.mAP,
                    "mINP": t.report.mINP,
                    "rank1": t.report.rank(1),
                    "rank5": t.report.rank(5),
                    "rank10": t.report.rank(10),
                    "queries": t.report.queries,
                    "skipped": t.report.skipped,
                }
                for t in self.trials
            ],
        }

    def __str__(self) -> str:
        return self.to_markdown()


def compare(
    recipes: Sequence[str | Path],
    *,
    out: str | os.PathLike[str],
    seeds: int = 1,
    common: Mapping[str, Any] | None = None,
    images: int | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    engine: str | None = None,
) -> Comparison:
    """Train recipes under equal conditions and judge them on the test set, once, at the end.

    Run again with the same `out`, it goes on where it stopped: finished trainings are kept.

    Args:
        recipes: names, or TOML files.
        out: folder for the runs, table.md, table.csv, table.json and report.html.
        seeds: trainings of each recipe, with the seeds 0, 1, ...
        common: settings that replace the recipes' own in all of them (data, backbone, epochs, ...), nested as in TOML.
        images: the budget: how many images each training sees. Every recipe's schedule is stretched or pressed to it,
            so that recipes whose epochs differ in length (`sampler.epoch`) are compared at equal cost. None: the epochs
            that recipe and `common` say.
        vary: settings by dotted name with the values to try, one at a time, beside each recipe as it is: the tables of
            papers. {"objective.lin.weight": [0.2, 0.6]} adds the rows "lin weight=0.2" and "lin weight=0.6".
        engine: runs the trained encoders on the test set: "openvino" or "onnxruntime" (exported first, and checked
            against torch) are faster on a CPU than torch, the default.

    Returns:
        The table.

    Raises:
        ConfigError: unknown recipes or settings; a folder that holds trainings with other settings.
        DataError: the budget is given and the dataset cannot be read.
        TrainingError: a training failed; the others are kept.
    """
    folder = Path(out)
    configs = [_with_common(recipe, common or {}) for recipe in recipes]
    configs = [variant for config in configs for variant in variants(config, vary or {})]
    if images is not None:
        configs = [with_budget(config, images) for config in configs]
    names = [config.name for config in configs]
    if len(set(names)) < len(names):
        raise ConfigError(f"two of the recipes have the same name: {', '.join(names)}")
    trials = []
    for seed in range(seeds):
        for number, config in enumerate(configs, 1):
            log.info("seed %d of %d, recipe %d of %d: %s", seed + 1, seeds, number, len(configs), config.name)
            trials.append(_trial(config, seed, folder / _folder(config.name) / f"seed-{seed}", engine))
    comparison = _summarise(trials, {**(common or {}), **({} if images is None else {"images": images})})
    _write(folder, comparison)
    return comparison


def variants(config: Config, vary: Mapping[str, Sequence[Any]]) -> list[Config]:
    """The recipe itself and one copy for each value of each setting, named after it; equal to the recipe: left out.

    Raises:
        ConfigError: an unknown setting, or a value that does not fit.
    """
    found = [config]
    for key, values in vary.items():
        for value in values:
            changed = _merged(config.model_dump(mode="json", exclude_none=True), _nested(key, value))
            variant = parse_config(changed, where=f"recipe {config.name} with {key} = {value!r}")
            if variant != config:
                label = f"{config.name} {key.rpartition('.')[2]}={value}"
                found.append(variant.model_copy(update={"name": label}))
    return found


def _nested(key: str, value: Any) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _folder(name: str) -> str:
    """A recipe's or variant's name as a folder's."""
    return re.sub(r"[^\w.=-]+", "_", name)


def with_budget(config: Config, images: int) -> Config:
    """The recipe with its schedule scaled so that the training sees about `images` images (whole epochs, at least one).

    Raises:
        DataError: the dataset cannot be read.
    """
    data = load_dataset(config.data.name, config.data.root, split=config.data.split, **config.data.arguments)
    training, _ = data.hold_out(config.data.held_out_identities, seed=0)
    labels, _ = labels_of(training.train)
    sampler = make_sampler(config.sampler, labels, [s.camid for s in training.train], seed=config.run.seed)
    schedule = config.schedule
    epochs = max(1, round(images / (sampler.steps(0) * config.sampler.batch_size)))
    scale = epochs / schedule.epochs
    changes = {
        "epochs": epochs,
        "warmup_epochs": schedule.warmup_epochs * scale,
        "milestones": tuple(max(1, round(m * scale)) for m in schedule.milestones),
        "freeze_backbone_epochs": round(schedule.freeze_backbone_epochs * scale),
    }
    return config.model_copy(update={"schedule": schedule.model_copy(update=changes)})


def _with_common(recipe: str | Path, common: Mapping[str, Any]) -> Config:
    content = tomllib.loads(load_recipe(recipe).to_toml())
    return parse_config(_merged(content, common), where=f"recipe {recipe} with the common settings")


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _trial(config: Config, seed: int, folder: Path, engine: str | None) -> Trial:
    config = config.model_copy(update={"run": config.run.model_copy(update={"seed": seed})})
    done = folder / _RESULT
    if done.exists():
        load_checkpoint(folder, config)  # refuses a training with other settings
    else:
        peak = _train(config, folder)
        run = Run(folder, config)
        data = load_dataset(config.data.name, config.data.root, split=config.data.split, **config.data.arguments)
        report = evaluate(_encoder(run, engine), data, settings=config.evaluation)
        with replace_file(done) as temporary:
            temporary.write_text(json.dumps({"peak_gib": peak, **report.to_dict(per_query=True)}), "utf-8")
    saved = json.loads(done.read_text("utf-8"))
    metrics = Run(folder, config).metrics
    rows = [row for row in metrics if row["kind"] == "epoch"]
    held_out = [row["mAP"] for row in metrics if row["kind"] == "evaluation"]
    return Trial(
        recipe=config.name,
        seed=seed,
        report=_report(saved),
        held_out_mAP=max(held_out, default=None),
        minutes=sum(row["seconds"] for row in rows) / 60,
        peak_gib=saved["peak_gib"],
        curve=([row["epoch"] for row in rows], [row["losses"]["total"] for row in rows]),
    )


def _encoder(run: Run, engine: str | None) -> Encoder:
    if engine is None or engine == "torch":
        return run.encoder
    export(run.path, {"onnxruntime": "onnx"}.get(engine, engine))
    return load_encoder(run.path, engine)


def _train(config: Config, folder: Path) -> float:
    """Train in a process of its own, so that its memory is its own; returns the peak in GiB."""
    recipe = folder.with_suffix(".toml")
    with replace_file(recipe) as temporary:
        temporary.write_text(config.to_toml(), "utf-8")
    command = [sys.executable, "-m", "passerby", "train", str(recipe), "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode in (-2, 130):
        raise KeyboardInterrupt
    if process.returncode != 0:
        raise TrainingError(f"{config.name}: the training failed (exit code {process.returncode}); see above")
    return usage.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def _report(saved: Mapping[str, Any]) -> Report:
    rows = saved["per_query"]
    per_query = PerQuery(**{name: np.array([row[name] for row in rows]) for name in PerQuery.__dataclass_fields__})
    fields = {name: saved[name] for name in Report.__dataclass_fields__ if name in saved}
    return Report(**{**fields, "cmc": np.array(saved["cmc"]), "notes": tuple(saved["notes"]), "per_query": per_query})


def _summarise(trials: Sequence[Trial], common: Mapping[str, Any]) -> Comparison:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.recipe, []).append(trial)
    means = {name: _mean_report(group) for name, group in groups.items()}
    order = sorted(means, key=lambda name: -means[name].mAP)
    rows = []
    for name in order:
        group, report = groups[name], means[name]
        rows.append(
            Row(
                recipe=name,
                seeds=tuple(t.seed for t in group),
                mAP=report.mAP,
                mAP_spread=_spread([t.report.mAP for t in group]),
                rank1=float(np.mean([t.report.rank(1) for t in group])),
                rank1_spread=_spread([t.report.rank(1) for t in group]),
                mINP=report.mINP,
                minutes=float(np.mean([t.minutes for t in group])),
                peak_gib=max(t.peak_gib for t in group),
                against_best=None if name == order[0] else compare_reports(report, means[order[0]], unit="identity"),
            )
        )
    first = trials[0].report
    protocol = (
        f"Protocol {first.protocol}, {first.metric} distance, {first.ap_definition} AP, {first.queries:,} queries "
        f"({first.skipped} skipped), no re-ranking. Intervals and p: paired over identities, against the best row."
    )
    return Comparison(tuple(rows), tuple(trials), json.dumps(common, default=str), protocol)


def _mean_report(group: Sequence[Trial]) -> Report:
    """The mean over seeds, query by query."""
    reports = [trial.report for trial in group]
    ap = np.mean([r.per_query.ap for r in reports], axis=0)
    inp = np.mean([r.per_query.inp for r in reports], axis=0)
    return replace(
        reports[0],
        mAP=float(ap.mean()),
        mINP=float(inp.mean()),
        per_query=replace(reports[0].per_query, ap=ap, inp=inp),
    )


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _percent(value: float, spread: float, seeds: int) -> str:
    return f"{100 * value:.1f}" + (f" ± {100 * spread:.1f}" if seeds > 1 else "")


def _behind(test: PairedTest) -> str:
    return f"{-100 * test.difference:.1f} ({-100 * test.high:.1f} to {-100 * test.low:.1f})"


def _write(folder: Path, comparison: Comparison) -> None:
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
