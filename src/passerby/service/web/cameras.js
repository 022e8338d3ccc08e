// What each camera saw, and where people have drifted from their templates.

import { call } from "./api.js";
import { $, make } from "./dom.js";
import { count, moment, places } from "./format.js";
import { VIEWS } from "./session.js";
import { ofSighting, picture } from "./thumbnails.js";

const MOST = 1000;
const NAMED = 5;
const personLink = (name) => make("a", { href: `#people/${encodeURIComponent(name)}` }, name);

async function loadCameras() {
  const [{ cameras }, drifted] = await Promise.all([
    call("/v1/cameras", { query: { newest: 6 } }),
    call("/v1/identities", { query: { kind: "drift", limit: MOST } }),
  ]);
  $("no-cameras").hidden = cameras.length > 0;
  $("camera-table").hidden = !cameras.length;
  $("camera-rows").replaceChildren(...cameras.map((one) => row(one, drifted.identities)));
}

function row(one, drifted) {
  const title = one.camera ?? "not known";
  const here = drifted.filter((identity) => identity.cameras.includes(one.camera));
  const cell = (label, ...content) => make("td", { "data-label": label }, ...content);
  const number = (label, n) => make("td", { class: "number", "data-label": label }, n.toLocaleString());
  const pictures = one.newest.map((sighting) => picture(ofSighting(sighting), `${sighting.identity}, ${places(one.camera)}`));
  const names = here.slice(0, NAMED).flatMap((identity, i) => (i ? [", ", personLink(identity.name)] : [personLink(identity.name)]));
  const left = here.length > NAMED ? ` and ${count(here.length - NAMED, "more", "more")}` : "";
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, title),
    number("Sightings", one.sightings),
    number("People", one.identities),
    number("New unknowns", one.new),
    cell("First", moment(one.first)),
    cell("Last", moment(one.last)),
    cell("Drift", one.drift ? "the camera; " : "", ...(here.length ? [`${count(here.length, "person", "people")}: `, ...names, left] : ["none"])),
    cell("Newest", make("span", { class: "row-pictures" }, ...pictures)),
  );
}

VIEWS.cameras = loadCameras;
