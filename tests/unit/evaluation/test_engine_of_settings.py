"""Engine, threads and precision are settings of an evaluation; what less than float32 costs stands in the report."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.embedding.coordinates import CoordinateEncoder, sample

import passerby as pb
from passerby.cli import run
from passerby.config import Config, EvaluationSettings, InputConfig, ModelConfig, parse_config
from passerby.data.records import ReIDDataset
from passerby.data.synthetic import draw_dataset
from passerby.embedding.precision_effect import compare_rankings
from passerby.errors import ConfigError, WeightsError
from passerby.evaluation import precision_cost
from passerby.evaluation.engine_of_settings import load_for
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines import precision
from passerby.models.engines.engine_cache import engine_cache_dir
from passerby.models.engines.precision import lower_precision
from passerby.models.export import encoder_export
from passerby.models.export.encoder_export import export
from passerby.models.model import build_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:resnet18")
    place = tmp_path_factory.mktemp("encoder") / "e"
    Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config, {}).save(place)
    return place


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "people"
    return draw_dataset(place, identities=12, train_identities=6, cameras=2, images_per_camera=3)


@pytest.fixture(scope="module")
def data(people: Path) -> ReIDDataset:
    return pb.load_dataset("synthetic", people)


@pytest.fixture(scope="module")
def graph(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    return export(folder, "onnx", out=tmp_path_factory.mktemp("graph") / "encoder.onnx").path


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that says it computes in bfloat16; torch emulates it where it does not."""
    monkeypatch.setattr(precision, "_processor_flags", lambda: {"avx512_bf16"})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path / "cache"))
    return engine_cache_dir()


@pytest.mark.slow
def test_an_encoder_in_memory_is_evaluated_by_the_engine_of_the_settings(
    folder: Path, data: ReIDDataset, graph: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_: Encoder, to: str, target: Path) -> SimpleNamespace:
        target.parent.mkdir(parents=True)
        return SimpleNamespace(path=shutil.copy(graph, target))

    monkeypatch.setattr(encoder_export, "write_checked", write)
    encoder = load_encoder(folder)
    torch_report = pb.evaluate(encoder, data, engine="torch", threads=1, progress=False)
    report = pb.evaluate(encoder, data, engine="onnxruntime", threads=1, progress=False)
    assert (torch_report.settings["engine"], report.settings["engine"]) == ("torch", "onnxruntime")
    assert (report.settings["threads"], report.settings["precision"]) == (1, "float32")
    assert "engine onnxruntime" in str(report)
    assert report.mAP == pytest.approx(torch_report.mAP, abs=1e-6)
    assert list(cache.glob(f"{encoder.fingerprint}/*/encoder.onnx")), "its graph is kept for the next time"
    assert not list(folder.glob("*.onnx"))
    averaged = pb.average_splits([torch_report, report])
    assert averaged.mAP == pytest.approx(report.mAP, abs=1e-6), "the engine is no rule that splits must share"
    settings = EvaluationSettings(engine="onnxruntime")
    again = pb.evaluate(load_for(folder, settings, images=1), data, settings=settings, progress=False)
    assert again.mAP == report.mAP
    with pytest.raises(ConfigError, match="'onnxruntime' and cannot be moved to 'torch'"):
        pb.evaluate(load_encoder(graph), data, engine="torch", progress=False)


def test_few_images_stay_on_torch(folder: Path, data: ReIDDataset, cache: Path) -> None:
    report = pb.evaluate(load_encoder(folder), data, progress=False)
    assert report.settings["engine"] == "torch"
    assert not cache.exists()


