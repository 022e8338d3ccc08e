// Signing in and out, and which view is shown.

import { attempt, call } from "./api.js";
import { $ } from "./dom.js";
import { count } from "./format.js";
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
  state.about = state.calibration = state.asked = state.person = null;
  forgetShots();
  for (const id of ["candidates", "people-list", "sightings", "audit-log", "person-log", "gallery-line", "caller-line"]) {
    $(id).replaceChildren();
  }
  $("answer").hidden = $("person").hidden = $("sign-out").hidden = $("audit-link").hidden = true;
  document.dispatchEvent(new Event("signed-out"));
  show();
}

export async function refreshAbout() {
  state.about = await call("/v1/gallery");
  $("gallery-line").textContent =
    `${count(state.about.identities, "person", "people")}, ${count(state.about.observations, "sighting", "sightings")}`;
  $("caller-line").textContent = `${state.about.caller} (${state.about.role}${state.about.read_only ? ", read-only gallery" : ""})`;
  $("sign-out").hidden = false;
  $("audit-link").hidden = !may("admin");
}

// What each view does when it is shown; the views register themselves.
export const VIEWS = { identify: () => {} };

export function show({ focus = true } = {}) {
  const wanted = location.hash.slice(1).split("/")[0];
  const name = !state.about ? "sign-in" : wanted === "audit" && !may("admin") ? "identify" : wanted in VIEWS ? wanted : "identify";
  for (const view of ["sign-in", ...Object.keys(VIEWS)]) $(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.querySelector("nav").hidden = !state.about;
  document.title = `${$(`${name}-title`).textContent} – passerby`;
  if (focus) $(name === "sign-in" ? "key" : `${name}-title`).focus();
  if (state.about) attempt(VIEWS[name]);
}

export async function enter(options) {
  await attempt(refreshAbout);
  show(options);
}

document.addEventListener("unauthorised", signOut);
