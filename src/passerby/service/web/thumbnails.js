// Stored pictures, fetched once each, and enlarged.

import { call } from "./api.js";
import { $, make } from "./dom.js";

const shots = new Map(); // path -> Promise of an object URL

export const ofObservation = (id) => (id == null ? null : `/v1/thumbnails/${id}`);
export const ofSighting = (sighting) => (sighting.thumbnail ? `/v1/sightings/${sighting.sighting}/thumbnail` : null);

function fetched(path) {
  if (!shots.has(path)) shots.set(path, call(path, { blob: true }).then(URL.createObjectURL, () => null));
  return shots.get(path);
}

export function forgetShots() {
  for (const url of shots.values()) url.then((made) => made && URL.revokeObjectURL(made));
  shots.clear();
}

// A whole picture in a frame of 1:2; a press enlarges it. `plain`: inside of something that is pressed itself.
export function picture(path, alternative, { plain = false } = {}) {
  const frame = make("span", { class: "shot" }, "no picture");
  if (path) {
    fetched(path).then((url) => {
      if (!url) return;
      const image = make("img", { src: url, alt: alternative });
      frame.replaceWith(plain ? make("span", { class: "shot" }, image) : enlarging(image));
    });
  }
  return frame;
}

export const enlarging = (image) =>
  make("button", { type: "button", class: "shot", title: "Enlarge", onclick: () => enlarge(image.src, image.alt) }, image);

export function enlarge(url, alternative) {
  $("viewer-image").src = url;
  $("viewer-image").alt = alternative;
  $("viewer-title").textContent = alternative;
  $("viewer").showModal();
}
