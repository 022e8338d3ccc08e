"""Pictures of more than 8 bits a value: every kind of file, every way to read it, and what a check says of them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.cli import run
from passerby.data.check.dataset_check import check_dataset
from passerby.errors import ImageError
from passerby.images.decode import decode_image, pixels_of_image, read_image
from passerby.images.deep_values import unstated_range

HEIGHT, WIDTH = 24, 12
COLORS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = COLORS[..., :1]
ALPHA = np.full((HEIGHT, WIDTH, 1), 65_535, np.uint16)


def deep(picture: np.ndarray, bits: int) -> np.ndarray:
    """Values of so many bits, of which the highest eight are the picture."""
    return (picture.astype(np.uint16) << (bits - 8)) + 1


def png(values: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(values: np.ndarray, order: str, *, planes: bool = False, photometric: int = 2) -> bytes:
    height, width, channels = values.shape
    strips = np.moveaxis(values, 2, 0) if planes else values[None]
    start = 8 + 2 + 12 * 10 + 4
    beside = {258: struct.pack(f"{order}{channels}H", *[16] * channels)}
    if planes:
        places = [start + 6 + 24 + i * height * width * 2 for i in range(channels)]
        beside[273] = struct.pack(f"{order}{channels}I", *places)
        beside[279] = struct.pack(f"{order}{channels}I", *[height * width * 2] * channels)
    first = start + sum(map(len, beside.values()))
    size = height * width * channels * 2
    tags = [(256, width), (257, height), (258, 0), (259, 1), (262, photometric)]
    tags += [(273, first), (277, channels), (278, height), (279, size), (284, 1 + planes)]
    rows, extra = b"", b""
    for tag, value in tags:
        if tag in beside:
            kind = 3 if tag == 258 else 4
            rows += struct.pack(f"{order}HHII", tag, kind, channels, start + len(extra))
            extra += beside[tag]
        else:
            rows += struct.pack(f"{order}HHII", tag, 4, 1, value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + rows + bytes(4) + extra + strips.astype(f"{order}u2").tobytes()


def pnm(values: np.ndarray, greatest: int, *, plain: bool = False) -> bytes:
    kind = {(1, False): 5, (3, False): 6, (1, True): 2, (3, True): 3}[values.shape[2], plain]
    head = f"P{kind}\n# a camera's\n{WIDTH} {HEIGHT}\n{greatest}\n".encode()
    return head + (" ".join(map(str, values.ravel())).encode() if plain else values.astype(">u2").tobytes())


def files_of(bits: int) -> dict[str, tuple[bytes, np.ndarray]]:
    """Every kind of file of 16 bits that does not state its range, and the picture in it."""
    grey, colors = deep(GREY, bits), deep(COLORS, bits)
    return {
        "grey.png": (png(grey), GREY),
        "grey-alpha.png": (png(np.concatenate([grey, ALPHA], 2)), GREY),
        "rgb.png": (png(colors), COLORS),
        "rgba.png": (png(np.concatenate([colors, ALPHA], 2)), COLORS),
        "rgb-le.tif": (tiff(colors, "<"), COLORS),
        "rgb-be.tif": (tiff(colors, ">"), COLORS),
        "rgba.tif": (tiff(np.concatenate([colors, ALPHA], 2), "<"), COLORS),
        "grey.pgm": (pnm(grey, 65_535), GREY),
        "rgb.ppm": (pnm(colors, 65_535), COLORS),
        "plain.pgm": (pnm(grey, 65_535, plain=True), GREY),
        "plain.ppm": (pnm(colors, 65_535, plain=True), COLORS),
    }


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", files_of(16))
def test_bits_say_what_the_highest_eight_are(kind: str, bits: int, tmp_path: Path) -> None:
    data, picture = files_of(bits)[kind]
    expected = np.broadcast_to(picture, COLORS.shape)
    file = tmp_path / kind
    file.write_bytes(data)
    np.testing.assert_array_equal(read_image(file, bits=bits), expected)
    np.testing.assert_array_equal(decode_image(data, bits=bits), expected)
    with Image.open(file) as opened:
        np.testing.assert_array_equal(pixels_of_image(opened, bits=bits), expected)
        assert np.asarray(opened).shape[:2] == (HEIGHT, WIDTH), "the caller's picture can still be read"
    low, high = (int(value) for value in (deep(picture, bits).min(), deep(picture, bits).max()))
    assert unstated_range(data) == (low, high)
    if bits > 10:
        with pytest.raises(ImageError, match=r"values from \d+ to \d+; expected 0 to 1,023, 10 bits"):
            decode_image(data, bits=10)


def test_compressed_tiff(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="opencv is not installed")
    for compression in (5, 8):  # LZW, deflate
        _, data = cv2.imencode(".tif", deep(COLORS, 12)[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
        np.testing.assert_array_equal(decode_image(data.tobytes(), bits=12), COLORS)


def interlaced(values: np.ndarray) -> bytes:
    """The PNG of colours in Adam7's seven passes."""
    data = bytearray(png(values))
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.astype(">u2").tobytes() for y, x, dy, dx in passes for row in values[y::dy, x::dx] if row.size
    )
    head = bytes(data[12:28]) + b"\1"
    parts = [head, b"IDAT" + zlib.compress(rows), b"IEND"]
    return bytes(data[:8]) + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts
    )


