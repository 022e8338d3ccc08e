// What an answer means, in words. One function decides for the headline, the marks of the candidates and the slider.

import { count } from "./format.js";

const MARKS = {
  known: ["✓", "Below the threshold"],
  look: ["?", "Near the threshold"],
  unknown: ["○", "Above the threshold"],
  uncalibrated: ["–", "No threshold"],
};

const BASES = {
  call: "the threshold given with this request",
  set: "a threshold that somebody set for this gallery",
  gallery: "the people of this gallery",
  blend: "the people of this gallery, and the encoder's held-out people",
  encoder: "the encoder's held-out people, not yet those of this gallery",
  "encoder threshold": "the encoder's own threshold, not the people of this gallery",
  none: "nothing yet",
};

// The verdict about a distance where `limit` is the threshold; the band around it grows with it.
export function verdictAt(distance, limit, answer) {
  if (limit == null) return "uncalibrated";
  const scale = answer.band && answer.threshold ? answer.band.map((end) => end / answer.threshold) : [0.95, 1.05];
  if (distance < scale[0] * limit) return "known";
  return distance < scale[1] * limit ? "look" : "unknown";
}

export const mark = (verdict) => MARKS[verdict].join(" ");

// The headline. Near the threshold it names nobody: the person at the page compares.
export function headline(verdict, nearest) {
  if (!nearest) return "○ Unknown: nobody to compare with";
  return {
    known: `✓ Known: ${nearest.identity}`,
    look: "? Not sure: please compare",
    unknown: "○ Unknown: nobody enrolled looks like this",
    uncalibrated: "– No threshold: please compare",
  }[verdict];
}

export function explain(verdict, limit, answer) {
  const nearest = answer.matches[0];
  if (!nearest) return "";
  const distance = nearest.distance.toFixed(3);
  if (limit == null) return `The nearest candidate is at distance ${distance}.`;
  const side = {
    known: `clearly below the threshold of ${limit.toFixed(3)}`,
    look: `too near the threshold of ${limit.toFixed(3)} to decide without a person`,
    unknown: `clearly above the threshold of ${limit.toFixed(3)}`,
  }[verdict];
  return `The nearest candidate is at distance ${distance}, ${side}.`;
}

// A p-value as a number of people: "of 200 people who are not enrolled, 1 would look this near".
export function inWords(p, who = "people who are not enrolled") {
  if (p == null) return "There is no p-value.";
  const number = p < 0.0001 ? "below 0.0001" : Number(p.toPrecision(2)).toString();
  if (p >= 0.5) return `Of 10 ${who}, ${Math.round(10 * p)} would look this near (p-value ${number}).`;
  if (p < 1e-6) return `Fewer than 1 of 1,000,000 ${who} would look this near (p-value ${number}).`;
  const people = Number((1 / p).toPrecision(2));
  return `Of ${Math.round(people).toLocaleString()} ${who}, 1 would look this near (p-value ${number}).`;
}

export const basis = (answer) => `${BASES[answer.basis] ?? answer.basis}${answer.note ? ` (${answer.note})` : ""}`;

export function compared(answer) {
  const left = answer.excluded ? `; ${answer.excluded.toLocaleString()} left out by the filters` : "";
  return `${count(answer.considered, "template", "templates")}${left}`;
}
