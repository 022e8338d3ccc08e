"""Exports that other programs accept: floats of fixed size, fixed batches, half precision, named axes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.config import InputConfig, ModelConfig
from passerby.errors import ConfigError
from passerby.experiments.export_ranking import export
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.export.form import ExportForm
from passerby.models.model import build_model
from passerby.models.sources import encoder_source

pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:resnet18")
    place = tmp_path_factory.mktemp("encoder") / "e"
    Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config, {}).save(place)
    return place


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)


def normalised(crops: np.ndarray) -> np.ndarray:
    """What trackers give: RGB in 0..1, ImageNet's mean taken off, divided by its deviation, [n, 3, h, w]."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return np.ascontiguousarray(((crops / 255 - mean) / std).transpose(0, 3, 1, 2), np.float32)


@pytest.mark.slow
def test_floats_of_fixed_size_and_any_number(folder: Path, crops: np.ndarray) -> None:
    written = export(folder, "onnx", input="float")
    assert written.path == folder / "encoder-float.onnx"
    session = ort.InferenceSession(str(written.path))
    (images,), (vectors,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["batch", 3, 64, 32])
    assert (vectors.name, vectors.shape[0]) == ("vectors", "batch")
    encoder = load_encoder(folder)
    found = session.run(None, {"images": normalised(crops)})[0]
    np.testing.assert_allclose(found, encoder.encode(crops, flip=False), atol=1e-5)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["passerby.mean"]) == [0.485, 0.456, 0.406]
    assert (about["passerby.normalization"], about["passerby.colors"]) == ("outside", "RGB")
    assert about["passerby.fingerprint"] == encoder.fingerprint
    alone = load_encoder(written.path)  # the file says how it is fed
    assert alone.fingerprint == encoder.fingerprint
    np.testing.assert_allclose(alone.encode(crops), encoder.encode(crops), atol=1e-5)
    assert b"File " not in written.path.read_bytes()  # no stack traces of this machine


@pytest.mark.slow
def test_normalising_inside_with_a_fixed_batch_an_older_opset_and_raw_vectors(folder: Path, crops: np.ndarray) -> None:
    onnx = pytest.importorskip("onnx")
    written = export(folder, "onnx", input="float", normalization="inside", batch=4, opset=17, raw=True)
    assert written.path.name == "encoder-float-normalizing-batch4-raw.onnx"
    session = ort.InferenceSession(str(written.path))
    assert session.get_inputs()[0].shape == [4, 3, 64, 32]
    assert [entry.version for entry in onnx.load(str(written.path)).opset_import if not entry.domain] == [17]
    pixels = np.ascontiguousarray(crops[:4].transpose(0, 3, 1, 2) / 255, np.float32)
    found = session.run(None, {"images": pixels})[0]
    encoder = load_encoder(folder)
    with torch.no_grad():
        expected = encoder.model.eval()(torch.from_numpy(normalised(crops[:4]))).embedding.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    # our own engine reads from the file what it takes: five images in two pieces of four, unit vectors
    engine = GraphEngine(written.path, "onnxruntime", encoder.preprocessing)
    ours = engine.vectors(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(ours, encoder.encode(crops, flip=False), atol=1e-5)


@pytest.mark.slow
def test_half_precision_has_no_fingerprint(folder: Path, crops: np.ndarray, tmp_path: Path) -> None:
    written = export(folder, "onnx", precision="float16", out=tmp_path / "half.onnx")
    assert written.format == "onnx float16"
    assert written.cosine[1] > 0.999
    encoder = load_encoder(folder)
    engine = GraphEngine(written.path, "onnxruntime", encoder.preprocessing)
    assert "fingerprint" not in engine.metadata
    assert load_encoder(written.path).fingerprint != encoder.fingerprint
    assert engine.metadata["encoder"] == encoder.fingerprint
    ours = engine.vectors(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))
    assert 0 < np.abs(ours - encoder.encode(crops, flip=False)).max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("to", ["openvino", "exported_program"])
def test_the_other_formats_take_floats_in_fixed_batches_too(to: str, folder: Path, tmp_path: Path) -> None:
    if to == "openvino":
        pytest.importorskip("openvino")
    written = export(folder, to, input="float", batch=2, out=tmp_path / "file.xml")
    assert written.difference < 1e-5
    assert written.path.is_file()


