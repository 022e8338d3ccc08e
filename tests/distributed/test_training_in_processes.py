"""One process or many: the same numbers, from the command that users type."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from passerby.config import parse_config
from passerby.data.synthetic import draw_dataset

pytestmark = pytest.mark.slow


def train(recipe: Path, out: Path, processes: int) -> None:
    launcher = (
        [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    )
    command = [sys.executable, *launcher, "-m", "passerby", "train", str(recipe), "--out", str(out)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("trained:") == 1


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "people", identities=16, train_identities=12, cameras=2, images_per_camera=3)
    # The backbone stays frozen: batch norm sees this process's images only, everything else the global batch.
    config = parse_config(
        {
            "name": "test",
            "data": {"name": "synthetic", "root": str(root)},
            "input": {"height": 32, "width": 16},
            "augment": {"flip": 0.0, "pad": 0, "erasing": 0.0},
            "sampler": {"identities": 4},
            "model": {"backbone": "tiny:osnet_x0_25", "neck": "none", "fc_dims": [16]},
            "objective": {"softmax": {}, "batch_hard_triplet": {}, "lin": {"weight": 0.4}},
            "optimizer": {"name": "sgd", "lr": 0.01},
            "schedule": {"epochs": 2, "warmup_epochs": 0, "decay": "constant", "freeze_backbone_epochs": 2},
            "run": {"threads": 1},
        },
        where="test",
    )
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(config.to_toml())
    runs = {n: tmp_path / f"run-{n}" for n in (1, 2)}
    for n, out in runs.items():
        train(recipe, out, n)
    states = {n: torch.load(out / "checkpoint.pt", weights_only=True) for n, out in runs.items()}
    for part in ("model", "objective"):
        for name, tensor in states[1][part].items():
            assert torch.allclose(tensor.double(), states[2][part][name].double(), atol=1e-5), name
    rows = {
        n: [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()] for n, out in runs.items()
    }
    for one, two in zip(rows[1], rows[2], strict=True):
        assert one["losses"] == pytest.approx(two["losses"], abs=1e-4)
