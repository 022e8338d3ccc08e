"""Commands that make a model: demo, recipes, train, compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from passerby.cli import speaks
from passerby.cli.arguments import DataChoice, Json, ReaderArguments, parse, reader_arguments, show, varied
from passerby.config import Config, load_recipe, recipe_names
from passerby.config.overrides import take_flags, with_overrides
from passerby.config.toml import read_toml
from passerby.errors import UsageError


def demo(arguments: Sequence[str]) -> None:
    """Draw people, train, evaluate, enrol, identify, and write a report; needs no data."""

    @dataclass(frozen=True)
    class Options:
        out: Path = Path("demo")
        """Folder of everything the demo makes."""
        seed: int = 0
        """Seed of the drawing and the training."""

    options = parse(Options, arguments, "demo", doc=demo.__doc__)
    from passerby.demo import demo as run_demo

    print(run_demo(options.out, seed=options.seed))


def recipes(arguments: Sequence[str]) -> None:
    """List the recipes, or show one as TOML with every setting."""

    @dataclass(frozen=True)
    class Options:
        name: Positional[str | None] = None
        """Show this recipe."""
        json: Json = False

    options = parse(Options, arguments, "recipes", doc=recipes.__doc__)
    if options.name is not None:
        config = load_recipe(options.name)
        print(config.model_dump_json(indent=2) if options.json else config)
        return
    rows = {name: load_recipe(name).description for name in recipe_names()}
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    width = max(map(len, rows))
    print("\n".join(f"{name:{width}}  {text}" for name, text in rows.items()))


@dataclass(frozen=True)
class _TrainOptions:
    config: Annotated[Config, tyro.conf.arg(name="")]
    out: Path
    """Folder of the run; the same command goes on where it stopped."""
    data_arguments: Annotated[ReaderArguments, tyro.conf.arg(name="data.arguments")] = ()
    json: Json = False


def train(arguments: Sequence[str]) -> None:
    """Train a recipe, or go on with a training that was interrupted."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: passerby train RECIPE [--out FOLDER] [--data.name NAME --data.root FOLDER] [any setting]\n")
        print(f"recipes: {', '.join(recipe_names())}, or a .toml file")
        print("`passerby train RECIPE --help` lists every setting with the recipe's values")
        print("terms: --objective.center.weight 0.0005 adds one, --objective.lin none removes one")
        raise SystemExit(0 if "-h" in arguments or "--help" in arguments else 2)
    # flags of the objective may name terms and arguments that the recipe does not have, or remove them
    changes, others = take_flags(arguments[1:], "objective")
    verb = f"train {arguments[0]}"
    recipe = with_overrides(load_recipe(arguments[0]), changes, where=f"passerby {verb}")
    default = _TrainOptions(recipe, Path("runs") / recipe.name)
    options = parse(_TrainOptions, others, verb, doc=train.__doc__, default=default)
    from passerby.training.trainer import train as run_train

    data = options.config.data
    arguments_of_data = data.arguments | reader_arguments(options.data_arguments)
    config = options.config.model_copy(update={"data": data.model_copy(update={"arguments": arguments_of_data})})
    run = run_train(config, out=options.out)
    if not speaks():
        return
    if options.json:
        print(json.dumps({"run": str(run.path), "metrics": run.metrics}, indent=2))
    else:
        print(f"trained: {run.path}\nnext: passerby evaluate {run.path}")


@dataclass(frozen=True)
class _CompareOptions:
    recipes: Positional[tuple[str, ...]]
    """Names of recipes, or .toml files."""
    common: Path | None = None
    """TOML file of settings that replace the recipes' own in all of them: data, backbone, epochs, ..."""
    out: Path = Path("runs/compare")
    """Folder of the runs and the table; the same command goes on where it stopped."""
    seeds: int = 1
    """Trainings of each recipe."""
    images: int | None = None
    """Budget: images that each training sees; schedules are scaled to it. Without it: the epochs of the recipes."""
    vary: tuple[str, ...] = ()
    """Settings to vary, one at a time: objective.lin.weight=[0.2,0.6] ... adds a row for each value."""
    engine: Literal["torch", "onnxruntime", "openvino"] = "torch"
    """What runs the trained encoders on the test set."""
    data: DataChoice = DataChoice()
    json: Json = False


def compare(arguments: Sequence[str]) -> None:
    """Train recipes under equal conditions: a table with spread, significance, time and memory."""
    options = parse(_CompareOptions, arguments, "compare", doc=compare.__doc__)
    if not options.recipes:
        raise UsageError("passerby compare RECIPE...: name at least one recipe")
    from passerby.experiments.compare.compare import compare as run_compare

    common = {} if options.common is None else read_toml(options.common)
    if options.data.name is not None:
        common["data"] = {**common.get("data", {}), "name": options.data.name, "split": options.data.split}
        common["data"] |= {} if options.data.root is None else {"root": str(options.data.root)}
        common["data"] |= {"arguments": reader_arguments(options.data.arguments)}
    table = run_compare(
        options.recipes,
        out=options.out,
        seeds=options.seeds,
        common=common,
        images=options.images,
        vary=varied(options.vary),
        engine=options.engine,
    )
    show(table, as_json=options.json)
