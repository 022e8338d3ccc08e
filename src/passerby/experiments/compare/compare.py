"""`compare`: recipes trained under equal conditions, with spread over seeds and paired significance, as one table."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from passerby.config.engine import EngineName
from passerby.errors import ConfigError
from passerby.experiments.compare.comparison_table import Comparison, summarise
from passerby.experiments.compare.plan import folder_name, plan_trainings
from passerby.experiments.compare.result_files import write_files
from passerby.experiments.compare.trial import run_trial

log = logging.getLogger("passerby")


def compare(
    recipes: Sequence[str | Path],
    *,
    out: str | os.PathLike[str],
    seeds: int = 1,
    common: Mapping[str, Any] | None = None,
    images: int | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    engine: EngineName | None = None,
) -> Comparison:
    """Train recipes under equal conditions and evaluate them on the test set, once, at the end.

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
            papers. {"objective.lin.weight": [0.2, 0.6]} adds the rows "lin weight=0.2" and "lin weight=0.6"; settings
            that end alike are named in full.
        engine: runs the trained encoders on the test set; None: as `evaluation.engine` of each recipe says.

    Returns:
        The table.

    Raises:
        ConfigError: fewer than one seed or image; unknown recipes or settings, or ones that `seeds` or `images`
            choose; two recipes of one name; a training that was refused; a folder that holds trainings with other
            settings.
        DataError: the budget is given and the dataset cannot be read.
        TrainingError: a training failed; the others are kept.
    """
    if seeds < 1:
        raise ConfigError(f"seeds: expected at least 1 training of each recipe, found {seeds}")
    if images is not None and images < 1:
        raise ConfigError(f"images: expected at least 1 image to train on, found {images}")
    folder = Path(out)
    configs = plan_trainings(recipes, common=common or {}, vary=vary or {}, images=images)
    trials = []
    for seed in range(seeds):
        for number, config in enumerate(configs, 1):
            log.info("seed %d of %d, recipe %d of %d: %s", seed + 1, seeds, number, len(configs), config.name)
            trials.append(run_trial(config, seed, folder / folder_name(config.name) / f"seed-{seed}", engine))
    comparison = summarise(trials, {**(common or {}), **({} if images is None else {"images": images})})
    write_files(folder, comparison)
    return comparison
