from pathlib import Path
from typing import Any

import pytest

from passerby.config import Config
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError
from passerby.experiments.compare import trial
from passerby.experiments.compare.compare import compare
from passerby.training.trainer import train


@pytest.mark.slow
def test_recipes_under_equal_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_dataset(tmp_path / "people", identities=20, train_identities=12, cameras=2, images_per_camera=3)
    source = Path(__file__).parents[2] / "src"
    monkeypatch.setenv("PYTHONPATH", str(source))
    common = {
        "data": {"name": "synthetic", "root": str(root)},
        "input": {"height": 32, "width": 16},
        "sampler": {"identities": 4},
        "model": {"backbone": "tiny:resnet18"},
        "schedule": {"epochs": 1, "warmup_epochs": 0},
        "run": {"threads": 1},
    }
    table = compare(["strong_baseline", "lin"], out=tmp_path / "runs", common=common)
    assert {row.recipe for row in table.rows} == {"strong_baseline", "lin"}
    assert table.rows[0].mAP >= table.rows[1].mAP
    assert table.rows[0].against_best is None
    difference = table.rows[1].against_best
    assert difference is not None
    assert difference.difference == pytest.approx(table.rows[1].mAP - table.rows[0].mAP)
    assert all(trial.peak_gib > 0.05 for trial in table.trials)
    assert all(trial.held_out_mAP is None for trial in table.trials)
    written = {p.name for p in (tmp_path / "runs").iterdir()}
    assert {"table.md", "table.csv", "table.json", "report.html"} <= written
    before = (tmp_path / "runs" / "lin" / "seed-0" / "checkpoint.pt").stat().st_mtime_ns
    assert compare(["strong_baseline", "lin"], out=tmp_path / "runs", common=common).to_csv() == table.to_csv()
    assert (tmp_path / "runs" / "lin" / "seed-0" / "checkpoint.pt").stat().st_mtime_ns == before
    again = compare(["lin"], out=tmp_path / "runs", common={**common, "evaluation": {"ap": "trapezoid", "max_rank": 5}})
    assert [(t.report.ap_definition, len(t.report.cmc)) for t in again.trials] == [("trapezoid", 5)], "evaluated anew"
    assert (tmp_path / "runs" / "lin" / "seed-0" / "checkpoint.pt").stat().st_mtime_ns == before, "not trained anew"
    with pytest.raises(ConfigError, match=r"optimizer\.lr"):
        compare(["lin"], out=tmp_path / "runs", common={**common, "optimizer": {"lr": 0.1}})


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"images": 0}, {"images": -5}])
def test_nothing_to_train_on_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: expected at least 1 "):
        compare(["lin"], out=tmp_path / "runs", **wrong)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_equal_budgets_and_another_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_dataset(tmp_path / "people", identities=20, train_identities=12, cameras=2, images_per_camera=3)

    def train_here(config: Config, folder: Path) -> float:  # the processes are those of the test above
        train(config, out=folder)
        return 0.1

    monkeypatch.setattr(trial, "_train", train_here)
    common = {
        "data": {"name": "synthetic", "root": str(root), "held_out_identities": 4},
        "input": {"height": 32, "width": 16},
        "sampler": {"identities": 4},
        "model": {"backbone": "tiny:resnet18"},
        "schedule": {"warmup_epochs": 0},
        "run": {"threads": 1},
    }
    vary = {"objective.lin.weight": [0.4, 0.0]}
    table = compare(["lin"], out=tmp_path / "runs", common=common, images=32, vary=vary, engine="onnxruntime")
    assert {row.recipe for row in table.rows} == {"lin", "lin weight=0.0"}, "the recipe's own value is no variant"
    assert all(0 < (trial.held_out_mAP or 0) <= 1 for trial in table.trials)
    assert {trial.report.settings["engine"] for trial in table.trials} == {"onnxruntime"}
    assert '"images": 32' in table.conditions
