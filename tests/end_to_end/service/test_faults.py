"""Attacks and accidents: each ends in a clear 4xx or 5xx, nothing acknowledged is lost, and the service goes on."""

from __future__ import annotations

import io
import json
import os
import socket
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.end_to_end.service.harness import PausedEncoder, Running, bearer, encoded, files, person, picture

from passerby.errors import WeightsError
from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder
from passerby.service.limits import Limits

Start = Callable[..., Running]


def enroll(client: httpx.Client, name: str, data: bytes) -> httpx.Response:
    return client.post("/v1/enroll", data={"identity": name}, files=files(data))


def identify(client: httpx.Client, *pictures: bytes) -> httpx.Response:
    return client.post("/v1/identify", files=files(*pictures))


def connect(service: Running) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
    connection.settimeout(200)
    return connection


# -- pictures ------------------------------------------------------------------------------------------------------


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header declares more pixels than its few bytes hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def webp_of(width: int, height: int, *, animated: bool = False) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([0x02 if animated else 0, 0, 0, 0]) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(picture(seed)) for seed in range(3)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


JPEG = encoded(picture(1), "JPEG", quality=95)
SCANS = JPEG[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 100 + b"\xff\xd9"
BAD = {
    "empty": (b"", 422),
    "text": (b"<svg onload=alert(1)>", 415),
    "gif": (encoded(picture(1), "GIF"), 415),
    "bmp": (encoded(picture(1), "BMP"), 415),
    "tiff": (encoded(picture(1), "TIFF"), 415),
    "pdf": (b"%PDF-1.7\n", 415),
    "jpeg magic only": (b"\xff\xd8\xff", 422),
    "png magic only": (b"\x89PNG\r\n\x1a\n", 422),
    "webp magic only": (b"RIFF\x00\x00\x00\x00WEBP", 422),
    "truncated jpeg": (JPEG[: len(JPEG) // 2], 422),
    "truncated png": (encoded(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[:4000], 422),
    "truncated webp": (encoded(picture(1), "WEBP")[:60], 422),
    "png bomb": (png_of(60_000, 60_000), 413),
    "png of 2**31 pixels a side": (png_of(2**31 - 1, 2**31 - 1), 413),
    "webp bomb": (webp_of(16_383, 16_383), 413),
    "huge jpeg": (encoded(np.zeros((5000, 5000, 3), np.uint8), "JPEG"), 413),
    "no pixels": (png_of(0, 0), 422),
    "too few bytes for its size": (png_of(100, 100), 422),
    "animated png": (animated("PNG"), 415),
    "animated webp": (animated("WEBP"), 415),
    "a hundred scans": (SCANS, 422),
}


@pytest.mark.slow
def test_bad_pictures_are_refused_one_by_one(start: Start) -> None:
    client = start().client()
    assert enroll(client, "ada", person(1)).status_code == 201
    for name, (data, status) in BAD.items():
        for answer in (identify(client, data), identify(client, person(1), data), enroll(client, "mallory", data)):
            assert answer.status_code == status, (name, answer.status_code, answer.text)
            assert answer.json()["detail"].startswith("image "), name
            assert str(Path.cwd()) not in answer.text
    assert client.get("/v1/gallery").json()["observations"] == 1
    assert identify(client, person(1)).json()["identity"] == "ada"


def rotated(array: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    return encoded(np.rot90(array), "JPEG", quality=100, subsampling=0, exif=exif)


def test_uncommon_but_valid_pictures_are_read(start: Start) -> None:
    client = start().client()
    array = picture(1)
    assert enroll(client, "ada", encoded(array)).status_code == 201
    out = io.BytesIO()
    Image.fromarray(array).convert("CMYK").save(out, "JPEG", quality=100)
    grey = Image.fromarray(array).convert("L")
    deep = io.BytesIO()
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(deep, "PNG")
    alpha = Image.fromarray(array).convert("RGBA")
    pictures = {
        "webp": encoded(array, "WEBP", lossless=True),
        "cmyk": out.getvalue(),
        "rotated": rotated(array),
        "palette": encoded(np.asarray(Image.fromarray(array)), "PNG"),
        "alpha": encoded(np.asarray(alpha), "PNG"),
        "progressive": encoded(array, "JPEG", quality=100, subsampling=0, progressive=True),
        "one pixel": encoded(array[:1, :1]),
        "16 bit": deep.getvalue(),
        "a long strip": encoded(np.resize(array, (4000, 3, 3))),
    }
    for name, data in pictures.items():
        answer = identify(client, data)
        assert answer.status_code == 200, (name, answer.text)
        if name not in {"one pixel", "16 bit", "a long strip"}:
            assert answer.json()["matches"][0]["distance"] < 0.05, name


@pytest.mark.slow
def test_mutated_pictures_never_fail_the_service(start: Start) -> None:
    client = start().client()
    rng = np.random.default_rng(0)
    sources = [JPEG, encoded(picture(2)), encoded(picture(3), "WEBP"), animated("PNG"), rotated(picture(4))]
    for round_ in range(60):
        data = bytearray(sources[round_ % len(sources)])
        for at in rng.integers(0, len(data), rng.integers(1, 12)):
            data[at] = rng.integers(0, 256)
        answer = identify(client, bytes(data))
        assert answer.status_code in {200, 413, 415, 422}, (round_, answer.text)
    assert client.get("/ready").status_code == 200


# -- names, filters, numbers ----------------------------------------------------------------------------------------

NAMES = [
    "../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "'; DROP TABLE identities; --",
    '" OR 1=1 --',
    "a' UNION SELECT data FROM texts --",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7} %s %n",
    "Zoë Ω 日本語 🙂",
    "x" * 200,
    "name/with/slashes?and=query#hash",
    "*", "%", "_",
]  # fmt: skip
BAD_NAMES = ["", " ", "x" * 201, "line\nbreak", "nul\x00", "bell\x07", "tab\tin", "\u202e"]


def test_names_are_data_only(start: Start, tmp_path: Path) -> None:
    client = start().client()
    basis = np.eye(client.get("/v1/gallery").json()["dim"])
    for name, vector in zip(NAMES, basis, strict=False):
        made = client.post("/v1/enroll/vectors", json={"identity": name, "vectors": [vector.tolist()], "camera": name})
        assert made.status_code == 201, (name, made.text)
    for name, vector in zip(NAMES, basis, strict=False):
        answer = client.post("/v1/identify/vectors", json={"vectors": [vector.tolist()], "camera": "'; --"}).json()
        assert answer["identity"] == name
        shown = client.get("/v1/identity", params={"name": name}).json()
        assert (shown["identity"]["name"], shown["identity"]["cameras"]) == (name, [name])
        found = client.get("/v1/identities", params={"search": name}).json()
        assert name in [i["name"] for i in found["identities"]]
    for name in BAD_NAMES:
        made = client.post("/v1/enroll/vectors", json={"identity": name, "vectors": [basis[0].tolist()]})
        assert made.status_code in {400, 422}, repr(name)
    lone = client.post(
        "/v1/enroll/vectors",
        content=b'{"identity": "\\ud800", "notes": "\\udfff", "vectors": [[1.0]]}',
        headers={"Content-Type": "application/json"},
    )
    assert lone.status_code == 422, lone.text
    assert client.get("/v1/identities").json()["total"] == len(NAMES)
    assert {p.name.split("-")[0] for p in tmp_path.iterdir()} == {"people.gallery"}


def test_path_traversal_is_not_found(start: Start) -> None:
    service = start()
    head = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer admin-token\r\n\r\n"
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/app.js/../../pyproject.toml", "//etc/passwd"):
        with connect(service) as raw:
            raw.sendall(f"GET {path} {head}".encode())
            answer = b"".join(iter(partial(raw.recv, 65536), b""))
            assert answer.startswith(b"HTTP/1.1 404"), (path, answer)
            assert b"root:" not in answer
    client = service.client()
    for path in ("/v1/thumbnails/0", "/v1/thumbnails/-1", f"/v1/thumbnails/{2**63}", "/v1/thumbnails/1;--"):
        assert client.get(path).status_code == 422, path


def test_invalid_numbers(start: Start, encoder: Encoder) -> None:
    client = start().client()
    one = [1.0] + [0.0] * (encoder.dim - 1)
    assert client.post("/v1/enroll/vectors", json={"identity": "ada", "vectors": [one]}).status_code == 201
    raw = json.dumps([one])
    bodies = {
        '{"vectors": [[NaN]]}': 422,
        '{"vectors": [[Infinity]]}': 422,
        '{"vectors": [[1e400]]}': 422,
        '{"vectors": [[1e39]]}': 422,
        '{"vectors": [[1, 2, 3]]}': 422,
        '{"vectors": [[]]}': 422,
        '{"vectors": []}': 422,
        '{"vectors": "x"}': 422,
        '{"vectors": [[' + "0, " * (encoder.dim - 1) + "0]]}": 422,
        "[" * 100_000: 400,
        '{"vectors"': 422,
        "": 422,
        f'{{"vectors": {raw}, "top": 0}}': 422,
        f'{{"vectors": {raw}, "top": 1e9}}': 422,
        f'{{"vectors": {raw}, "threshold": NaN}}': 422,
        f'{{"vectors": {raw}, "threshold": -1}}': 422,
        f'{{"vectors": {raw}, "after": "yesterday"}}': 422,
        f'{{"vectors": {raw}, "after": "2026-01-01T00:00:00"}}': 422,
        f'{{"vectors": {raw}, "after": 2, "before": 1}}': 422,
        f'{{"vectors": {raw}, "surprise": 1}}': 422,
        f'{{"vectors": {raw}, "camera": 1e999}}': 422,
    }
    for body, status in bodies.items():
        answer = client.post("/v1/identify/vectors", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, (body[:60], answer.status_code, answer.text[:300])
    assert client.post("/v1/identify/vectors", json={"vectors": [one]}).json()["identity"] == "ada"


# -- clients -------------------------------------------------------------------------------------------------------


def test_bodies_that_are_too_large_are_refused_before_they_are_read(start: Start) -> None:
    service = start(limits=Limits(rate=0, body_bytes=100_000, images=3))
    client = service.client()
    answer = identify(client, b"x" * 200_000)
    assert answer.status_code == 413
    assert "100,000" in answer.json()["detail"]

    def endless() -> object:
        for _ in range(50):
            yield b"x" * 10_000

    assert client.post("/v1/identify", content=endless()).status_code == 413  # type: ignore[arg-type]
    assert identify(client, *[person(i) for i in range(4)]).status_code == 413
    assert identify(client, *[person(i) for i in range(3)]).status_code == 200
    with connect(service) as raw:
        raw.sendall(
            b"POST /v1/identify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n"
            b"Content-Length: 99999999999999\r\n\r\n"
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")


def test_bodies_without_a_key_are_not_read(start: Start) -> None:
    service = start()
    with connect(service) as raw:
        raw.sendall(b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 401")


def status_after_retries(service: Running) -> int:
    """The status that a well-behaved client gets, which on a busy machine may be too slow for short limits itself."""
    while True:
        try:
            answer = identify(service.client(), person(1))
        except httpx.TransportError:
            continue
        if answer.status_code != 408:
            return answer.status_code


def test_slow_clients_are_disconnected_and_do_not_delay_others(start: Start) -> None:
    service = start(limits=Limits(rate=0, header_seconds=0.4, body_seconds=0.4))
    silent, slow_headers, stalled = (connect(service) for _ in range(3))
    try:
        slow_headers.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        stalled.sendall(
            b"POST /v1/identify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n"
            b"Content-Length: 500\r\n\r\nab"
        )
        assert status_after_retries(service) == 200
        assert stalled.recv(4096).startswith(b"HTTP/1.1 408")
        assert silent.recv(4096) == b""
        assert slow_headers.recv(4096) == b""
    finally:
        for connection in (silent, slow_headers, stalled):
            connection.close()


def test_a_client_that_disconnects_does_no_harm(start: Start) -> None:
    service = start()
    for _ in range(5):
        with connect(service) as raw:
            raw.sendall(
                b"POST /v1/identify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n"
                b"Content-Length: 5000\r\n\r\nhalf"
            )
    assert identify(service.client(), person(1)).status_code == 200


def test_noise_instead_of_http(start: Start) -> None:
    service = start()
    for noise in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 1000, b"GET / HTTP\r\n\r\n"):
        with connect(service) as raw:
            raw.sendall(noise + b"\r\n\r\n")
            assert raw.recv(4096).startswith(b"HTTP/1.1 400")
    assert service.client().get("/health").status_code == 200


def test_overload_is_503_and_passes(start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    paused = PausedEncoder(monkeypatch, encoder)
    service = start(limits=Limits(rate=0, queue=4, requests=16, encode_seconds=200))
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(identify(service.client(), person(1)))) for _ in range(12)
    ]
    threads[0].start()
    assert paused.entered.wait(60)  # alone: had more arrived first, the encoder would have taken them all at once
    for thread in threads[1:]:
        thread.start()
    while len(answers) < 7:  # 1 in the encoder, 4 waiting, and 7 refused
        time.sleep(0.005)
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert service.client().get("/ready").status_code == 503
    assert service.client().get("/health").status_code == 200
    paused.resume.set()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 7
    assert identify(service.client(), person(1)).status_code == 200


@pytest.mark.parametrize("kind", [RuntimeError, WeightsError])
def test_an_encoder_that_fails_does_not_stay_failed(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    real = encoder.encode_batch

    def broken(*_: object, **__: object) -> object:
        raise kind("/home/desk/model.onnx: gives NaN at person 17")

    client = start().client()
    monkeypatch.setattr(encoder, "encode_batch", broken)
    for answer in (enroll(client, "ada", person(1)), identify(client, person(1))):
        assert answer.status_code == 500
        assert answer.json()["detail"] == "a fault of the service; its log has the details"
    monkeypatch.setattr(encoder, "encode_batch", real)
    assert enroll(client, "ada", person(1)).status_code == 201


def test_images_that_wait_too_long_change_nothing(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = PausedEncoder(monkeypatch, encoder)
    client = start(limits=Limits(rate=0, encode_seconds=0.2)).client()
    answer = enroll(client, "ada", person(1))
    paused.resume.set()
    assert answer.status_code == 503
    assert client.get("/v1/identities").json()["total"] == 0


# -- the gallery's file --------------------------------------------------------------------------------------------


def test_a_file_that_is_moved_away_and_back(start: Start, encoder: Encoder, tmp_path: Path) -> None:
    service = start()
    client = service.client()
    assert enroll(client, "ada", person(1)).status_code == 201
    elsewhere = tmp_path / "away"
    service.path.rename(elsewhere)
    for answer in (enroll(client, "grace", person(2)), identify(client, person(1)), client.get("/ready")):
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text
    assert "file is gone" in enroll(client, "grace", person(2)).json()["detail"]
    elsewhere.rename(service.path)
    assert client.get("/ready").status_code == 200
    assert enroll(client, "grace", person(2)).status_code == 201
    service.stop()
    with Gallery.open(service.path, encoder) as gallery:
        assert [i.name for i in gallery.identities()] == ["ada", "grace"]


def test_another_file_in_its_place_is_not_written_to(start: Start, encoder: Encoder, tmp_path: Path) -> None:
    service = start()
    client = service.client()
    enroll(client, "ada", person(1))
    with Gallery.open(tmp_path / "other.gallery", encoder) as other:
        other.enroll("mallory", person(3))
    before = (tmp_path / "other.gallery").read_bytes()
    os.replace(tmp_path / "other.gallery", service.path)
    answer = enroll(client, "grace", person(2))
    assert (answer.status_code, "replaced" in answer.json()["detail"]) == (503, True)
    assert client.get("/ready").status_code == 503
    assert service.path.read_bytes() == before


@pytest.mark.slow
def test_a_disk_that_is_full_changes_nothing(start: Start) -> None:
    service = start()
    client = service.client()
    assert enroll(client, "ada", person(1)).status_code == 201
    database: sqlite3.Connection = service.app.state.context.gallery._gallery._store._db
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    refused = [enroll(client, f"p{i}", person(i)) for i in range(2, 40)]
    full = [answer for answer in refused if answer.status_code == 503]
    assert full
    assert "disk is full" in full[0].json()["detail"]
    assert "retry-after" in full[0].headers
    database.execute("PRAGMA max_page_count = 1000000")
    assert enroll(client, "grace", person(50)).status_code == 201
    known = {i["name"] for i in client.get("/v1/identities").json()["identities"]}
    assert known == {"ada", "grace"} | {f"p{i}" for i, a in enumerate(refused, 2) if a.status_code == 201}


def test_a_file_that_became_read_only_is_read_and_not_changed(start: Start) -> None:
    service = start()
    client = service.client()
    assert enroll(client, "ada", person(1)).status_code == 201
    assert identify(client, person(1)).status_code == 200
    store = service.app.state.context.gallery._gallery._store
    for database in (store._db, store._log_db):
        database.execute("PRAGMA query_only = ON")
    answer = enroll(client, "grace", person(2))
    assert (answer.status_code, "read-only" in answer.json()["detail"]) == (503, True)
    assert client.get("/v1/identities").json()["total"] == 1
    # an identification that cannot be audited is not answered
    assert identify(client, person(1)).status_code == 503


def test_two_services_on_one_file_see_each_other(start: Start) -> None:
    first = start()
    second = start(path=first.path)
    names: list[str] = []
    answers: list[int] = []

    def fill(service: Running, prefix: str) -> None:
        client = service.client()
        for i in range(8):
            answers.append(enroll(client, f"{prefix}{i}", person(i)).status_code)
            names.append(f"{prefix}{i}")

    threads = [threading.Thread(target=fill, args=pair) for pair in ((first, "a"), (second, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 16
    for service in (first, second):
        found = service.client().get("/v1/identities").json()
        assert {i["name"] for i in found["identities"]} == set(names)


def test_other_methods_and_content_types(start: Start) -> None:
    client = start().client(None)
    auth = bearer("admin-token")
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "INVENTED"):
        assert client.request(method, "/v1/identify", headers=auth).status_code == 405, method
    for kind in ("application/xml", "multipart/form-data", "multipart/form-data; boundary=", "application/json"):
        answer = client.post("/v1/identify", content=b"--x\r\n", headers=auth | {"Content-Type": kind})
        assert answer.status_code in {400, 422}, (kind, answer.text)
    assert client.get("/metrics", headers=auth).text.count('method="other"') >= 1
