"""The one decoder: which formats it reads, that it starts no other program, and one clear error for anything else."""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image
from tests.contracts.galleries import TinyEncoder

import passerby
from passerby.data.check.dataset_check import check_dataset
from passerby.errors import ImageError
from passerby.gallery.gallery import Gallery
from passerby.images.cache import ImageStore
from passerby.images.decode import FORMATS, decode_image, read_image
from passerby.models.image_inputs import pixels_of
from passerby.report.html_page import thumbnail

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 40\n%%EndComments\n{} loop\n"
HEIGHT, WIDTH = 24, 12


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whether Ghostscript was asked for; it is not run."""
    calls: list[str] = []

    def refuse(*_arguments: object, **_more: object) -> None:
        calls.append("Ghostscript")
        raise OSError("Ghostscript is not run in a test")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", refuse)
    return calls


@pytest.fixture
def disguised(tmp_path: Path) -> Path:
    path = tmp_path / "people" / "1" / "crop.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(EPS)
    return path


def enroll(path: Path) -> None:
    with Gallery.open(path.parent / "people.gallery", TinyEncoder()) as gallery:
        gallery.enroll("ann", [path])


def check(path: Path) -> None:
    report = check_dataset(path.parent.parent, progress=False)
    (error,) = [error for error in report.errors if "cannot be read" in error]
    raise ImageError(error)


def show_in_a_report(path: Path) -> None:
    if thumbnail(path) is None:
        read_image(path)  # the page leaves the picture out; this says why


ENTRANCES: dict[str, Callable[[Path], object]] = {
    "read_image": read_image,
    "decode_image": lambda path: decode_image(path.read_bytes(), name=str(path)),
    "encoder": pixels_of,
    "gallery": enroll,
    "check": check,
    "training": lambda path: ImageStore([path], 64, 32, cache="memory", progress=False),
    "report": show_in_a_report,
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_postscript_called_jpg_is_refused_and_not_run(entrance: str, disguised: Path, started: list[str]) -> None:
    with pytest.raises(ImageError, match=r"crop\.jpg: not a readable image .*%!PS.*formats read: JPEG, PNG"):
        ENTRANCES[entrance](disguised)
    assert started == []


def test_the_service_refuses_postscript(started: list[str]) -> None:
    pytest.importorskip("fastapi")
    from passerby.service.errors import ServiceError
    from passerby.service.uploads import open_image

    with pytest.raises(ServiceError, match="expected a JPEG, PNG or WebP picture"):
        open_image(EPS, 0, max_pixels=1000)
    assert started == []


def test_there_is_one_place_that_opens_pictures() -> None:
    source = Path(passerby.__file__).parent
    calls = [
        f"{path.relative_to(source)}:{node.lineno}"
        for path in sorted(source.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Image.open", "PIL.Image.open")
    ]
    assert len(calls) == 1, calls


def encoded(kind: str) -> bytes:
    ramp = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    stream = io.BytesIO()
    picture = Image.fromarray(np.stack([ramp, 255 - ramp, ramp // 2], axis=2))
    lossless = {"lossless": True} if kind == "WEBP" else {}
    picture.save(stream, kind, **({"save_all": True, "append_images": [picture]} if kind == "MPO" else lossless))
    return stream.getvalue()


@pytest.mark.parametrize("kind", [*FORMATS, "MPO"])
def test_what_people_have_is_read(kind: str) -> None:
    image = decode_image(encoded(kind))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    assert image[0, 0, 0] < 40 < 200 < image[-1, -1, 0]


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")  # Pillow's words on damage that it reads past
@pytest.mark.parametrize("kind", [*FORMATS, "MPO"])
def test_damage_is_one_clear_error(kind: str) -> None:
    whole = encoded(kind)
    draw = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in range(0, min(len(whole) - 40, 600), 7)]
    for _ in range(150):
        changed = bytearray(whole)
        for place in draw.integers(0, min(len(whole), 400), 4):
            changed[place] = draw.integers(0, 256)
        damaged.append(bytes(changed))
    said = [message for data in damaged if (message := refusal(data)) is not None]
    assert said
    assert all(message.startswith("crop.jpg: ") for message in said)


def refusal(data: bytes) -> str | None:
    try:
        decode_image(data, name="crop.jpg", max_pixels=100_000)
    except ImageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", FORMATS)
def test_the_size_is_bounded_before_anything_is_decoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object) -> None:
        raise AssertionError("decoded")

    whole = encoded(kind)
    decode_image(whole)
    for module in list(sys.modules.values()):
        for value in vars(module).values() if getattr(module, "__name__", "").startswith("PIL.") else ():
            if isinstance(value, type) and issubclass(value, Image.Image) and "load" in vars(value):
                monkeypatch.setattr(value, "load", refuse)
    with pytest.raises(ImageError, match=r"12 x 24 pixels are more than the limit of 287"):
        decode_image(whole, max_pixels=HEIGHT * WIDTH - 1)


def test_a_heic_picture_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    heif.register_heif_opener()
    file = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), (200, 30, 60), np.uint8)).save(file, "HEIF", quality=90)
    decoded = decode_image(file.getvalue())
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(decoded.mean(axis=(0, 1)) - (200, 30, 60)).max() < 8
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"passerby\[heic\]"):
        decode_image(file.getvalue())


def test_orientation_is_found_behind_other_segments() -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[: HEIGHT // 2] = 255
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(picture).save(file, "JPEG", quality=95, exif=exif, icc_profile=b"\0" * 3000, comment=b"x" * 500)
    data = file.getvalue()
    comment = b"\xff\xfe" + (1002).to_bytes(2, "big") + b"y" * 1000
    late = data[:2] + comment + data[2:]  # EXIF now begins after the first thousand bytes
    assert decode_image(late).shape == (WIDTH, HEIGHT, 3)
    assert np.array_equal(decode_image(late), decode_image(data))


@pytest.mark.parametrize(("kind", "mode"), [("PNG", np.uint16), ("TIFF", np.uint16), ("TIFF", np.float32)])
def test_deep_grey_pictures_keep_what_they_show(kind: str, mode: type) -> None:
    eight = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    deep = eight / np.float32(255) if mode is np.float32 else (eight.astype(np.uint16) << 8) + 17
    file = io.BytesIO()
    Image.fromarray(deep).save(file, kind)
    assert np.abs(decode_image(file.getvalue())[:, :, 0].astype(int) - eight).max() <= 1


def test_floating_point_pictures_of_another_range_are_refused() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH), 300.0, np.float32)).save(file, "TIFF")
    with pytest.raises(ImageError, match="expected 0 to 1"):
        decode_image(file.getvalue())


def test_pictures_that_come_out_black_are_reported(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(WIDTH, dtype=np.uint16), (HEIGHT, 1))
    for name, levels in {"a": ramp * 4000, "b": ramp * 300, "c": ramp * 80}.items():  # 16, 12 and 10 bits
        for i in range(2):
            path = tmp_path / "people" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(levels.astype(np.uint16)).save(path)
    report = check_dataset(tmp_path / "people", progress=False)
    (warning,) = [words for words in report.warnings if words.startswith("black or of one colour")]
    assert "4 images" in warning
