"""The operator's page in a real headless Chromium: the session, keyboard, contrast, screen readers, widths."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.end_to_end.service.harness import Running
from tests.end_to_end.service.page_driver import MARKS, axe_errors, identify, observe, view

expect = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright (dev dependency)").expect
pytestmark = MARKS


def test_the_key_is_stored_in_the_tab_only(page: Any, service: Running) -> None:
    assert "admin-token" not in page.url
    assert page.evaluate("sessionStorage.getItem('passerby-key')") == "admin-token"
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.click("#sign-out")
    expect(page.locator("#view-sign-in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#messages [role=alert]")
    page.fill("#key", "reader-token")
    page.keyboard.press("Enter")
    page.wait_for_selector("#view-sightings:not([hidden])")
    expect(page.locator("#caller-line")).to_contain_text("read", use_inner_text=True)
    expect(page.locator("#audit-link")).to_be_hidden()
    identify(page, 1)
    expect(page.locator("#answer-actions button")).to_have_count(0)
    view(page, "people")
    page.click("#people-list a")
    page.wait_for_selector("#person-templates li")
    expect(page.locator("#person-actions button, #person-templates input")).to_have_count(0)


def test_every_control_can_be_reached_by_keyboard(page: Any) -> None:
    identify(page, 1)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("(e => e.id || e.getAttribute('aria-label') || e.textContent.trim())(document.activeElement)")
        )
    wanted = {"sign-out", "pictures", "camera", "taken", "exclude", "ask-button", "enrol-button"}
    assert wanted | {"Confirm ada…", "Not ada", "Compare with grace, rank 2", "Try another threshold"} <= set(reached)
    page.focus("text=Confirm ada…")
    page.keyboard.press("Enter")
    expect(page.locator("#dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#dialog")).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent") == "Confirm ada…"


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
        """() => [...document.querySelectorAll('input, select, textarea, button, svg[role=img], img')].filter((e) =>
            !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim() || e.hasAttribute('alt')
              || e.id === 'dialog-ok')).map((e) => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("width", [390, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Any, service: Running, scheme: str, width: int) -> None:
    observe(service.client(), 5, "hall", "2026-05-01T12:10:00+00:00")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 844})
    page.wait_for_selector("#lanes img")
    assert axe_errors(page) == []
    page.click("#lanes button.shot")
    assert axe_errors(page) == []
    page.keyboard.press("Escape")
    identify(page, 1)
    page.wait_for_selector("#compare img")
    page.click("text=Try another threshold")
    assert axe_errors(page) == []
    page.click("text=Confirm ada…")
    assert axe_errors(page) == []
    page.keyboard.press("Escape")
    view(page, "people")
    page.wait_for_selector("#people-list img")
    assert axe_errors(page) == []
    page.click("#people-list a:has-text('ada')")
    page.wait_for_selector("#timeline svg")
    assert axe_errors(page) == []
    page.click("text=Merge into…")
    page.wait_for_selector(".picker input")
    assert axe_errors(page) == []
    page.keyboard.press("Escape")
    view(page, "review")
    page.wait_for_selector("#review-people img")
    assert axe_errors(page) == []
    view(page, "cameras")
    page.wait_for_selector("#camera-rows img")
    assert axe_errors(page) == []
    view(page, "audit")
    page.wait_for_selector("#audit-log td")
    assert axe_errors(page) == []
    page.click("#sign-out")
    assert axe_errors(page) == []


@pytest.mark.parametrize("width", [390, 768, 1024, 1600])
def test_nothing_is_wider_than_the_window_and_the_header_is_one_row(page: Any, service: Running, width: int) -> None:
    for seed in range(5, 12):
        observe(service.client(), seed, "hall", f"2026-05-01T12:{seed:02}:00+00:00")
    page.set_viewport_size({"width": width, "height": 844})
    page.reload()
    page.wait_for_selector("#lanes img")

    def surplus() -> float:
        return float(page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    assert surplus() <= 0
    assert page.locator("header.top").bounding_box()["height"] < 64
    identify(page, 1)
    assert surplus() <= 0
    views = {"people": "#people-list img", "review": "#review-people img", "cameras": "#camera-rows img"}
    for name, shown in (views | {"audit": "#audit-log td"}).items():
        view(page, name)
        page.wait_for_selector(shown)
        assert surplus() <= 0, name
    if width == 1600:
        view(page, "sightings")
        page.wait_for_selector("#lanes img")
        assert page.locator("#lanes .lane").bounding_box()["width"] > 1500


def test_pictures_are_shown_whole_and_enlarged(page: Any, service: Running) -> None:
    observe(service.client(), 5, "hall", "2026-05-01T12:10:00+00:00")
    page.wait_for_selector("#lanes img")
    image = page.locator("#lanes img").first
    assert image.evaluate("(e) => getComputedStyle(e).objectFit") == "contain"
    box = image.bounding_box()
    assert box["height"] == pytest.approx(2 * box["width"], rel=0.02)
    page.click("#lanes button.shot")
    expect(page.locator("#viewer")).to_be_visible()
    assert page.locator("#viewer-image").bounding_box()["height"] > 2 * box["height"]
    expect(page.locator("#viewer-title")).to_contain_text("unknown-1", use_inner_text=True)
    page.click("#viewer-close")
    expect(page.locator("#viewer")).to_be_hidden()
