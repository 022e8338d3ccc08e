"""What the tests of the operator's page do in the browser."""

from __future__ import annotations

import shutil
from typing import Any

import httpx
import pytest
from tests.end_to_end.service.harness import files, person

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine (Debian: apt-get install chromium)"),
]


def settled(page: Any) -> None:
    """Wait until nothing that the page asked the service for is underway: lists are replaced when it comes."""
    page.wait_for_selector("body:not(.busy)")


def view(page: Any, name: str) -> None:
    """Go to a view of the page by its link."""
    page.click(f"nav a[href='#{name}']")
    page.wait_for_selector(f"#view-{name}:not([hidden])")
    settled(page)


def choose(page: Any, *seeds: int) -> None:
    page.set_input_files(
        "#pictures", [{"name": f"{seed}.png", "mimeType": "image/png", "buffer": person(seed)} for seed in seeds]
    )


def identify(page: Any, *seeds: int) -> str:
    """Ask who is on pictures; the headline of the answer."""
    view(page, "identify")
    choose(page, *seeds)
    with page.expect_response("**/v1/identify"):
        page.keyboard.press("Tab")
        page.click("#ask-button")
    page.wait_for_selector("#answer:not([hidden])")
    return str(page.inner_text("#verdict"))


def observe(client: httpx.Client, seed: int, camera: str, time: str, threshold: float = 0.001) -> str:
    fields = {"camera": camera, "time": time, "threshold": str(threshold)}
    answer = client.post("/v1/observe", data=fields, files=files(person(seed)))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["identity"])


def actions_of(client: httpx.Client) -> list[str]:
    """The actions in the log, the newest first, without readings."""
    events = client.get("/v1/history", params={"limit": 1000}).json()["events"]
    return [event["action"] for event in events if not event["action"].startswith("read_")]


def axe_errors(page: Any) -> list[tuple[str, str]]:
    """What axe finds on the page as it is now."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe comes with axe-playwright-python")
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], node["html"]) for one in found for node in one["nodes"]]
