"""Which trainings a comparison makes."""

from pathlib import Path

import pytest

from passerby.config import load_recipe
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError
from passerby.experiments.compare.compare import compare
from passerby.experiments.compare.plan import variants, with_budget


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
