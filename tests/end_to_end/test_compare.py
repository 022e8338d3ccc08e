from pathlib import Path

import pytest

from passerby.compare import compare
from passerby.data.synthetic import draw_dataset
from passerby.errors import ConfigError


@pytest.mark.slow
def test_recipes_under_equal_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_dataset(tmp_path / "people", identities=20, train_identities=12, cameras=2, images_per_camera=3)
    source = Path(__file__).parents[2] / "src"
    monkeypatch.setenv("PYTHONPATH", str(source))
    common = {
        "data": {"name": "synthetic", "root": str(root)},
        "input": {"height": 32, "width": 16},
        "sampler": {"identities": 4},
        "model": {"backbone": "tiny:osnet_x0_25"},
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
    written = {p.name for p in (tmp_path / "runs").iterdir()}
    assert {"table.md", "table.csv", "table.json", "report.html"} <= written
    before = (tmp_path / "runs" / "lin" / "seed-0" / "checkpoint.pt").stat().st_mtime_ns
    assert compare(["strong_baseline", "lin"], out=tmp_path / "runs", common=common).to_csv() == table.to_csv()
    assert (tmp_path / "runs" / "lin" / "seed-0" / "checkpoint.pt").stat().st_mtime_ns == before


def test_unknown_common_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'schedule\.epochs'"):
        compare(["lin"], out=tmp_path, common={"schedule": {"epoch": 3}})
    with pytest.raises(ConfigError, match="same name"):
        compare(["lin", "lin"], out=tmp_path)
