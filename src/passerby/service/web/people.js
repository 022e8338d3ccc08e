// The people of the gallery: a list with pictures, that can be searched, sorted and filtered.

import { call } from "./api.js";
import { $, chip, make } from "./dom.js";
import { count, when } from "./format.js";
import { showPerson } from "./person.js";
import { VIEWS } from "./session.js";
import { state } from "./state.js";
import { ofObservation, picture } from "./thumbnails.js";

const AT_ONCE = 60;

async function loadPeople() {
  await morePeople(true);
  const wanted = location.hash.slice(1).split("/")[1];
  $("view-people").classList.toggle("one", Boolean(wanted));
  if (wanted) await showPerson(decodeURIComponent(wanted));
  else $("person").hidden = true;
}

function offerCameras(names) {
  const chosen = $("people-camera").value;
  $("people-camera").replaceChildren(make("option", { value: "" }, "All cameras"), ...names.map((name) => make("option", { value: name }, name)));
  $("people-camera").value = names.includes(chosen) ? chosen : "";
}

export async function morePeople(fresh = false) {
  if (fresh) state.people.offset = 0;
  const camera = $("people-camera").value;
  const found = await call("/v1/identities", {
    query: {
      search: $("search").value.trim(),
      kind: $("people-kind").value,
      sort: $("people-sort").value,
      offset: state.people.offset,
      limit: AT_ONCE,
      ...(camera ? { camera } : {}),
    },
  });
  offerCameras(found.cameras);
  const rows = found.identities.map(row);
  if (fresh) $("people-list").replaceChildren(...rows);
  else $("people-list").append(...rows);
  state.people = { offset: state.people.offset + rows.length, total: found.total };
  $("people-count").textContent = count(found.total, "person", "people");
  $("more-people").hidden = state.people.offset >= found.total;
}

function row(identity) {
  const hash = `#people/${encodeURIComponent(identity.name)}`;
  return make(
    "li",
    {},
    make(
      "a",
      { class: "person-row", href: hash, "data-name": identity.name },
      picture(ofObservation(identity.newest), "", { plain: true }),
      make(
        "span",
        { class: "about" },
        make("span", { class: "name" }, identity.name),
        make("span", { class: "marks" }, ...marks(identity)),
        make("span", { class: "quiet" }, `${count(identity.sightings, "sighting", "sightings")}, ${count(identity.observations, "template", "templates")}`),
        make("span", { class: "quiet" }, identity.last_seen == null ? "never seen at a known time" : `last seen ${when(identity.last_seen)}`),
      ),
    ),
  );
}

export const marks = (identity) => [
  identity.unknown ? chip("plain", "Unknown") : null,
  identity.drift ? chip("look", "Drift") : null,
];

VIEWS.people = loadPeople;
