"""Sightings as they come, review, cameras and audit on the operator's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.service.harness import Running, files, person
from tests.end_to_end.service.page_driver import MARKS, actions_of, identify, observe, view

expect = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright (dev dependency)").expect
pytestmark = MARKS


def test_the_first_screen_has_the_last_sightings_by_camera_and_new_ones_appear(page: Any, service: Running) -> None:
    client = service.client()
    expect(page.locator("#no-sightings")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Live")
    observe(client, 5, "hall", "2026-05-01T12:10:00+00:00")
    page.wait_for_selector("#lanes .lane:has-text('hall') img")
    expect(page.locator("#announcer")).to_contain_text("unknown-1, camera hall")
    observe(client, 6, "yard", "2026-05-01T12:11:00+00:00")
    page.wait_for_selector("#lanes .lane:has-text('yard') img")
    page.click("#pause button")
    observe(client, 7, "yard", "2026-05-01T12:12:00+00:00")
    expect(page.locator("#pause button")).to_have_text("Continue (1 new sighting)")
    expect(page.locator("#lanes .lane:has-text('yard') .sighting")).to_have_count(1)
    page.click("#pause button")
    expect(page.locator("#lanes .lane:has-text('yard') .sighting")).to_have_count(2)
    expect(page.locator("#lanes .lane:has-text('yard') .name").first).to_have_text("unknown-3", use_inner_text=True)
    page.reload()
    page.wait_for_selector("#lanes img")
    expect(page.locator("#lanes h2")).to_have_text(["yard", "hall"], use_inner_text=True)
    page.click("#lanes a:has-text('unknown-3')")
    expect(page.locator("#person-name")).to_have_text("unknown-3")


def test_a_sighting_stored_while_the_list_is_read_is_shown_once(page: Any, service: Running) -> None:
    client = service.client()

    def answer_late(route: Any) -> None:
        answer = route.fetch()
        observe(client, 5, "hall", "2026-05-01T12:10:00+00:00")  # the answer lacks it
        page.wait_for_selector("body[data-arrived]")
        route.fulfill(response=answer)

    expect(page.locator("#live")).to_have_text("Live")
    view(page, "people")
    page.evaluate("document.addEventListener('sightings', () => { document.body.dataset.arrived = 'yes'; })")
    page.route("**/v1/sightings?limit=1000", answer_late, times=1)
    view(page, "sightings")
    cards = page.locator("#lanes .lane:has-text('hall') .sighting")
    expect(cards).to_have_count(1)
    shown = client.get("/v1/sightings").json()["sightings"][0]
    page.evaluate("(one) => document.dispatchEvent(new CustomEvent('sightings', { detail: [one] }))", shown)
    expect(cards).to_have_count(1)


def test_duplicates_are_reviewed_with_single_keys(page: Any, service: Running) -> None:
    client = service.client()
    everybody = {f"p{seed}": (seed, "door") for seed in range(3, 23)}  # a tail needs people
    for name, (seed, camera) in (everybody | {"ada again": (1, "hall"), "grace again": (2, "hall")}).items():
        data = {"identity": name, "camera": camera}
        assert client.post("/v1/enroll", data=data, files=files(person(seed))).status_code == 201
    pairs = client.get("/v1/duplicates").json()["pairs"]
    assert len(pairs) >= 2
    view(page, "review")
    page.wait_for_selector("#review-people img")
    expect(page.locator("#review-title-item")).to_contain_text("Are these one person?", use_inner_text=True)
    expect(page.locator("#review-people figure")).to_have_count(2)
    page.keyboard.press("d")
    expect(page.locator("#messages")).to_contain_text("are different people")
    expect(page.locator("#review-count")).to_contain_text(f"{len(pairs) - 1} pair")
    assert actions_of(client)[0] == "pair"
    page.uncheck("#single-keys")
    page.keyboard.press("s")
    assert actions_of(client)[0] == "pair"
    page.check("#single-keys")
    page.keyboard.press("s")
    expect(page.locator("#messages")).to_contain_text("Merged")
    assert actions_of(client)[0] == "merge"
    page.click("#messages .message:has-text('Merged') button:has-text('Undo')")
    expect(page.locator("#review-count")).to_contain_text(f"{len(pairs) - 1} pair")
    assert actions_of(client)[0] == "undo"


def test_unknowns_are_named_with_single_keys(page: Any, service: Running) -> None:
    client = service.client()
    for seed in (5, 6):
        observe(client, seed, "hall", f"2026-05-01T12:1{seed}:00+00:00")
    pairs = len(client.get("/v1/duplicates").json()["pairs"])
    view(page, "review")
    page.wait_for_selector("#review-people img")
    for _ in range(pairs):
        before = page.inner_text("#review-title-item")
        page.keyboard.press("l")
        expect(page.locator("#review-title-item")).not_to_have_text(before)
    expect(page.locator("#review-title-item")).to_contain_text("Who is unknown-2?")
    page.keyboard.press("l")
    expect(page.locator("#review-title-item")).to_contain_text("Who is unknown-1?")
    page.keyboard.press("n")
    expect(page.locator("#dialog")).to_be_visible()
    page.keyboard.type("lin")
    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog", state="hidden")
    kinds = {i["name"]: i["unknown"] for i in client.get("/v1/identities").json()["identities"]}
    assert kinds == {"ada": False, "grace": False, "lin": False, "unknown-2": True}


def test_cameras_have_counts(page: Any, service: Running) -> None:
    client = service.client()
    observe(client, 5, "hall", "2026-05-01T12:10:00+00:00")
    observe(client, 5, "hall", "2026-05-01T12:20:00+00:00")
    view(page, "cameras")
    page.wait_for_selector("#camera-rows img")
    row = page.locator("#camera-rows tr")
    expect(row.locator("th")).to_have_text("hall", use_inner_text=True)
    expect(row.locator("td.number")).to_have_text(["2", "1", "1"], use_inner_text=True)
    expect(row).to_contain_text("14:20:00", use_inner_text=True)
    expect(row.locator("[data-label=Drift]")).to_have_text("none", use_inner_text=True)


def test_the_audit_is_filtered_and_exported_in_words(page: Any, service: Running, tmp_path: Path) -> None:
    identify(page, 1)
    view(page, "audit")
    page.wait_for_selector("#audit-log td")
    expect(page.locator("#audit-log tbody tr")).to_have_count(3)
    expect(page.locator("#audit-count")).to_contain_text("not shown", use_inner_text=True)
    page.select_option("#audit-action", label="All actions")
    expect(page.locator("#audit-log")).to_contain_text("Read a picture", use_inner_text=True)
    page.select_option("#audit-action", "")
    expect(page.locator("#audit-log")).to_contain_text("verdict: known", use_inner_text=True)
    assert "request" not in page.inner_text("#audit-log tbody")
    page.select_option("#audit-action", "identify")
    expect(page.locator("#audit-log tbody tr")).to_have_count(1)
    page.select_option("#audit-action", "")
    page.fill("#audit-whom", "gra")
    expect(page.locator("#audit-log tbody tr")).to_have_count(1)
    page.fill("#audit-from", "2100-01-01")
    expect(page.locator("#audit-log tbody tr")).to_have_count(0)
    page.fill("#audit-from", "")
    with page.expect_download() as download:
        page.click("#audit-export")
    download.value.save_as(tmp_path / "audit.csv")
    head, *rows = (tmp_path / "audit.csv").read_text().splitlines()
    assert head == '"when","who","did","whom","details","undone"'
    assert len(rows) == 1
    assert '"Enrolled","grace"' in rows[0]
