"""A service with a tiny encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.end_to_end.service.harness import KEYS, Running, files, launch, person
from tests.end_to_end.service.page_driver import CHROMIUM, settled

from passerby.config import InputConfig, ModelConfig
from passerby.models.encoder import Encoder
from passerby.models.model import build_model
from passerby.service.app import create_app
from passerby.service.limits import Limits


@pytest.fixture(scope="session")
def encoder() -> Iterator[Encoder]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the network is tiny: more threads would only wait for each other
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    made = Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config, {})
    made.calibration = {
        "value": 0.2,
        "far": 0.01,
        "interval": [0.18, 0.23],
        "impostors": 100,
        "curve": [{"threshold": t / 10, "far": t / 20, "dir": min(1.0, t / 4)} for t in range(1, 15)],
    }
    yield made
    torch.set_num_threads(threads)


@pytest.fixture
def start(encoder: Encoder, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def make(*, path: Path | None = None, limits: Limits | None = None, **options: Any) -> Running:
        place = path or tmp_path / "people.gallery"
        bounds = limits or Limits(rate=0)
        app = create_app(
            place, options.pop("encoder", encoder), keys=options.pop("keys", KEYS), limits=bounds, **options
        )
        running.append(launch(app, place, bounds))
        return running[-1]

    yield make
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the page is driven with playwright (dev dependency)"
    )
    playwright.expect.set_options(timeout=30_000)  # milliseconds: 5 s are too few where cores are shared
    with playwright.sync_playwright() as driver:
        # a container's user may have no sandbox of its own; the page is ours
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def service(start: Callable[..., Running]) -> Running:
    """A service with ada and grace, both enrolled by the camera door."""
    made = start(limits=Limits(rate=0, events_seconds=0.05))
    client = made.client()
    for name, seed in (("ada", 1), ("grace", 2)):
        fields = {"identity": name, "camera": "door", "time": f"2026-05-01T12:0{seed}:00+00:00"}
        assert client.post("/v1/enroll", data=fields, files=files(person(seed))).status_code == 201
    return made


@pytest.fixture
def page(browser: Any, service: Running) -> Iterator[Any]:
    """A signed-in page; an error of a script or of the CSP fails the test."""
    context = browser.new_context(timezone_id="Europe/Berlin", locale="en-GB", accept_downloads=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Content Security" in line.text else None)
    outside: list[str] = []
    page.on("request", lambda r: None if r.url.startswith((service.url, "blob:")) else outside.append(r.url))
    page.goto(f"{service.url}/#key=admin-token")
    page.wait_for_selector("#view-sightings:not([hidden])")
    settled(page)
    yield page
    context.close()
    assert errors == []
    assert outside == []
