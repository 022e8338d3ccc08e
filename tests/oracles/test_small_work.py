"""Work in numpy and compiled gives the same to the last bit, so that it does not matter which one was taken."""

import sys

import numpy as np
import pytest

from passerby import small_work
from passerby.images.compiled_resize import compiled_resize
from passerby.images.resize import _weights, _weights_of_channels, plain_resize, resize_into
from passerby.search.compiled_keys import compiled_keys
from passerby.search.exact_keys import exact_keys, plain_keys

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dim", [0, 1, 2, 31, 32, 33, 77, 128, 512, 2048])
def test_exact_keys(dim: int, cosine: bool) -> None:
    a, b = ((RNG.standard_normal((n, dim)) * 10 ** RNG.uniform(-3, 3, (n, 1))).astype(np.float32) for n in (40, 30))
    a[3] = 0
    b[:5] = a[:5]
    rows, columns = RNG.integers(0, len(a), 500), RNG.integers(0, len(b), 500)
    plain = plain_keys(a, b, rows, columns, cosine)
    assert plain.tobytes() == compiled_keys(a, b, rows, columns, cosine).tobytes()
    x, y = a[rows].astype(np.float64), b[columns].astype(np.float64)
    wanted = np.square(x - y).sum(axis=1)
    if cosine:
        both = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        wanted = 1 - np.divide((x * y).sum(axis=1), both, out=np.zeros(500), where=both > 0)
    np.testing.assert_allclose(plain, wanted, rtol=1e-12, atol=1e-12)


def test_equal_vectors_have_equal_keys_wherever_they_stand() -> None:
    vectors = RNG.standard_normal((7, 129)).astype(np.float32)
    a = np.concatenate([vectors, RNG.standard_normal((1000, 129)).astype(np.float32), vectors])
    for rows in (np.arange(7), np.arange(1007, 1014)):
        keys = plain_keys(a, a, rows, np.full(7, 1010), False)
        assert keys.tobytes() == plain_keys(a, a, np.arange(7), np.full(7, 3), False).tobytes()
        assert keys[3] == 0


SIZES = [(128, 64, 256, 128), (20, 10, 40, 20), (4, 1, 9, 2), (37, 23, 64, 31), (300, 90, 256, 128), (700, 500, 30, 40)]


@pytest.mark.parametrize(("h", "w", "height", "width"), SIZES)
def test_resize(h: int, w: int, height: int, width: int) -> None:
    image = RNG.integers(0, 256, (h, 3 * w), dtype=np.uint8)
    tables = (*_weights_of_channels(w, width), *_weights(h, height))
    plain, fast = np.empty((2, height, 3 * width), np.uint8)
    plain_resize(image, *tables, plain)
    compiled_resize(image, *tables, fast)
    np.testing.assert_array_equal(plain, fast)


def test_work_is_small_until_loading_numba_would_have_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not small_work.is_small(1e-6), "numba is loaded already"
    monkeypatch.delitem(sys.modules, "numba")
    monkeypatch.setattr(small_work, "_done", 0.0)
    assert small_work.is_small(0.2)
    assert small_work.is_small(0.2)
    assert not small_work.is_small(0.2), "as long together as numba takes to load"
    assert not small_work.is_small(1e-6)


def test_both_ways_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    a = RNG.standard_normal((9, 40)).astype(np.float32)
    image, first, second = RNG.integers(0, 256, (20, 10, 3), dtype=np.uint8), *np.zeros((2, 40, 20, 3), np.uint8)
    taken = {}
    for small, out in ((True, first), (False, second)):
        monkeypatch.setattr("passerby.search.exact_keys.is_small", lambda _, small=small: small)
        monkeypatch.setattr("passerby.images.resize.is_small", lambda _, small=small: small)
        resize_into(image, out)
        taken[small] = exact_keys(a, a, np.arange(8), np.arange(1, 9), True).tobytes() + out.tobytes()
    assert taken[True] == taken[False]
