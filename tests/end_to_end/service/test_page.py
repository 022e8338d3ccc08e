"""The operator's page in a real headless Chromium, driven by keyboard and pointer."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.end_to_end.service.harness import Running, files, person

from passerby.service.limits import Limits

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
playwright = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright (dev dependency)")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # a container's user may have no sandbox of its own; the page is ours
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def service(start: Callable[..., Running]) -> Running:
    made = start(limits=Limits(rate=0))
    client = made.client()
    for name, seed in (("ada", 1), ("grace", 2)):
        fields = {"identity": name, "camera": "door", "time": f"2026-05-01T12:0{seed}:00+00:00"}
        assert client.post("/v1/enroll", data=fields, files=files(person(seed))).status_code == 201
    return made


@pytest.fixture
def page(browser: Any, service: Running) -> Iterator[Any]:
    """A signed-in page; an error of a script or of the CSP fails the test."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Content Security" in line.text else None)
    outside: list[str] = []
    page.on("request", lambda r: None if r.url.startswith((service.url, "blob:")) else outside.append(r.url))
    page.goto(f"{service.url}/#key=admin-token")
    page.wait_for_selector("#view-identify:not([hidden])")
    yield page
    context.close()
    assert errors == []
    assert outside == []


def choose(page: Any, *seeds: int) -> None:
    page.set_input_files(
        "#pictures", [{"name": f"{seed}.png", "mimeType": "image/png", "buffer": person(seed)} for seed in seeds]
    )


def identify(page: Any, *seeds: int) -> str:
    choose(page, *seeds)
    with page.expect_response("**/v1/identify"):
        page.keyboard.press("Tab")
        page.click("#ask-button")
    page.wait_for_selector("#answer:not([hidden])")
    return str(page.inner_text("#verdict"))


def test_the_key_is_stored_in_the_tab_only(page: Any, service: Running) -> None:
    assert "admin-token" not in page.url
    assert page.evaluate("sessionStorage.getItem('passerby-key')") == "admin-token"
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.click("#sign-out")
    assert page.is_visible("#view-sign-in")
    assert page.evaluate("sessionStorage.length") == 0
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#messages [role=alert]")
    page.fill("#key", "reader-token")
    page.keyboard.press("Enter")
    page.wait_for_selector("#view-identify:not([hidden])")
    assert "read" in page.inner_text("#caller-line")
    assert not page.is_visible("#audit-link")
    identify(page, 1)
    assert page.locator("#candidates button").count() == 0


def test_identifying_deciding_and_enrolling(page: Any, service: Running) -> None:
    assert identify(page, 1) == "✓ Known: ada"
    assert page.locator("#candidates li").count() == 2
    page.wait_for_selector("#candidates img.shot")
    assert "camera door" in page.inner_text("#candidates li >> nth=0")
    page.click("[aria-label='Reject grace']")
    page.wait_for_selector("#candidates .rejected")
    page.click("[aria-label='Confirm ada']")
    page.check("#confirm-add")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    assert "3 sightings" in page.inner_text("#gallery-line")
    page.click("#enrol-button")
    page.keyboard.type("Hedy <b>Lamarr</b>")
    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog", state="hidden")
    log = service.client().get("/v1/history").json()["events"]
    assert [event["action"] for event in log] == [
        "enroll",
        "enroll",
        "confirm",
        "reject",
        "identify",
        "enroll",
        "enroll",
    ]
    page.click("nav a[href='#people']")
    page.wait_for_selector("text=Hedy <b>Lamarr</b>")
    assert page.locator("b").count() == 0


def test_the_slider_does_not_change_the_gallery_s_threshold_until_confirmed(page: Any, service: Running) -> None:
    identify(page, 1)
    slider = page.locator("#threshold")
    assert float(slider.input_value()) == 0.2
    assert "about 10 %" in page.inner_text("#threshold-rate")
    slider.fill("0")
    assert page.inner_text("#threshold-says") == "At 0.000: unknown."
    slider.fill("0.3")
    assert "known, ada" in page.inner_text("#threshold-says")
    assert "about 15 %" in page.inner_text("#threshold-rate")
    page.click("#threshold-reset")
    assert float(slider.input_value()) == 0.2
    assert service.client().get("/v1/gallery").json()["threshold"] == 0.2
    slider.fill("0.3")
    page.click("#threshold-keep")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    assert service.client().get("/v1/gallery").json()["threshold"] == 0.3


