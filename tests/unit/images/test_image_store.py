"""The image store: the same pixels from memory, from the file and from nowhere; damage, interruption, a full disk."""

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from passerby.data.records import Sample
from passerby.errors import DataError, ImageError, StorageError
from passerby.images import cache as images_module
from passerby.images.cache import ImageStore, default_cache_dir
from passerby.images.decode import read_image, resize_image

Cache = Literal["memory", "disk", "none"]
N = 11


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    made = []
    for i in range(N):
        size = (64, 128) if i % 3 else (30 + i, 70 + i)
        path = folder / f"{i}.{'jpg' if i % 2 else 'png'}"
        Image.fromarray(rng.integers(0, 256, (9, 5, 3), dtype=np.uint8)).resize(size).save(path)
        made.append(Sample(path, i + 1))
    return made


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "_BLOCK_BYTES", 3 * 128 * 64 * 3)  # three images a block


def expected(samples: list[Sample], height: int = 128, width: int = 64) -> np.ndarray:
    return np.stack([resize_image(read_image(s.path), height, width) for s in samples])


def stored(samples: list[Sample], cache: Cache, tmp_path: Path, **arguments: Any) -> ImageStore:
    return ImageStore(
        [s.path for s in samples], 128, 64, cache=cache, cache_dir=tmp_path / "cache", progress=False, **arguments
    )


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
@pytest.mark.parametrize("size", [(128, 64), (64, 32), (256, 128)])
def test_all_caches_hold_what_pillow_reads(
    cache: Cache, size: tuple[int, int], samples: list[Sample], tmp_path: Path
) -> None:
    store = ImageStore([s.path for s in samples], *size, cache=cache, cache_dir=tmp_path / "cache", progress=False)
    wanted = expected(samples, *size)
    indices = np.array([7, 0, 3, 3])
    assert len(store) == N
    for fetch in (store.fetch, store.read):
        found = fetch(indices)
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - wanted[indices]).max() <= 1  # see passerby.images.resize
    np.testing.assert_array_equal(store.fetch(np.arange(1, 3)), wanted[1:3])
    found[:] = 0  # what is fetched belongs to the caller
    assert np.abs(store.fetch(indices).astype(int) - wanted[indices]).max() <= 1


def test_what_is_fetched_can_be_written_in_place(samples: list[Sample], tmp_path: Path) -> None:
    out = np.empty((2, 128, 64, 3), np.uint8)
    for cache in ("memory", "disk", "none"):
        store = stored(samples, cache, tmp_path)
        for fetch in (store.fetch, store.read):
            out[:] = 0
            assert fetch(np.array([5, 1]), out) is out
            np.testing.assert_array_equal(out, store.fetch(np.array([5, 1])))


@pytest.mark.parametrize("index", [-1, N])
@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_no_other_image_is_returned_for_a_wrong_index(
    cache: Cache, index: int, samples: list[Sample], tmp_path: Path
) -> None:
    with pytest.raises(IndexError, match=f"of {N}"):
        stored(samples, cache, tmp_path).fetch(np.array([index]))


def files_of(tmp_path: Path, ending: str) -> list[Path]:
    return sorted((tmp_path / "cache").glob(f"*.{ending}"))


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_more: Any) -> Any:
        raise AssertionError("decoded again")

    monkeypatch.setattr(images_module, "read_into", refuse)


