"""Encoders from bare model files: what a file does not say is asked for, what would do nothing is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.models.test_foreign import GOOD, write_model

from passerby.cli import run
from passerby.config import InputConfig, ModelConfig
from passerby.errors import ConfigError, WeightsError
from passerby.models.encoder import Encoder, load_encoder, save_threshold
from passerby.models.model import build_model
from passerby.models.sources import EncoderSource, encoder_source

IMAGE = np.full((8, 4, 3), (10, 20, 60), np.uint8)
SAID: dict[str, Any] = {"colors": "BGR", "scale": 1.0}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    write_model(tmp_path)
    return tmp_path / "model.onnx"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone="tiny:osnet_x0_25", neck="none"))
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.backbone.state_dict().items()}}, tmp_path / "c.pth")
    return tmp_path / "c.pth"


def test_a_bare_graph_is_the_described_one(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(GOOD + 'colors = "BGR"\nscale = 1.0\n')
    bare, described = load_encoder(graph, **SAID), load_encoder(tmp_path / "d.toml")
    assert bare.fingerprint == described.fingerprint
    np.testing.assert_array_equal(bare.encode([IMAGE]), described.encode([IMAGE]))
    assert (bare.preprocessing.height, bare.preprocessing.width) == (8, 4), "the graph says its size"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"missing colors, scale \(such as --colors RGB --scale 255"),
        ({"colors": "RGB"}, "missing scale"),
        ({**SAID, "height": 9}, "its height is 8 pixels, and height = 9 was given"),
        ({**SAID, "backbone": "resnet18"}, r"backbone \(--backbone\) would do nothing: this is a graph"),
        ({**SAID, "output": "logits"}, "unknown output 'logits'"),
    ],
)
def test_what_a_graph_needs(given: dict[str, Any], message: str, graph: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        load_encoder(graph, **given)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'colours': did you mean 'colors'"):
        encoder_source("x.onnx", {"colours": "RGB"})
    with pytest.raises(ConfigError, match="unknown colors 'GBR'"):
        encoder_source("x.onnx", {"colors": "GBR"})


def test_a_checkpoint_needs_no_training(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint, backbone="tiny:osnet_x0_25", height=32, width=16)
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone="tiny:osnet_x0_25", neck="none"))
    same = Encoder.from_model(
        model, InputConfig(height=32, width=16), ModelConfig(backbone="tiny:osnet_x0_25", neck="none")
    )
    assert encoder.fingerprint == same.fingerprint
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 20, 3), np.uint8)
    np.testing.assert_allclose(encoder.encode(images), same.encode(images), atol=1e-5)
    assert load_encoder(checkpoint, backbone="tiny:osnet_x0_25").preprocessing.height == 256


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, WeightsError, r"give backbone \(--backbone NAME\)"),
        ({"backbone": "osnet_x0_25"}, WeightsError, "another model"),
        ({"backbone": "tiny:osnet_x0_25", "output": "y"}, WeightsError, r"output \(--output\) would do nothing"),
        ({"backbone": "tiny:osnet_x0_25", "map_pooling": "gem"}, WeightsError, r"not all of.*pool\.p"),
        (
            {"backbone": "tiny:osnet_x0_25", "height": 16, "width": 8},
            WeightsError,
            "cannot read images of 16x8 .*small",
        ),
        ({"backbone": "osnet"}, ConfigError, "unknown backbone"),
        ({"backbone": "tiny:osnet_x0_25", "engine": "openvino"}, WeightsError, "a checkpoint runs on torch"),
    ],
)
def test_what_a_checkpoint_needs(given: dict[str, Any], error: type[Exception], message: str, checkpoint: Path) -> None:
    with pytest.raises(error, match=message):
        load_encoder(checkpoint, **given)


def test_the_head_of_a_checkpoint_is_its_embedding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:resnet18", neck="bnneck", pooling="gem", fc_dims=(24,))
    model = build_model(config)
    pool: Any = model.pool
    pool.p.data.fill_(5.0)
    names = {"head.fc.0": "embed", "head.neck": "bnneck", "pool.p": "heads.pool.p"}
    state = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[name] = tensor
    torch.save(state, tmp_path / "c.pth")
    encoder = load_encoder(tmp_path / "c.pth", backbone="tiny:resnet18")
    assert {k: encoder.model_config[k] for k in ("neck", "pooling", "fc_dims")} == {
        "neck": "bnneck", "pooling": "gem", "fc_dims": [24]
    }  # fmt: skip
    assert all(torch.equal(tensor, encoder.model.state_dict()[k]) for k, tensor in model.state_dict().items())


def test_a_head_that_no_setting_makes_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = build_model(ModelConfig(backbone="tiny:resnet18", neck="none")).backbone.state_dict()
    torch.save(state | {"fc.0.weight": torch.randn(512, 128), "fc.2.weight": torch.randn(64, 512)}, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=r"no setting of a model makes the trained head of this file \(fc\.0"):
        load_encoder(tmp_path / "c.pth", backbone="tiny:resnet18")


def test_settings_beside_a_description_would_do_nothing(graph: Path, tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "d.toml").write_text(GOOD)
    with pytest.raises(WeightsError, match=r"scale \(--scale\) would do nothing: .*d\.toml describes the encoder"):
        load_encoder(tmp_path / "d.toml", scale=1.0)
    load_encoder(checkpoint, backbone="tiny:osnet_x0_25").save(tmp_path / "own")
    with pytest.raises(WeightsError, match=r"backbone \(--backbone\) would do nothing"):
        load_encoder(tmp_path / "own", backbone="tiny:osnet_x0_25")


def test_a_description_may_be_of_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text('file = "c.pth"\nbackbone = "tiny:osnet_x0_25"\nheight = 32\nlicence = "MIT"\n')
    encoder = load_encoder(tmp_path / "d.toml")
    assert encoder.fingerprint == load_encoder(checkpoint, backbone="tiny:osnet_x0_25", height=32).fingerprint
    assert encoder.provenance["licence"] == "MIT"


def test_a_threshold_beside_a_bare_file_is_of_one_preprocessing(graph: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = EncoderSource(str(graph), encoder_source(graph, SAID).settings)
    save_threshold(source, {"value": 0.7, "encoder": load_encoder(source).fingerprint})
    assert load_encoder(graph, **SAID).threshold == 0.7
    with caplog.at_level(logging.WARNING, "passerby"):
        assert load_encoder(graph, colors="RGB", scale=1.0).threshold is None
    assert "and not used" in caplog.text


def test_a_missing_model_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"x\.onnx: no such model file"):
        load_encoder(tmp_path / "x.onnx", **SAID)


def test_the_command_line_takes_the_same(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    gallery = str(tmp_path / "g.gallery")
    said = ["--encoder", str(graph), "--colors", "BGR", "--scale", "1", "--mean", "0", "0", "0"]
    assert run(["enroll", gallery, "ann", str(tmp_path / "a.png"), *said]) == 0, capsys.readouterr().err
    assert run(["identify", gallery, str(tmp_path / "a.png"), *said]) == 0
    assert "ann" in capsys.readouterr().out
    assert run(["identify", gallery, str(tmp_path / "a.png"), "--encoder", str(graph)]) == 2
    assert "missing colors, scale" in capsys.readouterr().err
