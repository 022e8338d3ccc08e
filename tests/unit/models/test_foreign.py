"""Other people's models: a description file makes an encoder, and what is wrong in it is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from passerby.errors import ConfigError, WeightsError
from passerby.models.encoder import load_encoder, save_threshold

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

GOOD = 'file = "model.onnx"\nheight = 8\nwidth = 4\n'


def write_model(folder: Path, *, batch: int | str = "batch") -> None:
    """A graph whose vector is the first image row's three channel values at its left end."""
    helper, dtype = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Slice", ["images", "starts", "ends", "axes"], ["corner"]),
        helper.make_node("Flatten", ["corner"], ["vectors"]),
    ]
    constants = {"starts": [0, 0], "ends": [1, 1], "axes": [2, 3]}
    graph = helper.make_graph(
        nodes,
        "corner",
        [helper.make_tensor_value_info("images", dtype, [batch, 3, 8, 4])],
        [helper.make_tensor_value_info("vectors", dtype, [batch, 3])],
        [onnx.numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save_model(model, str(folder / "model.onnx"))


def unit(x: list[float]) -> np.ndarray:
    unit: np.ndarray = np.array(x) / np.linalg.norm(x)
    return unit


@pytest.mark.parametrize("batch", ["batch", 2])
@pytest.mark.parametrize("engine", [None, "openvino"])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", [10 / 255, 20 / 255, 60 / 255]),
        ('colors = "BGR"\nscale = 1.0\n', [60.0, 20.0, 10.0]),
        ("scale = 10.0\nmean = [0.5, 1.0, 2.0]\nstd = [0.5, 1.0, 2.0]\n", [1.0, 1.0, 2.0]),
    ],
)
def test_the_described_preprocessing_is_what_the_network_reads(
    settings: str, expected: list[float], engine: str | None, batch: int | str, tmp_path: Path
) -> None:
    if engine:
        pytest.importorskip(engine)
    write_model(tmp_path, batch=batch)
    (tmp_path / "encoder.toml").write_text(GOOD + settings)
    encoder = load_encoder(tmp_path, engine=engine)
    images = [np.full((8, 4, 3), (10, 20, 60), np.uint8) for _ in range(3)]
    np.testing.assert_allclose(encoder.encode(images), np.tile(unit(expected), (3, 1)), atol=1e-6)


def test_a_threshold_stays_with_its_description(tmp_path: Path) -> None:
    write_model(tmp_path)
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(GOOD)
    save_threshold(tmp_path / "a.toml", {"value": 1.1})
    assert load_encoder(tmp_path / "a.toml").threshold == 1.1
    assert load_encoder(tmp_path / "b.toml").threshold is None


def test_the_fingerprint_follows_file_and_preprocessing(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text(GOOD + 'licence = "MIT"\n')
    (tmp_path / "c.toml").write_text(GOOD + 'colors = "BGR"\n')
    a, b, c = (load_encoder(tmp_path / f"{name}.toml") for name in "abc")
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert b.provenance["licence"] == "MIT"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + "heigth = 3\n", r"heigth.*keys are file, height"),
        ('file = "model.onnx"\n', "height"),
        (GOOD.replace("model.onnx", "absent.onnx"), r"absent\.onnx: no such model file"),
        (GOOD + 'output = "logits"\n', "unknown output 'logits'"),
        ("file = \n", "not a model description"),
        (GOOD.replace("model.onnx", "broken.onnx"), r"broken\.onnx: not a readable ONNX model"),
    ],
)
def test_a_wrong_description_is_named(content: str, message: str, tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x01broken")
    (tmp_path / "encoder.toml").write_text(content)
    with pytest.raises(WeightsError, match=message):
        load_encoder(tmp_path)


def test_torch_cannot_run_a_graph(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "encoder.toml").write_text(GOOD)
    with pytest.raises(WeightsError, match=r"not on torch; .* the network's own weights"):
        load_encoder(tmp_path, engine="torch")
    with pytest.raises(ConfigError, match="unknown engine"):
        load_encoder(tmp_path, engine="tensorrt")
    with pytest.raises(WeightsError, match="no torch model"):
        load_encoder(tmp_path).model  # noqa: B018
