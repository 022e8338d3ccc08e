// One person: when and where seen, what is stored, what can be changed, what was done.

import { call } from "./api.js";
import { logTable } from "./audit.js";
import { $, button, chip, make } from "./dom.js";
import { count, day, moment, places, when } from "./format.js";
import { marks } from "./people.js";
import { editPerson, forgetPerson, mergePerson, splitPerson } from "./person_changes.js";
import { mayChange, state } from "./state.js";
import { ofObservation, ofSighting, picture } from "./thumbnails.js";
import { drawTimeline } from "./timeline.js";

const SHOWN = 60; // pictures at once

export async function showPerson(name) {
  const [details, log] = await Promise.all([
    call("/v1/identity", { query: { name } }),
    call("/v1/history", { query: { identity: name, limit: 50 } }),
  ]);
  const { identity } = details;
  state.person = identity.name;
  for (const link of document.querySelectorAll("#people-list a")) {
    if (link.dataset.name === state.person) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  $("person").hidden = false;
  $("person-name").textContent = state.person;
  $("person-marks").replaceChildren(...marks(identity).filter(Boolean));
  showActions(identity);
  showFacts(identity);
  const templates = [...details.sightings].sort((a, b) => (b.time ?? -1) - (a.time ?? -1) || b.observation - a.observation);
  $("person-picture").replaceChildren(picture(ofObservation(templates[0]?.observation), `Newest template of ${state.person}`));
  drawTimeline(details.seen, templates);
  const choice = new Choice(identity);
  $("person-sightings-title").textContent = `Sightings (${identity.sightings.toLocaleString()})`;
  $("person-templates-title").textContent = `Templates (${identity.observations.toLocaleString()})`;
  list($("person-sightings"), details.seen, (one) => sightingCard(one, choice), "No sighting is stored.");
  list($("person-templates"), templates, (one) => templateCard(one, choice), "No template is stored.");
  choice.show();
  $("person-log").replaceChildren(logTable(log.events, () => showPerson(state.person)));
  $("person-name").focus();
}

// As many as fit on a screen; the others on demand.
function list(place, items, make_, nothing) {
  const more = (from) => {
    place.querySelector(".more")?.remove();
    place.append(...items.slice(from, from + SHOWN).map(make_));
    const left = items.length - from - SHOWN;
    if (left > 0) place.append(make("li", { class: "more" }, button(`Show ${Math.min(left, SHOWN)} more`, () => more(from + SHOWN))));
  };
  place.replaceChildren();
  if (items.length) more(0);
  else place.append(make("li", { class: "quiet" }, nothing));
}

// What is ticked for a split.
class Choice {
  constructor(identity) {
    this.identity = identity;
    this.sightings = new Set();
    this.observations = new Set();
  }

  tick(set, id, label) {
    if (!mayChange()) return null;
    const run = (event) => (event.target.checked ? set.add(id) : set.delete(id), this.show());
    return make("label", { class: "check" }, make("input", { type: "checkbox", "aria-label": label, onchange: run }), "Select");
  }

  show() {
    const parts = [];
    if (this.sightings.size) parts.push(count(this.sightings.size, "sighting", "sightings"));
    if (this.observations.size) parts.push(count(this.observations.size, "template", "templates"));
    $("split-bar").hidden = !parts.length;
    $("split-bar").replaceChildren(
      make("span", {}, `Selected: ${parts.join(" and ")} `),
      button("Split off as another person…", () => splitPerson(this.identity, this), { class: "primary" }),
    );
  }
}

function sightingCard(one, choice) {
  const alternative = `${state.person}, ${places(one.camera)}, ${when(one.start)}`;
  const rate = one.p_value == null ? null : `p-value ${one.p_value < 0.0001 ? "< 0.0001" : Number(one.p_value.toPrecision(2))}`;
  return make(
    "li",
    { class: "sighting" },
    picture(ofSighting(one), alternative),
    make("div", {}, places(one.camera)),
    make("div", { class: "quiet" }, moment(one.start ?? one.stored)),
    rate ? make("div", { class: "quiet" }, rate) : null,
    one.new ? chip("new", "New") : null,
    choice.tick(choice.sightings, one.sighting, `Select the sighting of ${alternative}`),
  );
}

function templateCard(one, choice) {
  const alternative = `${state.person}, template, ${places(one.camera)}, ${when(one.time)}`;
  return make(
    "li",
    { class: "sighting" },
    picture(ofObservation(one.observation), alternative),
    make("div", {}, places(one.camera)),
    make("div", { class: "quiet" }, moment(one.time)),
    choice.tick(choice.observations, one.observation, `Select the template of ${alternative}`),
  );
}

function showActions(identity) {
  const buttons = [];
  if (mayChange()) {
    buttons.push(button(identity.unknown ? "Name…" : "Edit…", () => editPerson(identity)), button("Merge into…", () => mergePerson(identity)));
  }
  if (mayChange("admin")) buttons.push(button("Forget…", () => forgetPerson(identity), { class: "danger" }));
  $("person-actions").replaceChildren(...buttons);
}

function showFacts(identity) {
  const facts = [
    ["Cameras", identity.cameras.join(", ") || "not known"],
    ["First seen", when(identity.first_seen)],
    ["Last seen", when(identity.last_seen)],
    ["Enrolled", when(identity.created)],
    ["Also called", identity.aliases.join(", ")],
    ["Notes", identity.notes],
    ["Consent", identity.consent || "none noted"],
    ["Forget on", identity.expires == null ? "no date" : day(identity.expires)],
    ["Drift", identity.drift ? "The newest sightings are farther from the templates than those before: new clothes, or another person. Look at them." : ""],
  ];
  $("person-facts").replaceChildren(
    ...facts.filter(([, text]) => text).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]),
  );
}
