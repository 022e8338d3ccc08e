"""Images are prepared ahead, in threads, and none of it shows in the vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.config import InputConfig, ModelConfig
from passerby.data.records import Sample
from passerby.embedding.embed import embed
from passerby.errors import EmbeddingError, ImageError
from passerby.images.decode import read_image, resize_image
from passerby.models.encoder import Encoder
from passerby.models.model import build_model


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    settings = ModelConfig(backbone="tiny:osnet_x0_25")
    return Encoder.from_model(build_model(settings).eval(), InputConfig(height=64, width=32), settings)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    made = [tmp_path / f"{i}.png" for i in range(11)]
    for i, path in enumerate(made):
        Image.fromarray(generator.integers(0, 256, (40 + i, 30, 3), dtype=np.uint8)).save(path)
    return made


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_hold_the_pixels_of_a_plain_loop_in_order(
    encoder: Encoder, paths: list[Path], monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr("passerby.models.image_batches.decoding_threads", lambda: threads)
    seen: list[torch.Tensor] = []

    def noted(batch: torch.Tensor, flip: bool) -> torch.Tensor:
        seen.append(batch)
        return torch.zeros(len(batch), 1)

    monkeypatch.setattr(encoder, "encode_batch", noted)
    encoder.encode(paths, batch_size=4)
    assert [len(batch) for batch in seen] == [4, 4, 3]
    slow = np.stack([resize_image(read_image(path), 64, 32) for path in paths])
    np.testing.assert_array_equal(torch.cat(seen).permute(0, 2, 3, 1).numpy(), slow)


def test_embed_equals_encode(encoder: Encoder, paths: list[Path]) -> None:
    samples = [Sample(path, 1 + i) for i, path in enumerate(paths)]
    made = embed(encoder, samples, batch_size=4, progress=False)
    np.testing.assert_array_equal(made.vectors, encoder.encode(paths, batch_size=4))


def test_an_unreadable_image_ends_it_with_its_name(encoder: Encoder, paths: list[Path]) -> None:
    paths[9].write_bytes(b"")
    with pytest.raises(ImageError, match=r"9\.png.*empty"):
        encoder.encode(paths, batch_size=2)


def test_an_encoder_that_gives_other_shapes_is_refused(paths: list[Path]) -> None:
    class Wrong:
        dim, fingerprint = 4, ""

        def encode(self, images: Any, *, batch_size: int = 128, flip: bool = True) -> np.ndarray:
            return np.zeros((len(images), 3), np.float32)

    with pytest.raises(EmbeddingError, match=r"\[2, 4\].*\[2, 3\]"):
        embed(Wrong(), [Sample(path, 1) for path in paths], batch_size=2, progress=False)


def test_whoever_may_read_the_description_may_read_the_weights(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "encoder")
    assert len({path.stat().st_mode for path in (tmp_path / "encoder").iterdir()}) == 1
