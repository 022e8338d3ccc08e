"""The loop can be trusted: stopping and resuming equals not stopping, to the last bit."""

import importlib
import json
import logging
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.forked import Forked, command

from passerby.config import Config, parse_config
from passerby.data.datasets import load_dataset
from passerby.data.records import ReIDDataset
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, DataError, StorageError, TrainingError, WeightsError
from passerby.training.run import Run
from passerby.training.trainer import train

checkpoint_module: Any = importlib.import_module("passerby.training.checkpoint")
judging_module: Any = importlib.import_module("passerby.training.judging")


def settings(root: Path, **changes: object) -> Config:
    content: dict[str, Any] = {
        "name": "test",
        "data": {"name": "synthetic", "root": str(root), "held_out_identities": 4},
        "input": {"height": 64, "width": 32},
        "sampler": {"identities": 4, "images": 4},
        "model": {"backbone": "tiny:osnet_x0_25", "fc_dims": [32], "dropout": 0.2},
        "objective": {
            "softmax": {"arguments": {"label_smoothing": 0.1}},
            "batch_hard_triplet": {},
            "lin": {"weight": 0.4},
        },
        "optimizer": {"ema_decay": 0.9, "lr": 1e-3},
        "schedule": {"epochs": 3, "warmup_epochs": 1, "decay": "cosine", "per": "step", "small_until": 0.4},
        "run": {"threads": 1, "evaluate_epochs": 2},
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        content[section] = {**content[section], key: value} if key else value
    return parse_config(content, where="test")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from passerby.data.synthetic.dataset import draw_dataset

    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, identities=20, train_identities=14, cameras=3, images_per_camera=3, seed=5)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(settings(root), out=tmp_path_factory.mktemp("whole"))


def weights(run: Run) -> dict[str, torch.Tensor]:
    state = torch.load(run.path / "checkpoint.pt", weights_only=True)
    return {**state["model"], **{f"objective.{k}": v for k, v in state["objective"].items()}}


def assert_same_weights(run: Run, other: Run) -> None:
    mine, theirs = weights(run), weights(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]), name