def recorded_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths of all images that are decoded from now on."""
    decoded: list[Path] = []
    real = images_module.read_into

    def read(path: Path, out: np.ndarray, **_: Any) -> None:
        decoded.append(path)
        real(path, out)

    monkeypatch.setattr(images_module, "read_into", read)
    return decoded


def test_the_second_run_finds_the_file(samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stored(samples, "disk", tmp_path).fetch(np.arange(N))
    assert files_of(tmp_path, "part") == []
    no_decoding(monkeypatch)
    np.testing.assert_array_equal(stored(samples, "disk", tmp_path).fetch(np.arange(N)), first)


def test_a_changed_image_or_list_or_size_makes_another_file(samples: list[Sample], tmp_path: Path) -> None:
    stored(samples, "disk", tmp_path)
    stored(samples[::-1], "disk", tmp_path)
    os.utime(samples[0].path, ns=(1, 1))
    stored(samples, "disk", tmp_path)
    ImageStore([s.path for s in samples], 64, 32, cache="disk", cache_dir=tmp_path / "cache", progress=False)
    assert len(files_of(tmp_path, "pixels")) == 4


def damage_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4 * 128 * 64 * 3 + 5)
        value = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([value[0] ^ 1]))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "one bit": damage_byte,
    "cut short": lambda path: os.truncate(path, 100),
    "too long": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "empty": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
    "no checksums": lambda path: path.with_suffix(".sums").unlink(),
    "torn checksums": lambda path: path.with_suffix(".sums").write_text("0 abc\n1"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_mended(damage: str, samples: list[Sample], tmp_path: Path) -> None:
    stored(samples, "disk", tmp_path)
    (path,) = files_of(tmp_path, "pixels")
    DAMAGES[damage](path)
    store = stored(samples, "disk", tmp_path)
    assert np.abs(store.fetch(np.arange(N)).astype(int) - expected(samples)).max() <= 1
    assert path.stat().st_size == N * 128 * 64 * 3


def test_only_the_damaged_block_is_decoded_again(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(samples, "disk", tmp_path)
    damage_byte(files_of(tmp_path, "pixels")[0])
    decoded = recorded_reads(monkeypatch)
    stored(samples, "disk", tmp_path)
    assert sorted(decoded) == sorted(s.path for s in samples[3:6])


def test_an_interrupted_build_goes_on(samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = images_module.read_into
    decoded: list[Path] = []

    def stop_after_seven(path: Path, out: np.ndarray, **_: Any) -> None:
        if len(decoded) == 7:
            raise KeyboardInterrupt
        decoded.append(path)
        real(path, out)

    monkeypatch.setattr(images_module, "read_into", stop_after_seven)
    with pytest.raises(KeyboardInterrupt):
        stored(samples, "disk", tmp_path, threads=1)
    assert files_of(tmp_path, "pixels") == []
    monkeypatch.setattr(images_module, "read_into", real)
    decoded = recorded_reads(monkeypatch)
    store = stored(samples, "disk", tmp_path, threads=1)
    assert len(decoded) == N - 6  # two blocks of three were whole
    assert np.abs(store.fetch(np.arange(N)).astype(int) - expected(samples)).max() <= 1


def test_two_builders_at_once_decode_everything_once(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = recorded_reads(monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(lambda _: stored(samples, "disk", tmp_path), range(2)))
    assert len(decoded) == N
    np.testing.assert_array_equal(stores[0].fetch(np.arange(N)), stores[1].fetch(np.arange(N)))


def test_a_whole_file_opens_where_nothing_can_be_written(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(samples, "disk", tmp_path)

    def refuse(_path: Path) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(images_module, "_locked", refuse)
    assert len(stored(samples, "disk", tmp_path).fetch(np.arange(N))) == N


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_says_so_and_keeps_what_was_written(
    error: int, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = images_module._checksum
    calls = []

    def fail_at_the_third(data: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise OSError(error, os.strerror(error))
        return real(data)

    monkeypatch.setattr(images_module, "_checksum", fail_at_the_third)
    with pytest.raises(StorageError, match=r"cannot write the image cache of .* GiB \(.*\).*input.cache_dir"):
        stored(samples, "disk", tmp_path)
    monkeypatch.setattr(images_module, "_checksum", real)
    assert np.abs(stored(samples, "disk", tmp_path).fetch(np.arange(N)).astype(int) - expected(samples)).max() <= 1


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_unreadable_images_are_all_named_at_once(cache: Cache, samples: list[Sample], tmp_path: Path) -> None:
    for i, content in ((2, b""), (5, b"no image"), (7, samples[7].path.read_bytes()[:90])):
        samples[i].path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        stored(samples, cache, tmp_path)
    message = str(caught.value)
    assert message.startswith("3 images cannot be read, the first 3 being")
    assert all(str(samples[i].path) in message for i in (2, 5, 7))


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_one_missing_image_is_named(cache: Cache, samples: list[Sample], tmp_path: Path) -> None:
    samples[4].path.unlink()
    with pytest.raises(ImageError, match=r"4\.png: no such image file"):
        stored(samples, cache, tmp_path)


def test_without_a_cache_the_fetch_names_it(samples: list[Sample], tmp_path: Path) -> None:
    samples[4].path.write_bytes(b"")
    store = stored(samples, "none", tmp_path)
    store.fetch(np.array([1, 2]))
    for fetch in (store.fetch, store.read):
        with pytest.raises(ImageError, match=r"4\.png: the file is empty"):
            fetch(np.array([1, 4]))


def test_nothing_to_read_is_refused() -> None:
    with pytest.raises(DataError, match="no images"):
        ImageStore([], 128, 64)


def test_more_than_the_memory_is_refused_before_reading() -> None:
    many = [Sample(Path("nowhere.jpg"), 1)] * 1000
    with pytest.raises(DataError, match=r'GiB of memory: set input.cache = "disk"'):
        ImageStore([s.path for s in many], 100_000, 100_000)


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PASSERBY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "passerby" / "images"
