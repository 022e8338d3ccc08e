"""Activation maps: the norm of the backbone's feature map, laid over the image."""

from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.config import InputConfig, ModelConfig
from passerby.errors import ImageError
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.model import build_model
from passerby.report.activation_maps import activation_maps


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    settings = ModelConfig(backbone="tiny:osnet_x0_25")
    return Encoder.from_model(build_model(settings).eval(), InputConfig(height=64, width=32), settings)


def pictures(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (50, 30, 3), dtype=np.uint8) for _ in range(count)]


def test_map_is_the_scaled_norm_over_channels(encoder: Encoder) -> None:
    first, second = activation_maps(encoder, pictures(2))
    for found in (first, second):
        assert found.image.shape == found.overlay().shape == (64, 32, 3)
        assert found.heat.shape == (64, 32)
        assert found.side_by_side().shape == (64, 64, 3)
        assert 0 <= found.heat.min() < found.heat.max() <= 1
        assert 0 < found.height_of_mean < 1
    pixels = torch.from_numpy(first.image.copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        features = encoder.model.backbone(encoder.preprocessing(pixels))[0].numpy()
    height, width = features.shape[1:]
    slow = np.array([[np.sqrt((features[:, y, x] ** 2).sum()) for x in range(width)] for y in range(height)])
    slow = (slow - slow.min()) / (slow.max() - slow.min())
    # the strongest place of the enlarged map lies in the strongest cell of the small one
    y, x = np.unravel_index(first.heat.argmax(), first.heat.shape)
    assert slow[y * height // 64, x * width // 32] == pytest.approx(slow.max(), abs=0.05)


def test_a_constant_map_is_cold_not_nan(encoder: Encoder) -> None:
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            parameter.zero_()
    found = activation_maps(encoder, pictures(1))[0]
    assert (found.heat == 0).all()
    assert found.height_of_mean == 0.5


def test_training_goes_on_as_before(encoder: Encoder) -> None:
    encoder.model.train()
    activation_maps(encoder, pictures(1))
    assert encoder.model.training
    with pytest.raises(ImageError):
        activation_maps(encoder, ["/nowhere/at-all.jpg"])
    assert activation_maps(encoder, []) == []


def test_an_encoder_from_its_folder_gives_the_same_maps(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "encoder")
    images = pictures(1)
    [made], [loaded] = activation_maps(encoder, images), activation_maps(load_encoder(tmp_path / "encoder"), images)
    np.testing.assert_allclose(loaded.heat, made.heat, atol=1e-5)
