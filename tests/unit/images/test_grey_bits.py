"""Grey pictures of 10, 12 or 14 bits in files of 16: an encoder, a training and a gallery read them by one setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.adaptation.place import Place
from passerby.adaptation.rounds import round_config
from passerby.cli import run
from passerby.config import InputConfig, ModelConfig, parse_config
from passerby.config.adaptation import AdaptationSettings
from passerby.data.records import Sample
from passerby.errors import ConfigError, ImageError
from passerby.gallery.gallery import Gallery
from passerby.images.cache import ImageStore
from passerby.images.decode import read_image
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.model import build_model
from passerby.report.html_page import thumbnail

LEVELS = np.random.default_rng(0).integers(0, 256, (24, 12), dtype=np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> dict[int, Path]:
    """The same picture in 8, 10, 12 and 16 bits."""
    files = {bits: tmp_path / f"{bits}.png" for bits in (8, 10, 12, 16)}
    for bits, file in files.items():
        deep = LEVELS if bits == 8 else (LEVELS.astype(np.uint16) << (bits - 8)) + 1
        Image.fromarray(deep).save(file)
    return files


def encoder_of(bits: int) -> Encoder:
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    return Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32, bits=bits), config)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_the_highest_eight_bits_are_the_picture(bits: int, pictures: dict[int, Path], tmp_path: Path) -> None:
    expected = read_image(pictures[8])
    np.testing.assert_array_equal(read_image(pictures[bits], bits=bits), expected)
    np.testing.assert_array_equal(read_image(pictures[8], bits=bits), expected)
    for cache in ("memory", "disk", "none"):
        store = ImageStore(
            [pictures[bits]], 24, 12, cache=cache, cache_dir=tmp_path, progress=False, bits=bits,
        )  # fmt: skip
        np.testing.assert_array_equal(store.fetch(np.array([0]))[0], expected)


def test_a_disk_cache_of_other_bits_is_another(pictures: dict[int, Path], tmp_path: Path) -> None:
    for bits in (16, 12):
        ImageStore([pictures[12]], 24, 12, cache="disk", cache_dir=tmp_path / "cache", progress=False, bits=bits)
    assert len({file.stem for file in (tmp_path / "cache").iterdir()}) >= 2


def test_more_bits_than_were_said_are_refused(pictures: dict[int, Path]) -> None:
    with pytest.raises(ImageError, match="expected 0 to 4,095, 12 bits"):
        read_image(pictures[16], bits=12)
    with pytest.raises(ConfigError, match="bits"):
        parse_config({"input": {"bits": 8}}, where="test")


def test_an_encoder_carries_its_bits(pictures: dict[int, Path], tmp_path: Path) -> None:
    usual, deep = encoder_of(16), encoder_of(12)
    expected = usual.encode(pictures[8])
    np.testing.assert_array_equal(deep.encode([pictures[12]]), expected)
    assert not np.allclose(usual.encode([pictures[12]]), expected, atol=1e-3), "nearly black"
    deep.save(tmp_path / "deep")
    loaded = load_encoder(tmp_path / "deep")
    assert (loaded.preprocessing.bits, loaded.fingerprint) == (12, deep.fingerprint)
    assert deep.fingerprint != usual.fingerprint
    assert "bits" not in usual.preprocessing.model_dump(), "what knows no bits keeps its fingerprint"
    assert Preprocessing.model_validate(usual.preprocessing.model_dump()) == usual.preprocessing
    with Gallery.open(tmp_path / "g.gallery", deep) as gallery:
        gallery.enroll("ann", [pictures[12], pictures[12].read_bytes()])
        assert gallery.identify(pictures[8]).matches[0].distance < 1e-3
    assert run(["identify", str(tmp_path / "g.gallery"), str(pictures[12]), "--encoder", str(tmp_path / "deep")]) == 0


def test_adaptation_trains_on_the_same_pixels(tmp_path: Path) -> None:
    place = Place((Sample(tmp_path / "a.png", 1),), np.zeros(1, np.int64), np.zeros((0, 2), np.int64))
    files = {"weights": tmp_path / "w.safetensors", "manifest": tmp_path / "m.csv"}
    config = round_config(encoder_of(12), place, AdaptationSettings(), number=1, **files)
    assert config.input.bits == 12


def test_pictures_in_a_page_are_not_black(pictures: dict[int, Path]) -> None:
    assert thumbnail(pictures[12], bits=12) == thumbnail(pictures[8])
    assert thumbnail(pictures[12]) != thumbnail(pictures[8])


def test_data_check_reads_them_by_the_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    levels = np.random.default_rng(1).integers(0, 1024, (8, 24, 12), dtype=np.uint16)
    for row, picture in enumerate(levels):
        file = tmp_path / "people" / f"person-{row // 2}" / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file)
    run(["data", "check", str(tmp_path / "people")])
    assert "--input.bits in a training" in capsys.readouterr().out
    run(["data", "check", str(tmp_path / "people"), "--bits", "10"])
    assert "black or of one colour" not in capsys.readouterr().out
    assert run(["data", "check", str(tmp_path / "people"), "--bits", "8"]) == 2
    assert "expected 9 to 16, found 8" in capsys.readouterr().err


def test_boxes_of_a_frame_are_read_by_the_bits_of_the_encoder(pictures: dict[int, Path]) -> None:
    encoder: Any = encoder_of(12)
    deep, usual = (encoder.encode_boxes(pictures[bits], np.array([[0, 0, 12, 24]])) for bits in (12, 8))
    np.testing.assert_array_equal(deep, usual)
