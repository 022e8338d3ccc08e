"""`serve` as a process of its own: TLS, signals, durability."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.end_to_end.service.harness import bearer, files, person
from tests.forked import Forked

import passerby
from passerby.errors import ConfigError, WeightsError
from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder
from passerby.models.export import export
from passerby.service import add_key, serve

SCRIPT = "import json, sys; from passerby.service import serve; serve(**json.loads(sys.argv[1]))"


def new_interpreter(arguments: dict[str, Any]) -> subprocess.Popen[str]:
    """A process that imports everything itself, with no warning."""
    source = str(Path(passerby.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": source}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def serve_with(arguments: dict[str, Any]) -> None:
    serve(**arguments)


class Process:
    """A serving process; `lines` is what it wrote to stderr."""

    def __init__(self, process: subprocess.Popen[str] | Forked) -> None:
        self.process = process
        self.lines: list[str] = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.ready.wait()  # however long: the limit of the whole test ends it
        found = re.search(r"(https?://\S+?/)(?:#key=(\S+))?$", "\n".join(self.lines), re.MULTILINE)
        if found is None:
            self.end()
        assert found, self.lines
        self.url, self.key = found[1], found[2]

    def client(self, **options: Any) -> httpx.Client:
        """A client with the service's key that waits as long as a busy machine needs."""
        headers = bearer(self.key) if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=None, trust_env=False, **options)

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if "Application startup complete" in line:
                self.ready.set()
        self.ready.set()  # it ended

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        return self.end()

    def end(self) -> int:
        """End it if it runs; its exit code."""
        self.process.kill()
        code = self.process.wait()
        self.reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


@pytest.fixture
def folder(encoder: Encoder, tmp_path: Path) -> str:
    encoder.save(tmp_path / "encoder")
    return str(tmp_path / "encoder")


@pytest.fixture
def launch() -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def run(*, new: bool = False, **arguments: Any) -> Process:
        settings = {"port": 0, **arguments}
        made.append(Process(new_interpreter(settings) if new else Forked(serve_with, settings, warning="error")))
        return made[-1]

    yield run
    for one in made:
        one.end()


@pytest.mark.slow
def test_it_starts_with_a_generated_key_and_stops_cleanly(
    launch: Callable[..., Process], folder: str, tmp_path: Path, encoder: Encoder
) -> None:
    service = launch(new=True, gallery=str(tmp_path / "people.gallery"), encoder=folder)
    with service.client() as client:
        assert client.get("/v1/gallery").json()["role"] == "admin"
        made = client.post("/v1/enroll", data={"identity": "Ada"}, files=files(person(1)))
        assert made.status_code == 201
    assert service.stop() in (0, -signal.SIGTERM)
    assert "people.gallery (there was none: it was made, and is empty)" in service.lines[0]
    assert not (tmp_path / "people.gallery-wal").exists()
    logged = [json.loads(line) for line in service.lines if line.startswith("{")]
    assert {"/v1/gallery", "/v1/enroll"} <= {entry.get("route") for entry in logged}
    # a name that no request number (hexadecimal digits) can hold by chance
    assert not [line for line in service.lines[1:] if service.key in line or "Ada" in line]
    with Gallery.open(tmp_path / "people.gallery", encoder) as gallery:
        assert "Ada" in gallery


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_it_is_killed(
    launch: Callable[..., Process], folder: str, tmp_path: Path, encoder: Encoder
) -> None:
    service = launch(gallery=str(tmp_path / "people.gallery"), encoder=folder)
    acknowledged: list[str] = []

    def fill() -> None:
        with service.client() as client:
            for i in range(1000):
                try:
                    made = client.post("/v1/enroll", data={"identity": f"p{i}"}, files=files(person(i)))
                except httpx.TransportError:
                    return
                if made.status_code == 201:
                    acknowledged.append(f"p{i}")

    thread = threading.Thread(target=fill)
    thread.start()
    while len(acknowledged) < 5:
        assert thread.is_alive()
        time.sleep(0.01)
    service.process.kill()
    thread.join()
    with Gallery.open(tmp_path / "people.gallery", encoder) as gallery:
        gallery.check()
        assert set(acknowledged) <= {identity.name for identity in gallery.identities()}


