// What the person at the page decides about an answer: it is this candidate, it is not, or it is somebody new.

import { Problem, attempt, call } from "./api.js";
import { field, openDialog } from "./dialog.js";
import { $, button, make, say } from "./dom.js";
import { count } from "./format.js";
import { formWith, select, showVerdict } from "./identify.js";
import { refreshAbout } from "./session.js";
import { mayChange, state } from "./state.js";

// What the verdict suggests comes first and stands out: confirm whom it knows, enrol whom it does not.
export function showActions(verdict) {
  if (!mayChange()) return $("answer-actions").replaceChildren();
  const { answer, chosen, decided } = state.asked;
  const match = answer.matches[chosen];
  const isNew = !match || verdict === "unknown";
  const enrol = button("Enrol as a new person…", enrolNew, { id: "enrol-button", class: isNew ? "primary" : null });
  const about =
    match && !decided.has(match.identity)
      ? [
          button(`Confirm ${match.identity}…`, () => confirmMatch(match), { class: isNew ? null : "primary" }),
          button(`Not ${match.identity}`, () => rejectMatch(match)),
        ]
      : [];
  $("answer-actions").replaceChildren(...(isNew ? [enrol, ...about] : [...about, enrol]));
}

// What has been done about this answer; it stays until there is another one.
export function showOutcome() {
  const { done } = state.asked;
  if (!done) return $("outcome").replaceChildren();
  $("outcome").replaceChildren(
    make("p", { class: "message done" }, make("span", {}, `✓ ${done.text} `), make("a", { href: `#people/${encodeURIComponent(done.identity)}` }, `See ${done.identity}`)),
  );
}

function finish(identity, text) {
  state.asked.done = { identity, text };
  showOutcome();
  showVerdict();
  say(text);
}

const decide = (match, decision) =>
  call("/v1/decide", {
    json: { identity: match.identity, decision, request: state.asked.answer.request, distance: match.distance },
  });

function confirmMatch(match) {
  const { files, camera, time } = state.asked;
  const add = make("input", { type: "checkbox", id: "confirm-add" });
  openDialog({
    title: `This is ${match.identity}`,
    body: [
      make("p", {}, "Your decision is noted in the audit."),
      make(
        "p",
        { class: "check" },
        add,
        make("label", { for: "confirm-add" }, `Also add ${count(files.length, "this picture", "these pictures")} to ${match.identity} as ${count(files.length, "template", "templates")}`),
      ),
    ],
    ok: "Confirm",
    run: async () => {
      await decide(match, "confirm");
      if (add.checked) await call("/v1/enroll", { form: formWith(files, { identity: match.identity, camera, time }) });
      await refreshAbout();
      state.asked.decided.set(match.identity, "confirm");
      finish(match.identity, `Confirmed: ${match.identity}${add.checked ? `; ${count(files.length, "template", "templates")} added` : ""}.`);
    },
  });
}

async function rejectMatch(match) {
  await attempt(async () => {
    await decide(match, "reject");
    state.asked.decided.set(match.identity, "reject");
    say(`Noted in the audit: it is not ${match.identity}.`);
    const next = state.asked.answer.matches.findIndex((one) => !state.asked.decided.has(one.identity));
    select(next < 0 ? state.asked.chosen : next);
    $("answer-actions").querySelector("button").focus();
  });
}

function enrolNew() {
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
      const made = await call("/v1/enroll", { form: formWith(files, { identity, camera, time, ...given }) });
      await refreshAbout();
      finish(identity, `Enrolled: ${identity}, with ${count(made.observations.length, "template", "templates")}.`);
    },
  });
}

async function exists(name) {
  try {
    await call("/v1/identity", { query: { name } });
    return true;
  } catch (problem) {
    if (problem.status === 404) return false;
    throw problem;
  }
}
