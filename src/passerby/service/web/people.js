// The people of the gallery: list, details, and what can be changed.

import { attempt, call } from "./api.js";
import { logTable } from "./audit.js";
import { field, openDialog } from "./dialog.js";
import { $, make, say } from "./dom.js";
import { count, places, when } from "./format.js";
import { VIEWS, refreshAbout } from "./session.js";
import { mayChange, state } from "./state.js";
import { forgetShots, picture } from "./thumbnails.js";
import { drawTimeline } from "./timeline.js";

export async function loadPeople() {
  state.people.offset = 0;
  await morePeople(true);
  const wanted = location.hash.slice(1).split("/")[1];
  if (wanted) await showPerson(decodeURIComponent(wanted));
  else $("person").hidden = true;
}

export async function morePeople(fresh = false) {
  const found = await call("/v1/identities", { query: { search: $("search").value.trim(), offset: state.people.offset, limit: 100 } });
  const rows = found.identities.map((identity) =>
    make(
      "li",
      {},
      make(
        "button",
        { type: "button", "data-name": identity.name, onclick: () => (location.hash = `#people/${encodeURIComponent(identity.name)}`) },
        make("span", { class: "name" }, identity.name),
        make("span", { class: "quiet" }, count(identity.observations, "sighting", "sightings")),
        make("span", { class: "quiet" }, identity.last_seen == null ? "" : when(identity.last_seen)),
      ),
    ),
  );
  if (fresh) $("people-list").replaceChildren(...rows);
  else $("people-list").append(...rows);
  state.people = { offset: state.people.offset + rows.length, total: found.total };
  $("people-count").textContent = count(found.total, "person", "people");
  $("more-people").hidden = state.people.offset >= found.total;
  const cameras = [...new Set(found.identities.flatMap((identity) => identity.cameras))].sort();
  $("cameras").replaceChildren(...cameras.map((camera) => make("option", { value: camera })));
}

export async function showPerson(name) {
  const [details, log] = await Promise.all([
    call("/v1/identity", { query: { name } }),
    call("/v1/history", { query: { identity: name, limit: 50 } }),
  ]);
  state.person = details.identity.name;
  for (const button of document.querySelectorAll("#people-list button")) {
    if (button.dataset.name === state.person) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  $("person").hidden = false;
  $("person-name").textContent = state.person;
  showActions(details.identity);
  showFacts(details.identity);
  const seen = details.seen.filter((one) => !one.observations.length).map((one) => ({ camera: one.camera, time: one.start }));
  drawTimeline([...details.sightings, ...seen]);
  const newest = [...details.sightings].sort((a, b) => (b.time ?? -1) - (a.time ?? -1) || b.observation - a.observation);
  $("sightings").replaceChildren(
    ...newest.slice(0, 200).map((sighting) =>
      make(
        "li",
        {},
        picture(sighting.observation, `${state.person}, ${places(sighting.camera)}`),
        make("div", {}, places(sighting.camera)),
        make("div", { class: "quiet" }, when(sighting.time)),
      ),
    ),
  );
  $("person-log").replaceChildren(logTable(log.events, () => showPerson(state.person)));
  $("person-name").focus();
}

export function showActions(identity) {
  const button = (text, run, kind = "") => make("button", { type: "button", class: kind, onclick: run }, text);
  const buttons = [];
  if (mayChange()) buttons.push(button("Edit…", () => editPerson(identity)), button("Merge into…", () => mergePerson(identity)));
  if (mayChange("admin")) buttons.push(button("Forget…", () => forgetPerson(identity), "danger"));
  $("person-actions").replaceChildren(...buttons);
}

export function showFacts(identity) {
  const facts = [
    ["Sightings", identity.observations.toLocaleString()],
    ["Cameras", identity.cameras.join(", ") || "not known"],
    ["First seen", when(identity.first_seen)],
    ["Last seen", when(identity.last_seen)],
    ["Enrolled", when(identity.created)],
    ["Also called", identity.aliases.join(", ")],
    ["Notes", identity.notes],
    ["Consent", identity.consent || "none noted"],
    ["Forget on", identity.expires == null ? "no date" : new Date(identity.expires * 1000).toLocaleDateString()],
  ];
  $("person-facts").replaceChildren(
    ...facts.filter(([, text]) => text).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]),
  );
}

export function editPerson(identity) {
  const name = field("Name", make("input", { required: true, maxlength: 200, value: identity.name, autocomplete: "off" }));
  const notes = field("Notes", make("textarea", { rows: 3, maxlength: 4000 }));
  notes.input.value = identity.notes;
  const consent = field("Consent", make("input", { maxlength: 4000, value: identity.consent }));
  const date = identity.expires == null ? "" : new Date(identity.expires * 1000).toISOString().slice(0, 10);
  const expires = field("Forget on (empty: no date)", make("input", { type: "date", value: date }));
  openDialog({
    title: `Edit ${identity.name}`,
    body: [name.box, notes.box, consent.box, expires.box],
    ok: "Save",
    run: async () => {
      const json = { identity: identity.name, notes: notes.input.value, consent: consent.input.value };
      if (name.input.value.trim() !== identity.name) json.name = name.input.value.trim();
      if (expires.input.value !== date) json.expires = expires.input.value || "never";
      const changed = await call("/v1/update", { json });
      say("Saved.");
      goToPerson(changed.name);
    },
  });
}

export function mergePerson(identity) {
  const into = field("Into", make("input", { required: true, maxlength: 200, autocomplete: "off" }));
  openDialog({
    title: `${identity.name} is somebody else we know`,
    body: [
      make("p", {}, `All sightings of ${identity.name} go to the person you name. It can be undone.`),
      into.box,
    ],
    ok: "Merge",
    run: async () => {
      const changed = await call("/v1/merge", { json: { into: into.input.value.trim(), other: identity.name } });
      await refreshAbout();
      say(`Merged into ${changed.name}.`);
      goToPerson(changed.name);
    },
  });
}

export function forgetPerson(identity) {
  const repeat = field(`Type the name (${identity.name}) to confirm`, make("input", { required: true, autocomplete: "off" }));
  openDialog({
    title: `Forget ${identity.name}?`,
    body: [
      make("p", {}, `Vectors, pictures, name and notes of ${count(identity.observations, "sighting", "sightings")} are erased. This cannot be undone.`),
      repeat.box,
    ],
    ok: "Forget for good",
    danger: true,
    run: async () => {
      const gone = await call("/v1/forget", { json: { identity: identity.name, confirm: repeat.input.value } });
      forgetShots();
      if (state.asked && state.asked.answer.matches.some((match) => match.identity === identity.name)) {
        state.asked = null;
        $("answer").hidden = true;
      }
      await refreshAbout();
      say(`Forgotten: ${count(gone.observations, "sighting", "sightings")} erased.${gone.pending ? ` Pending: ${gone.pending}` : ""}`);
      state.person = null;
      location.hash = "#people";
    },
  });
}

export function goToPerson(name) {
  const hash = `#people/${encodeURIComponent(name)}`;
  if (location.hash === hash) attempt(loadPeople);
  else location.hash = hash;
}

VIEWS.people = loadPeople;
