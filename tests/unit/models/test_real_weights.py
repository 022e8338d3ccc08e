"""Public weights that lie at hand: they load, and our networks compute what their other copies compute."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.config import InputConfig, ModelConfig
from passerby.images.decode import read_image
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.hub import hub_get
from passerby.models.model import build_model
from passerby.models.weights.checkpoints import load_weights

DATA = Path(os.environ.get("PASSERBY_DATA", Path(__file__).parents[4] / "shared" / "data"))
WEIGHTS = DATA / "weights"
OSNET = "osnet_x0_25_msmt17_torchreid-names_bn-recalibrated.pth"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not WEIGHTS.is_dir(), reason=f"no weights at {WEIGHTS} (set PASSERBY_DATA)"),
]


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    """Real crops where the dataset lies unpacked beside the weights, else smooth random pictures."""
    folder = next(iter(sorted(DATA.glob("Market-1501*/query"))), None)
    if folder is not None:
        return [read_image(path) for path in sorted(folder.glob("*.jpg"))[:8]]
    rng = np.random.default_rng(0)
    rough = torch.from_numpy(rng.uniform(0, 255, (8, 3, 16, 8)))
    smooth = torch.nn.functional.interpolate(rough, (128, 64), mode="bilinear").round().to(torch.uint8)
    return [np.ascontiguousarray(image) for image in smooth.permute(0, 2, 3, 1).numpy()]


@pytest.mark.parametrize(
    ("backbone", "file", "missing"),
    [
        ("osnet_x0_25", OSNET, {"head"}),
        ("mobilenet_v2", "mobilenet_v2_torchvision_features_bn-recalibrated.pth", {"head"}),
        ("resnet18", "resnet18_torchvision_layer1-3_bn-recalibrated.pth", {"backbone.layer4", "head"}),
    ],
)
def test_every_tensor_of_the_file_finds_its_place(backbone: str, file: str, missing: set[str]) -> None:
    model = build_model(ModelConfig(backbone=backbone))
    report = load_weights(model, WEIGHTS / file)
    assert report.unexpected == report.mismatched == ()
    assert len(report.matched) >= 90
    assert {name.split(".")[0] if name.startswith("head") else name[:15] for name in report.missing} == missing


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_osnet_computes_what_its_onnx_export_computes(engine: str, crops: list[np.ndarray], tmp_path: Path) -> None:
    pytest.importorskip(engine)
    model = build_model(ModelConfig(backbone="osnet_x0_25", neck="none"))
    load_weights(model, WEIGHTS / OSNET)
    ours = Encoder.from_model(model, InputConfig(), ModelConfig(neck="none"))
    (tmp_path / "osnet.toml").write_text(
        f'file = "{WEIGHTS / "osnet_x0_25_msmt17.onnx"}"\nheight = 256\nwidth = 128\n'
        "mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n"
    )
    theirs = load_encoder(tmp_path / "osnet.toml", engine=engine)
    np.testing.assert_allclose(ours.encode(crops), theirs.encode(crops), atol=2e-5)


def test_an_openvino_model_becomes_an_encoder(crops: list[np.ndarray], tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "encoder.toml").write_text(
        f'file = "{WEIGHTS / "openvino" / "person-reidentification-retail-0277.xml"}"\n'
        'height = 256\nwidth = 128\ncolors = "BGR"\nscale = 1.0\nlicence = "Apache-2.0"\n'
    )
    encoder = load_encoder(tmp_path)
    vectors = encoder.encode(crops)
    assert vectors.shape == (len(crops), 256)
    assert encoder.provenance["licence"] == "Apache-2.0"
    mirrored = encoder.encode([np.ascontiguousarray(c[:, ::-1]) for c in crops], flip=False)
    likeness = vectors @ mirrored.T
    assert (likeness.argmax(1) == np.arange(len(crops))).mean() > 0.8  # a person is most like their mirror image


def test_a_checkpoint_needs_no_training_and_equals_its_graph(crops: list[np.ndarray]) -> None:
    pytest.importorskip("onnxruntime")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    graph = load_encoder(WEIGHTS / "osnet_x0_25_msmt17.onnx", colors="RGB", scale=255.0, mean=mean, std=std)
    checkpoint = load_encoder(WEIGHTS / OSNET, backbone="osnet_x0_25")
    np.testing.assert_allclose(checkpoint.encode(crops), graph.encode(crops), atol=2e-5)


def test_the_hub_knows_the_weights_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size and checksum are the published ones, and the impostor laws are of these vectors."""
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path))
    for name in ("retail-0277", "retail-0287", "osnet_x0_25_msmt17_onnx"):
        hub_get(name, files=[WEIGHTS, WEIGHTS / "openvino"] if "onnx" in name else [WEIGHTS / "openvino"])
        encoder = load_encoder(f"hub:{name}")
        assert encoder.calibration["fingerprint"] == encoder.fingerprint
