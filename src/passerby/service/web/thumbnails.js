// Stored pictures, fetched once each.

import { call } from "./api.js";
import { make } from "./dom.js";

export const shots = new Map(); // observation -> Promise of an object URL

export function shot(observation) {
  if (!shots.has(observation)) {
    shots.set(observation, call(`/v1/thumbnails/${observation}`, { blob: true }).then(URL.createObjectURL, () => null));
  }
  return shots.get(observation);
}

export function forgetShots() {
  for (const url of shots.values()) url.then((made) => made && URL.revokeObjectURL(made));
  shots.clear();
}

export function picture(observation, alternative) {
  const frame = make("span", { class: "shot" }, "no picture");
  shot(observation).then((url) => url && frame.replaceWith(make("img", { class: "shot", src: url, alt: alternative })));
  return frame;
}