def test_a_recipe_names_the_engine_and_a_flag_replaces_it(
    folder: Path, people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = {"evaluation": {"engine": "torch", "threads": 2, "precision": "float32"}}
    config = parse_config(given, where="test")
    assert (config.evaluation.engine, config.evaluation.threads) == ("torch", 2)
    assert Config().evaluation.engine == "auto"
    (tmp_path / "run").mkdir()
    load_encoder(folder).save(tmp_path / "run" / "encoder")
    (tmp_path / "run" / "config.toml").write_text(config.to_toml())
    words = ["evaluate", str(tmp_path / "run"), "--data.name", str(people), "--json"]
    for more, threads in (([], 2), (["--threads", "1"], 1)):
        assert run([*words, *more]) == 0
        settings = json.loads(capsys.readouterr().out)["settings"]
        assert (settings["engine"], settings["threads"]) == ("torch", threads)
    assert run([*words, "--threads", "0"]) == 2
    assert "threads" in capsys.readouterr().err


def test_what_is_not_ours_cannot_run_otherwise() -> None:
    coordinates = ReIDDataset("drawn", query=(sample(0, 1, 1, 0),), gallery=(sample(0, 2, 1, 1),))
    for change in ({"engine": "onnxruntime"}, {"threads": 2}, {"precision": "bfloat16"}):
        with pytest.raises(ConfigError, match="found CoordinateEncoder; leave"):
            pb.evaluate(CoordinateEncoder(), coordinates, progress=False, **change)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_says_what_it_does_to_the_ranking(folder: Path, data: ReIDDataset) -> None:
    encoder = load_encoder(folder)
    report = pb.evaluate(encoder, data, precision="bfloat16", progress=False)
    assert report.settings["precision"] == "bfloat16"
    (note,) = [note for note in report.notes if "against float32" in note]
    images = len(data.query) + len(data.gallery)
    assert f"on all {images} images ({report.queries} queries): mAP {report.mAP:.4f} against " in note
    lower = lower_precision(encoder, "bfloat16")
    assert lower.fingerprint != encoder.fingerprint, "its vectors are not mixed with exact ones"
    crops = [s.path for s in data.gallery[:3]]
    ours, exact = lower.encode(crops), encoder.encode(crops)
    assert ours.dtype == np.float32
    assert 1e-5 < np.abs(ours - exact).max() < 0.1
    with pytest.raises(ConfigError, match="bfloat16 runs on torch, not on openvino"):
        lower_precision(encoder, "bfloat16", engine="openvino")


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_in_embeddings_and_on_the_command_line(
    folder: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["embed", str(folder), "--data.name", str(people), "--out", str(tmp_path), "--precision", "bfloat16"]
    assert run([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["precision"] for row in rows} == {"bfloat16"}
    assert rows[0]["precision_effect"]["cosine"][1] > 0.9
    assert run(words) == 0
    assert "bfloat16 against float32 on " in capsys.readouterr().out
    data = pb.load_dataset("synthetic", people)
    embedded = pb.embed(lower_precision(load_encoder(folder), "bfloat16"), data.query, progress=False)
    assert "bfloat16 against float32 on " in embedded.notes[0]


def test_a_processor_without_bfloat16_refuses_it(
    folder: Path, people: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "_processor_flags", lambda: {"avx2"})
    with pytest.raises(ConfigError, match="does not compute in bfloat16"):
        lower_precision(load_encoder(folder), "bfloat16")
    assert run(["evaluate", str(folder), "--data.name", str(people), "--precision", "bfloat16"]) == 2
    assert "leave precision at float32" in capsys.readouterr().err


@pytest.mark.slow
def test_int8_is_fitted_to_training_images_and_measured(
    folder: Path, data: ReIDDataset, graph: Path, cache: Path
) -> None:
    encoder = load_encoder(folder)
    report = pb.evaluate(encoder, data, precision="int8", engine="onnxruntime", progress=False)
    assert (report.settings["engine"], report.settings["precision"]) == ("onnxruntime", "int8")
    assert any(note.startswith("int8 against float32 on all ") for note in report.notes)
    made = list(cache.rglob("int8-*"))
    assert len(made) == 1
    crops = [s.path for s in data.train]
    again, other = (lower_precision(encoder, "int8", images=crops, engine=e) for e in ("onnxruntime", "openvino"))
    assert list(cache.rglob("int8-*")) == made, "the same crops give the same graph"
    assert len({encoder.fingerprint, again.fingerprint, other.fingerprint}) == 3, "eight bits round otherwise by engine"
    assert np.einsum("nd,nd->n", again.encode(crops), encoder.encode(crops)).min() > 0.9
    with pytest.raises(ConfigError, match="not on torch"):
        lower_precision(encoder, "int8", images=crops, engine="torch")
    with pytest.raises(ConfigError, match="at least 16, found 2"):
        lower_precision(encoder, "int8", images=crops[:2])
    with pytest.raises(WeightsError, match="this encoder is a graph on onnxruntime"):
        lower_precision(load_encoder(graph), "int8", images=crops)


@pytest.mark.usefixtures("bfloat16")
def test_large_sets_are_compared_on_some_people(
    folder: Path, data: ReIDDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_cost, "IMAGES", 12)
    monkeypatch.setattr(precision_cost, "_LEAST_PEOPLE", 1)
    report = pb.evaluate(load_encoder(folder), data, precision="bfloat16", progress=False)
    assert any("12 of the 76 images, people taken whole" in note for note in report.notes), report.notes


def test_rankings_that_agree_and_that_do_not() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 1, 1]] + np.float32(0.1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    same = compare_rankings(vectors, vectors, precision="int8")
    assert (same.nearest, same.top) == (1.0, 1.0)
    other = compare_rankings(vectors[[0, 2, 1, 3]], vectors, precision="int8")
    assert other.nearest == 0.0
    assert "nearest other image is the same for 0.0 %" in str(other)
    assert compare_rankings(vectors[:1], vectors[:1], precision="int8").nearest == 1.0


def test_frames_weighted_by_the_network_keep_torch(folder: Path, data: ReIDDataset) -> None:
    tracks: dict[str, Any] = {
        name: tuple(replace(s, tracklet=s.pid * 10 + s.camid) for s in data.part(name)) for name in ("query", "gallery")
    }
    video = ReIDDataset("tracks", protocol="video", **tracks)
    report = pb.evaluate(load_encoder(folder), video, pooling="norm", progress=False)
    assert report.settings["engine"] == "torch"
