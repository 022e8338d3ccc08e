"""Encoder: images of every kind in, unit vectors in order out; a folder that carries everything and is checked."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.config import InputConfig, ModelConfig
from passerby.errors import ConfigError, ImageError, StorageError, WeightsError
from passerby.models.encoder import Encoder, load_encoder, save_threshold
from passerby.models.model import build_model

INPUT = InputConfig(height=64, width=32)
CONFIG = ModelConfig(backbone="tiny:osnet_x0_25")


def mean_of(encoder: Encoder) -> torch.Tensor:
    """The running mean of the neck."""
    neck: Any = encoder.model.head.neck
    mean: torch.Tensor = neck.running_mean
    return mean


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder.from_model(build_model(CONFIG), INPUT, CONFIG, {"licence": "none", "data": "abc"})


def pictures(count: int, height: int = 80, width: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def test_every_kind_of_input_gives_the_same_vectors(encoder: Encoder, tmp_path: Path) -> None:
    arrays = pictures(5, 64, 32)
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    expected = encoder.encode(arrays)
    assert expected.shape == (5, encoder.dim)
    opened = [Image.open(path) for path in paths]
    assert np.array_equal(encoder.encode(opened), expected)
    assert np.array_equal(encoder.encode(opened[1].convert("RGBA"))[0], encoder.encode(arrays[1])[0])
    assert expected.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-6)
    tensor = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    for images in (paths, [str(p) for p in paths], np.stack(arrays), tensor, list(tensor)):
        np.testing.assert_array_equal(encoder.encode(images), expected)
    np.testing.assert_allclose(encoder.encode(paths[3]), expected[3:4], atol=1e-5)
    np.testing.assert_allclose(encoder.encode(arrays[3]), expected[3:4], atol=1e-5)


def test_batches_keep_the_order(encoder: Encoder) -> None:
    arrays = pictures(7)
    np.testing.assert_allclose(encoder.encode(arrays, batch_size=2), encoder.encode(arrays), atol=1e-5)


def test_no_images_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert encoder.encode_batch(torch.zeros(0, 3, 64, 32, dtype=torch.uint8)).shape == (0, encoder.dim)


def test_flip_makes_mirror_images_equal(encoder: Encoder) -> None:
    array = pictures(1)[0]
    mirrored = np.ascontiguousarray(array[:, ::-1])
    np.testing.assert_allclose(encoder.encode(array), encoder.encode(mirrored), atol=1e-5)
    assert np.abs(encoder.encode(array, flip=False) - encoder.encode(mirrored, flip=False)).max() > 1e-3


def test_encoding_leaves_a_training_model_in_training(encoder: Encoder) -> None:
    encoder.model.train()
    means = {k: v.clone() for k, v in encoder.model.state_dict().items()}
    encoder.encode(pictures(2))
    assert encoder.model.training
    assert all(torch.equal(v, means[k]) for k, v in encoder.model.state_dict().items())


def test_vectors_match_the_formula_written_out(encoder: Encoder) -> None:
    array = pictures(1, 64, 32)[0]
    x = (array.astype(np.float64) / 255 - np.array(INPUT.mean)) / np.array(INPUT.std)
    with torch.no_grad():
        raw = encoder.model.eval()(torch.from_numpy(x).float().permute(2, 0, 1)[None]).feature[0].double().numpy()
    np.testing.assert_allclose(encoder.encode(array, flip=False)[0], raw / np.sqrt((raw**2).sum()), atol=1e-5)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((64, 32, 3), np.float32),
        np.zeros((64, 32), np.uint8),
        [np.zeros((64, 32, 4), np.uint8)],
        [3],
        np.zeros((0, 32, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(encoder: Encoder, bad: object) -> None:
    with pytest.raises(ImageError):
        encoder.encode(bad)  # type: ignore[arg-type]


def test_an_unreadable_file_is_named(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty\.jpg"):
        encoder.encode([tmp_path / "empty.jpg"])


def test_a_folder_gives_the_same_encoder_back(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "run" / "encoder")
    for folder in (tmp_path / "run" / "encoder", tmp_path / "run"):
        other = load_encoder(folder)
        assert other.fingerprint == encoder.fingerprint
        assert other.provenance == encoder.provenance
        assert other.threshold is None
        np.testing.assert_allclose(other.encode(pictures(3)), encoder.encode(pictures(3)), atol=1e-6)


def test_a_loaded_encoder_follows_its_weights(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    loaded = load_encoder(tmp_path)
    loaded.encode(pictures(1))
    with torch.no_grad():
        for model in (loaded.model, encoder.model):
            for parameter in model.parameters():
                parameter.mul_(1.5)
    np.testing.assert_allclose(loaded.encode(pictures(2)), encoder.encode(pictures(2)), atol=1e-5)
    torch.manual_seed(9)
    other = build_model(CONFIG)
    loaded.model.load_state_dict(other.state_dict())
    expected = Encoder.from_model(other, INPUT, CONFIG).encode(pictures(2))
    np.testing.assert_allclose(loaded.encode(pictures(2)), expected, atol=1e-5)


def test_the_fingerprint_follows_weights_and_preprocessing(encoder: Encoder) -> None:
    same = Encoder.from_model(encoder.model, INPUT, CONFIG, {"other": "provenance"})
    assert same.fingerprint == encoder.fingerprint
    larger = Encoder.from_model(encoder.model, InputConfig(height=128, width=32), CONFIG)
    before = encoder.fingerprint
    assert larger.fingerprint != before
    with torch.no_grad():
        mean_of(encoder)[0] += 1e-3
    assert Encoder.from_model(encoder.model, INPUT, CONFIG).fingerprint != before


def test_saving_leaves_the_encoder_as_it_is(encoder: Encoder, tmp_path: Path) -> None:
    before = dict(vars(encoder))
    encoder.save(tmp_path)
    assert vars(encoder) == before
    assert load_encoder(tmp_path).fingerprint == encoder.fingerprint


def test_saving_takes_no_other_folders_place(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    encoder.save(tmp_path)  # its own
    (tmp_path / "run").mkdir()
    kept = tmp_path / "run" / "metrics.jsonl"
    for place in (kept, kept.parent):
        kept.write_text("{}")
        with pytest.raises(WeightsError, match="which stay; save into another folder"):
            encoder.save(place)
        assert kept.read_text() == "{}"


def test_the_fingerprint_is_that_of_the_present_weights(encoder: Encoder, tmp_path: Path) -> None:
    """... saved or not."""
    before = encoder.fingerprint
    with torch.no_grad():
        mean_of(encoder)[0] += 1e-3
    assert encoder.fingerprint not in (before, "")
    encoder.save(tmp_path)
    loaded = load_encoder(tmp_path)
    assert loaded.fingerprint == encoder.fingerprint
    with torch.no_grad():
        mean_of(loaded)[0] -= 1e-3
    assert loaded.fingerprint != encoder.fingerprint


def test_a_threshold_is_kept_beside_the_weights(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    save_threshold(tmp_path, {"value": 0.8, "far": 0.01})
    loaded = load_encoder(tmp_path)
    assert loaded.threshold == 0.8
    assert loaded.calibration["far"] == 0.01
    with pytest.raises(ConfigError, match="value"):
        save_threshold(tmp_path, {"far": 0.01})


def test_folders_that_are_no_encoder_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is no folder"):
        load_encoder(tmp_path / "absent")
    with pytest.raises(WeightsError, match=r"holds no encoder\.json"):
        load_encoder(tmp_path)
    encoder.save(tmp_path / "e")
    description = tmp_path / "e" / "encoder.json"
    content = json.loads(description.read_text())
    changes: tuple[dict[str, Any], ...] = ({"format": 99}, {"model": {}}, {"input": None}, {"fingerprint": "0"})
    for change in changes:
        description.write_text(json.dumps({**content, **change}))
        with pytest.raises(WeightsError):
            load_encoder(tmp_path / "e")
    description.write_text("{")
    with pytest.raises(WeightsError, match="JSON"):
        load_encoder(tmp_path / "e")


def test_a_full_disk_keeps_the_previous_encoder(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.save(tmp_path / "e")
    before = encoder.fingerprint
    with torch.no_grad():
        mean_of(encoder)[0] += 1

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left"):
        encoder.save(tmp_path / "e")
    assert load_encoder(tmp_path / "e").fingerprint == before
    assert [p.name for p in tmp_path.iterdir()] == ["e"]
