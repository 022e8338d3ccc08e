"""The fused CPU pass and the device's torch operations, against slow loops over pixels in float64."""

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.config import AugmentConfig, InputConfig, parse_config
from passerby.data.augment import Augmenter, Draw, normalize, resize_batch
from passerby.errors import ConfigError
from passerby.images.decode import resize_image
from passerby.images.resize import resize_into

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (9, 24, 14, 3), dtype=np.uint8)
INPUT = InputConfig(height=24, width=14)
SETTINGS = {
    "nothing": AugmentConfig(flip=0.0, pad=0, erasing=0.0),
    "flip": AugmentConfig(flip=1.0, pad=0, erasing=0.0),
    "crop": AugmentConfig(flip=0.0, pad=64, erasing=0.0),
    "crop from far outside": AugmentConfig(flip=0.5, pad=256, erasing=0.0),
    "erase": AugmentConfig(flip=0.0, pad=0, erasing=1.0),
    "color": AugmentConfig(flip=0.0, pad=0, erasing=0.0, color_jitter=0.5),
    "all": AugmentConfig(flip=0.5, pad=32, erasing=0.5, color_jitter=0.3),
    "defaults": AugmentConfig(),
    "enlarge": AugmentConfig(flip=0.5, pad=0, erasing=0.0, enlarge=1.125),
    "enlarge and all": AugmentConfig(flip=0.5, pad=32, erasing=0.5, color_jitter=0.3, enlarge=1.5),
}


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def of_source_size(augmenter: Augmenter) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (len(IMAGES), *augmenter.source, 3), dtype=np.uint8)


def slow(image: np.ndarray, draw: Draw, i: int, augmenter: Augmenter) -> np.ndarray:
    """Colour jitter, flip, pad and crop, normalise, erase; one pixel at a time."""
    height, width, _ = image.shape
    rows, columns = augmenter.input.height, augmenter.input.width
    x = image.astype(float)
    if augmenter.augment.color_jitter > 0:
        x = slow_color(x, *(float(f) for f in draw.color[i]))
    mirrored, top, left = draw.place[i]
    pad = augmenter.pad
    t0, t1, l0, l1 = draw.box[i]
    out = np.zeros((3, rows, columns))
    for r in range(rows):
        for c in range(columns):
            sr, sc = r + top - pad, c + left - pad
            inside = 0 <= sr < height and 0 <= sc < width
            sc = width - 1 - sc if mirrored else sc
            for k in range(3):
                value = x[sr, sc, k] if inside else 0.0
                out[k, r, c] = (value / 255 - INPUT.mean[k]) / INPUT.std[k]
                if t0 <= r < t1 and l0 <= c < l1:
                    out[k, r, c] = 0.0
    return out


def slow_color(x: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    def gray(pixel: np.ndarray) -> float:
        return float(0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2])

    x = np.clip(x * brightness, 0, 255)
    mean = np.mean([gray(pixel) for row in x for pixel in row])
    x = np.clip(mean + (x - mean) * contrast, 0, 255)
    for row in x:
        for pixel in row:
            pixel[:] = np.clip(gray(pixel) + (pixel - gray(pixel)) * saturation, 0, 255)
    return x