@pytest.mark.slow
def test_every_answered_identification_is_audited_even_when_it_is_killed(
    launch: Callable[..., Process], folder: str, tmp_path: Path, encoder: Encoder
) -> None:
    with Gallery.open(tmp_path / "people.gallery", encoder) as gallery:
        gallery.enroll("ada", person(1))
    service = launch(gallery=str(tmp_path / "people.gallery"), encoder=folder)
    answered: list[str] = []

    def ask(seed: int) -> None:
        with service.client() as client:
            while True:
                try:
                    answer = client.post("/v1/identify", files=files(person(seed)))
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    answered.append(answer.json()["request"])

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    while len(answered) < 40:
        assert any(thread.is_alive() for thread in threads)
        time.sleep(0.005)
    service.process.kill()
    for thread in threads:
        thread.join()
    with Gallery.open(tmp_path / "people.gallery", encoder) as gallery:
        gallery.check()
        noted = {event.detail["request"] for event in gallery.history() if event.action == "identify"}
    assert len(answered) >= 40
    assert set(answered) <= noted


@pytest.mark.slow
def test_the_fastest_available_engine_is_used(
    launch: Callable[..., Process], folder: str, tmp_path: Path, encoder: Encoder
) -> None:
    pytest.importorskip("onnxruntime", reason="extra export")
    pytest.importorskip("onnxscript", reason="extra export")
    export(folder, "onnx")
    service = launch(gallery=str(tmp_path / "g"), encoder=folder)
    (measured,) = [json.loads(line) for line in service.lines if "engines measured" in line]
    assert set(measured["images_per_second"]) == {"torch", "onnxruntime"}
    assert any(f"encoder on {measured['chosen']};" in line for line in service.lines)
    service.stop()
    chosen = launch(gallery=str(tmp_path / "g"), encoder=folder, engine="onnxruntime")
    assert any("encoder on onnxruntime;" in line for line in chosen.lines)
    with chosen.client() as client:
        assert client.post("/v1/enroll", data={"identity": "ada"}, files=files(person(1))).status_code == 201
        assert client.post("/v1/identify", files=files(person(1))).json()["matches"][0]["distance"] < 0.01


@pytest.mark.slow
def test_tls(launch: Callable[..., Process], folder: str, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    token = add_key(tmp_path / "keys.json", "desk")
    service = launch(
        gallery=str(tmp_path / "g"),
        encoder=folder,
        keys=str(tmp_path / "keys.json"),
        tls_certificate=str(certificate),
        tls_key=str(key),
    )
    assert service.url.startswith("https://")
    assert service.key is None
    trusted = ssl.create_default_context(cafile=str(certificate))
    with service.client(verify=trusted) as client:
        assert client.get("/v1/gallery", headers=bearer(token)).json()["role"] == "read"
    with service.client() as client, pytest.raises(httpx.TransportError):
        client.get(service.url.replace("https", "http"))


def test_wrong_usage_is_an_error_before_anything_starts(encoder: Encoder, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    with pytest.raises(ConfigError, match="keys: no such file"):
        serve(gallery, encoder, keys=tmp_path / "none.json")
    with pytest.raises(ConfigError, match="TLS needs both"):
        serve(gallery, encoder, tls_key=tmp_path / "key.pem")
    (tmp_path / "noise.pem").write_text("noise")
    with pytest.raises(ConfigError, match="not a certificate"):
        serve(gallery, encoder, tls_certificate=tmp_path / "noise.pem", tls_key=tmp_path / "noise.pem")
    with pytest.raises(ConfigError, match="cannot listen"):
        serve(gallery, encoder, host="203.0.113.1", port=0)
    with pytest.raises(WeightsError, match="is no folder"):
        serve(gallery, tmp_path / "no-encoder")
    (tmp_path / "keys.json").write_text("[]")
    with pytest.raises(ConfigError, match="not a keys file"):
        serve(gallery, encoder, port=0, keys=tmp_path / "keys.json")
    assert not gallery.exists()