def test_interlaced_and_turned_pictures() -> None:
    np.testing.assert_array_equal(decode_image(interlaced(deep(COLORS, 12)), bits=12), COLORS)
    orientation = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # turned by 90 degrees
    for values in (deep(COLORS, 12), np.concatenate([deep(GREY, 12), ALPHA], 2)):
        data = png(values, (b"eXIf", orientation))
        picture = np.broadcast_to(values[..., : 1 if values.shape[2] == 2 else 3] >> 4, COLORS.shape)
        np.testing.assert_array_equal(decode_image(data, bits=12), np.rot90(picture, -1))


STATED = {
    "pgm": pnm(deep(GREY, 10), 1_023),
    "plain pgm": pnm(deep(GREY, 12), 4_095, plain=True),
    "ppm": pnm(deep(COLORS, 10), 1_023),
    "sBIT, as they are": png(deep(COLORS, 12), (b"sBIT", b"\x0c\x0c\x0c")),
    "sBIT, filled": png(deep(COLORS, 12) << 4, (b"sBIT", b"\x0c\x0c\x0c")),
    "sBIT of grey": png(deep(GREY, 10), (b"sBIT", b"\x0a")),
    "sBIT of grey and alpha": png(np.concatenate([deep(GREY, 10), ALPHA], 2), (b"sBIT", b"\x0a\x10")),
}


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("kind", STATED)
def test_files_that_state_their_range_are_read_by_it(kind: str, bits: int) -> None:
    picture = COLORS if kind in ("ppm", "sBIT, as they are", "sBIT, filled") else np.broadcast_to(GREY, COLORS.shape)
    found = decode_image(STATED[kind], bits=bits).astype(int)
    assert np.abs(found - picture).max() <= 1
    assert unstated_range(STATED[kind]) is None


def test_twelve_bits_packed_in_tiff() -> None:
    values = deep(GREY, 12).ravel().astype(int)
    first, second = values[::2], values[1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()
    tags = [(256, WIDTH), (257, HEIGHT), (258, 12), (259, 1), (262, 1)]
    tags += [(273, 8 + 2 + 12 * 9 + 4), (277, 1), (278, HEIGHT), (279, len(packed))]
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4) + packed
    np.testing.assert_array_equal(decode_image(data), np.broadcast_to(GREY, COLORS.shape))


def test_where_eight_bits_only_can_be_had_others_are_refused() -> None:
    cmyk = tiff(np.concatenate([deep(COLORS, 12), ALPHA], 2), "<", photometric=5)
    assert decode_image(cmyk).shape == COLORS.shape
    with pytest.raises(ImageError, match="only the highest 8 can be read, which 12 bits do not go with"):
        decode_image(cmyk, bits=12)
    with pytest.raises(ImageError, match="planes of one colour each"):
        decode_image(tiff(deep(COLORS, 16), "<", planes=True))


def test_a_picture_that_pillow_has_decoded_stays_as_it_is() -> None:
    opened = Image.open(io.BytesIO(png(deep(COLORS, 12))))
    opened.load()
    np.testing.assert_array_equal(pixels_of_image(opened, bits=12), deep(COLORS, 12) >> 8)


def people(folder: Path, bits: int, kind: str) -> Path:
    for i in range(8):
        picture = np.random.default_rng(i).integers(0, 256, COLORS.shape, dtype=np.uint8)
        values = deep(picture if kind == "rgb" else picture[..., :1], bits)
        file = folder / f"person-{i // 2}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(values))
    return folder


@pytest.mark.parametrize("kind", ["rgb", "grey"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_check_says_how_many_bits_would_do(bits: int, kind: str, tmp_path: Path) -> None:
    folder = people(tmp_path / "people", bits, kind)
    (warning,) = [w for w in check_dataset(folder, progress=False).warnings if "16 bits" in w]
    assert warning.startswith(f"of 16 bits a value only the lowest {bits} are used, so they look dark: 8 images, ")
    assert f"(say --bits {bits} here and --input.bits in a training" in warning
    after = check_dataset(folder, progress=False, bits=bits)
    assert (after.warnings, after.images) == ((), 8)


def test_a_check_says_nothing_of_full_range(tmp_path: Path) -> None:
    assert check_dataset(people(tmp_path / "people", 16, "rgb"), progress=False).warnings == ()


def test_a_narrow_range_that_no_bits_can_show_is_told(tmp_path: Path) -> None:
    folder = people(tmp_path / "people", 16, "grey")
    for i in range(2):  # a thermal picture of raw values, around 7,500
        file = folder / "person-0" / f"{i}.png"
        file.write_bytes(png(7_500 + deep(GREY, 9)))
    warnings = check_dataset(folder, progress=False).warnings
    assert any(w.startswith("of 16 bits a value a narrow range is used") and "2 images" in w for w in warnings)
    assert not any("--bits" in w for w in warnings)


def test_dark_pictures_of_8_bits_are_not_told_to_take_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(4):
        file = tmp_path / "people" / f"p{i // 2}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GREY[..., 0] // 24 + i).save(file)
    assert run(["data", "check", str(tmp_path / "people")]) == 0
    said = capsys.readouterr().out
    assert "black or of one colour: 4 images" in said
    assert "--bits" not in said