@pytest.mark.parametrize("name", SETTINGS)
def test_cpu_pass_equals_the_loop(name: str) -> None:
    augmenter = Augmenter(SETTINGS[name], INPUT)
    images = of_source_size(augmenter)
    for seed in range(3):
        fast = augmenter(as_tensor(images), generator_seed=(seed, 4))
        assert fast.dtype == torch.float32
        assert fast.is_contiguous(memory_format=torch.channels_last)
        draw = augmenter.draw(len(images), (seed, 4))
        wanted = np.stack([slow(image, draw, i, augmenter) for i, image in enumerate(images)])
        np.testing.assert_allclose(fast.numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize("name", SETTINGS)
def test_device_operations_equal_the_cpu_pass(name: str) -> None:
    augmenter = Augmenter(SETTINGS[name], INPUT)
    images = as_tensor(of_source_size(augmenter))
    on_device = augmenter._on_device(images, augmenter.draw(len(images), (1, 2)))
    assert on_device.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(on_device, augmenter(images, generator_seed=(1, 2)), atol=2e-5, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_equals_cpu_and_never_waits() -> None:
    augmenter = Augmenter(SETTINGS["all"], INPUT)
    images = as_tensor(IMAGES)
    on_gpu = images.cuda()
    augmenter(on_gpu, generator_seed=(0,))  # the first call may load kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = augmenter(on_gpu, generator_seed=(1, 2))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(result.cpu(), augmenter(images, generator_seed=(1, 2)), atol=2e-5, rtol=0)


def test_same_seed_same_batch_and_another_seed_another() -> None:
    augmenter = Augmenter(SETTINGS["all"], INPUT)
    images = as_tensor(IMAGES)
    first = augmenter(images, generator_seed=(3, 1, 4, 0))
    assert torch.equal(first, augmenter(images.contiguous(), generator_seed=(3, 1, 4, 0)))
    assert not torch.equal(first, augmenter(images, generator_seed=(3, 1, 4, 1)))
    assert torch.equal(images, as_tensor(IMAGES))


def test_nothing_drawn_is_normalisation() -> None:
    plain = Augmenter(SETTINGS["nothing"], INPUT)(as_tensor(IMAGES), generator_seed=(0,))
    torch.testing.assert_close(plain, normalize(as_tensor(IMAGES), INPUT.mean, INPUT.std), atol=2e-6, rtol=0)


def test_an_empty_batch_stays_empty() -> None:
    empty = torch.empty((0, 3, 24, 14), dtype=torch.uint8)
    assert Augmenter(AugmentConfig(), INPUT)(empty, generator_seed=(0,)).shape == (0, 3, 24, 14)


def test_draws_follow_the_settings() -> None:
    n = 4000
    augmenter = Augmenter(AugmentConfig(flip=0.3, pad=10, erasing=0.6, color_jitter=0.2), InputConfig())
    draw = augmenter.draw(n, (0,))
    assert abs(draw.place[:, 0].mean() - 0.3) < 0.03
    assert set(draw.place[:, 1].tolist()) == set(draw.place[:, 2].tolist()) == set(range(21))
    assert draw.color.min() >= 0.8
    assert draw.color.max() <= 1.2
    top, bottom, left, right = draw.box.T
    erased = bottom > top
    assert abs(erased.mean() - 0.6) < 0.03
    height, width = (bottom - top)[erased], (right - left)[erased]
    assert top.min() >= 0
    assert left.min() >= 0
    assert bottom.max() <= 256
    assert right.max() <= 128
    share = height * width / (256 * 128)
    assert share.min() > 0.018
    assert 0.37 < share.max() < 0.41
    aspect = height / width
    assert aspect.min() > 0.28
    assert aspect.max() < 3.5


def test_crops_of_an_enlarged_image_lie_inside_it_and_reach_every_place() -> None:
    augmenter = Augmenter(AugmentConfig(pad=0, enlarge=1.125), InputConfig())
    assert augmenter.source == (288, 144)
    place = augmenter.draw(4000, (0,)).place
    assert set(place[:, 1].tolist()) == set(range(33))
    assert set(place[:, 2].tolist()) == set(range(17))


def test_padding_scales_with_the_height() -> None:
    assert [Augmenter(AugmentConfig(), InputConfig(height=h, width=h // 2)).pad for h in (64, 128, 256, 384)] == [
        2, 5, 10, 15,
    ]  # fmt: skip


SIZES = [(128, 64, 256, 128), (20, 10, 40, 20), (4, 1, 9, 2), (37, 23, 64, 31), (160, 60, 256, 128), (5, 3, 5, 6)]


@pytest.mark.parametrize(("h", "w", "height", "width"), SIZES)
def test_growing_is_pillows_resize_bit_for_bit(h: int, w: int, height: int, width: int) -> None:
    image = RNG.integers(0, 256, (h, w, 3), dtype=np.uint8)
    out = np.empty((height, width, 3), np.uint8)
    resize_into(image, out)
    np.testing.assert_array_equal(out, resize_image(image, height, width))


@pytest.mark.parametrize("seed", range(8))
def test_any_resize_is_within_one_level_of_pillows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for h, w, height, width in rng.integers(1, 200, (6, 4)):
        image = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        out = np.empty((height, width, 3), np.uint8)
        resize_into(image, out)
        pillow = np.asarray(Image.fromarray(image).resize((int(width), int(height)), Image.Resampling.BILINEAR))
        assert np.abs(out.astype(int) - pillow).max() <= 1


@pytest.mark.parametrize(("h", "w", "height", "width"), [*SIZES, (256, 128, 128, 64), (300, 90, 256, 128)])
def test_resizing_a_batch_is_within_one_level_of_pillows(h: int, w: int, height: int, width: int) -> None:
    image = RNG.integers(0, 256, (h, w, 3), dtype=np.uint8)
    batch = resize_batch(as_tensor(image[None]), height, width)
    assert np.abs(batch[0].permute(1, 2, 0).numpy().astype(int) - resize_image(image, height, width)).max() <= 1


def test_a_batch_of_another_size_is_resized_first() -> None:
    small = RNG.integers(0, 256, (3, 12, 7, 3), dtype=np.uint8)
    augmenter = Augmenter(SETTINGS["all"], INPUT)
    resized = resize_batch(as_tensor(small), 24, 14)
    assert torch.equal(augmenter(as_tensor(small), generator_seed=(1,)), augmenter(resized, generator_seed=(1,)))


def test_an_aspect_of_one_erases_squares() -> None:
    settings = AugmentConfig(flip=0.0, pad=0, erasing=1.0, erasing_area=(0.1, 0.2), erasing_aspect=1.0)
    boxes = Augmenter(settings, INPUT).draw(50, (0,)).box
    height, width = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    assert (height == width).all()
    assert (height > 0).all()


@pytest.mark.parametrize("area", [[0.4, 0.02], [-0.1, 0.4], [0.1, 1.5]])
def test_the_erased_area_goes_from_small_to_large(area: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"^r: augment\.erasing_area: expected two shares between 0 and 1"):
        parse_config({"augment": {"erasing_area": area}}, where="r")
