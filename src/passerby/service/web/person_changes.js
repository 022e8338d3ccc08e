// What can be changed about a person, each in a dialog; what can be undone offers it at once.

import { Problem, attempt, call } from "./api.js";
import { field, openDialog } from "./dialog.js";
import { make, say } from "./dom.js";
import { count } from "./format.js";
import { personPicker } from "./picker.js";
import { clearAnswer } from "./probe.js";
import { refreshAbout, show } from "./session.js";
import { state } from "./state.js";
import { forgetShots, ofObservation, picture } from "./thumbnails.js";

// Say what was done, with a button that undoes it: the newest entry `action` of the person's own log.
export async function sayDone(text, identity, action, after) {
  const { events } = await call("/v1/history", { query: { identity, limit: 20 } });
  const event = events.find((one) => one.action === action && one.undoable);
  const undo = async () => {
    await call("/v1/undo", { json: { event: event.id } });
    await refreshAbout();
    say("Undone.");
    await after();
  };
  say(text, "done", event ? ["Undo", () => attempt(undo)] : null);
}

export function goToPerson(name) {
  const hash = `#people/${encodeURIComponent(name)}`;
  if (location.hash === hash) show();
  else location.hash = hash;
}

export function editPerson(identity, after = goToPerson) {
  const name = field("Name", make("input", { required: true, maxlength: 200, value: identity.unknown ? "" : identity.name, autocomplete: "off" }));
  const notes = field("Notes", make("textarea", { rows: 3, maxlength: 4000 }));
  notes.input.value = identity.notes;
  const consent = field("Consent", make("input", { maxlength: 4000, value: identity.consent }));
  const date = identity.expires == null ? "" : new Date(identity.expires * 1000).toISOString().slice(0, 10);
  const expires = field("Forget on (empty: no date)", make("input", { type: "date", value: date }));
  openDialog({
    title: identity.unknown ? `Name ${identity.name}` : `Edit ${identity.name}`,
    body: [name.box, notes.box, consent.box, expires.box],
    ok: "Save",
    run: async () => {
      const json = { identity: identity.name, notes: notes.input.value, consent: consent.input.value };
      if (name.input.value.trim() !== identity.name) json.name = name.input.value.trim();
      if (expires.input.value !== date) json.expires = expires.input.value || "never";
      const changed = await call("/v1/update", { json });
      await sayDone(`Saved: ${changed.name}.`, changed.name, "update", () => after(identity.name));
      await after(changed.name);
    },
  });
}

export function mergePerson(identity, after = goToPerson) {
  const figure = (name, newest) =>
    make("figure", {}, make("figcaption", {}, name), picture(ofObservation(newest), `Newest template of ${name}`));
  const own = make("div", {});
  const other = make("div", {});
  attempt(async () => own.replaceChildren(figure(identity.name, await newestOf(identity.name))));
  const picker = personPicker(identity.name, (chosen) => other.replaceChildren(figure(chosen.name, chosen.newest)));
  openDialog({
    title: `Who is ${identity.name}?`,
    body: [
      make("p", {}, `All sightings and templates of ${identity.name} go to the person you choose. It can be undone.`),
      make("div", { class: "merge" }, picker.box, make("div", { class: "pair" }, own, other)),
    ],
    ok: "Merge",
    wide: true,
    run: async () => {
      const into = picker.chosen();
      if (into == null) throw new Problem(400, "Choose a person first.");
      await merge(into, identity.name, after);
    },
  });
}

async function newestOf(name) {
  const { sightings } = await call("/v1/identity", { query: { name } });
  return sightings.length ? Math.max(...sightings.map((one) => one.observation)) : null;
}

export async function merge(into, other, after) {
  const changed = await call("/v1/merge", { json: { into, other } });
  await refreshAbout();
  await sayDone(`Merged ${other} into ${changed.name}.`, changed.name, "merge", () => after(other));
  await after(changed.name);
}

export function splitPerson(identity, chosen) {
  const name = field("Name (empty: a new unknown)", make("input", { maxlength: 200, autocomplete: "off" }));
  const parts = [];
  if (chosen.sightings.size) parts.push(count(chosen.sightings.size, "sighting", "sightings"));
  if (chosen.observations.size) parts.push(count(chosen.observations.size, "template", "templates"));
  openDialog({
    title: "Split off as another person",
    body: [make("p", {}, `${parts.join(" and ")} of ${identity.name} show somebody else. It can be undone.`), name.box],
    ok: "Split",
    run: async () => {
      const json = { identity: identity.name, observations: [...chosen.observations], sightings: [...chosen.sightings] };
      if (name.input.value.trim()) json.name = name.input.value.trim();
      const made = await call("/v1/split", { json });
      await refreshAbout();
      await sayDone(`Split off from ${identity.name}: ${made.name}.`, identity.name, "split", () => goToPerson(identity.name));
      goToPerson(made.name);
    },
  });
}

export function forgetPerson(identity, after = () => (location.hash = "#people")) {
  const repeat = field(`Type the name (${identity.name}) to confirm`, make("input", { required: true, autocomplete: "off" }));
  const what = `${count(identity.observations, "template", "templates")} and ${count(identity.sightings, "sighting", "sightings")}`;
  openDialog({
    title: `Forget ${identity.name}?`,
    body: [make("p", {}, `Vectors, pictures, name and notes (${what}) are erased. This cannot be undone.`), repeat.box],
    ok: "Forget for good",
    danger: true,
    run: async () => {
      const gone = await call("/v1/forget", { json: { identity: identity.name, confirm: repeat.input.value } });
      forgetShots();
      if (state.asked?.answer.matches.some((match) => match.identity === identity.name)) clearAnswer();
      await refreshAbout();
      const erased = `${count(gone.observations, "template", "templates")}, ${count(gone.sightings, "sighting", "sightings")}`;
      say(`Forgotten; erased: ${erased}.${gone.pending ? ` Pending: ${gone.pending}` : ""}`);
      state.person = null;
      await after();
    },
  });
}
