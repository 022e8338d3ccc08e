// The threshold: what it would decide, and the false-accept rate it stands for.

import { call } from "./api.js";
import { openDialog } from "./dialog.js";
import { $, draw, make, say } from "./dom.js";
import { count, percent } from "./format.js";
import { mayChange, state } from "./state.js";

let trial = null;

// The threshold that is being tried; null: the one in force.
export const tried = () => trial;

export function resetThreshold() {
  const { answer } = state.asked;
  const limit = answer.threshold ?? 1;
  const farthest = Math.max(0, ...answer.matches.map((match) => match.distance));
  $("threshold").max = Math.min(2, Math.max(0.01, 2 * limit, 1.1 * farthest)).toFixed(3);
  $("threshold").value = limit;
  trial = null;
  showThreshold();
}

export function tryThreshold() {
  const value = Number($("threshold").value);
  const own = state.asked.answer.threshold;
  trial = own != null && Math.abs(value - own) < 0.0005 ? null : value;
  showThreshold();
}

function showThreshold() {
  const { answer } = state.asked;
  const value = trial ?? answer.threshold ?? Number($("threshold").value);
  $("threshold-value").textContent = value.toFixed(3);
  const accepted = answer.matches.filter((match) => match.distance < value);
  $("threshold-says").textContent =
    `${count(accepted.length, "candidate is", "candidates are")} nearer than ${value.toFixed(3)}` +
    (answer.threshold == null ? "." : trial == null ? ", the threshold in force." : `; in force is ${answer.threshold.toFixed(3)}.`);
  $("threshold-rate").textContent = rateAt(value);
  $("threshold-reset").hidden = answer.threshold == null;
  $("threshold-reset").disabled = trial == null;
  $("threshold-keep").hidden = trial == null || !mayChange("admin");
  drawStrip(value);
  document.dispatchEvent(new Event("threshold"));
}

// The false accept rate of a threshold among this gallery's people; between the points of its law, along the line.
function rateAt(value) {
  if (state.asked?.answer.basis === "encoder threshold") return encoderRateAt(value);
  const found = state.calibration;
  if (!found || !found.curve.length) return found ? `The false accept rate is not known: ${found.note}.` : "The false accept rate is not known.";
  const where = `of people who are not enrolled, with ${count(found.identities, "person", "people")} in the gallery`;
  const { curve } = found;
  const last = curve[curve.length - 1];
  if (value <= curve[0].threshold) return `Accepts at most ${percent(curve[0].far)} ${where}.`;
  if (value >= last.threshold) return `Accepts ${percent(1)} ${where}.`;
  const after = curve.findIndex((point) => point.threshold >= value);
  const [a, b] = [curve[after - 1], curve[after]];
  const share = (value - a.threshold) / (b.threshold - a.threshold);
  return `Accepts about ${percent(a.far + share * (b.far - a.far))} ${where}.`;
}

// The same as the encoder's calibration measured it, where the gallery has too few people; between its points, along the line.
function encoderRateAt(value) {
  const curve = state.about.curve;
  const base = state.about.impostors ? ` of ${state.about.impostors.toLocaleString()} impostors of the encoder's calibration` : " of the impostors of the encoder's calibration";
  if (!curve.length) return "The false accept rate is not known: the encoder is not calibrated.";
  if (curve.length === 1) {
    const [only] = curve;
    return `False accepts: ${percent(only.far)}${base} at ${only.threshold.toFixed(3)}; not known elsewhere.`;
  }
  const first = curve[0];
  const last = curve[curve.length - 1];
  if (value < first.threshold) return `False accepts: at most ${percent(first.far)}${base}.`;
  if (value > last.threshold) return `False accepts: at least ${percent(last.far)}${base}.`;
  const after = Math.max(1, curve.findIndex((point) => point.threshold >= value));
  const [a, b] = [curve[after - 1], curve[after]];
  const share = b.threshold > a.threshold ? (value - a.threshold) / (b.threshold - a.threshold) : 1;
  const along = (name) => a[name] + share * (b[name] - a[name]);
  const found = a.dir == null || b.dir == null ? "" : `; ${percent(along("dir"))} of enrolled people recognised`;
  return `False accepts: about ${percent(along("far"))}${base}${found}.`;
}

function drawStrip(value) {
  const { answer } = state.asked;
  const end = Number($("threshold").max);
  const x = (distance) => 8 + (584 * distance) / end;
  const parts = [];
  const band = answer.band && answer.threshold ? answer.band.map((edge) => (edge / answer.threshold) * value) : null;
  if (band) {
    const right = Math.min(x(band[1]), 592);
    parts.push(draw("rect", { class: "band", x: x(band[0]), y: 4, width: Math.max(0, right - x(band[0])), height: 24 }));
  }
  parts.push(draw("line", { class: "axis", x1: 8, x2: 592, y1: 28, y2: 28 }));
  answer.matches.forEach((match, index) => {
    const at = x(match.distance);
    parts.push(draw("line", { class: index ? "tick" : "tick first", x1: at, x2: at, y1: index ? 16 : 10, y2: 28 }));
  });
  parts.push(draw("line", { class: "limit", x1: x(value), x2: x(value), y1: 2, y2: 34 }));
  parts.push(draw("text", { x: 8, y: 43 }, "0 same"), draw("text", { x: 592, y: 43, "text-anchor": "end" }, `${end.toFixed(2)} far`));
  $("strip").replaceChildren(...parts);
  const nearest = answer.matches[0];
  $("strip").setAttribute(
    "aria-label",
    nearest
      ? `${count(answer.matches.length, "candidate", "candidates")}, the nearest at ${nearest.distance.toFixed(3)}; threshold at ${value.toFixed(3)}`
      : `No candidate; threshold at ${value.toFixed(3)}`,
  );
}

export function keepThreshold() {
  const threshold = Number($("threshold").value);
  openDialog({
    title: `Use ${threshold.toFixed(3)} as the gallery's threshold?`,
    body: [make("p", {}, `It decides for everybody who asks, from now on. ${rateAt(threshold)} It can be undone in the audit.`)],
    ok: "Use it",
    run: async () => {
      state.about = await call("/v1/threshold", { json: { threshold } });
      say("The gallery has a new threshold; ask again to see its verdict.");
    },
  });
}
