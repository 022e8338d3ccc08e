// Numbers, moments and places in words.

import { make } from "./dom.js";

const DATE = { year: "numeric", month: "short", day: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" };
const MOMENT = new Intl.DateTimeFormat(undefined, { ...DATE, ...CLOCK });
const DAY = new Intl.DateTimeFormat(undefined, DATE);
const TIME = new Intl.DateTimeFormat(undefined, CLOCK);

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

// Seconds since 1970 look like a date after 1990; smaller numbers are seconds of a film.
const isDate = (seconds) => seconds >= 631152000 && seconds <= 253402300800;

// A moment in this machine's time zone, which is named.
export function when(seconds) {
  if (seconds == null) return "time not known";
  return isDate(seconds) ? MOMENT.format(seconds * 1000) : `${seconds.toLocaleString()} s`;
}

// The same as an element on two short lines.
export function moment(seconds) {
  if (seconds == null || !isDate(seconds)) return make("span", { class: "moment" }, when(seconds));
  const date = new Date(seconds * 1000);
  return make("time", { class: "moment", datetime: date.toISOString() }, `${DAY.format(date)}, `, make("span", {}, TIME.format(date)));
}

export const day = (seconds) => DAY.format(seconds * 1000);
export const places = (camera) => (camera == null ? "camera not known" : `camera ${camera}`);
export const count = (n, one, many) => `${n.toLocaleString()} ${n === 1 ? one : many}`;
export const percent = (share) => `${Number((share * 100).toPrecision(2))} %`;
export const isoTime = (local) => (local ? new Date(local).toISOString() : "");
