"""Frames of tracklets: which are taken, and how sharp they are."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from passerby.data.records import ReIDDataset, Sample
from passerby.data.tracklets import pick_frames, sample_frames, sharpness, thin_tracklets, tracklets_of
from passerby.errors import DataError


def frames(pid: int, tracklet: int | None, count: int, start: int = 0) -> list[Sample]:
    return [Sample(Path(f"{pid}-{tracklet}-{start + i}.jpg"), pid, 0, float(start + i), tracklet) for i in range(count)]


@given(st.integers(1, 300), st.integers(1, 20), st.sampled_from(["even", "random"]), st.integers(0, 9))
def test_frames_are_spread_and_never_twice(length: int, count: int, how: Literal["even", "random"], seed: int) -> None:
    picked = pick_frames(length, count, how=how, seed=(seed,)).tolist()
    assert len(picked) == min(length, count)
    assert picked == sorted(set(picked))
    assert 0 <= picked[0] <= picked[-1] < length
    for i, frame in enumerate(picked if length > count else []):
        assert i * length // count <= frame < (i + 1) * length // count, "one frame from each piece"


def test_even_takes_the_middle() -> None:
    assert pick_frames(30, 3).tolist() == [4, 14, 24]
    assert pick_frames(5, 1).tolist() == [2]
    assert pick_frames(2, 4).tolist() == [0, 1]


def test_random_depends_on_the_seed_and_the_tracklet_alone() -> None:
    samples = frames(1, 0, 40) + frames(2, 1, 40)
    first = sample_frames(samples, 4, how="random", seed=(0, 1))
    assert first == sample_frames(samples, 4, how="random", seed=(0, 1))
    assert first != sample_frames(samples, 4, how="random", seed=(0, 2))
    assert [i % 40 for i in first[:4]] != [i % 40 for i in first[4:]]


def test_tracklets_are_ordered_by_time_and_images_stand_alone() -> None:
    samples = [*frames(1, 7, 2, start=5), *frames(1, 7, 1, start=0), *frames(2, None, 2)]
    assert tracklets_of(samples) == [(2, 0, 1), (3,), (4,)]
    with pytest.raises(DataError, match=r"tracklet 7: .* is person 1, .* person 2"):
        tracklets_of([*frames(1, 7, 1), *frames(2, 7, 1)])


def test_thin_dataset() -> None:
    data = ReIDDataset("x", tuple(frames(1, 0, 10)), tuple(frames(2, 1, 10)), tuple(frames(2, 2, 3)), "video")
    thin = thin_tracklets(data, 4)
    assert [len(part) for part in (thin.train, thin.query, thin.gallery)] == [4, 4, 3]
    assert thin.notes == ("at most 4 frames a tracklet, evenly spread",)


@pytest.mark.parametrize(("length", "count", "how"), [(0, 1, "even"), (1, 0, "even"), (1, 1, "best")])
def test_wrong_frames(length: int, count: int, how: Any) -> None:
    with pytest.raises(DataError):
        pick_frames(length, count, how=how)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    grey = [[float(p @ [0.299, 0.587, 0.114]) for p in row] for row in image.astype(float)]
    values = [
        grey[y - 1][x] + grey[y + 1][x] + grey[y][x - 1] + grey[y][x + 1] - 4 * grey[y][x]
        for y in range(1, 5)
        for x in range(1, 4)
    ]
    mean = sum(values) / len(values)
    assert sharpness(image) == pytest.approx(sum((v - mean) ** 2 for v in values) / len(values))
    assert sharpness(np.full((8, 8, 3), 99, np.uint8)) == pytest.approx(0.0)
    assert sharpness(image[:2]) == 0.0
    blurred = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1)))
    assert sharpness(blurred) < sharpness(image)
