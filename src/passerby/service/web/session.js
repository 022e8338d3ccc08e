// Signing in and out, and which view is shown.

import { attempt, call } from "./api.js";
import { $ } from "./dom.js";
import { ZONE, count } from "./format.js";
import { listen, stopListening } from "./live.js";
import { may, state } from "./state.js";
import { forgetShots } from "./thumbnails.js";

export function takeKeyFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!found) return;
  sessionStorage.setItem("passerby-key", found);
  history.replaceState(null, "", "/");
}

export function signOut() {
  sessionStorage.removeItem("passerby-key");
  stopListening();
  Object.assign(state, { about: null, calibration: null, asked: null, person: null, review: null });
  forgetShots();
  document.dispatchEvent(new Event("signed-out"));
  for (const place of document.querySelectorAll("[data-of-gallery]")) place.replaceChildren();
  $("answer").hidden = $("person").hidden = $("sign-out").hidden = $("audit-link").hidden = true;
  show();
}

export async function refreshAbout() {
  state.about = await call("/v1/gallery");
  $("gallery-line").textContent =
    `${count(state.about.identities, "person", "people")}, ${count(state.about.observations, "template", "templates")}`;
  $("comparison-line").textContent = state.about.comparison.camera_means || state.about.comparison.cohort ? state.about.comparison.text : "";
  $("caller-line").textContent =
    `signed in as ${state.about.caller} (${state.about.role}${state.about.read_only ? ", read-only gallery" : ""})`;
  $("zone-line").textContent = `times in ${ZONE}`;
  $("sign-out").hidden = false;
  $("audit-link").hidden = !may("admin");
}

// What each view does when it is shown; the views register themselves.
export const VIEWS = { identify: () => {} };

export const shownView = () => document.body.dataset.view;

export function show({ focus = true } = {}) {
  const wanted = location.hash.slice(1).split("/")[0];
  const first = "sightings";
  const name = !state.about ? "sign-in" : wanted === "audit" && !may("admin") ? first : wanted in VIEWS ? wanted : first;
  document.body.dataset.view = name;
  for (const view of ["sign-in", ...Object.keys(VIEWS)]) $(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("nav").hidden = $("foot").hidden = !state.about;
  document.title = `${$(`${name}-title`).textContent} – passerby`;
  if (focus) $(name === "sign-in" ? "key" : `${name}-title`).focus();
  if (state.about) attempt(VIEWS[name]);
}

export async function enter(options) {
  await attempt(refreshAbout);
  if (state.about) listen();
  show(options);
}

document.addEventListener("unauthorised", signOut);
