"""Identifying on the operator's page: one verdict, the probe beside a candidate, and what is decided."""

from __future__ import annotations

from typing import Any

import pytest
from tests.end_to_end.service.harness import Running, files, person
from tests.end_to_end.service.page_driver import MARKS, actions_of, choose, identify, view

playwright = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright (dev dependency)")
pytestmark = MARKS


def set_threshold_at_distance(service: Running, seed: int) -> float:
    """Make the nearest candidate of a picture stand exactly on the gallery's threshold."""
    client = service.client()
    answer = client.post("/v1/identify", files=files(person(seed))).json()
    threshold = float(answer["matches"][0]["distance"])
    assert client.post("/v1/threshold", json={"threshold": threshold}).status_code == 200
    return threshold


def test_identifying_deciding_and_enrolling(page: Any, service: Running) -> None:
    assert identify(page, 1) == "✓ Known: ada"
    assert page.locator("#candidates li").count() == 2
    page.wait_for_selector("#compare figure:nth-child(2) img")
    assert page.locator("#compare figure").count() == 2
    assert "camera door" in page.inner_text("#compare figure:nth-child(2)")
    assert "1 May 2026, 14:01:00 CEST" in page.inner_text("#candidates li >> nth=0")
    page.click("[aria-label='Compare with grace, rank 2']")
    page.click("text=Not grace")
    page.wait_for_selector("#candidates li:nth-child(2) >> text=Not this person")
    page.click("text=Confirm ada…")
    page.check("#confirm-add")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    assert "Confirmed: ada; 1 template added" in page.inner_text("#outcome")
    assert "Confirmed" in page.inner_text("#candidates li >> nth=0")
    assert "3 templates" in page.inner_text("#gallery-line")
    page.click("#enrol-button")
    page.keyboard.type("Hedy <b>Lamarr</b>")
    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog", state="hidden")
    assert "Enrolled: Hedy <b>Lamarr</b>" in page.inner_text("#outcome")
    assert actions_of(service.client()) == ["enroll", "enroll", "confirm", "reject", "identify", "enroll", "enroll"]
    view(page, "people")
    page.wait_for_selector("text=Hedy <b>Lamarr</b>")
    assert page.locator("b").count() == 0


def test_other_pictures_put_the_answer_away(page: Any) -> None:
    identify(page, 1)
    choose(page, 2)
    assert not page.is_visible("#answer")
    page.set_input_files("#pictures", [{"name": "note.png", "mimeType": "image/png", "buffer": b"no picture"}])
    with page.expect_response("**/v1/identify"):
        page.click("#ask-button")
    page.wait_for_selector("#messages [role=alert]")
    assert not page.is_visible("#answer")
    assert page.is_visible("#answer-none")


def test_a_refused_file_leaves_no_answer_beside_it(page: Any) -> None:
    identify(page, 1)
    page.set_input_files("#pictures", [{"name": "note.txt", "mimeType": "text/plain", "buffer": b"no picture"}])
    page.wait_for_selector("#messages [role=alert]")
    assert "note.txt" in page.inner_text("#messages [role=alert]")
    assert not page.is_visible("#answer")
    assert page.locator("#previews li").count() == 0


def test_near_the_threshold_nobody_is_named_as_the_answer(page: Any, service: Running) -> None:
    set_threshold_at_distance(service, 3)
    headline = identify(page, 3)
    assert headline == "? Not sure: please compare"
    assert "ada" not in page.inner_text("#verdict-why")
    assert "grace" not in page.inner_text("#verdict-why")


def test_unknown_is_not_shown_as_an_error_and_enrolling_comes_first(page: Any, service: Running) -> None:
    assert service.client().post("/v1/threshold", json={"threshold": 0.0001}).status_code == 200
    assert identify(page, 3) == "○ Unknown: nobody enrolled looks like this"
    assert page.locator("#answer [role=alert], #answer .error").count() == 0
    first = page.locator("#answer-actions button").first
    assert first.inner_text() == "Enrol as a new person…"
    assert first.bounding_box()["y"] < page.locator("#compare").bounding_box()["y"]


def test_headline_and_marks_follow_the_slider_together(page: Any, service: Running) -> None:
    identify(page, 1)
    page.click("text=Try another threshold")
    slider = page.locator("#threshold")
    assert float(slider.input_value()) == 0.2
    assert "about 10 %" in page.inner_text("#threshold-rate")
    slider.fill("0")
    assert page.inner_text("#verdict") == "○ Unknown: nobody enrolled looks like this"
    assert page.locator("#candidates .chip.unknown").count() == 2
    assert "not in force" in page.inner_text("#verdict-trial")
    slider.fill("0.3")
    assert page.inner_text("#verdict") == "✓ Known: ada"
    assert page.locator("#candidates li:first-child .chip.known").count() == 1
    assert "about 15 %" in page.inner_text("#threshold-rate")
    page.click("#threshold-reset")
    assert float(slider.input_value()) == 0.2
    assert not page.is_visible("#verdict-trial")
    assert service.client().get("/v1/gallery").json()["threshold"] == 0.2
    slider.fill("0.3")
    page.click("#threshold-keep")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    assert service.client().get("/v1/gallery").json()["threshold"] == 0.3


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.005, "Of 200 people who are not enrolled, 1 would look this near (p-value 0.005)."),
        (0.0312, "Of 32 people who are not enrolled, 1 would look this near (p-value 0.031)."),
        (0.7, "Of 10 people who are not enrolled, 7 would look this near (p-value 0.7)."),
        (1e-9, "Fewer than 1 of 1,000,000 people who are not enrolled would look this near (p-value below 0.0001)."),
        (None, "There is no p-value."),
    ],
)
def test_p_values_in_words(page: Any, p: float | None, words: str) -> None:
    assert page.evaluate("async (p) => (await import('/verdict.js')).inWords(p)", p) == words


def test_what_the_verdict_rests_on_is_said(page: Any) -> None:
    identify(page, 1)
    assert page.inner_text("#verdict-basis").startswith("Rests on: ")
    assert "2 templates" in page.inner_text("#verdict-basis")
