"""A new place without labels, on drawn people with a tiny network."""

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import passerby as pb
from passerby.cli import run
from passerby.config import InputConfig, ModelConfig
from passerby.data.records import Sample
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError, DataError, WeightsError
from passerby.models.encoder import Encoder
from passerby.models.model import build_model

pytestmark = pytest.mark.slow
adapt_module: Any = importlib.import_module("passerby.adaptation.adapt")

RECIPE = """
name = "small"
description = "a round for tests"
[sampler]
kind = "camera"
identities = 4
images = 3
epoch = "identities"
[objective.memory]
loss = "passerby.adaptation.cluster_memory:ClusterMemoryLoss"
[optimizer]
lr = 1e-3
ema_decay = 0.9
[schedule]
warmup_epochs = 0.5
decay = "cosine"
per = "step"
[run]
threads = 1
evaluate_epochs = 0
"""


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, identities=22, train_identities=20, cameras=3, images_per_camera=4, seed=3)
    return pb.load_dataset("synthetic", folder).train


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    architecture = ModelConfig(backbone="tiny:osnet_x0_25", neck="none")
    return Encoder.from_model(build_model(architecture).eval(), InputConfig(height=64, width=32), architecture)


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "small.toml").write_text(RECIPE)
    recipe = str(tmp_path / "small.toml")
    settings = {"recipe": recipe, "rounds": 1, "epochs": 2, "k1": 8, "k2": 3, "distance": 0.6, "min_samples": 3}
    return {**settings, "camera_minimum": 3, "progress": False}