class Kill(BaseException):
    """Ends the process in the test, wherever it is."""


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [1, 4, 9, 13])
def test_killed_at_any_step_it_ends_in_the_same_weights(
    root: Path, uninterrupted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    from passerby.training.epoch_losses import EpochLosses

    record, steps = EpochLosses.record, 0

    def record_and_die(self: EpochLosses, terms: dict[str, torch.Tensor]) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_at:
            raise Kill
        record(self, terms)

    # every step is saved, so that epochs are also resumed in their middle
    often = settings(root, run__checkpoint_minutes=1e-9)
    monkeypatch.setattr(EpochLosses, "record", record_and_die)
    with pytest.raises(Kill):
        train(often, out=tmp_path)
    monkeypatch.setattr(EpochLosses, "record", record)
    run = train(often, out=tmp_path)
    assert_same_weights(run, uninterrupted)
    whole = [row for row in uninterrupted.metrics if row["kind"] == "epoch"]
    resumed = [row for row in run.metrics if row["kind"] == "epoch"]
    assert [row["losses"] for row in resumed] == [row["losses"] for row in whole]


@pytest.mark.slow
def test_a_signal_saves_and_the_same_command_goes_on(root: Path, uninterrupted: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(settings(root).to_toml())
    words = ["train", str(recipe), "--out", str(tmp_path / "run")]
    first = Forked(command, *words)
    while first.returncode is None and not (tmp_path / "run" / "checkpoint.pt").exists():
        time.sleep(0.02)
    first.send_signal(signal.SIGTERM)
    _, stderr = first.communicate()
    assert first.returncode in (0, 130), stderr
    second = Forked(command, *words)
    stdout, stderr = second.communicate()
    assert second.returncode == 0, stderr
    assert "trained:" in stdout
    assert_same_weights(Run(tmp_path / "run", settings(root)), uninterrupted)


def test_a_finished_run_is_left_alone(uninterrupted: Run, root: Path) -> None:
    before = (uninterrupted.path / "checkpoint.pt").stat().st_mtime_ns
    train(settings(root), out=uninterrupted.path)
    assert (uninterrupted.path / "checkpoint.pt").stat().st_mtime_ns == before


def test_the_run_says_what_it_did(uninterrupted: Run) -> None:
    rows = uninterrupted.metrics
    assert [row["epoch"] for row in rows if row["kind"] == "epoch"] == [1, 2, 3]
    assert [row["epoch"] for row in rows if row["kind"] == "evaluation"] == [2, 3]
    assert set(rows[0]["losses"]) == {"total", "softmax", "batch_hard_triplet", "lin"}
    provenance = uninterrupted.encoder.provenance
    assert provenance["data"]["train_identities"] == 10
    assert provenance["versions"]["torch"] == torch.__version__


def test_other_settings_do_not_resume_a_run(uninterrupted: Run, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"other settings.*optimizer\.lr: 0\.001 -> 0\.002"):
        train(settings(root, optimizer__lr=2e-3), out=uninterrupted.path)


def test_nan_stops_with_the_term_and_keeps_the_checkpoint(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from passerby.losses.softmax import SoftmaxLoss

    forward, calls = SoftmaxLoss.forward, 0

    def broken(self: SoftmaxLoss, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        value = forward(self, x, labels)
        return value * float("nan") if calls == 6 else value

    monkeypatch.setattr(SoftmaxLoss, "forward", broken)
    with pytest.raises(TrainingError, match="'softmax' became nan in epoch"):
        train(settings(root, run__checkpoint_minutes=1e-9), out=tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert all(torch.isfinite(t).all() for t in state["model"].values())


def test_a_full_disk_keeps_the_previous_checkpoint(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, saves = torch.save, 0

    def full(*arguments: object, **keywords: object) -> None:
        nonlocal saves
        saves += 1
        if saves == 3:
            raise OSError(28, "No space left on device")
        save(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint_module.torch, "save", full)
    often = settings(root, run__checkpoint_minutes=1e-9)
    with pytest.raises(StorageError, match="No space left on device"):
        train(often, out=tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (0, 2)


def test_a_damaged_checkpoint_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
        train(settings(root), out=tmp_path)


def test_too_few_identities(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="identities"):
        train(settings(root, sampler__identities=64), out=tmp_path)
    with pytest.raises(DataError, match="no training images"):
        train(settings(root), ReIDDataset("empty"), out=tmp_path)


def test_held_out_identities_are_not_trained_on(root: Path) -> None:
    data = load_dataset("synthetic", root)
    training, validation = data.hold_out(4, seed=0)
    assert not {s.pid for s in training.train} & {s.pid for s in validation.query}
    assert {s.pid for s in training.train} | {s.pid for s in validation.query} == {s.pid for s in data.train}
    assert json.dumps(training.fingerprint()) != json.dumps(data.fingerprint())


@pytest.mark.slow
def test_a_run_in_groups_resumes_to_the_same_weights(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from passerby.training.epoch_losses import EpochLosses

    changes: dict[str, object] = {"run__micro_batch": 5, "schedule__epochs": 1, "optimizer__clip_norm": 1.0}
    whole = train(settings(root, **changes), out=tmp_path / "whole")
    record, steps = EpochLosses.record, 0

    def record_and_die(self: EpochLosses, terms: dict[str, torch.Tensor]) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise Kill
        record(self, terms)

    often = settings(root, **changes, run__checkpoint_minutes=1e-9)
    monkeypatch.setattr(EpochLosses, "record", record_and_die)
    with pytest.raises(Kill):
        train(often, out=tmp_path / "killed")
    monkeypatch.setattr(EpochLosses, "record", record)
    assert_same_weights(train(often, out=tmp_path / "killed"), whole)


def teacher_of(root: Path, path: Path) -> Path:
    """Vectors of the training images that say the identity, and nothing else."""
    training = load_dataset("synthetic", root).train
    pids = np.array([s.pid for s in training])
    vectors = np.eye(pids.max() + 1, dtype=np.float32)[pids]
    paths = tuple(f"/elsewhere/{'/'.join(s.path.parts[-2:])}" for s in training)
    order = np.random.default_rng(0).permutation(len(pids))
    Embeddings(vectors, pids, np.zeros_like(pids), paths).select(order).to_parquet(path)
    return path


@pytest.mark.parametrize("micro_batch", [0, 8])
def test_a_teacher_takes_part(root: Path, uninterrupted: Run, tmp_path: Path, micro_batch: int) -> None:
    distillation = {"vectors": str(teacher_of(root, tmp_path / "teacher.parquet")), "weight": 3.0}
    run = train(settings(root, distillation=distillation, run__micro_batch=micro_batch), out=tmp_path / "run")
    for row in run.metrics:
        if row["kind"] == "epoch":
            terms = row["losses"]
            assert terms["distillation"] > 0
            total = terms["softmax"] + terms["batch_hard_triplet"] + 0.4 * terms["lin"] + 3 * terms["distillation"]
            assert terms["total"] == pytest.approx(total, rel=1e-4)
    assert not torch.equal(weights(run)["head.fc.0.weight"], weights(uninterrupted)["head.fc.0.weight"])


def test_a_teacher_that_does_not_know_the_images_is_refused(root: Path, tmp_path: Path) -> None:
    path = teacher_of(root, tmp_path / "teacher.parquet")
    vectors = Embeddings.from_parquet(path)
    vectors.select(range(5)).to_parquet(tmp_path / "few.parquet")
    with pytest.raises(ConfigError, match=r"has no vector of [\d,]+ of [\d,]+ training images"):
        train(settings(root, distillation={"vectors": str(tmp_path / "few.parquet")}), out=tmp_path / "run")
    vectors.select([0, 1, *range(len(vectors))]).to_parquet(tmp_path / "twice.parquet")
    with pytest.raises(ConfigError, match="two vectors"):
        train(settings(root, distillation={"vectors": str(tmp_path / "twice.parquet")}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_that_a_saved_run_did_not_know_had_their_defaults(root: Path) -> None:
    now = settings(root)
    old = now.to_toml().replace("micro_batch = 0\n", "")
    assert old != now.to_toml()
    assert checkpoint_module.differing_settings(old, now) == []
    grouped = settings(root, run__micro_batch=8)
    assert checkpoint_module.differing_settings(old, grouped) == ["run.micro_batch: 0 -> 8"]


def test_how_it_is_evaluated_never_stops_a_run_from_going_on(root: Path) -> None:
    now = settings(root, evaluation={"metric": "cosine", "rerank": {"k1": 7}, "batch_size": 16, "protocol": "video"})
    assert checkpoint_module.differing_settings(settings(root).to_toml(), now) == []
    assert checkpoint_module.differing_settings(now.to_toml(), settings(root)) == []


def test_held_out_identities_are_evaluated_as_the_recipe_says(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    score, embed = judging_module.score_dataset, judging_module.embed_together

    def scored(*arguments: Any, **rest: Any) -> Any:
        report = score(*arguments, **rest)
        seen.append(report.settings)
        return report

    def embedded(*arguments: Any, **rest: Any) -> Any:
        seen.append(rest)
        return embed(*arguments, **rest)

    monkeypatch.setattr(judging_module, "score_dataset", scored)
    monkeypatch.setattr(judging_module, "embed_together", embedded)
    wanted = {"metric": "cosine", "ap": "trapezoid", "rerank": {"k1": 3, "k2": 2}, "flip": False, "batch_size": 7}
    train(settings(root, evaluation=wanted, schedule__epochs=1), out=tmp_path / "run")
    *parts, report = seen
    assert [(part["flip"], part["batch_size"]) for part in parts] == [(False, 7), (False, 7)]
    assert {name: report[name] for name in ("metric", "ap", "flip")} == {
        "metric": "cosine", "ap": "trapezoid", "flip": False,
    }  # fmt: skip
    assert report["rerank"]["k1"] == 3


def test_a_wrong_evaluation_stops_a_training_before_it_begins(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'market1501'"):
        train(settings(root, evaluation={"protocol": "market1502"}), out=tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_announces_collapse_once(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Batch-hard triplets from scratch at a hundred times the usual rate pull everyone to one point."""
    collapsing = settings(
        root,
        data__held_out_identities=0,
        objective={"batch_hard_triplet": {}},
        optimizer={"lr": 0.1, "weight_decay": 0.1},
        schedule={"epochs": 9, "warmup_epochs": 0},
    )
    with caplog.at_level(logging.WARNING, "passerby"):
        run = train(collapsing, out=tmp_path)
    first, last = run.metrics[0], run.metrics[-1]
    assert first["spread"] > 1
    assert last["spread"] < 0.01
    assert last["losses"]["batch_hard_triplet"] == pytest.approx(0.3, abs=0.02)  # the margin: the plateau
    assert set(last["losses"]) == {"total", "batch_hard_triplet"}
    assert caplog.text.count("nearly the same point") == 1
