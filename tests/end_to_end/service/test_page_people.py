"""People on the operator's page: found, shown, merged, split, undone and forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from tests.end_to_end.service.harness import Running
from tests.end_to_end.service.page_driver import MARKS, observe, view

playwright = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright (dev dependency)")
pytestmark = MARKS


def names(page: Any) -> list[str]:
    return list(page.locator("#people-list .name").all_inner_texts())


def test_people_are_found_merged_unmerged_and_forgotten(page: Any, service: Running) -> None:
    view(page, "people")
    page.fill("#search", "ad")
    playwright.expect(page.locator("#people-list li")).to_have_count(1)
    page.click("#people-list a")
    page.wait_for_selector("#timeline svg")
    assert page.inner_text("#person-name") == "ada"
    assert page.locator("#timeline circle").count() == 1
    page.click("text=Merge into…")
    page.wait_for_selector(".picker input")
    assert page.locator(".picker .name").all_inner_texts() == ["grace"]
    page.click("#dialog-ok")
    playwright.expect(page.locator("#dialog-error")).to_contain_text("Choose a person")
    page.check(".picker input")
    page.wait_for_selector(".pair figure:has-text('grace') img")
    page.click("#dialog-ok")
    playwright.expect(page.locator("#person-name")).to_have_text("grace")
    assert "ada" in page.inner_text("#person-facts")
    page.click("#messages button:has-text('Undo')")
    playwright.expect(page.locator("#person-name")).to_have_text("ada")
    page.fill("#search", "grace")
    page.click("#people-list a:has-text('grace')")
    page.wait_for_selector("#person-name:has-text('grace')")
    page.click("text=Forget…")
    page.keyboard.type("Grace")
    page.click("#dialog-ok")
    playwright.expect(page.locator("#dialog-error")).to_contain_text("confirm")
    page.fill("#dialog input", "grace")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    assert [i["name"] for i in service.client().get("/v1/identities").json()["identities"]] == ["ada"]
    view(page, "audit")
    page.wait_for_selector("#audit-log td")
    gone = page.locator("#audit-log tr:has-text('no longer in the gallery')")
    assert gone.count() >= 2
    assert gone.locator("button").count() == 0


def test_people_are_filtered_and_sorted(page: Any, service: Running) -> None:
    observe(service.client(), 5, "hall", "2026-05-01T13:00:00+00:00")
    view(page, "people")
    playwright.expect(page.locator("#people-list li")).to_have_count(3)
    assert names(page) == ["unknown-1", "grace", "ada"]
    page.wait_for_selector("#people-list li:nth-child(3) img")
    page.select_option("#people-sort", "name")
    playwright.expect(page.locator("#people-list .name").first).to_have_text("ada")
    assert names(page) == ["ada", "grace", "unknown-1"]
    page.select_option("#people-kind", "unknown")
    playwright.expect(page.locator("#people-list li")).to_have_count(1)
    page.select_option("#people-kind", "all")
    page.select_option("#people-camera", "door")
    playwright.expect(page.locator("#people-list li")).to_have_count(2)


def test_a_person_has_sightings_and_templates_that_can_be_split_off(page: Any, service: Running) -> None:
    client = service.client()
    observe(client, 1, "hall", "2026-05-01T13:00:00+00:00", threshold=0.01)
    observe(client, 1, "yard", "2026-05-01T14:00:00+00:00", threshold=0.01)
    view(page, "people")
    page.click("#people-list a:has-text('ada')")
    page.wait_for_selector("#person-sightings img")
    assert page.inner_text("#person-sightings-title") == "Sightings (2)"
    assert page.inner_text("#person-templates-title") == "Templates (1)"
    assert page.locator("#timeline rect").count() == 2
    assert {"hall", "yard", "door"} <= set(page.locator("#timeline text").all_text_contents())
    page.check("#person-sightings li:has-text('yard') input")
    assert "1 sighting" in page.inner_text("#split-bar")
    page.click("#split-bar button")
    page.fill("#dialog input", "bea")
    page.click("#dialog-ok")
    playwright.expect(page.locator("#person-name")).to_have_text("bea")
    assert client.get("/v1/identity", params={"name": "ada"}).json()["identity"]["sightings"] == 1