def test_rounds_resume_and_never_read_a_label(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = pb.adapt(encoder, crops, out=tmp_path / "whole", **small)
    assert [r.number for r in result.rounds] == [0, 1]
    assert result.best in (0, 1)
    assert result.encoder.fingerprint == result.rounds[result.best].fingerprint
    assert len({r.fingerprint for r in result.rounds}) == 2

    round_one = pb.Run.open(tmp_path / "whole" / "rounds" / "01")
    assert len(round_one.data.train) == result.rounds[0].trained_on

    relabelled = [replace(s, pid=1 + i % 7) for i, s in enumerate(crops)]

    def interrupted(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(adapt_module, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pb.adapt(encoder, relabelled, out=tmp_path / "again", **small)
    again = pb.adapt(encoder, relabelled, out=tmp_path / "again", **small)
    assert [r.fingerprint for r in again.rounds] == [r.fingerprint for r in result.rounds]
    finished = pb.adapt(encoder, crops, out=tmp_path / "whole", **small)
    assert finished.rounds == result.rounds

    with pytest.raises(ConfigError, match=r"another adaptation \(settings differ\)"):
        pb.adapt(encoder, crops, out=tmp_path / "whole", **{**small, "distance": 0.5})
    with pytest.raises(ConfigError, match=r"another adaptation \(place, crops differ\)"):
        pb.adapt(encoder, crops[:-1], out=tmp_path / "whole", **small)


def test_what_is_written(encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path) -> None:
    result = pb.adapt(encoder, crops, out=tmp_path / "out", **{**small, "rounds": 0})
    assert result.best == 0
    kept = pb.load_encoder(tmp_path / "out" / "encoder")
    assert kept.fingerprint == encoder.fingerprint
    statistics = pb.CameraStatistics.from_parquet(tmp_path / "out" / "encoder" / "camera_statistics.parquet")
    assert statistics.cameras == ("0", "1", "2")
    assert statistics.fingerprint == encoder.fingerprint
    assert result.clusters().shape == (len(crops),)


def test_a_round_that_is_worse_is_not_kept(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.4])
    measured = adapt_module.Criterion
    monkeypatch.setattr(adapt_module, "measure_criterion", lambda *_: measured(next(scores), 0.0))
    result = pb.adapt(encoder, crops, out=tmp_path / "out", **small)
    assert (result.best, result.encoder.fingerprint) == (0, encoder.fingerprint)
    assert "every round was worse" in str(result)


@pytest.mark.parametrize(("error", "kept"), [(0.01, 0), (0.05, 1)])
def test_a_round_that_is_as_good_within_the_error_is_kept(
    encoder: Encoder,
    crops: tuple[Sample, ...],
    small: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: float,
    kept: int,
) -> None:
    scores = iter([0.5, 0.47])
    measured = adapt_module.Criterion
    monkeypatch.setattr(adapt_module, "measure_criterion", lambda *_: measured(next(scores), 0.0, error))
    assert pb.adapt(encoder, crops, out=tmp_path / "out", **small).best == kept


def test_an_adapted_encoder_says_where_it_comes_from(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.6])
    measured = adapt_module.Criterion
    monkeypatch.setattr(adapt_module, "measure_criterion", lambda *_: measured(next(scores), 0.0))
    result = pb.adapt(encoder, crops, out=tmp_path / "out", **small)
    about = result.encoder.provenance
    assert about["adapted_from"]["fingerprint"] == encoder.fingerprint
    assert about["adaptation"]["best"] == result.best == 1
    assert result.encoder.model_config["neck"] == "bnneck"


def test_refusals(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="did you mean 'rounds'"):
        pb.adapt(encoder, crops, out=tmp_path / "out", round=3)
    with pytest.raises(DataError, match="at least 64 crops"):
        pb.adapt(encoder, crops[:9], out=tmp_path / "out", **small)
    with monkeypatch.context() as patched:
        patched.setenv("WORLD_SIZE", "2")
        with pytest.raises(ConfigError, match="without torchrun"):
            pb.adapt(encoder, crops, out=tmp_path / "out", **small)
    with pytest.raises(DataError, match="a batch needs 4"):
        pb.adapt(encoder, crops, out=tmp_path / "out", **{**small, "min_samples": 200})
    exported = pb.Encoder(
        _Graph(), encoder.preprocessing, fingerprint="x", model_config=encoder.model_config, provenance={}
    )
    with pytest.raises(WeightsError, match="has no torch model"):
        pb.adapt(exported, crops, out=tmp_path / "other", **small)
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_adapted_is_refused_before_anything_is_embedded(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    anything: Any = "encoder"
    with pytest.raises(ConfigError, match="expected an encoder, as load_encoder gives it, found str"):
        pb.adapt(anything, crops, out=out, **small)
    for wrong in (pb.ReIDDataset("drawn", train=crops), "folder", [s.path for s in crops]):
        anything = wrong
        with pytest.raises(DataError, match=r"expected samples, such as read_crops"):
            pb.adapt(encoder, anything, out=out, **small)
    with pytest.raises(ConfigError, match="unknown recipe 'none'"):
        pb.adapt(encoder, crops, out=out, **{**small, "recipe": "none"})
    with pytest.raises(ConfigError, match="seed: Input should be greater than or equal to 0"):
        pb.adapt(encoder, crops, out=out, **{**small, "seed": -1})
    assert not out.exists()


def test_the_encoder_of_another_folder_is_not_replaced(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    architecture = ModelConfig(backbone="tiny:osnet_x0_25", neck="none")
    other = Encoder.from_model(build_model(architecture).eval(), InputConfig(height=64, width=32), architecture)
    other.save(tmp_path / "run" / "encoder")
    with pytest.raises(ConfigError, match=r"run: holds encoder/ but no adaptation\.json"):
        pb.adapt(encoder, crops, out=tmp_path / "run", **{**small, "rounds": 0})
    assert pb.load_encoder(tmp_path / "run").fingerprint == other.fingerprint


def test_a_damaged_folder_is_not_resumed(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path
) -> None:
    pb.adapt(encoder, crops, out=tmp_path / "whole", **{**small, "rounds": 0})
    damages: dict[str, Any] = {
        "adaptation.json: no state": lambda folder: (folder / "adaptation.json").write_text("{"),
        "no state of an adaptation": lambda folder: (folder / "adaptation.json").write_text('{"rounds": [{}]}'),
        "adaptation.json": lambda folder: (folder / "adaptation.json").write_text("[]"),
        "which crops are held out": lambda folder: (folder / "held_out.npy").unlink(),
        "expected 240 truth values": lambda folder: np.save(folder / "held_out.npy", np.zeros(3)),
        "clusters of round 0 are missing": lambda folder: shutil.rmtree(folder / "clusters"),
    }
    for number, (message, damage) in enumerate(damages.items()):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / str(number))
        damage(folder)
        with pytest.raises(DataError, match=message):
            pb.adapt(encoder, crops, out=folder, **{**small, "rounds": 0})
    with pytest.raises(ConfigError, match=r"settings \(k2, seed\) to resume it"):
        pb.adapt(encoder, crops, out=tmp_path / "whole", **{**small, "rounds": 0, "k2": 5, "seed": 4})


class _Graph:
    """An engine that is not torch."""

    name, dim, threads = "openvino", 8, 1

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


def test_the_command(
    encoder: Encoder, crops: tuple[Sample, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder.save(tmp_path / "encoder")
    lines = [f"{s.path},{'north' if s.camid else 'south'}" for s in crops]
    (tmp_path / "crops.csv").write_text("\n".join(["path,camid", *lines]) + "\n")
    words = ["adapt", str(tmp_path / "encoder"), "--data", str(tmp_path / "crops.csv"), "--out", str(tmp_path / "out")]
    assert run([*words, "--rounds", "0", "--k1", "8", "--camera-minimum", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["crops"] == len(crops)
    assert {c["camera"] for c in said["camera_statistics"]["cameras"]} == {"north", "south"}
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "What must be done now" in page
    assert "data:image/jpeg" in page
    assert run([*words, "--rounds", "0", "--epochs", "5", "--recipe", "lin"]) == 2
    assert "--recipe, --epochs would do nothing: --rounds 0" in capsys.readouterr().err
    assert run([*words, "--distance", "2"]) == 2
    assert "less than 1" in capsys.readouterr().err


def test_statistics_of_the_place_in_an_evaluation(
    encoder: Encoder, crops: tuple[Sample, ...], small: dict[str, Any], tmp_path: Path
) -> None:
    pb.adapt(encoder, crops, out=tmp_path / "out", **{**small, "rounds": 0})
    query, gallery = crops[::2], crops[1::2]
    data = pb.ReIDDataset("drawn", query=query, gallery=gallery)
    file = str(tmp_path / "out" / "encoder" / "camera_statistics.parquet")
    report = pb.evaluate(encoder, data, camera_statistics=file, progress=False)
    assert any("camera statistics" in note for note in report.notes)
    assert np.isfinite(report.mAP)
