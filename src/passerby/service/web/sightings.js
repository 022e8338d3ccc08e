// The first screen: the last sightings, by camera, and new ones as they come.

import { call } from "./api.js";
import { $, button, chip, make } from "./dom.js";
import { count, moment, places } from "./format.js";
import { VIEWS, refreshAbout, shownView } from "./session.js";
import { ofSighting, picture } from "./thumbnails.js";

const SHOWN = 12; // of one camera
const SPOKEN = 5000; // milliseconds between two announcements
const personHash = (name) => `#people/${encodeURIComponent(name)}`;

let paused = false;
let waiting = []; // sightings that came while paused
let announced = 0;
let unsaid = [];
const newest = { camera: 0, nowhere: 0 }; // numbers of the newest sightings shown, or held while paused: two answers
let reading = 0; // lists being read: sightings that come meanwhile may be missing in them
let meanwhile = [];

export async function loadSightings() {
  reading += 1;
  try {
    showLast(...(await Promise.all([
      call("/v1/cameras", { query: { newest: SHOWN } }),
      call("/v1/sightings", { query: { limit: 1000 } }),
    ])));
  } finally {
    reading -= 1;
    const held = meanwhile;
    meanwhile = [];
    receive(held);
  }
}

function showLast({ cameras }, recent) {
  waiting = [];
  showPause();
  const nowhere = recent.sightings.filter((one) => one.camera == null).slice(0, SHOWN);
  const lanes = cameras.map((one) => ({ ...one, newest: one.camera == null ? nowhere : one.newest }));
  lanes.sort((a, b) => (b.last ?? 0) - (a.last ?? 0));
  $("lanes").replaceChildren(...lanes.map((one) => lane(one.camera, one.sightings, one.newest)));
  $("no-sightings").hidden = lanes.length > 0;
  newest.camera = Math.max(0, ...lanes.filter((one) => one.camera != null).flatMap((one) => one.newest.map((each) => each.sighting)));
  newest.nowhere = Math.max(0, ...nowhere.map((one) => one.sighting));
}

const answerOf = (sighting) => (sighting.camera == null ? "nowhere" : "camera");

function lane(camera, total, newest) {
  const title = camera == null ? "Camera not known" : camera;
  const list = make("ul", { class: "cards", "aria-label": `Last sightings, ${places(camera)}, newest first` }, ...newest.map(card));
  const number = make("span", { class: "quiet lane-count" }, count(total, "sighting", "sightings"));
  const section = make("section", { class: "card lane" }, make("div", { class: "lane-title" }, make("h2", {}, title), number), list);
  section.dataset.camera = camera ?? "";
  section.dataset.total = total;
  return section;
}

export function card(sighting) {
  const mark = sighting.new ? chip("new", "New") : null;
  return make(
    "li",
    { class: "sighting" },
    picture(ofSighting(sighting), `${sighting.identity}, ${places(sighting.camera)}`),
    make("a", { class: "name", href: personHash(sighting.identity) }, sighting.identity),
    make("div", { class: "quiet" }, moment(sighting.start ?? sighting.stored)),
    mark,
  );
}

function receive(sightings) {
  if (shownView() !== "sightings") return;
  if (reading) {
    meanwhile.push(...sightings);
    return;
  }
  const fresh = sightings.filter((one) => one.sighting > newest[answerOf(one)]); // the others are in the list that was read
  if (!fresh.length) return;
  for (const one of fresh) newest[answerOf(one)] = one.sighting;
  if (paused) waiting.push(...fresh);
  else add(fresh);
  showPause();
}

function add(sightings) {
  $("no-sightings").hidden = true;
  for (const sighting of sightings) {
    const same = [...document.querySelectorAll("#lanes .lane")].find((one) => one.dataset.camera === (sighting.camera ?? ""));
    const section = same ?? lane(sighting.camera, 0, []);
    if (!same) $("lanes").prepend(section);
    const list = section.querySelector(".cards");
    const made = card(sighting);
    made.classList.add("arrived");
    list.prepend(made);
    while (list.children.length > SHOWN) list.lastChild.remove();
    section.dataset.total = Number(section.dataset.total) + 1;
    section.querySelector(".lane-count").textContent = count(Number(section.dataset.total), "sighting", "sightings");
  }
  announce(sightings);
}

// For screen readers: not each of many at once.
function announce(sightings) {
  unsaid.push(...sightings);
  const wait = Math.max(0, announced + SPOKEN - Date.now());
  if (unsaid.length > sightings.length && wait) return;
  setTimeout(() => {
    if (!unsaid.length) return;
    const newest = unsaid[unsaid.length - 1];
    const others = unsaid.length > 1 ? `, and ${count(unsaid.length - 1, "more", "more")}` : "";
    $("announcer").textContent = `New sighting: ${newest.identity}, ${places(newest.camera)}${others}.`;
    unsaid = [];
    announced = Date.now();
  }, wait);
}

function showPause() {
  const text = !paused ? "Pause" : waiting.length ? `Continue (${count(waiting.length, "new sighting", "new sightings")})` : "Continue";
  $("pause").replaceChildren(
    button(text, () => {
      paused = !paused;
      if (!paused) add(waiting);
      waiting = [];
      showPause();
      $("pause").firstChild.focus();
    }, { "aria-pressed": String(paused), title: "Whether new sightings are added here as they come" }),
  );
}

let refreshing = 0;
document.addEventListener("sightings", (event) => {
  receive(event.detail);
  clearTimeout(refreshing); // the numbers at the foot, once for many
  refreshing = setTimeout(() => refreshAbout().catch(() => {}), 2000);
});

VIEWS.sightings = loadSightings;
