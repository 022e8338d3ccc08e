"""One process or many: the same numbers, from the command that users type."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.distributed.processes import run_in_processes

from passerby.config import Config, parse_config
from passerby.data.synthetic import draw_dataset
from passerby.training.losses_seen import LossesSeen
from passerby.training.trainer import train

pytestmark = pytest.mark.slow


def train_with_torchrun(recipe: Path, out: Path, processes: int) -> None:
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


def settings(root: Path, **objective: object) -> Config:
    """The backbone stays frozen: batch norm sees this process's images only, everything else the global batch."""
    content = {
        "name": "test",
        "data": {"name": "synthetic", "root": str(root)},
        "input": {"height": 32, "width": 16},
        "augment": {"flip": 0.0, "pad": 0, "erasing": 0.0},
        "sampler": {"identities": 4},
        "model": {"backbone": "tiny:osnet_x0_25", "neck": "none", "fc_dims": [16]},
        "objective": {"batch_hard_triplet": {}, "lin": {"weight": 0.4}, **objective},
        "optimizer": {"name": "sgd", "lr": 0.01, "clip_norm": 5.0},
        "schedule": {"epochs": 2, "warmup_epochs": 0, "decay": "constant", "freeze_backbone_epochs": 2},
        "run": {"threads": 1},
    }
    return parse_config(content, where="test")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    return draw_dataset(folder, identities=16, train_identities=12, cameras=2, images_per_camera=3)


def test_two_processes_end_where_one_does(root: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(settings(root, softmax={}).to_toml())
    runs = {n: tmp_path / f"run-{n}" for n in (1, 2)}
    for n, out in runs.items():
        train_with_torchrun(recipe, out, n)
    states = {n: torch.load(out / "checkpoint.pt", weights_only=True) for n, out in runs.items()}
    for part in ("model", "objective"):
        for name, tensor in states[1][part].items():
            assert torch.allclose(tensor.double(), states[2][part][name].double(), atol=1e-5), name
    rows = [list(map(json.loads, (out / "metrics.jsonl").read_text().splitlines())) for out in runs.values()]
    for one, two in zip(*rows, strict=True):
        assert one["losses"] == pytest.approx(two["losses"], abs=1e-4)


class Kill(Exception):
    """Ends the training of a process at a step."""


def _killed_and_resumed(root: Path, out: Path) -> None:
    """In each process: one training, and one that is killed in its second epoch and goes on."""
    config = settings(root, softmax={"loss": "passerby.losses.sharded:ShardedSoftmaxLoss"})
    train(config, out=out / "whole")
    record, steps = LossesSeen.record, 0

    def record_and_die(self: LossesSeen, terms: dict[str, torch.Tensor]) -> None:
        nonlocal steps
        steps += 1
        if self._epoch == 1:
            raise Kill
        record(self, terms)

    LossesSeen.record = record_and_die  # type: ignore[method-assign]
    with pytest.raises(Kill):
        train(config, out=out / "killed")
    LossesSeen.record = record  # type: ignore[method-assign]
    assert steps > 1
    train(config, out=out / "killed")


def test_shares_of_class_weights_survive_a_kill(root: Path, tmp_path: Path) -> None:
    run_in_processes(2, _killed_and_resumed, root, tmp_path)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    (share,) = (p.name for p in (whole / "shares").iterdir())  # of the second process; older ones are gone
    for name in ("checkpoint.pt", f"shares/{share}"):
        one, other = (torch.load(run / name, weights_only=True) for run in (whole, killed))
        for key, tensor in one["objective"].items():
            if isinstance(tensor, torch.Tensor):
                assert torch.equal(tensor, other["objective"][key]), key
