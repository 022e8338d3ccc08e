"""A service on a loopback port, in a thread, and what one sends to it."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from passerby.models.encoder import Encoder
from passerby.service.http_protocol import BoundedProtocol
from passerby.service.limits import Limits
from passerby.service.server import listen
from passerby.service.timeouts import run_server

KEYS = {"reader-token": "read", "writer-token": "write", "admin-token": "admin"}


def picture(seed: int, size: tuple[int, int] = (64, 32)) -> np.ndarray:
    """A coarse random pattern: the same seed is the same person."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.NEAREST))


def encoded(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **options)
    return out.getvalue()


def person(seed: int) -> bytes:
    return encoded(picture(seed))


def files(*pictures: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("images", (f"{i}.png", data, "image/png")) for i, data in enumerate(pictures)]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class PausedEncoder:
    """Pauses an encoder: what it encodes waits until `resume` is set; `entered` is set when it is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, encoder: Encoder) -> None:
        self.entered, self.resume = threading.Event(), threading.Event()
        real = encoder.encode_batch

        def paused(*args: Any, **options: Any) -> Any:
            self.entered.set()
            assert self.resume.wait(200)
            return real(*args, **options)

        monkeypatch.setattr(encoder, "encode_batch", paused)


@dataclass
class Running:
    """A service in a thread, and a client with a key of each role."""

    app: Any
    url: str
    path: Path
    server: uvicorn.Server
    thread: threading.Thread
    clients: dict[str | None, httpx.Client] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, token: str | None = "admin-token") -> httpx.Client:
        """The client of a key; it may be used by several threads."""
        with self.lock:
            if token not in self.clients:
                headers = bearer(token) if token else {}
                self.clients[token] = httpx.Client(base_url=self.url, headers=headers, timeout=None, trust_env=False)
            return self.clients[token]

    def stop(self) -> None:
        for client in self.clients.values():
            client.close()
        self.server.should_exit = True
        self.thread.join()


def launch(app: Any, path: Path, limits: Limits) -> Running:
    """Serve an application as `serve` does, in a thread."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=limits.shutdown_seconds,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=lambda: asyncio.run(run_server(server, listener, limits, on_stop=app.state.context.stop))
    )
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    return Running(app, f"http://127.0.0.1:{listener.getsockname()[1]}", path, server, thread)
