// When and where somebody was seen.

import { $, draw, make } from "./dom.js";
import { count, when } from "./format.js";

const [WIDTH, LEFT, RIGHT, LANE, TOP] = [800, 130, 770, 30, 16];

// One lane for each camera, time to the right: sightings are bars, templates are marks above. The lists under it say
// the same in words.
export function drawTimeline(sightings, templates) {
  const seen = sightings.filter((one) => one.start != null).map((one) => ({ camera: one.camera, from: one.start, to: one.end ?? one.start }));
  const stored = templates.filter((one) => one.time != null).map((one) => ({ camera: one.camera, from: one.time, to: one.time }));
  const all = [...seen, ...stored];
  if (!all.length) {
    $("timeline").replaceChildren(make("p", { class: "quiet" }, "No sighting and no template has a time."));
    return;
  }
  const lanes = [...new Set(all.map((one) => one.camera ?? "not known"))].sort();
  const from = Math.min(...all.map((one) => one.from));
  const to = Math.max(...all.map((one) => one.to));
  const height = TOP + LANE * lanes.length + 22;
  const x = (time) => (to > from ? LEFT + ((RIGHT - LEFT) * (time - from)) / (to - from) : (LEFT + RIGHT) / 2);
  const y = (one) => TOP + LANE * lanes.indexOf(one.camera ?? "not known");
  const label =
    `${count(seen.length, "sighting", "sightings")} and ${count(stored.length, "template", "templates")} ` +
    `of ${count(lanes.length, "camera", "cameras")}, from ${when(from)} to ${when(to)}`;
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label });
  for (const lane of lanes) {
    const at = y({ camera: lane });
    svg.append(draw("line", { class: "lane-line", x1: LEFT, x2: RIGHT, y1: at, y2: at }));
    svg.append(draw("text", { x: LEFT - 12, y: at + 4, "text-anchor": "end" }, lane.length > 16 ? `${lane.slice(0, 15)}…` : lane));
  }
  for (const one of seen) {
    const length = Math.max(8, x(one.to) - x(one.from));
    svg.append(draw("rect", { class: "seen", x: x(one.from) - 4, y: y(one) - 5, width: length, height: 10, rx: 3 }));
  }
  for (const one of stored) svg.append(draw("circle", { class: "stored", cx: x(one.from), cy: y(one), r: 6 }));
  svg.append(draw("text", { x: LEFT, y: height - 4 }, when(from)));
  if (to > from) svg.append(draw("text", { x: RIGHT, y: height - 4, "text-anchor": "end" }, when(to)));
  const legend = make("p", { class: "legend quiet" }, make("span", { class: "key seen" }), " sighting ", make("span", { class: "key stored" }), " template");
  $("timeline").replaceChildren(svg, legend);
}
