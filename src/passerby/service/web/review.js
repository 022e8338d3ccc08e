// What waits for a person: pairs that may be one person, and unknowns without a name. One key each.

import { attempt, call } from "./api.js";
import { $, button, make, say } from "./dom.js";
import { count, moment, places, when } from "./format.js";
import { inWords } from "./verdict.js";
import { editPerson, forgetPerson, merge, mergePerson, sayDone } from "./person_changes.js";
import { VIEWS, refreshAbout, shownView } from "./session.js";
import { mayChange, state } from "./state.js";
import { ofObservation, ofSighting, picture } from "./thumbnails.js";

const PICTURES = 6;

async function loadReview() {
  const [{ pairs }, unknowns] = await Promise.all([
    call("/v1/duplicates"),
    call("/v1/identities", { query: { kind: "unknown", limit: 1000 } }),
  ]);
  const items = [
    ...pairs.map((pair) => ({ kind: "pair", names: [pair.identity, pair.other], pair })),
    ...unknowns.identities.map((identity) => ({ kind: "unknown", names: [identity.name], identity })),
  ];
  state.review = { items, at: 0, pairs: pairs.length, unknowns: unknowns.total };
  await showItem();
}

async function showItem() {
  const { items, pairs, unknowns } = state.review;
  state.review.at = Math.max(0, Math.min(state.review.at, items.length - 1));
  const item = items[state.review.at];
  $("review-count").textContent =
    `${count(pairs, "pair", "pairs")} may be one person; ${count(unknowns, "unknown has", "unknowns have")} no name.`;
  $("review-item").hidden = !item;
  $("review-done").hidden = Boolean(item);
  if (!item) return;
  const found = await Promise.all(item.names.map((name) => call("/v1/identity", { query: { name } })));
  if (state.review.items[state.review.at] !== item) return; // gone on meanwhile
  item.found = found;
  const place = `${(state.review.at + 1).toLocaleString()} of ${items.length.toLocaleString()}`;
  $("review-title-item").textContent = item.kind === "pair" ? `Are these one person? (${place})` : `Who is ${item.names[0]}? (${place})`;
  $("review-why").textContent =
    item.kind === "pair"
      ? `Their distance is ${item.pair.distance.toFixed(3)}. ${inWords(item.pair.p_value, "different people")}`
      : `Seen ${count(item.identity.sightings, "time", "times")}, last ${when(item.identity.last_seen)}.`;
  $("review-people").replaceChildren(...found.map(side));
  $("review-actions").replaceChildren(...actions(item).map(actionButton));
}

function side({ identity, sightings, seen }) {
  const templates = [...sightings].reverse().slice(0, PICTURES);
  const left = Math.max(0, PICTURES - templates.length);
  const pictures = [
    ...templates.map((one) => picture(ofObservation(one.observation), `${identity.name}, ${places(one.camera)}, ${when(one.time)}`)),
    ...seen.filter((one) => !one.observations.length && one.thumbnail).slice(0, left)
      .map((one) => picture(ofSighting(one), `${identity.name}, ${places(one.camera)}, ${when(one.start)}`)),
  ];
  return make(
    "figure",
    { class: "side" },
    make("figcaption", {}, make("a", { class: "name", href: `#people/${encodeURIComponent(identity.name)}` }, identity.name),
      make("span", { class: "quiet" }, `${count(identity.sightings, "sighting", "sightings")}, ${identity.cameras.join(", ") || "camera not known"}; last seen `, moment(identity.last_seen))),
    make("div", { class: "frames" }, ...pictures),
  );
}

const later = { key: "L", text: "Later", run: () => ((state.review.at += 1), stepBack()) };
const before = { key: "B", text: "Back", run: () => ((state.review.at -= 1), showItem()) };

// After the last one the first comes again, as long as any is left.
function stepBack() {
  if (state.review.at >= state.review.items.length) state.review.at = 0;
  return showItem();
}

function actions(item) {
  const moves = state.review.items.length > 1 ? [later, before] : [];
  if (!mayChange()) return moves;
  if (item.kind === "pair") {
    return [
      { key: "S", text: "Same person: merge", primary: true, run: () => mergePair(item) },
      { key: "D", text: "Different people", run: () => judgeDifferent(item) },
      ...moves,
    ];
  }
  const forget = { key: "F", text: "Forget…", danger: true, run: () => forgetPerson(item.found[0].identity, loadAgain) };
  return [
    { key: "N", text: "Name…", primary: true, run: () => editPerson(item.found[0].identity, loadAgain) },
    { key: "M", text: "Merge into…", run: () => mergePerson(item.found[0].identity, loadAgain) },
    ...(mayChange("admin") ? [forget] : []),
    ...moves,
  ];
}

function actionButton({ key, text, primary, danger, run }) {
  const kind = primary ? "primary" : danger ? "danger" : null;
  return make("button", { type: "button", class: kind, "aria-keyshortcuts": key, onclick: () => attempt(run) }, make("kbd", {}, key), ` ${text}`);
}

// The one with a name of its own stays; of two unknowns, or two named ones, the one that was enrolled first.
async function mergePair(item) {
  const [one, two] = item.found.map(({ identity }) => identity);
  const first = one.unknown !== two.unknown ? (one.unknown ? two : one) : one.created <= two.created ? one : two;
  await merge(first.name, first === one ? two.name : one.name, loadAgain);
}

async function judgeDifferent(item) {
  const [identity, other] = item.names;
  await call("/v1/judge", { json: { identity, other, judgement: "different people" } });
  await sayDone(`Noted: ${identity} and ${other} are different people.`, identity, "pair", loadAgain);
  await loadAgain();
}

// What was decided is gone from the list; stay at the same place in it.
async function loadAgain() {
  const at = state.review?.at ?? 0;
  await refreshAbout();
  const wanted = at;
  await loadReview();
  state.review.at = wanted;
  await showItem();
  $("review-title-item").focus();
}

export function onKey(event) {
  if (shownView() !== "review" || !$("single-keys").checked || document.querySelector("dialog[open]")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea, select")) return;
  const item = state.review?.items[state.review.at];
  if (!item?.found) return;
  const found = actions(item).find(({ key }) => key.toLowerCase() === event.key.toLowerCase());
  if (!found) return;
  event.preventDefault();
  attempt(found.run);
}

VIEWS.review = loadReview;
