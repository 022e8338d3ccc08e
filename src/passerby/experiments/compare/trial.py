"""One recipe trained with one seed, and evaluated on the test set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.config import Config, EvaluationSettings
from passerby.config.engine import EngineName
from passerby.config.evaluation import with_changes
from passerby.errors import ConfigError, TrainingError
from passerby.evaluation.closed_set.result import PerQuery, Report
from passerby.evaluation.evaluate import evaluate
from passerby.files import replace_file
from passerby.training.checkpoint import load_checkpoint
from passerby.training.run import Run

_RESULT = "result.json"
_CORRECTABLE = 2
"""Exit code of a command that was refused for what its caller can correct."""


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


def run_trial(config: Config, seed: int, folder: Path, engine: EngineName | None = None) -> Trial:
    """Train and evaluate, or go on where that stopped; a finished trial is read from its folder.

    Args:
        config: the recipe.
        seed: of the training.
        folder: of the run.
        engine: runs the trained encoder on the test set; None: as the recipe says.

    Raises:
        ConfigError: the folder holds a training with other settings, or the training was refused.
        TrainingError: the training failed.
    """
    config = config.model_copy(update={"run": config.run.model_copy(update={"seed": seed})})
    rules = config.evaluation if engine is None else with_changes(config.evaluation, {"engine": engine})
    done = folder / _RESULT
    saved: dict[str, Any] = {}
    if done.exists():
        load_checkpoint(folder, config)  # refuses a training with other settings
        saved = json.loads(done.read_text("utf-8"))
    if not _evaluated_as(rules, saved):
        peak = saved["peak_gib"] if saved else _train(config, folder)
        run = Run.open(folder)
        report = evaluate(run.encoder, run.data, settings=rules)
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


def _evaluated_as(settings: EvaluationSettings, saved: Mapping[str, Any]) -> bool:
    """Whether a saved report is by these settings; one of 0.1 does not say, and is made again."""
    wanted = settings.model_dump(mode="json", exclude={"batch_size", "engine", "threads"})
    if settings.protocol is None:  # the dataset's own
        del wanted["protocol"]
    was = {"precision": "float32", **saved.get("settings", {})} if saved else {}
    return all(name in was and was[name] == value for name, value in wanted.items())


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
    if process.returncode == _CORRECTABLE:
        raise ConfigError(f"{config.name}: the training was refused; see above")
    if process.returncode != 0:
        raise TrainingError(f"{config.name}: the training failed (exit code {process.returncode}); see above")
    return usage.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def _report(saved: Mapping[str, Any]) -> Report:
    rows = saved["per_query"]
    per_query = PerQuery(**{name: np.array([row[name] for row in rows]) for name in PerQuery.__dataclass_fields__})
    fields = {name: saved[name] for name in Report.__dataclass_fields__ if name in saved}
    return Report(**{**fields, "cmc": np.array(saved["cmc"]), "notes": tuple(saved["notes"]), "per_query": per_query})
