"""Loaders: the right images with the right labels, the same whatever the threads, the cache and the place to start."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from passerby.config import AugmentConfig, InputConfig, SamplerConfig
from passerby.data import loader as loader_module
from passerby.data.augment import Augmenter
from passerby.data.loader import TrainLoader
from passerby.data.records import Sample, labels_of
from passerby.data.sampling.sampler import make_sampler
from passerby.errors import ImageError
from passerby.images.cache import ImageStore

INPUT = InputConfig(height=32, width=16)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Eight people, three images each, whose colour tells who they are."""
    folder = tmp_path_factory.mktemp("photos")
    made = []
    for person in range(8):
        for i in range(3):
            path = folder / f"{person}_{i}.png"
            Image.new("RGB", (16, 32), (30 * person, 10 * i, 0)).save(path)
            made.append(Sample(path, 5 * person + 2, camid=i))
    return made


def train_loader(
    samples: list[Sample],
    *,
    cache: Any = "memory",
    augment: AugmentConfig | None = None,
    stored: tuple[int, int] = (32, 16),
    kind: Any = "pk",
    **arguments: Any,
) -> TrainLoader:
    labels, _ = labels_of(samples)
    cameras = [s.camid for s in samples]
    rank, world_size = arguments.get("rank", 0), arguments.pop("world_size", 1)
    config = SamplerConfig(kind=kind, identities=2, images=2, epoch="identities")
    sampler = make_sampler(config, labels, cameras, seed=3, rank=rank, world_size=world_size)
    store = ImageStore([s.path for s in samples], *stored, cache=cache, progress=False)
    augmenter = Augmenter(augment or AugmentConfig(), INPUT)
    return TrainLoader(store, labels, cameras, sampler, augmenter, seed=3, **arguments)


def images_of(loader: TrainLoader, epoch: int = 0, start_step: int = 0) -> list[torch.Tensor]:
    return [batch.images.clone() for batch in loader.epoch(epoch, start_step)]


def test_labels_cameras_and_indices_belong_to_the_images(samples: list[Sample]) -> None:
    labels, _ = labels_of(samples)
    plain = AugmentConfig(flip=0.0, pad=0, erasing=0.0)
    loader = train_loader(samples, augment=plain)
    batches = list(loader.epoch(0))
    assert len(batches) == loader.steps(0) == 4
    for batch in batches:
        assert batch.images.shape == (4, 3, 32, 16)
        assert batch.images.dtype == torch.float32
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.labels.tolist() == [labels[i] for i in batch.indices]
        assert batch.camids.tolist() == [samples[i].camid for i in batch.indices]
        red = (batch.images[:, 0] * INPUT.std[0] + INPUT.mean[0]) * 255
        torch.testing.assert_close(red.mean((1, 2)), 30.0 * batch.labels, atol=1e-3, rtol=0)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("prefetch", [1, 5])
def test_batches_do_not_depend_on_threads_or_the_cache(
    threads: int, prefetch: int, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = images_of(train_loader(samples))
    monkeypatch.setattr(loader_module, "decoding_threads", lambda: threads)
    for cache in ("memory", "none"):
        found = images_of(train_loader(samples, cache=cache, prefetch=prefetch))
        assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))


def test_a_batch_is_what_the_augmenter_makes_with_the_step_as_seed(samples: list[Sample]) -> None:
    loader = train_loader(samples)
    for step, batch in enumerate(loader.epoch(5)):
        stored = torch.from_numpy(loader.store.fetch(batch.indices.numpy())).permute(0, 3, 1, 2)
        assert torch.equal(batch.images, loader.augmenter(stored, generator_seed=(3, 5, step, 0)))


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_crops_come_from_images_stored_enlarged(samples: list[Sample], cache: Any) -> None:
    augment = AugmentConfig(pad=0, enlarge=1.25)
    loader = train_loader(samples, augment=augment, stored=(40, 20), cache=cache)
    assert loader.augmenter.source == (40, 20)
    for step, batch in enumerate(loader.epoch(5)):
        stored = torch.from_numpy(loader.store.fetch(batch.indices.numpy())).permute(0, 3, 1, 2)
        assert batch.images.shape == (4, 3, 32, 16)
        assert torch.equal(batch.images, loader.augmenter(stored, generator_seed=(3, 5, step, 0)))


