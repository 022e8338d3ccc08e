// The threshold: what it would decide, and the false-accept rate it stands for.

import { call } from "./api.js";
import { openDialog } from "./dialog.js";
import { $, draw, make, say } from "./dom.js";
import { count, percent } from "./format.js";
import { mayChange, state } from "./state.js";

export function setThreshold(value) {
  $("threshold").value = value;
  showThreshold();
}

export function showThreshold() {
  const { answer } = state.asked;
  const value = Number($("threshold").value);
  const nearest = answer.matches[0];
  const calibrated = answer.threshold;
  $("threshold-value").textContent = value.toFixed(3);
  const accepted = answer.matches.filter((match) => match.distance < value);
  $("threshold-says").textContent = !accepted.length
    ? `At ${value.toFixed(3)}: unknown.`
    : `At ${value.toFixed(3)}: known, ${nearest.identity}` +
      (accepted.length > 1 ? ` (${accepted.length} people are nearer than that).` : ".");
  $("threshold-rate").textContent = rateAt(value);
  $("threshold-reset").hidden = calibrated == null;
  $("threshold-reset").disabled = calibrated != null && Math.abs(value - calibrated) < 0.0005;
  $("threshold-keep").hidden = !mayChange("admin");
  drawStrip(value);
}

// The false accept rate of a threshold among this gallery's people; between the points of its law, along the line.
export function rateAt(value) {
  if (state.asked && state.asked.answer.basis === "encoder threshold") return encoderRateAt(value);
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
  const base = state.about.impostors ? ` of ${state.about.impostors.toLocaleString()} strangers in the calibration` : " in the calibration";
  if (!curve.length) return "The false-alarm rate is not known: the encoder is not calibrated.";
  if (curve.length === 1) {
    const [only] = curve;
    return `False alarms: ${percent(only.far)}${base} at ${only.threshold.toFixed(3)}; not known elsewhere.`;
  }
  const first = curve[0];
  const last = curve[curve.length - 1];
  if (value < first.threshold) return `False alarms: at most ${percent(first.far)}${base}.`;
  if (value > last.threshold) return `False alarms: at least ${percent(last.far)}${base}.`;
  const after = Math.max(1, curve.findIndex((point) => point.threshold >= value));
  const [a, b] = [curve[after - 1], curve[after]];
  const share = b.threshold > a.threshold ? (value - a.threshold) / (b.threshold - a.threshold) : 1;
  const along = (name) => a[name] + share * (b[name] - a[name]);
  const found = a.dir == null || b.dir == null ? "" : `; ${percent(along("dir"))} of enrolled people recognised`;
  return `False alarms: about ${percent(along("far"))}${base}${found}.`;
}

export function drawStrip(value) {
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