@pytest.mark.parametrize(
    ("form", "to", "message"),
    [
        (ExportForm(input="floats"), "onnx", "unknown input 'floats'"),  # type: ignore[arg-type]
        (ExportForm(normalization="outside"), "onnx", "goes with input 'float'"),
        (ExportForm(batch=0), "onnx", "batch: expected at least 1"),
        (ExportForm(opset=18), "openvino", "opset is for the format 'onnx'"),
        (ExportForm(opset=17), "onnx", "expected at least 18 for input 'uint8', found 17; input 'float'"),
        (ExportForm("float", opset=11), "onnx", "expected at least 15"),
    ],
)
def test_what_cannot_be_written_is_refused(form: ExportForm, to: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        form.check(to)


def test_int8_goes_with_pixels_alone(folder: Path) -> None:
    with pytest.raises(ConfigError, match="int8 goes with uint8 input alone"):
        export(folder, "onnx", input="float", int8=True, images=[np.zeros((64, 32, 3), np.uint8)])


@pytest.mark.slow
def test_a_checkpoint_is_exported_beside_itself_and_over_nobody_elses_file(
    tmp_path: Path,
) -> None:
    model = build_model(ModelConfig(backbone="tiny:resnet18", neck="none"))
    torch.save({"state_dict": model.backbone.state_dict()}, tmp_path / "net.pth")
    source = encoder_source(tmp_path / "net.pth", {"backbone": "tiny:resnet18", "height": 64, "width": 32})
    (tmp_path / "net.onnx").write_bytes(b"of another program")
    with pytest.raises(ConfigError, match=r"net\.onnx: another program's file is there already.*--out"):
        export(source, "onnx")
    assert (tmp_path / "net.onnx").read_bytes() == b"of another program"
    assert export(source, "onnx", input="float").path == tmp_path / "net-float.onnx"
    assert export(source, "onnx", input="float").path == tmp_path / "net-float.onnx", "its own file is replaced"


def test_a_file_has_the_name_that_was_given_with_the_ending_of_its_format(folder: Path, tmp_path: Path) -> None:
    for name in ("net.pt2", "net.v2"):
        with pytest.raises(ConfigError, match=rf"out: expected a folder .* ends in \.onnx, found .*{name}"):
            export(folder, "onnx", out=tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    written = export(folder, "onnx", out=tmp_path / "net", input="float").path
    assert written == tmp_path / "net.onnx"
    assert written.is_file()


@pytest.mark.parametrize("held", ["thesis.txt", "weights.safetensors"])
def test_int8_does_not_remove_what_others_put_there(held: str, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    (place / held).write_text("of somebody")
    (place / "encoder.json").write_text("{}")
    pictures = [np.zeros((64, 32, 3), np.uint8)]
    with pytest.raises(ConfigError, match=r"mine: int8 writes a folder of its own, found a folder that holds"):
        export(folder, "onnx", int8=True, images=pictures, out=place)
    with pytest.raises(ConfigError, match=r"found the name of a file"):
        export(folder, "onnx", int8=True, images=pictures, out=place / held)
    with pytest.raises(ConfigError, match=r"found the name of a file"):
        export(folder, "onnx", int8=True, images=pictures, out=tmp_path / "net.onnx")
    assert (place / held).read_text() == "of somebody"


@pytest.mark.slow
def test_an_int8_encoder_is_written_again_in_its_own_folder(folder: Path, tmp_path: Path) -> None:
    pictures = list(np.random.default_rng(1).integers(0, 256, (4, 64, 32, 3), dtype=np.uint8))
    for _ in range(2):
        assert export(folder, "onnx", int8=True, images=pictures, out=tmp_path / "int8").path == tmp_path / "int8"
    before = load_encoder(tmp_path / "int8").fingerprint
    for out in (tmp_path / "int8", tmp_path / "int8" / "encoder.onnx"):
        with pytest.raises(ConfigError, match="the graph of an int8 encoder is there and stays"):
            export(folder, "onnx", out=out)
    assert load_encoder(tmp_path / "int8").fingerprint == before
