// Who is this? Pictures in; a verdict, the probe beside a candidate, and all candidates out.

import { attempt, call } from "./api.js";
import { showActions, showOutcome } from "./decisions.js";
import { $, button, chip, make, say } from "./dom.js";
import { isoTime, moment, places, when } from "./format.js";
import { clearAnswer } from "./probe.js";
import { state } from "./state.js";
import { resetThreshold, tried } from "./threshold.js";
import { enlarging, ofObservation, picture } from "./thumbnails.js";
import { basis, compared, explain, headline, inWords, mark, verdictAt } from "./verdict.js";

const OTHERS = 6;

export function formWith(files, fields) {
  const form = new FormData();
  for (const file of files) form.append("images", file, "picture");
  for (const [name, value] of Object.entries(fields)) if (value !== "" && value != null) form.append(name, value);
  return form;
}

export async function ask() {
  const files = state.pictures.map(({ file }) => file);
  if (!files.length) {
    say("Choose a picture first.", "note");
    $("pictures").focus();
    return;
  }
  clearAnswer();
  const given = { camera: $("camera").value.trim(), time: isoTime($("taken").value) };
  const form = formWith(files, { camera: given.camera, exclude_camera: $("exclude").checked, top: 10 });
  const kind = given.camera && $("exclude").checked ? "identify" : "observe";
  $("ask-button").disabled = true;
  const answer = await attempt(() => call("/v1/identify", { form }));
  if (answer) state.calibration = await attempt(() => call("/v1/calibration", { query: { kind } }));
  $("ask-button").disabled = false;
  const same = files.length === state.pictures.length && files.every((file, i) => file === state.pictures[i].file);
  if (!answer || !same) return; // others were chosen meanwhile
  state.asked = { answer, files, urls: state.pictures.map(({ url }) => url), ...given, chosen: 0, decided: new Map() };
  $("answer").hidden = false;
  $("answer-none").hidden = true;
  $("candidates").replaceChildren(...answer.matches.map(candidate));
  $("candidates-box").hidden = !answer.matches.length;
  resetThreshold();
  select(0);
  $("verdict").focus();
}

// Headline, reasons and marks, all by the threshold that is in force or being tried.
export function showVerdict() {
  const { answer } = state.asked;
  const limit = tried() ?? answer.threshold;
  const nearest = answer.matches[0];
  const verdict = nearest ? (tried() == null ? answer.verdict : verdictAt(nearest.distance, limit, answer)) : "unknown";
  $("verdict").className = `verdict ${verdict}`;
  $("verdict").textContent = headline(verdict, nearest);
  $("verdict-trial").hidden = tried() == null;
  $("verdict-trial").textContent = tried() == null ? "" : `This is what a threshold of ${limit.toFixed(3)} would say; it is not in force.`;
  $("verdict-why").textContent = explain(verdict, limit, answer);
  $("verdict-p").textContent = nearest ? inWords(answer.p_value) : "";
  showActions(verdict);
  $("verdict-basis").textContent = `Rests on: ${basis(answer)}. Compared with ${compared(answer)}.`;
  answer.matches.forEach((match, index) => {
    const own = tried() == null ? match.verdict : verdictAt(match.distance, limit, answer);
    const decided = state.asked.decided.get(match.identity);
    $("candidates").children[index].querySelector(".chip").replaceWith(
      decided ? chip(decided === "confirm" ? "done" : "plain", decided === "confirm" ? "✓ Confirmed" : "✕ Not this person") : chip(own, mark(own)),
    );
  });
}

function candidate(match, index) {
  return make(
    "li",
    {},
    make(
      "button",
      { type: "button", class: "candidate", "aria-label": `Compare with ${match.identity}, rank ${match.rank}`, onclick: () => select(index) },
      make("span", { class: "rank" }, `${match.rank}`),
      picture(ofObservation(match.observation), "", { plain: true }),
      make(
        "span",
        { class: "about" },
        make("span", { class: "name" }, match.identity),
        make("span", { class: "distance" }, `distance ${match.distance.toFixed(3)}`),
        chip(match.verdict, mark(match.verdict)),
        make("span", { class: "quiet" }, `${places(match.camera)}, ${when(match.time)}`),
      ),
    ),
  );
}

// Show one candidate beside the probe.
export function select(index) {
  const { answer, urls, camera, time } = state.asked;
  state.asked.chosen = index;
  [...$("candidates").children].forEach((row, i) => row.firstChild.setAttribute("aria-current", String(i === index)));
  const match = answer.matches[index];
  const probe = make(
    "figure",
    {},
    make("figcaption", {}, make("strong", {}, "Probe"), make("span", { class: "quiet" }, places(camera || null), time ? ", " : null, time ? moment(Date.parse(time) / 1000) : null)),
    make("div", { class: "frames" }, ...urls.map((url, i) => enlarging(make("img", { src: url, alt: `Probe, picture ${i + 1}` })))),
  );
  $("compare").replaceChildren(...[probe, match && candidateBeside(match, index)].filter(Boolean));
  showOutcome();
  showVerdict();
  if (match) attempt(() => showOthers(match));
}

function candidateBeside(match, index) {
  const { matches } = state.asked.answer;
  const step = (text, label, to) =>
    button(text, () => (select(to), $("compare").querySelector(`[aria-label="${label}"]`).focus()), { "aria-label": label, disabled: !matches[to] });
  const title = make("a", { href: `#people/${encodeURIComponent(match.identity)}` }, match.identity);
  return make(
    "figure",
    {},
    make(
      "figcaption",
      {},
      make("strong", {}, `Candidate ${match.rank} of ${matches.length}: `, title),
      make("span", { class: "quiet" }, `distance ${match.distance.toFixed(3)}, ${places(match.camera)}, `, moment(match.time)),
      matches.length > 1 ? make("span", { class: "actions steps" }, step("‹", "Nearer candidate", index - 1), step("›", "Next candidate", index + 1)) : null,
    ),
    make("div", { class: "frames" }, picture(ofObservation(match.observation), `Candidate ${match.rank}: ${match.identity}`)),
    make("div", { id: "others" }),
  );
}

// What else is stored of the candidate, to compare with.
async function showOthers(match) {
  const { sightings } = await call("/v1/identity", { query: { name: match.identity } });
  const others = sightings.filter((one) => one.observation !== match.observation).reverse();
  if (!others.length || state.asked?.answer.matches[state.asked.chosen] !== match) return;
  $("others").replaceChildren(
    make("p", { class: "quiet" }, `Other templates of ${match.identity} (${others.length.toLocaleString()})`),
    make("div", { class: "frames small" }, ...others.slice(0, OTHERS).map((one) =>
      picture(ofObservation(one.observation), `${match.identity}, template, ${places(one.camera)}, ${when(one.time)}`))),
  );
}

document.addEventListener("threshold", showVerdict);
