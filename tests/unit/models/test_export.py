"""Exports: every format computes what PyTorch computes, says where it comes from, and is refused when it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.models.test_foreign import write_model

from passerby.config import InputConfig, ModelConfig
from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError, MissingExtraError, WeightsError
from passerby.evaluation.evaluate import evaluate
from passerby.experiments import benchmark_encoder
from passerby.experiments.benchmark_encoder import bench_encoder
from passerby.experiments.export_ranking import export
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines import precision
from passerby.models.export import check, writers
from passerby.models.export.exporters import quiet
from passerby.models.export.form import ExportForm
from passerby.models.export.graph import Portable
from passerby.models.model import build_model

CONFIG = ModelConfig(backbone="tiny:resnet18")  # of fewer parts, and so sooner written


def make(folder: Path, seed: int = 0, config: ModelConfig = CONFIG) -> Encoder:
    torch.manual_seed(seed)
    model = build_model(config)
    for module in model.modules():  # statistics as after training, so that the neck is more than a copy
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.running_mean, 0.0, 0.5)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    encoder = Encoder.from_model(model, InputConfig(height=64, width=32), config, {"licence": "CC0", "data": "drawn"})
    encoder.save(folder)
    return encoder


def pictures(height: int, width: int, count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def drawn(folder: Path) -> Path:
    return draw_dataset(folder / "people", identities=8, train_identities=4, cameras=2, images_per_camera=2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("run") / "encoder"
    make(folder)
    export(folder.parent, "onnx")
    export(folder, "openvino")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_gives_the_vectors_of_torch_under_one_fingerprint(engine: str, exported: Path) -> None:
    ours, theirs = load_encoder(exported), load_encoder(exported, engine=engine)
    assert theirs.fingerprint == ours.fingerprint
    assert theirs.dim == ours.dim
    for images in (pictures(64, 32), pictures(128, 64), pictures(64, 32, 1)):
        np.testing.assert_allclose(theirs.encode(images), ours.encode(images), atol=1e-5)
    assert theirs.encode([]).shape == (0, ours.dim)


@pytest.mark.slow
def test_the_graph_alone_takes_pixels_of_any_size_and_tells_its_origin(exported: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    encoder = load_encoder(exported)
    session = onnxruntime.InferenceSession(str(exported / "encoder.onnx"))
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["passerby.fingerprint"] == encoder.fingerprint
    assert metadata["passerby.licence"] == "CC0"
    assert (metadata["passerby.height"], metadata["passerby.width"]) == ("64", "32")
    assert json.loads(metadata["passerby.provenance"])["data"] == "drawn"
    for height, width, count in ((64, 32, 1), (90, 41, 3), (40, 20, 2)):
        images = pictures(height, width, count)
        (vectors,) = session.run(["vectors"], {"images": np.stack(images).transpose(0, 3, 1, 2)})
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        # Pillow rounds to whole grey levels when it resizes and the graph does not
        assert np.abs(vectors - encoder.encode(images, flip=False)).max() < (1e-5 if height == 64 else 0.02)


@pytest.mark.slow
def test_branches_are_exported_as_one_graph(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    encoder = make(tmp_path, config=ModelConfig(backbone="tiny:osnet_x0_25", tail="branches"))
    assert export(tmp_path, "onnx").difference < 1e-4
    assert load_encoder(tmp_path, engine="onnxruntime").dim == encoder.dim


@pytest.mark.slow
def test_openvino_files_tell_their_origin(exported: Path) -> None:
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(exported / "encoder.xml")
    assert model.get_rt_info(["passerby", "fingerprint"]).value == load_encoder(exported).fingerprint


@pytest.mark.slow
def test_an_exported_program_runs_without_the_package(tmp_path: Path) -> None:
    encoder = make(tmp_path / "e")
    report = export(tmp_path / "e", "exported_program", out=tmp_path / "model.pt2")
    assert report.path == tmp_path / "model.pt2"
    assert report.difference < 1e-5
    extra = {"passerby.json": ""}
    with quiet():
        program = torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    assert json.loads(extra["passerby.json"])["fingerprint"] == encoder.fingerprint
    image = pictures(64, 32)[0]
    vector = program.module()(torch.from_numpy(image).permute(2, 0, 1)[None])
    np.testing.assert_allclose(vector.detach().numpy(), encoder.encode(image, flip=False), atol=1e-5)


@pytest.mark.slow
def test_a_graph_of_other_weights_is_refused(exported: Path, tmp_path: Path) -> None:
    make(tmp_path / "other", seed=1)
    (tmp_path / "other" / "encoder.onnx").write_bytes((exported / "encoder.onnx").read_bytes())
    with pytest.raises(WeightsError, match="export it again"):
        load_encoder(tmp_path / "other", engine="onnxruntime")


def test_the_bench_of_a_description_times_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    write_model(tmp_path)
    (tmp_path / "graph.toml").write_text('file = "model.onnx"\nheight = 8\nwidth = 4\n')
    report = bench_encoder(tmp_path / "graph.toml", batch_size=2, rounds=1)
    assert {e.name for e in report.engines} == {"onnxruntime", "openvino"}
    assert report.absent == ()
    monkeypatch.setattr(precision, "_processor_flags", set)
    monkeypatch.setattr(benchmark_encoder, "_graph", refuse_graph)
    torch.save(build_model(CONFIG).state_dict(), tmp_path / "net.pth")
    description = 'file = "net.pth"\nbackbone = "tiny:resnet18"\nheight = 64\nwidth = 32\n'
    (tmp_path / "checkpoint.toml").write_text(description)
    report = bench_encoder(tmp_path / "checkpoint.toml", batch_size=2, rounds=1)
    assert [e.name for e in report.engines] == ["torch"]
    said = str(report)
    assert "torch bf16: precision: this processor" in said
    assert "onnxruntime: no graph" in said
    for wrong in ({"batch_size": 0}, {"rounds": 0}, {"threads": 0}):
        with pytest.raises(ConfigError, match="expected at least 1, found 0"):
            bench_encoder(tmp_path / "graph.toml", **wrong)


def refuse_graph(*_: object) -> None:
    raise WeightsError("no graph")


@pytest.mark.slow
def test_the_bench_ranks_what_the_folder_holds(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_processor_flags", lambda: {"avx512_bf16"})
    report = bench_encoder(exported, batch_size=2, rounds=1, threads=1)
    assert {e.name for e in report.engines} == {"torch", "torch bf16", "onnxruntime", "openvino"}
    assert report.threads == 1
    assert report.fastest == report.engines[0].name
    assert "ratio" in str(report)
    assert report.to_dict()["fastest"] == report.fastest


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*exactly as near")  # eight bits of a random network tell few drawn people apart
def test_int8_is_another_encoder(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    encoder = make(tmp_path / "e")
    data = load_dataset("synthetic", drawn(tmp_path))
    report = export(tmp_path / "e", "onnx", int8=True, images=pictures(64, 32, 8), data=data)
    quantised = load_encoder(tmp_path / "e" / "int8")
    assert quantised.fingerprint != encoder.fingerprint
    assert report.cosine[1] > 0.9
    likeness = (quantised.encode(pictures(64, 32)) * encoder.encode(pictures(64, 32))).sum(1)
    assert likeness.min() > 0.9
    assert report.before is not None
    assert report.after is not None
    exact, after = report.before, report.after
    assert exact.mAP == pytest.approx(evaluate(encoder, data).mAP, abs=1e-3)
    assert after.mAP == pytest.approx(evaluate(quantised, data).mAP, abs=1e-9)
    assert f"after: {100 * after.mAP:.1f} mAP" in str(report)


def test_an_export_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make(tmp_path / "e")

    def wrong(source: Encoder, file: Path, form: ExportForm) -> None:
        file.write_bytes(b"graph")

    def slightly_off(images: torch.Tensor) -> torch.Tensor:
        vectors = Portable(encoder.model, encoder.preprocessing).eval()(images)
        moved: torch.Tensor = vectors.detach() + 5e-4
        return moved

    monkeypatch.setitem(writers.WRITERS, "onnx", wrong)
    monkeypatch.setattr(check, "_runner", lambda *_: slightly_off)
    with pytest.raises(WeightsError, match=r"not written.*5\.0e-04"):
        export(tmp_path / "e", "onnx")
    assert not (tmp_path / "e" / "encoder.onnx").exists()


def test_impossible_wishes_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "e")
    with pytest.raises(ConfigError, match="did you mean 'onnx'"):
        export(tmp_path / "e", "onxx")
    with pytest.raises(ConfigError, match="int8 is for the format 'onnx'"):
        export(tmp_path / "e", "openvino", int8=True)
    with pytest.raises(ConfigError, match="data: only int8 and float16"):
        export(tmp_path / "e", "onnx", data=load_dataset("synthetic", drawn(tmp_path)))
    with pytest.raises(ConfigError, match="int8 needs images"):
        export(tmp_path / "e", "onnx", int8=True)
    with pytest.raises(WeightsError, match=r"passerby export .* --to onnx"):
        load_encoder(tmp_path / "e", engine="onnxruntime")
    with pytest.raises(ConfigError, match="unknown engine 'onnx'"):
        load_encoder(tmp_path / "e", engine="onnx")


def test_a_missing_exporter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "e")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"passerby\[export\]"):
        export(tmp_path / "e", "onnx")


def test_the_head_of_sphere_reid_is_saved_and_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    config = ModelConfig(backbone="tiny:resnet18", pooled_norm=True, fc_dims=(16,), dropout=0.5)
    encoder = make(tmp_path / "encoder", config=config)
    vectors = encoder.encode(pictures(64, 32))
    np.testing.assert_allclose(load_encoder(tmp_path / "encoder").encode(pictures(64, 32)), vectors, atol=1e-6)
    export(tmp_path / "encoder", "onnx")
    exported = load_encoder(tmp_path / "encoder", "onnxruntime")
    np.testing.assert_allclose(exported.encode(pictures(64, 32)), vectors, atol=1e-4)
