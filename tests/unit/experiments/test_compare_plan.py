"""Which trainings a comparison makes."""

from pathlib import Path

import pytest

from passerby.config import load_recipe
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError
from passerby.experiments.compare.compare import compare
from passerby.experiments.compare.comparison_table import Comparison, Row
from passerby.experiments.compare.plan import folder_name, variants, with_budget


def test_a_budget_scales_the_schedule(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path, identities=20, train_identities=16, cameras=2, images_per_camera=4)
    for name in ("strong_baseline", "sphere_reid"):  # an epoch is every image (128), or each identity's K (64)
        config = load_recipe(name)
        data = config.data.model_copy(update={"name": "synthetic", "root": root})
        budget = with_budget(config.model_copy(update={"data": data}), 128 * 12)
        assert budget.schedule.epochs == (12 if name == "strong_baseline" else 24)
        share = budget.schedule.warmup_epochs / budget.schedule.epochs
        assert share == pytest.approx(config.schedule.warmup_epochs / config.schedule.epochs)
    assert budget.schedule.milestones == (14, 17), "80 and 100 of 140 epochs"


def test_an_unknown_setting_cannot_be_varied() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.lr'"):
        variants(load_recipe("lin"), {"optimizer.lrr": [1]})


def test_unknown_common_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'schedule\.epochs'"):
        compare(["lin"], out=tmp_path, common={"schedule": {"epoch": 3}})
    with pytest.raises(ConfigError, match="same name"):
        compare(["lin", "lin"], out=tmp_path)


def test_settings_that_end_alike_are_named_in_full() -> None:
    vary = {"objective.lin.weight": [0.2], "objective.softmax.weight": [0.3], "optimizer.lr": [1e-5]}
    names = [config.name for config in variants(load_recipe("lin"), vary)]
    assert names == ["lin", "lin objective.lin.weight=0.2", "lin objective.softmax.weight=0.3", "lin lr=1e-05"]


def test_what_seeds_and_images_choose_cannot_be_varied(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.seed would do nothing: seeds chooses it"):
        compare(["lin"], out=tmp_path, vary={"run.seed": [1, 2]})
    with pytest.raises(ConfigError, match=r"schedule\.epochs would do nothing: images chooses it"):
        compare(["lin"], out=tmp_path, images=640, vary={"schedule.epochs": [1, 2]})


def test_names_of_one_folder_are_refused_and_none_leaves_it(tmp_path: Path) -> None:
    recipes = []
    for number, name in enumerate(("a b", "a_b")):
        recipes.append(tmp_path / f"{number}.toml")
        recipes[-1].write_text(load_recipe("lin").model_copy(update={"name": name}).to_toml())
    with pytest.raises(ConfigError, match="the same folder: a b, a_b"):
        compare(recipes, out=tmp_path / "runs")
    assert folder_name("..") == "__"
    assert folder_name("lin weight=0.2") == "lin_weight=0.2"


def test_a_bar_in_a_name_is_no_column() -> None:
    row = Row("a|b", (0,), 0.5, 0.0, 0.5, 0.0, 0.5, 1.0, 1.0, None)
    table = Comparison((row,), (), "", "").to_markdown().splitlines()
    assert table[2].startswith(r"| a\|b | 50.0 |")
