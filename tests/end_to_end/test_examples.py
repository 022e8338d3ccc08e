"""The programs in examples/ run, each with the package that it is for, or with an object of its attributes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from passerby.config import InputConfig, ModelConfig
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.export.encoder_export import export
from passerby.models.model import build_model

EXAMPLES = Path(__file__).parents[2] / "examples"
BOXES = np.array([[5, 5, 40, 90], [50, 10, 90, 95]], np.float32)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:resnet18")
    place = tmp_path_factory.mktemp("encoder") / "e"
    Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config, {}).save(place)
    return place


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load_encoder(folder)


@pytest.fixture
def frame() -> np.ndarray:
    """BGR, as OpenCV gives it."""
    return np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)


@pytest.fixture
def expected(frame: np.ndarray, encoder: Encoder) -> np.ndarray:
    return encoder.encode_boxes(np.ascontiguousarray(frame[..., ::-1]), BOXES)


def test_every_example_is_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    page = (EXAMPLES.parent / "docs" / "other-tools.md").read_text("utf-8")
    for file in EXAMPLES.glob("*.py"):
        assert f"`{file.name}`" in listed
        assert f"examples/{file.name}" in page


def test_supervision(frame: np.ndarray, encoder: Encoder, expected: np.ndarray) -> None:
    supervision = pytest.importorskip("supervision", reason="the package supervision (extra track) is not installed")
    found = example("supervision_vectors").with_vectors(supervision.Detections(xyxy=BOXES), frame, encoder)
    np.testing.assert_array_equal(found.data["vector"], expected)
    assert found[1:].data["vector"].shape == (1, encoder.dim)


def test_ultralytics_results(frame: np.ndarray, encoder: Encoder, expected: np.ndarray) -> None:
    boxes = SimpleNamespace(
        xyxy=torch.from_numpy(np.concatenate([BOXES, [[0, 0, 9, 9]]])), cls=torch.tensor([0.0, 0.0, 7.0])
    )
    found, vectors = example("ultralytics_results").people_of(SimpleNamespace(boxes=boxes, orig_img=frame), encoder)
    np.testing.assert_array_equal(found, BOXES)
    np.testing.assert_array_equal(vectors, expected)


def test_deep_sort(frame: np.ndarray, encoder: Encoder, expected: np.ndarray) -> None:
    detections = [([x, y, right - x, bottom - y], 0.9, "person") for x, y, right, bottom in BOXES.tolist()]
    embed = example("deep_sort_embedder").embedder(encoder)
    np.testing.assert_allclose(np.stack(embed(frame, detections)), expected, atol=1e-6)
    assert embed(frame, []) == []
    tracking = pytest.importorskip(
        "deep_sort_realtime.deepsort_tracker", reason="the package deep-sort-realtime is not installed"
    )
    tracker = tracking.DeepSort(embedder=None, n_init=2)
    for _ in range(3):
        tracks = tracker.update_tracks(detections, embeds=embed(frame, detections))
    assert sorted(track.track_id for track in tracks if track.is_confirmed()) == ["1", "2"]


@pytest.mark.slow
def test_openvino_alone(folder: Path, encoder: Encoder, frame: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the package openvino (extra export) is not installed")
    program = example("openvino_runtime")
    compiled = program.open_encoder(export(folder, "openvino", out=tmp_path / "people.xml").path)
    crop = frame[:64, :32]
    np.testing.assert_allclose(program.vectors_of(compiled, crop), encoder.encode(crop, flip=False)[0], atol=1e-5)


@pytest.mark.slow
def test_a_file_for_trackers(folder: Path, encoder: Encoder, frame: np.ndarray, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime (extra export) is not installed")
    pytest.importorskip("onnxscript", reason="the package onnxscript (extra export) is not installed")
    program = example("tracker_onnx")
    session = onnxruntime.InferenceSession(str(program.write(folder, tmp_path / "reid.onnx")))
    crops = [frame[:64, :32], frame[10:90, 20:70], frame[:50, 50:]]
    for count in (1, 3):
        (vectors,) = session.run(None, {session.get_inputs()[0].name: program.feed(crops[:count], 64, 32)})
        np.testing.assert_allclose(vectors, encoder.encode(crops[:count], flip=False), atol=1e-4)


@pytest.mark.slow
def test_vehicles(tmp_path: Path) -> None:
    report = example("drawn_vehicles").main(tmp_path, backbone="tiny:resnet18", epochs=6)
    assert (report.queries, report.skipped) == (24, 0)
    assert report.mAP > 0.5  # a random ranking of these has about 0.2
