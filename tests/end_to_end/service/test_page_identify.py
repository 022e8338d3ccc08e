"""Identifying on the operator's page: one verdict, the probe beside a candidate, and what is decided."""

from __future__ import annotations

from typing import Any

import pytest
from tests.end_to_end.service.harness import Running, files, person
from tests.end_to_end.service.page_driver import MARKS, actions_of, choose, identify, view

expect = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright (dev dependency)").expect
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
    expect(page.locator("#candidates li")).to_have_count(2)
    page.wait_for_selector("#compare figure:nth-child(2) img")
    expect(page.locator("#compare figure")).to_have_count(2)
    expect(page.locator("#compare figure:nth-child(2)")).to_contain_text("camera door", use_inner_text=True)
    expect(page.locator("#candidates li >> nth=0")).to_contain_text("1 May 2026, 14:01:00 CEST", use_inner_text=True)
    page.click("[aria-label='Compare with grace, rank 2']")
    page.click("text=Not grace")
    page.wait_for_selector("#candidates li:nth-child(2) >> text=Not this person")
    page.click("text=Confirm ada…")
    page.check("#confirm-add")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    expect(page.locator("#outcome")).to_contain_text("Confirmed: ada; 1 template added", use_inner_text=True)
    expect(page.locator("#candidates li >> nth=0")).to_contain_text("Confirmed", use_inner_text=True)
    expect(page.locator("#gallery-line")).to_contain_text("3 templates", use_inner_text=True)
    page.click("#enrol-button")
    page.keyboard.type("Hedy <b>Lamarr</b>")
    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog", state="hidden")
    expect(page.locator("#outcome")).to_contain_text("Enrolled: Hedy <b>Lamarr</b>", use_inner_text=True)
    assert actions_of(service.client()) == ["enroll", "enroll", "confirm", "reject", "identify", "enroll", "enroll"]
    view(page, "people")
    page.wait_for_selector("text=Hedy <b>Lamarr</b>")
    expect(page.locator("b")).to_have_count(0)


def test_other_pictures_put_the_answer_away(page: Any) -> None:
    identify(page, 1)
    choose(page, 2)
    expect(page.locator("#answer")).to_be_hidden()
    page.set_input_files("#pictures", [{"name": "note.png", "mimeType": "image/png", "buffer": b"no picture"}])
    with page.expect_response("**/v1/identify"):
        page.click("#ask-button")
    page.wait_for_selector("#messages [role=alert]")
    expect(page.locator("#answer")).to_be_hidden()
    expect(page.locator("#answer-none")).to_be_visible()


def test_a_refused_file_leaves_no_answer_beside_it(page: Any) -> None:
    identify(page, 1)
    page.set_input_files("#pictures", [{"name": "note.txt", "mimeType": "text/plain", "buffer": b"no picture"}])
    page.wait_for_selector("#messages [role=alert]")
    expect(page.locator("#messages [role=alert]")).to_contain_text("note.txt", use_inner_text=True)
    expect(page.locator("#answer")).to_be_hidden()
    expect(page.locator("#previews li")).to_have_count(0)


def test_near_the_threshold_nobody_is_named_as_the_answer(page: Any, service: Running) -> None:
    set_threshold_at_distance(service, 3)
    headline = identify(page, 3)
    assert headline == "? Not sure: please compare"
    assert "ada" not in page.inner_text("#verdict-why")
    assert "grace" not in page.inner_text("#verdict-why")


def test_unknown_is_not_shown_as_an_error_and_enrolling_comes_first(page: Any, service: Running) -> None:
    assert service.client().post("/v1/threshold", json={"threshold": 0.0001}).status_code == 200
    assert identify(page, 3) == "○ Unknown: nobody enrolled looks like this"
    expect(page.locator("#answer [role=alert], #answer .error")).to_have_count(0)
    first = page.locator("#answer-actions button").first
    expect(first).to_have_text("Enrol as a new person…", use_inner_text=True)
    assert first.bounding_box()["y"] < page.locator("#compare").bounding_box()["y"]


def test_headline_and_marks_follow_the_slider_together(page: Any, service: Running) -> None:
    identify(page, 1)
    page.click("text=Try another threshold")
    slider = page.locator("#threshold")
    assert float(slider.input_value()) == 0.2
    expect(page.locator("#threshold-rate")).to_contain_text("about 10 %", use_inner_text=True)
    slider.fill("0")
    expect(page.locator("#verdict")).to_have_text("○ Unknown: nobody enrolled looks like this", use_inner_text=True)
    expect(page.locator("#candidates .chip.unknown")).to_have_count(2)
    expect(page.locator("#verdict-trial")).to_contain_text("not in force", use_inner_text=True)
    slider.fill("0.3")
    expect(page.locator("#verdict")).to_have_text("✓ Known: ada", use_inner_text=True)
    expect(page.locator("#candidates li:first-child .chip.known")).to_have_count(1)
    expect(page.locator("#threshold-rate")).to_contain_text("about 15 %", use_inner_text=True)
    page.click("#threshold-reset")
    assert float(slider.input_value()) == 0.2
    expect(page.locator("#verdict-trial")).to_be_hidden()
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
    expect(page.locator("#verdict-basis")).to_contain_text("2 templates", use_inner_text=True)
