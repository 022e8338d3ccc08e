"""People on the operator's page: found, shown, merged, split, undone and forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from tests.end_to_end.service.harness import Running
from tests.end_to_end.service.page_driver import MARKS, observe, view

expect = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright (dev dependency)").expect
pytestmark = MARKS


def names(page: Any) -> list[str]:
    return list(page.locator("#people-list .name").all_inner_texts())


def test_people_are_found_merged_unmerged_and_forgotten(page: Any, service: Running) -> None:
    view(page, "people")
    page.fill("#search", "ad")
    expect(page.locator("#people-list li")).to_have_count(1)
    page.click("#people-list a")
    page.wait_for_selector("#timeline svg")
    expect(page.locator("#person-name")).to_have_text("ada", use_inner_text=True)
    expect(page.locator("#timeline circle")).to_have_count(1)
    page.click("text=Merge into…")
    page.wait_for_selector(".picker input")
    expect(page.locator(".picker .name")).to_have_text(["grace"], use_inner_text=True)
    page.click("#dialog-ok")
    expect(page.locator("#dialog-error")).to_contain_text("Choose a person")
    page.check(".picker input")
    page.wait_for_selector(".pair figure:has-text('grace') img")
    page.click("#dialog-ok")
    expect(page.locator("#person-name")).to_have_text("grace")
    expect(page.locator("#person-facts")).to_contain_text("ada", use_inner_text=True)
    page.click("#messages button:has-text('Undo')")
    expect(page.locator("#person-name")).to_have_text("ada")
    page.fill("#search", "grace")
    page.click("#people-list a:has-text('grace')")
    page.wait_for_selector("#person-name:has-text('grace')")
    page.click("text=Forget…")
    page.keyboard.type("Grace")
    page.click("#dialog-ok")
    expect(page.locator("#dialog-error")).to_contain_text("confirm")
    page.fill("#dialog input", "grace")
    page.click("#dialog-ok")
    page.wait_for_selector("#dialog", state="hidden")
    assert [i["name"] for i in service.client().get("/v1/identities").json()["identities"]] == ["ada"]
    view(page, "audit")
    page.wait_for_selector("#audit-log td")
    gone = page.locator("#audit-log tr:has-text('no longer in the gallery')")
    assert gone.count() >= 2
    expect(gone.locator("button")).to_have_count(0)


def test_people_are_filtered_and_sorted(page: Any, service: Running) -> None:
    observe(service.client(), 5, "hall", "2026-05-01T13:00:00+00:00")
    view(page, "people")
    expect(page.locator("#people-list li")).to_have_count(3)
    assert names(page) == ["unknown-1", "grace", "ada"]
    page.wait_for_selector("#people-list li:nth-child(3) img")
    page.select_option("#people-sort", "name")
    expect(page.locator("#people-list .name").first).to_have_text("ada")
    assert names(page) == ["ada", "grace", "unknown-1"]
    page.select_option("#people-kind", "unknown")
    expect(page.locator("#people-list li")).to_have_count(1)
    page.select_option("#people-kind", "all")
    page.select_option("#people-camera", "door")
    expect(page.locator("#people-list li")).to_have_count(2)


def test_a_person_has_sightings_and_templates_that_can_be_split_off(page: Any, service: Running) -> None:
    client = service.client()
    observe(client, 1, "hall", "2026-05-01T13:00:00+00:00", threshold=0.01)
    observe(client, 1, "yard", "2026-05-01T14:00:00+00:00", threshold=0.01)
    view(page, "people")
    page.click("#people-list a:has-text('ada')")
    page.wait_for_selector("#person-sightings img")
    expect(page.locator("#person-sightings-title")).to_have_text("Sightings (2)", use_inner_text=True)
    expect(page.locator("#person-templates-title")).to_have_text("Templates (1)", use_inner_text=True)
    expect(page.locator("#timeline rect")).to_have_count(2)
    assert {"hall", "yard", "door"} <= set(page.locator("#timeline text").all_text_contents())
    page.check("#person-sightings li:has-text('yard') input")
    expect(page.locator("#split-bar")).to_contain_text("1 sighting", use_inner_text=True)
    page.click("#split-bar button")
    page.fill("#dialog input", "bea")
    page.click("#dialog-ok")
    expect(page.locator("#person-name")).to_have_text("bea")
    assert client.get("/v1/identity", params={"name": "ada"}).json()["identity"]["sightings"] == 1


def test_a_sighting_of_the_person_that_is_shown_is_offered(page: Any, service: Running) -> None:
    view(page, "people")
    page.click("#people-list a:has-text('ada')")
    page.wait_for_selector("#timeline svg")
    expect(page.locator("#live")).to_have_text("Live")
    assert observe(service.client(), 1, "hall", "2026-05-01T13:00:00+00:00", threshold=0.01) == "ada"
    page.click("#person-news button")
    page.wait_for_selector("#person-sightings img")
    expect(page.locator("#person-news button")).to_have_count(0)
