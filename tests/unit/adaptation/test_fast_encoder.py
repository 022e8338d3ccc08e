"""What embeds the crops of a place."""

from pathlib import Path

import pytest
import torch

from passerby.adaptation import fast_encoder as module
from passerby.config import InputConfig, ModelConfig
from passerby.errors import MissingExtraError
from passerby.models.encoder import Encoder
from passerby.models.model import build_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    architecture = ModelConfig(backbone="tiny:resnet18")
    encoder = Encoder.from_model(build_model(architecture).eval(), InputConfig(height=64, width=32), architecture)
    encoder.save(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_torch_where_an_export_is_not_worth_it_or_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(folder: Path, to: str) -> None:
        raise MissingExtraError("openvino", "export", "exporting")

    monkeypatch.setattr(module, "export", not_installed)
    for crops in (100, 5000):
        assert module.fast_encoder(folder, crops).engine.name == "torch"


@pytest.mark.slow
def test_openvino_where_it_is_installed(folder: Path) -> None:
    pytest.importorskip("openvino")
    fast = module.fast_encoder(folder, 5000)
    assert fast.engine.name == "openvino"
    images = torch.randint(0, 256, (3, 3, 64, 32), dtype=torch.uint8)
    plain = module.fast_encoder(folder, 100)
    torch.testing.assert_close(fast.encode_batch(images), plain.encode_batch(images), atol=1e-4, rtol=1e-3)
