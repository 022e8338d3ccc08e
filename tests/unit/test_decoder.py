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
