// When and where somebody was seen.

import { $, draw, make } from "./dom.js";
import { count, when } from "./format.js";

// One lane for each camera, time to the right. The list under it says the same in words.
export function drawTimeline(sightings) {
  const timed = sightings.filter((sighting) => sighting.time != null);
  if (!timed.length) {
    $("timeline").replaceChildren(make("p", { class: "quiet" }, "No sighting has a time."));
    return;
  }
  const lanes = [...new Set(timed.map((sighting) => sighting.camera ?? "?"))].sort();
  const times = timed.map((sighting) => sighting.time);
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const height = 28 * lanes.length + 24;
  const x = (time) => (to > from ? 130 + (640 * (time - from)) / (to - from) : 450);
  const y = (camera) => 16 + 28 * lanes.indexOf(camera ?? "?");
  const label = `${count(timed.length, "sighting", "sightings")} by ${count(lanes.length, "camera", "cameras")}, from ${when(from)} to ${when(to)}`;
  const svg = draw("svg", { viewBox: `0 0 800 ${height}`, role: "img", "aria-label": label });
  for (const lane of lanes) {
    svg.append(draw("line", { class: "lane", x1: 130, x2: 770, y1: y(lane), y2: y(lane) }));
    svg.append(draw("text", { x: 118, y: y(lane) + 4, "text-anchor": "end" }, lane.length > 16 ? `${lane.slice(0, 15)}…` : lane));
  }
  for (const sighting of timed) svg.append(draw("circle", { class: "dot", cx: x(sighting.time), cy: y(sighting.camera), r: 6 }));
  svg.append(draw("text", { x: 130, y: height - 4 }, when(from)));
  if (to > from) svg.append(draw("text", { x: 770, y: height - 4, "text-anchor": "end" }, when(to)));
  $("timeline").replaceChildren(svg);
}
