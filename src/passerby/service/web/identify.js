// Who is this? Pictures in, candidates and a verdict out, and what the operator decides.

import { Problem, attempt, call } from "./api.js";
import { field, openDialog } from "./dialog.js";
import { $, make, say } from "./dom.js";
import { count, isoTime, places, when } from "./format.js";
import { refreshAbout } from "./session.js";
import { mayChange, state } from "./state.js";
import { setThreshold } from "./threshold.js";
import { picture } from "./thumbnails.js";

export const WORDS = {
  known: ["✓", "Known"],
  unknown: ["✕", "Unknown"],
  look: ["?", "Look at it"],
  uncalibrated: ["–", "No threshold"],
};
export const NEAR = { known: ["✓", "Near enough"], unknown: ["✕", "Too far"], look: WORDS.look, uncalibrated: WORDS.uncalibrated };

export function choose(files) {
  for (const { url } of state.pictures) URL.revokeObjectURL(url);
  state.pictures = [...files].map((file) => ({ file, url: URL.createObjectURL(file) }));
  $("previews").replaceChildren(
    ...state.pictures.map(({ file, url }, index) =>
      make(
        "li",
        {},
        make("img", { src: url, alt: `Chosen picture ${index + 1}: ${file.name}` }),
        make(
          "button",
          { type: "button", "aria-label": `Leave out picture ${index + 1}`, onclick: () => leaveOut(index) },
          "×",
        ),
      ),
    ),
  );
}

export function leaveOut(index) {
  choose(state.pictures.map(({ file }) => file).filter((_, i) => i !== index));
  $("pictures").focus();
}

export function formWith(files, fields) {
  const form = new FormData();
  for (const file of files) form.append("images", file, "picture");
  for (const [name, value] of Object.entries(fields)) if (value !== "" && value != null) form.append(name, value);
  return form;
}

export async function ask() {
  const files = state.pictures.map(({ file }) => file);
  if (!files.length) {
    say("Choose a picture first.", "look");
    $("pictures").focus();
    return;
  }
  const given = { camera: $("camera").value.trim(), time: isoTime($("taken").value) };
  const form = formWith(files, { camera: given.camera, exclude_camera: $("exclude").checked, top: 10 });
  $("ask-button").disabled = true;
  const answer = await attempt(() => call("/v1/identify", { form }));
  const kind = given.camera && $("exclude").checked ? "identify" : "observe";
  if (answer) state.calibration = await attempt(() => call(`/v1/calibration?kind=${kind}`));
  $("ask-button").disabled = false;
  if (!answer) return;
  state.asked = { answer, files, ...given };
  showAnswer();
}

export function showAnswer() {
  const { answer } = state.asked;
  $("answer").hidden = false;
  const [sign, word] = WORDS[answer.verdict];
  const nearest = answer.matches[0];
  const named = nearest && answer.verdict !== "unknown" && answer.verdict !== "uncalibrated";
  $("verdict").className = answer.verdict;
  $("verdict").textContent = `${sign} ${word}${named ? `: ${nearest.identity}` : ""}`;
  $("verdict-why").textContent = explain(answer);
  const limit = answer.threshold ?? 1;
  const farthest = Math.max(0, ...answer.matches.map((match) => match.distance));
  $("threshold").max = Math.min(2, Math.max(0.01, 2 * limit, 1.1 * farthest)).toFixed(3);
  $("candidates").replaceChildren(...answer.matches.map(candidate));
  $("no-candidates").hidden = answer.matches.length > 0;
  $("enrol-button").hidden = !mayChange();
  setThreshold(limit);
  $("verdict").focus();
}

