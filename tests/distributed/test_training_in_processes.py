"""One process or many: the same numbers, from the command that users type."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.distributed.processes import run_in_processes

from passerby.config import Config, InputConfig, ModelConfig, parse_config
from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import draw_dataset
from passerby.embedding.embed import embed, embed_together
from passerby.models.encoder import Encoder
from passerby.models.model import build_model
from passerby.training.epoch_losses import EpochLosses
from passerby.training.trainer import train

pytestmark = pytest.mark.slow


def train_with_torchrun(recipe: Path, out: Path, processes: int) -> None:
    logs = out.with_suffix(".logs")
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    launcher = [*torchrun, "--tee", "3", "--log-dir", str(logs)]
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
    for rank in range(1, processes):  # only the first process speaks
        for stream in ("stdout", "stderr"):
            [log] = logs.glob(f"*/*/{rank}/{stream}.log")
            said = log.read_text().splitlines()
            assert not [
                line for line in said if not line.startswith("[Gloo]")
            ]  # which some versions of torch let through


def settings(root: Path, **objective: object) -> Config:
    """The backbone stays frozen: batch norm sees this process's images only, everything else the global batch."""
    content = {
        "name": "test",
        "data": {"name": "synthetic", "root": str(root)},
        "input": {"height": 32, "width": 16},
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
    return draw_dataset(folder, identities=16, train_identities=13, cameras=2, images_per_camera=3)


def test_torchrun_ends_where_one_process_does(root: Path, tmp_path: Path) -> None:
    """... and so do four that are forked, which import torch once."""
    config, recipe = settings(root, softmax={}), tmp_path / "recipe.toml"
    recipe.write_text(config.to_toml())
    runs = {n: tmp_path / f"run-{n}" for n in (1, 2, 4)}
    train(config, out=runs[1])
    train_with_torchrun(recipe, runs[2], 2)
    run_in_processes(4, _train, config, runs[4])
    states = {n: torch.load(out / "checkpoint.pt", weights_only=True) for n, out in runs.items()}
    rows = {n: (out / "metrics.jsonl").read_text().splitlines() for n, out in runs.items()}
    losses = {n: [json.loads(row)["losses"] for row in lines] for n, lines in rows.items()}
    for n in (2, 4):
        for part in ("model", "objective"):
            for name, tensor in states[1][part].items():
                assert torch.allclose(tensor.double(), states[n][part][name].double(), atol=1e-5), (n, name)
        for one, many in zip(losses[1], losses[n], strict=True):
            assert one == pytest.approx(many, abs=1e-4)


class Kill(Exception):
    """Ends the training of a process at a step."""


def _train(config: Config, out: Path, *, until: tuple[int, int] | None = None) -> None:
    """In each process: train, and die in 0-based epoch and step `until`."""
    record = EpochLosses.record

    def record_or_die(self: EpochLosses, terms: dict[str, torch.Tensor]) -> None:
        if (self._epoch, self.steps) == until:
            raise Kill
        record(self, terms)

    with patch.object(EpochLosses, "record", record_or_die), pytest.raises(Kill) if until else nullcontext():
        train(config, out=out)


def _sharded(root: Path, **optimizer: object) -> Config:
    """Saves at every step; 13 identities are rows that neither 2 nor 4 processes share equally."""
    config = settings(root, softmax={"loss": "passerby.losses.sharded:ShardedSoftmaxLoss"})
    return config.model_copy(
        update={
            "run": config.run.model_copy(update={"checkpoint_minutes": 1e-9}),
            "optimizer": config.optimizer.model_copy(update=optimizer),
        }
    )


def _killed_and_resumed(root: Path, out: Path) -> None:
    _train(_sharded(root), out / "whole")
    _train(_sharded(root), out / "killed", until=(1, 1))
    _train(_sharded(root), out / "killed")


def test_shares_of_class_weights_survive_a_kill(root: Path, tmp_path: Path) -> None:
    run_in_processes(2, _killed_and_resumed, root, tmp_path)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    (share,) = (p.name for p in (whole / "shares").iterdir())  # of the second process; older ones are gone
    for name in ("checkpoint.pt", f"shares/{share}"):
        one, other = (torch.load(run / name, weights_only=True) for run in (whole, killed))
        for key, tensor in one["objective"].items():
            if isinstance(tensor, torch.Tensor):
                assert torch.equal(tensor, other["objective"][key]), key


def _all_rows(run: Path) -> dict[str, torch.Tensor]:
    """Model, class weights and the optimiser's state, joined over processes where they were spread."""
    checkpoint = torch.load(run / "checkpoint.pt", weights_only=True)
    paths = sorted((run / "shares").glob("*.pt"))
    shares = [checkpoint, *(torch.load(path, weights_only=True) for path in paths)]
    assert len(shares) == checkpoint["world_size"]
    name = "terms.softmax.weight"
    rows = len(checkpoint["objective"][name])
    joined = dict(checkpoint["model"])
    joined[name] = torch.cat([share["objective"][name] for share in shares])
    for index, entries in checkpoint["optimizer"]["state"].items():
        for key, value in entries.items():
            spread = value.ndim == 2 and len(value) == rows
            parts = [share["optimizer"]["state"][index][key] for share in shares if len(share["objective"][name])]
            joined[f"{key} of parameter {index}"] = torch.cat(parts) if spread else value
    return joined


@pytest.mark.parametrize(("worlds", "optimizer"), [((1, 4, 2), {"name": "adam", "lr": 1e-3}), ((4, 1, 2), {})], ids=str)
def test_other_numbers_of_processes_go_on(
    root: Path, tmp_path: Path, worlds: tuple[int, ...], optimizer: dict[str, object]
) -> None:
    """Killed in the middle of the first epoch, then of the second; in between all shares are cut anew."""
    config = _sharded(root, **optimizer)
    run_in_processes(worlds[0], _train, config, tmp_path / "whole")
    for world, until in zip(worlds, [(0, 2), (1, 1), None], strict=True):
        run_in_processes(world, partial(_train, config, tmp_path / "killed", until=until))
        assert torch.load(tmp_path / "killed/checkpoint.pt", weights_only=True)["step"] == (until or (2, 0))[1]
    expected, found = _all_rows(tmp_path / "whole"), _all_rows(tmp_path / "killed")
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5, msg=partial("{}: {}".format, name))


