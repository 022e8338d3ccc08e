"""Views of an image: the same whenever they are drawn, at one size and at another."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.config import AugmentConfig, InputConfig
from passerby.data.augment import Augmenter
from passerby.data.views import Views

SIZE = InputConfig(height=64, width=32)
HALF = InputConfig(height=32, width=16)
PATHS = [f"people/p{i}/image-{i}.jpg" for i in range(40)]


def views(**augment: float) -> Views:
    return Views(3, AugmentConfig(**augment), SIZE)


def test_a_view_depends_on_folder_and_name_and_number_alone() -> None:
    whole = views().draw(PATHS, 1, SIZE)
    moved = views().draw(["/elsewhere/" + p for p in reversed(PATHS)], 1, SIZE)
    for name in ("place", "box", "color"):
        assert np.array_equal(getattr(whole, name), getattr(moved, name)[::-1])
    other = views().draw(PATHS, 2, SIZE)
    assert not np.array_equal(whole.place, other.place)
    assert not np.array_equal(whole.box, other.box)


def test_images_differ_in_their_changes() -> None:
    draw = views(color_jitter=0.3).draw(PATHS, 0, SIZE)
    assert 0 < draw.place[:, 0].sum() < len(PATHS)
    assert len(np.unique(draw.place[:, 1])) > 3
    assert len(np.unique(draw.color)) > len(PATHS)


@pytest.mark.parametrize("augment", [{}, {"pad": 0, "enlarge": 1.25}, {"pad": 40, "erasing": 1.0, "enlarge": 1.1}])
def test_at_half_the_size_the_same_is_seen(augment: dict[str, float]) -> None:
    one = views(**augment)
    large, small = one.draw(PATHS, 0, SIZE), one.draw(PATHS, 0, HALF)
    assert np.array_equal(large.place[:, 0], small.place[:, 0])
    pad = Augmenter(one.augment, SIZE).pad, Augmenter(one.augment, HALF).pad
    # by how much the crop lies off the image's corner, which rounding moves by two pixels at most
    off = (large.place[:, 1:] - pad[0]) / 2 - (small.place[:, 1:] - pad[1])
    assert np.abs(off).max() <= 2
    assert np.abs(large.box / 2 - small.box).max() <= 0.5
    target = Augmenter(one.augment, HALF)
    spare = np.array(target.source) - (32, 16)
    assert (small.place[:, 1:] >= 0).all()
    assert (small.place[:, 1:] <= 2 * target.pad + spare).all()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"p{i}.png" for i in range(6)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (64, 32, 3), dtype=np.uint8)).save(path)
    return paths


def test_pictures_are_what_the_network_sees(files: list[Path]) -> None:
    one = views(erasing=0.5, color_jitter=0.2)
    pictures = one.pictures(files, 2)
    assert pictures.shape == (6, 64, 32, 3)
    stored = np.stack([np.asarray(Image.open(path)) for path in files])
    seen = Augmenter(one.augment, SIZE).change(torch.from_numpy(stored).permute(0, 3, 1, 2), one.draw(files, 2, SIZE))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (SIZE.mean, SIZE.std))
    shown = (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - mean) / std
    assert (shown - seen).abs().max() <= 0.51 / 255 / min(SIZE.std)


def test_without_changes_a_view_is_the_image(files: list[Path]) -> None:
    pictures = views(flip=0.0, pad=0, erasing=0.0).pictures(files, 0)
    assert np.array_equal(pictures, np.stack([np.asarray(Image.open(path)) for path in files]))