export function explain(answer) {
  const compared =
    `${count(answer.considered, "sighting", "sightings")} compared` +
    (answer.excluded ? `, ${answer.excluded.toLocaleString()} left out by the filters.` : ".");
  const nearest = answer.matches[0];
  if (!nearest) return `Nobody to compare with. ${compared}`;
  const distance = nearest.distance.toFixed(3);
  if (answer.threshold == null) return `The nearest is at ${distance}, but ${answer.note}. ${compared}`;
  const [low, high] = answer.band.map((end) => end.toFixed(3));
  const where = {
    known: `below ${low}, clearly under the threshold of ${answer.threshold.toFixed(3)}`,
    look: `between ${low} and ${high}, too near the threshold of ${answer.threshold.toFixed(3)} to decide alone`,
    unknown: `not below ${high}; the threshold is ${answer.threshold.toFixed(3)}`,
  }[answer.verdict];
  return `The nearest, ${nearest.identity}, is at ${distance}: ${where}. ${compared}`;
}

export function candidate(match) {
  const [sign, word] = NEAR[match.verdict];
  const row = make(
    "li",
    {},
    make("span", { class: "rank" }, `${match.rank}`),
    picture(match.observation, `Stored picture of ${match.identity}`),
    make(
      "div",
      {},
      make("a", { class: "name", href: `#people/${encodeURIComponent(match.identity)}` }, match.identity),
      make(
        "div",
        { class: "distance" },
        `distance ${match.distance.toFixed(4)} `,
        make("span", { class: `chip ${match.verdict}` }, `${sign} ${word}`),
      ),
      make("div", { class: "quiet" }, `${places(match.camera)}, ${when(match.time)}`),
    ),
  );
  if (mayChange()) {
    const name = match.identity;
    row.append(
      make(
        "div",
        { class: "actions" },
        make("button", { type: "button", "aria-label": `Confirm ${name}`, onclick: () => confirmMatch(match) }, "Confirm…"),
        make("button", { type: "button", "aria-label": `Reject ${name}`, onclick: () => rejectMatch(match, row) }, "Reject"),
      ),
    );
  }
  return row;
}

export const decide = (match, decision) =>
  call("/v1/decide", {
    json: { identity: match.identity, decision, request: state.asked.answer.request, distance: Math.min(2, match.distance) },
  });

export function confirmMatch(match) {
  const { files, camera, time } = state.asked;
  const add = make("input", { type: "checkbox", id: "confirm-add" });
  openDialog({
    title: `It is ${match.identity}`,
    body: [
      make("p", {}, "Your decision stands in the audit."),
      make(
        "p",
        { class: "check" },
        add,
        make("label", { for: "confirm-add" }, `Also add ${count(files.length, "this picture", "these pictures")} to ${match.identity}`),
      ),
    ],
    ok: "Confirm",
    run: async () => {
      await decide(match, "confirm");
      if (add.checked) await call("/v1/enroll", { form: formWith(files, { identity: match.identity, camera, time }) });
      await refreshAbout();
      say(`Confirmed: ${match.identity}.`);
    },
  });
}

export async function rejectMatch(match, row) {
  await attempt(async () => {
    await decide(match, "reject");
    row.classList.add("rejected");
    row.querySelector(".actions").replaceChildren("Rejected");
    say(`Noted: it is not ${match.identity}.`);
  });
}

export function enrolNew() {
  const { files, camera, time } = state.asked;
  const name = field("Name", make("input", { required: true, maxlength: 200, autocomplete: "off" }));
  const notes = field("Notes", make("textarea", { rows: 2, maxlength: 4000 }));
  const consent = field("Consent: what there is, and where it is written down", make("input", { maxlength: 4000 }));
  const expires = field("Forget on", make("input", { type: "date" }));
  openDialog({
    title: "Enrol as a new person",
    body: [name.box, notes.box, consent.box, expires.box],
    ok: "Enrol",
    run: async () => {
      const identity = name.input.value.trim();
      if (await exists(identity)) throw new Problem(400, `There is a person ${identity} already; confirm that candidate instead.`);
      const given = { notes: notes.input.value, consent: consent.input.value, expires: expires.input.value };
      await call("/v1/enroll", { form: formWith(files, { identity, camera, time, ...given }) });
      await refreshAbout();
      say(`Enrolled: ${identity}.`);
    },
  });
}

export async function exists(name) {
  try {
    await call("/v1/identity", { query: { name } });
    return true;
  } catch (problem) {
    if (problem.status === 404) return false;
    throw problem;
  }
}

document.addEventListener("signed-out", () => choose([]));