def test_starting_at_a_step_equals_having_taken_the_earlier_ones(samples: list[Sample]) -> None:
    loader = train_loader(samples)
    whole = images_of(loader, epoch=2)
    rest = images_of(loader, epoch=2, start_step=2)
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))
    assert images_of(loader, epoch=2, start_step=4) == []


def test_images_stored_at_another_size_are_resized(samples: list[Sample]) -> None:
    loader = train_loader(samples, stored=(16, 8))
    assert next(iter(loader.epoch(0))).images.shape == (4, 3, 32, 16)


def test_each_process_takes_its_share_and_draws_its_own_changes(samples: list[Sample]) -> None:
    whole = list(train_loader(samples).epoch(1))
    parts = [list(train_loader(samples, rank=rank, world_size=2).epoch(1)) for rank in range(2)]
    for step, batch in enumerate(whole):
        assert torch.equal(batch.indices, torch.cat([part[step].indices for part in parts]))


def test_batches_that_are_kept_are_not_overwritten(samples: list[Sample]) -> None:
    loader = train_loader(samples)
    copies = images_of(loader)
    kept = [batch.images[:, :1] for batch in loader.epoch(0)]  # views hold the memory too
    assert all(torch.equal(a[:, :1], b) for a, b in zip(copies, kept, strict=True))


def test_buffers_are_used_again(samples: list[Sample]) -> None:
    loader = train_loader(samples, prefetch=1)
    for epoch in range(6):
        for batch in loader.epoch(epoch):
            assert batch.images.shape[0] == 4
    assert len(loader._buffers._arrays) <= 10  # of 24 batches


def test_the_share_of_waiting_is_measured(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def a_second_later() -> float:
        nonlocal now
        now += 1
        return now

    monkeypatch.setattr(loader_module, "time", SimpleNamespace(perf_counter=a_second_later))
    loader = train_loader(samples)
    assert loader.waiting == 0.0
    for _ in loader.epoch(0):
        now += 100
    slow_training = loader.waiting
    for _ in loader.epoch(0):
        pass
    assert slow_training < loader.waiting <= 1.0


def test_leaving_early_stops_the_thread(samples: list[Sample]) -> None:
    batches: Any = train_loader(samples).epoch(0)  # a generator
    next(batches)
    assert [t for t in threading.enumerate() if t.name == "batches"]
    batches.close()
    assert not [t for t in threading.enumerate() if t.name == "batches"]


def test_an_unreadable_image_stops_training_with_its_name(samples: list[Sample], tmp_path: Path) -> None:
    broken = [*samples, Sample(tmp_path / "gone.png", 99), Sample(tmp_path / "gone.png", 100)]
    with pytest.raises(ImageError, match=r"gone\.png: no such image file"):
        images_of(train_loader(broken, cache="none"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_batches_equal_cpu_batches(samples: list[Sample]) -> None:
    on_cpu = images_of(train_loader(samples))
    on_gpu = images_of(train_loader(samples, device="cuda"))
    for a, b in zip(on_cpu, on_gpu, strict=True):
        assert b.device.type == "cuda"
        torch.testing.assert_close(a, b.cpu(), atol=2e-5, rtol=0)


def test_batches_for_a_device_are_assembled_as_stored_and_never_read_back(samples: list[Sample]) -> None:
    """The meta device has no values: whatever waits for the device would fail."""
    loader = train_loader(samples, augment=AugmentConfig(color_jitter=0.2), stored=(16, 8), device="meta")
    batches = list(loader.epoch(0))
    assert len(batches) == 4
    for batch in batches:
        assert batch.images.device.type == batch.labels.device.type == "meta"
        assert batch.images.shape == (4, 3, 32, 16)
        assert batch.images.dtype == torch.float32
