"""Near duplicates against comparing every pair, and the hash against pictures saved again."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from passerby.data.check.image_files import difference_hash
from passerby.data.check.near_duplicates import near_duplicates


def slow(hashes: list[bytes], bits: int) -> set[tuple[int, int]]:
    def distance(a: bytes, b: bytes) -> int:
        return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()

    first = {h: hashes.index(h) for h in hashes}
    near = {(i, j) for h, i in first.items() for g, j in first.items() if i < j and distance(h, g) <= bits}
    return near | {(first[h], i) for i, h in enumerate(hashes) if first[h] != i}


@given(st.data(), st.integers(0, 12))
def test_pairs_equal_those_of_comparing_all(data: st.DataObject, bits: int) -> None:
    """Hashes drawn near a few centres, so that pairs at every distance occur."""
    centre = data.draw(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=3))
    hashes = []
    for _ in range(data.draw(st.integers(0, 25))):
        value = int.from_bytes(data.draw(st.sampled_from(centre)))
        for bit in data.draw(st.lists(st.integers(0, 127), max_size=8)):
            value ^= 1 << bit
        hashes.append(value.to_bytes(16))
    found = near_duplicates(hashes, bits)
    assert len(found) == len(set(found))
    assert set(found) == slow(hashes, bits)


def saved_again(image: np.ndarray, quality: int, size: tuple[int, int]) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).resize(size, Image.Resampling.BILINEAR).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("seed", range(5))
def test_hash_survives_saving_and_scaling(seed: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 8, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((64, 128), Image.Resampling.BICUBIC))
    mirrored = image[:, ::-1]
    hashes = [difference_hash(each) for each in (image, saved_again(image, 75, (64, 128)), mirrored)]
    hashes.append(difference_hash(saved_again(image, 90, (128, 256))))
    assert set(near_duplicates(hashes)) >= {(0, 1), (0, 3)}
    assert all(2 not in pair for pair in near_duplicates(hashes))