def test_held_out_people_and_look_alikes_are_those_of_one_process(root: Path, tmp_path: Path) -> None:
    """Embedded in turns by all processes, judged and searched once."""
    config = settings(root)
    config = config.model_copy(
        update={
            "data": config.data.model_copy(update={"held_out_identities": 4}),
            "sampler": config.sampler.model_copy(update={"kind": "hard_identity"}),
            "run": config.run.model_copy(update={"evaluate_epochs": 1}),
        }
    )
    runs = {world: tmp_path / str(world) for world in (1, 2)}
    for world, out in runs.items():
        run_in_processes(world, _train, config, out)
    one, two = (torch.load(out / "checkpoint.pt", weights_only=True) for out in runs.values())
    assert one["sampler"].keys() == two["sampler"].keys()
    assert one["best"] == pytest.approx(two["best"], abs=1e-6)
    rows = [list(map(json.loads, (out / "metrics.jsonl").read_text().splitlines())) for out in runs.values()]
    found = [[row for row in run if row["kind"] == "evaluation"] for run in rows]
    assert len(found[0]) == 2
    for alone, together in zip(*found, strict=True):
        assert [together[k] for k in ("mAP", "rank1", "queries")] == pytest.approx(
            [alone[k] for k in ("mAP", "rank1", "queries")], abs=1e-6
        )


def _embedded(root: Path, together: bool) -> npt.NDArray[np.float32]:
    torch.manual_seed(1)
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    encoder = Encoder.from_model(build_model(config).eval(), InputConfig(height=32, width=16), config)
    samples = load_dataset("synthetic", root).train[:29]
    return (embed_together if together else embed)(encoder, samples, batch_size=4, progress=False).vectors


def test_vectors_are_those_of_one_process(root: Path) -> None:
    """29 images are 8 batches of 4, the last one short: 4 processes have two each."""
    expected = run_in_processes(1, _embedded, root, False)[0]
    for vectors in run_in_processes(4, _embedded, root, True):
        assert np.array_equal(vectors, expected)