def test_people_are_found_merged_unmerged_and_forgotten(page: Any, service: Running) -> None:
    page.click("nav a[href='#people']")
    page.fill("#search", "ad")
    playwright.expect(page.locator("#people-list li")).to_have_count(1)
    page.click("#people-list button")
    page.wait_for_selector("#timeline svg")
    assert page.inner_text("#person-name") == "ada"
    assert page.locator("#timeline circle").count() == 1
    page.click("text=Merge into…")
    page.keyboard.type("nobody")
    page.click("#dialog-ok")
    playwright.expect(page.locator("#dialog-error")).to_contain_text("nobody")
    page.fill("#dialog input", "grace")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#person-name")).to_have_text("grace")
    assert "ada" in page.inner_text("#person-facts")
    page.click("nav a[href='#audit']")
    page.click("#audit-log [aria-label^='Undo merge']")
    page.click("#dialog-ok")
    page.wait_for_selector("#audit-log tr.undone")
    page.click("nav a[href='#people']")
    page.fill("#search", "grace")
    page.click("#people-list button:has-text('grace')")
    page.wait_for_selector("#person-name:has-text('grace')")
    page.click("text=Forget…")
    page.keyboard.type("Grace")
    page.click("#dialog-ok")
    playwright.expect(page.locator("#dialog-error")).to_contain_text("confirm")
    page.fill("#dialog input", "grace")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    assert [i["name"] for i in service.client().get("/v1/identities").json()["identities"]] == ["ada"]


def test_every_control_can_be_reached_by_keyboard(page: Any) -> None:
    identify(page, 1)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
    wanted = {"sign-out", "pictures", "camera", "taken", "exclude", "ask-button", "threshold", "enrol-button"}
    assert wanted | {"Confirm ada", "Reject ada"} <= set(reached)
    page.focus("[aria-label='Confirm ada']")
    page.keyboard.press("Enter")
    assert page.is_visible("#dialog")
    page.keyboard.press("Escape")
    assert not page.is_visible("#dialog")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Confirm ada"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_text(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    identify(page, 1)
    pairs = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter((e) => e.offsetParent && e.matches(':not(:disabled)')
            && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
          let ground = e, colour;
          do { colour = getComputedStyle(ground).backgroundColor; ground = ground.parentElement; }
          while (ground && colour === 'rgba(0, 0, 0, 0)');
          return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, colour];
        })"""
    )
    assert len(pairs) > 30
    for text, ink, ground in pairs:
        assert contrast(ink, ground) >= 4.5, (scheme, text, ink, ground)


def contrast(ink: str, ground: str) -> float:
    """WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of relative luminances."""

    def luminance(colour: str) -> float:
        channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lights = sorted((luminance(ink), luminance(ground)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_labels_and_headings(page: Any) -> None:
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('input, textarea, button, svg[role=img], img')].filter((e) =>
            !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim() || e.hasAttribute('alt')
              || e.id === 'dialog-ok')).map((e) => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe comes with axe-playwright-python")
    page.emulate_media(color_scheme=scheme)

    def errors() -> list[tuple[str, str]]:
        found = axe.Axe().run(page).response["violations"]
        return [(one["id"], node["html"]) for one in found for node in one["nodes"]]

    identify(page, 1)
    page.wait_for_selector("#candidates img.shot")
    assert errors() == []
    page.click("[aria-label='Confirm ada']")
    assert errors() == []
    page.keyboard.press("Escape")
    page.click("nav a[href='#people']")
    page.click("#people-list button:has-text('ada')")
    page.wait_for_selector("#timeline svg")
    assert errors() == []
    page.click("nav a[href='#audit']")
    page.wait_for_selector("#audit-log td")
    assert errors() == []
    page.click("#sign-out")
    assert errors() == []
