// Actions and details of the log in words.

import { day, percent, when } from "./format.js";

const ACTIONS = {
  enroll: "Enrolled",
  observe: "New unknown seen",
  seen: "Seen again",
  identify: "Identified",
  find_sightings: "Searched sightings",
  confirm: "Confirmed a candidate",
  reject: "Rejected a candidate",
  merge: "Merged",
  split: "Split",
  reassign: "Moved a sighting",
  import_sightings: "Imported sightings",
  update: "Changed",
  thin: "Thinned templates",
  pair: "Judged a pair",
  threshold: "Set the threshold",
  far: "Set the false accept rate",
  comparison: "Set how vectors are compared",
  sightings: "Set what is stored of sightings",
  import: "Imported",
  forget: "Forgot",
  purge: "Purged",
  undo: "Undid a change",
  read_names: "Read the list of people",
  read_pictures: "Read a picture",
  read_history: "Read the log",
  repeat: "Sent a change again",
  migrate: "Took over an older gallery",
};

const VERDICTS = { known: "known", unknown: "unknown", look: "not sure", uncalibrated: "no threshold" };
const LABELS = {
  count: "templates",
  created: "new person",
  first: "first template",
  last: "last template",
  candidates: "candidates",
  results: "results",
  request: "request",
  old: "before",
  new: "now",
  event: "entry",
  unknown: "was an unknown",
  expires: "forget on",
  keep_vectors: "vectors stored",
  expire_after: "seconds stored",
  templates_per_camera: "templates per camera",
};

export const isReading = (action) => action.startsWith("read_");

export const actionInWords = (action) => ACTIONS[action] ?? action.replaceAll("_", " ");

function valueInWords(name, value) {
  if (value == null) return "none";
  if (name === "verdict") return VERDICTS[value] ?? value;
  if (name === "expires") return day(value);
  if (name === "time") return when(value);
  if (name === "far") return percent(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  if (Array.isArray(value)) return value.length > 5 ? `${value.length}` : value.join(" ");
  if (typeof value === "object") return detailInWords(value);
  return value;
}

// The entries that a person can read; numbers that only tie entries together stay in the API.
const INNER = new Set(["batch", "request", "first", "last"]);

export const detailInWords = (detail) =>
  Object.entries(detail)
    .filter(([name, value]) => value != null && !INNER.has(name))
    .map(([name, value]) => `${LABELS[name] ?? name.replaceAll("_", " ")}: ${valueInWords(name, value)}`)
    .join(", ");
