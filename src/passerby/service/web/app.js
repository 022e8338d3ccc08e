// The operator's page. Everything shown comes from the API of the same service; the key stays in this tab.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const WORDS = {
  known: ["✓", "Known"],
  unknown: ["✕", "Unknown"],
  look: ["?", "Look at it"],
  uncalibrated: ["–", "No threshold"],
};
const NEAR = { known: ["✓", "Near enough"], unknown: ["✕", "Too far"], look: WORDS.look, uncalibrated: WORDS.uncalibrated };
const UNDOABLE = new Set(["enroll", "observe", "merge", "split", "update", "threshold"]);

let about = null; // GET /v1/gallery
let pictures = []; // [{file, url}] chosen for the next question
let asked = null; // {answer, files, camera, time}: what the shown answer is about
let people = { offset: 0, total: 0 };
let person = null; // name of the person shown
const shots = new Map(); // observation -> Promise of an object URL

// -- small tools -------------------------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text != null) element.textContent = text;
  return element;
}

function say(text, kind = "known") {
  const line = make("p", { class: kind, role: kind === "unknown" ? "alert" : null }, text);
  $("messages").append(line);
  setTimeout(() => line.remove(), kind === "unknown" ? 12000 : 5000);
}

// Seconds as a local date where they look like seconds since 1970 (after 1990), else as a number.
function when(seconds) {
  if (seconds == null) return "time not known";
  if (seconds < 631152000 || seconds > 253402300800) return `${seconds} s`;
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

const places = (camera) => (camera == null ? "camera not known" : `camera ${camera}`);
const count = (n, one, many) => `${n.toLocaleString()} ${n === 1 ? one : many}`;
const percent = (share) => `${(share * 100).toPrecision(2).replace(/\.0+$/, "")} %`;
const isoTime = (local) => (local ? new Date(local).toISOString() : "");
const may = (role) => about && ["read", "write", "admin"].indexOf(about.role) >= ["read", "write", "admin"].indexOf(role);
const mayChange = (role = "write") => may(role) && !about.read_only;

// -- API ---------------------------------------------------------------------------------------------------------

const key = () => sessionStorage.getItem("passerby-key");

class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function call(path, { json, form, query, blob = false } = {}) {
  const url = query ? `${path}?${new URLSearchParams(query)}` : path;
  const headers = { Authorization: `Bearer ${key()}` };
  if (json) headers["Content-Type"] = "application/json";
  const body = json ? JSON.stringify(json) : form;
  let response;
  try {
    response = await fetch(url, { method: body ? "POST" : "GET", headers, body, cache: "no-store" });
  } catch {
    throw new Problem(0, "The service does not answer.");
  }
  if (response.ok) return blob ? response.blob() : response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({}));
  const wait = response.headers.get("Retry-After");
  const detail = (problem.detail || `The service answered ${response.status}.`) + (wait ? ` Try again in ${wait} s.` : "");
  throw new Problem(response.status, detail);
}

// Run something that talks to the service; what goes wrong is said, not swallowed.
async function attempt(task) {
  document.body.classList.add("busy");
  try {
    return await task();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) signOut();
    say(problem.message, "unknown");
  } finally {
    document.body.classList.remove("busy");
  }
}

function shot(observation) {
  if (!shots.has(observation)) {
    shots.set(observation, call(`/v1/thumbnails/${observation}`, { blob: true }).then(URL.createObjectURL, () => null));
  }
  return shots.get(observation);
}

function forgetShots() {
  for (const url of shots.values()) url.then((made) => made && URL.revokeObjectURL(made));
  shots.clear();
}

function picture(observation, alternative) {
  const frame = make("span", { class: "shot" }, "no picture");
  shot(observation).then((url) => url && frame.replaceWith(make("img", { class: "shot", src: url, alt: alternative })));
  return frame;
}

// -- signing in, views ---------------------------------------------------------------------------------------------

function takeKeyFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!found) return;
  sessionStorage.setItem("passerby-key", found);
  history.replaceState(null, "", "/");
}

function signOut() {
  sessionStorage.removeItem("passerby-key");
  about = asked = person = null;
  forgetShots();
  for (const id of ["candidates", "people-list", "sightings", "audit-log", "person-log", "gallery-line", "caller-line"]) {
    $(id).replaceChildren();
  }
  $("answer").hidden = $("person").hidden = $("sign-out").hidden = $("audit-link").hidden = true;
  choose([]);
  show();
}

async function refreshAbout() {
  about = await call("/v1/gallery");
  $("gallery-line").textContent =
    `${count(about.identities, "person", "people")}, ${count(about.observations, "sighting", "sightings")}`;
  $("caller-line").textContent = `${about.caller} (${about.role}${about.read_only ? ", read-only gallery" : ""})`;
  $("sign-out").hidden = false;
  $("audit-link").hidden = !may("admin");
}

const VIEWS = { identify: () => {}, people: loadPeople, audit: loadAudit };

function show({ focus = true } = {}) {
  const wanted = location.hash.slice(1).split("/")[0];
  const name = !about ? "sign-in" : wanted === "audit" && !may("admin") ? "identify" : wanted in VIEWS ? wanted : "identify";
  for (const view of ["sign-in", ...Object.keys(VIEWS)]) $(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.querySelector("nav").hidden = !about;
  document.title = `${$(`${name}-title`).textContent} – passerby`;
  if (focus) $(name === "sign-in" ? "key" : `${name}-title`).focus();
  if (about) attempt(VIEWS[name]);
}

async function enter(options) {
  await attempt(refreshAbout);
  show(options);
}

// -- asking --------------------------------------------------------------------------------------------------------

function choose(files) {
  for (const { url } of pictures) URL.revokeObjectURL(url);
  pictures = [...files].map((file) => ({ file, url: URL.createObjectURL(file) }));
  $("previews").replaceChildren(
    ...pictures.map(({ file, url }, index) =>
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

function leaveOut(index) {
  choose(pictures.map(({ file }) => file).filter((_, i) => i !== index));
  $("pictures").focus();
}

function formWith(files, fields) {
  const form = new FormData();
  for (const file of files) form.append("images", file, "picture");
  for (const [name, value] of Object.entries(fields)) if (value !== "" && value != null) form.append(name, value);
  return form;
}

async function ask() {
  const files = pictures.map(({ file }) => file);
  if (!files.length) {
    say("Choose a picture first.", "look");
    $("pictures").focus();
    return;
  }
  const told = { camera: $("camera").value.trim(), time: isoTime($("taken").value) };
  const form = formWith(files, { camera: told.camera, exclude_camera: $("exclude").checked, top: 10 });
  $("ask-button").disabled = true;
  const answer = await attempt(() => call("/v1/identify", { form }));
  $("ask-button").disabled = false;
  if (!answer) return;
  asked = { answer, files, ...told };
  showAnswer();
}

function showAnswer() {
  const { answer } = asked;
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

function explain(answer) {
  const compared =
    `${count(answer.considered, "sighting", "sightings")} compared` +
    (answer.excluded ? `, ${answer.excluded.toLocaleString()} left out by the filters.` : ".");
  const nearest = answer.matches[0];
  if (!nearest) return `Nobody to compare with. ${compared}`;
  const distance = nearest.distance.toFixed(3);
  if (answer.threshold == null) return `The nearest is at ${distance}, but no threshold is calibrated. ${compared}`;
  const [low, high] = answer.band.map((end) => end.toFixed(3));
  const where = {
    known: `below ${low}, clearly under the threshold of ${answer.threshold.toFixed(3)}`,
    look: `between ${low} and ${high}, too near the threshold of ${answer.threshold.toFixed(3)} to decide alone`,
    unknown: `not below ${high}; the threshold is ${answer.threshold.toFixed(3)}`,
  }[answer.verdict];
  return `The nearest, ${nearest.identity}, is at ${distance}: ${where}. ${compared}`;
}

function candidate(match) {
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

const decide = (match, decision) =>
  call("/v1/decide", {
    json: { identity: match.identity, decision, request: asked.answer.request, distance: Math.min(2, match.distance) },
  });

function confirmMatch(match) {
  const { files, camera, time } = asked;
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

async function rejectMatch(match, row) {
  await attempt(async () => {
    await decide(match, "reject");
    row.classList.add("rejected");
    row.querySelector(".actions").replaceChildren("Rejected");
    say(`Noted: it is not ${match.identity}.`);
  });
}

function enrolNew() {
  const { files, camera, time } = asked;
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
      const told = { notes: notes.input.value, consent: consent.input.value, expires: expires.input.value };
      await call("/v1/enroll", { form: formWith(files, { identity, camera, time, ...told }) });
      await refreshAbout();
      say(`Enrolled: ${identity}.`);
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

// -- threshold -----------------------------------------------------------------------------------------------------

function setThreshold(value) {
  $("threshold").value = value;
  showThreshold();
}

function showThreshold() {
  const { answer } = asked;
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

// The false-alarm rate at a threshold, from the calibration's curve; between its points, along the line.
function rateAt(value) {
  const curve = about.curve;
  const base = about.impostors ? ` of ${about.impostors.toLocaleString()} strangers in the calibration` : " in the calibration";
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

function drawStrip(value) {
  const { answer } = asked;
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

function keepThreshold() {
  const threshold = Number($("threshold").value);
  openDialog({
    title: `Use ${threshold.toFixed(3)} as the gallery's threshold?`,
    body: [make("p", {}, `It decides for everybody who asks, from now on. ${rateAt(threshold)} It can be undone in the audit.`)],
    ok: "Use it",
    run: async () => {
      about = await call("/v1/threshold", { json: { threshold } });
      say("The gallery has a new threshold; ask again to see its verdict.");
    },
  });
}

// -- people --------------------------------------------------------------------------------------------------------

async function loadPeople() {
  people.offset = 0;
  await morePeople(true);
  const wanted = location.hash.slice(1).split("/")[1];
  if (wanted) await showPerson(decodeURIComponent(wanted));
  else $("person").hidden = true;
}

async function morePeople(fresh = false) {
  const found = await call("/v1/identities", { query: { search: $("search").value.trim(), offset: people.offset, limit: 100 } });
  const rows = found.identities.map((identity) =>
    make(
      "li",
      {},
      make(
        "button",
        { type: "button", "data-name": identity.name, onclick: () => (location.hash = `#people/${encodeURIComponent(identity.name)}`) },
        make("span", { class: "name" }, identity.name),
        make("span", { class: "quiet" }, count(identity.observations, "sighting", "sightings")),
        make("span", { class: "quiet" }, identity.last_seen == null ? "" : when(identity.last_seen)),
      ),
    ),
  );
  if (fresh) $("people-list").replaceChildren(...rows);
  else $("people-list").append(...rows);
  people = { offset: people.offset + rows.length, total: found.total };
  $("people-count").textContent = count(found.total, "person", "people");
  $("more-people").hidden = people.offset >= found.total;
  const cameras = [...new Set(found.identities.flatMap((identity) => identity.cameras))].sort();
  $("cameras").replaceChildren(...cameras.map((camera) => make("option", { value: camera })));
}

async function showPerson(name) {
  const [details, log] = await Promise.all([
    call("/v1/identity", { query: { name } }),
    call("/v1/history", { query: { identity: name, limit: 50 } }),
  ]);
  person = details.identity.name;
  for (const button of document.querySelectorAll("#people-list button")) {
    if (button.dataset.name === person) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  $("person").hidden = false;
  $("person-name").textContent = person;
  showActions(details.identity);
  showFacts(details.identity);
  drawTimeline(details.sightings);
  const newest = [...details.sightings].sort((a, b) => (b.time ?? -1) - (a.time ?? -1) || b.observation - a.observation);
  $("sightings").replaceChildren(
    ...newest.slice(0, 200).map((sighting) =>
      make(
        "li",
        {},
        picture(sighting.observation, `${person}, ${places(sighting.camera)}`),
        make("div", {}, places(sighting.camera)),
        make("div", { class: "quiet" }, when(sighting.time)),
      ),
    ),
  );
  $("person-log").replaceChildren(logTable(log.events, () => showPerson(person)));
  $("person-name").focus();
}

function showActions(identity) {
  const button = (text, run, kind = "") => make("button", { type: "button", class: kind, onclick: run }, text);
  const buttons = [];
  if (mayChange()) buttons.push(button("Edit…", () => editPerson(identity)), button("Merge into…", () => mergePerson(identity)));
  if (mayChange("admin")) buttons.push(button("Forget…", () => forgetPerson(identity), "danger"));
  $("person-actions").replaceChildren(...buttons);
}

function showFacts(identity) {
  const facts = [
    ["Sightings", identity.observations.toLocaleString()],
    ["Cameras", identity.cameras.join(", ") || "not known"],
    ["First seen", when(identity.first_seen)],
    ["Last seen", when(identity.last_seen)],
    ["Enrolled", when(identity.created)],
    ["Also called", identity.aliases.join(", ")],
    ["Notes", identity.notes],
    ["Consent", identity.consent || "none noted"],
    ["Forget on", identity.expires == null ? "no date" : new Date(identity.expires * 1000).toLocaleDateString()],
  ];
  $("person-facts").replaceChildren(
    ...facts.filter(([, text]) => text).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]),
  );
}

// One lane for each camera, time to the right. The list under it says the same in words.
function drawTimeline(sightings) {
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

function editPerson(identity) {
  const name = field("Name", make("input", { required: true, maxlength: 200, value: identity.name, autocomplete: "off" }));
  const notes = field("Notes", make("textarea", { rows: 3, maxlength: 4000 }));
  notes.input.value = identity.notes;
  const consent = field("Consent", make("input", { maxlength: 4000, value: identity.consent }));
  const date = identity.expires == null ? "" : new Date(identity.expires * 1000).toISOString().slice(0, 10);
  const expires = field("Forget on (empty: no date)", make("input", { type: "date", value: date }));
  openDialog({
    title: `Edit ${identity.name}`,
    body: [name.box, notes.box, consent.box, expires.box],
    ok: "Save",
    run: async () => {
      const json = { identity: identity.name, notes: notes.input.value, consent: consent.input.value };
      if (name.input.value.trim() !== identity.name) json.name = name.input.value.trim();
      if (expires.input.value !== date) json.expires = expires.input.value || "never";
      const changed = await call("/v1/update", { json });
      say("Saved.");
      goToPerson(changed.name);
    },
  });
}

function mergePerson(identity) {
  const into = field("Into", make("input", { required: true, maxlength: 200, autocomplete: "off" }));
  openDialog({
    title: `${identity.name} is somebody else we know`,
    body: [
      make("p", {}, `All sightings of ${identity.name} go to the person you name. It can be undone.`),
      into.box,
    ],
    ok: "Merge",
    run: async () => {
      const changed = await call("/v1/merge", { json: { into: into.input.value.trim(), other: identity.name } });
      await refreshAbout();
      say(`Merged into ${changed.name}.`);
      goToPerson(changed.name);
    },
  });
}

function forgetPerson(identity) {
  const repeat = field(`Type the name (${identity.name}) to confirm`, make("input", { required: true, autocomplete: "off" }));
  openDialog({
    title: `Forget ${identity.name}?`,
    body: [
      make("p", {}, `Vectors, pictures, name and notes of ${count(identity.observations, "sighting", "sightings")} are erased. This cannot be undone.`),
      repeat.box,
    ],
    ok: "Forget for good",
    danger: true,
    run: async () => {
      const gone = await call("/v1/forget", { json: { identity: identity.name, confirm: repeat.input.value } });
      forgetShots();
      if (asked && asked.answer.matches.some((match) => match.identity === identity.name)) {
        asked = null;
        $("answer").hidden = true;
      }
      await refreshAbout();
      say(`Forgotten: ${count(gone.observations, "sighting", "sightings")} erased.${gone.pending ? ` Pending: ${gone.pending}` : ""}`);
      person = null;
      location.hash = "#people";
    },
  });
}

function goToPerson(name) {
  const hash = `#people/${encodeURIComponent(name)}`;
  if (location.hash === hash) attempt(loadPeople);
  else location.hash = hash;
}

// -- audit ---------------------------------------------------------------------------------------------------------

async function loadAudit() {
  const log = await call("/v1/history", { query: { limit: 500 } });
  $("audit-log").replaceChildren(logTable(log.events, loadAudit));
}

function logTable(events, reload) {
  const titles = ["When", "Who", "Did", "Whom", "Details", ""].map((title) => make("th", { scope: "col" }, title || hiddenText("Undo")));
  const rows = events.map((event) => {
    const detail = Object.entries(event.detail)
      .filter(([, value]) => value != null)
      .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`)
      .join(", ");
    const undo =
      mayChange() && UNDOABLE.has(event.action) && !event.undone
        ? make("button", { type: "button", "aria-label": `Undo ${event.action} of ${when(event.at)}`, onclick: () => undoEvent(event, reload) }, "Undo")
        : null;
    return make(
      "tr",
      { class: event.undone ? "undone" : null },
      make("td", { class: "time" }, when(event.at)),
      make("td", {}, event.actor || "–"),
      make("td", {}, event.action),
      make("td", { class: "free" }, event.identity ?? "–"),
      make("td", { class: "free" }, detail),
      make("td", { class: "keep" }, event.undone ? "undone" : undo),
    );
  });
  return make("table", {}, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
}

const hiddenText = (text) => make("span", { class: "skip" }, text);

function undoEvent(event, reload) {
  openDialog({
    title: `Undo "${event.action}"?`,
    body: [make("p", {}, `${event.actor || "Somebody"}, ${when(event.at)}${event.identity ? `: ${event.identity}` : ""}.`)],
    ok: "Undo",
    run: async () => {
      await call("/v1/undo", { json: { event: event.id } });
      await refreshAbout();
      say("Undone.");
      await reload().catch(() => (location.hash = "#people")); // the person may be gone with the change
    },
  });
}

// -- dialog --------------------------------------------------------------------------------------------------------

let fields = 0;

function field(text, input) {
  fields += 1;
  input.id = `field-${fields}`;
  return { input, box: make("div", { class: "field" }, make("label", { for: input.id }, text), input) };
}

let onOk = null;

function openDialog({ title, body, ok, run, danger = false }) {
  $("dialog-title").textContent = title;
  $("dialog-body").replaceChildren(...body);
  $("dialog-error").textContent = "";
  $("dialog-ok").textContent = ok;
  $("dialog-ok").className = danger ? "primary danger" : "primary";
  onOk = run;
  $("dialog").showModal();
  const first = $("dialog-body").querySelector("input, textarea");
  (first ?? $("dialog-cancel")).focus();
}

async function dialogOk(event) {
  event.preventDefault();
  $("dialog-ok").disabled = true;
  try {
    await onOk();
    $("dialog").close();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    $("dialog-error").textContent = problem.message;
  } finally {
    $("dialog-ok").disabled = false;
  }
}

// -- wiring --------------------------------------------------------------------------------------------------------

function wire() {
  $("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("passerby-key", $("key").value.trim());
    $("key").value = "";
    enter();
  });
  $("sign-out").addEventListener("click", signOut);
  window.addEventListener("hashchange", () => show());

  $("pictures").addEventListener("change", (event) => choose(event.target.files));
  const drop = $("view-identify");
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
  drop.addEventListener("dragleave", () => $("drop").classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    choose(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (files.length && !$("view-identify").hidden) choose(files);
  });
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  $("threshold").addEventListener("input", showThreshold);
  $("threshold-reset").addEventListener("click", () => setThreshold(asked.answer.threshold));
  $("threshold-keep").addEventListener("click", keepThreshold);
  $("enrol-button").addEventListener("click", enrolNew);

  let typing = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => attempt(() => ((people.offset = 0), morePeople(true))), 200);
  });
  $("search-form").addEventListener("submit", (event) => event.preventDefault());
  $("more-people").addEventListener("click", () => attempt(morePeople));
  $("audit-refresh").addEventListener("click", () => attempt(loadAudit));

  $("dialog-form").addEventListener("submit", dialogOk);
  $("dialog-cancel").addEventListener("click", () => $("dialog").close());
}

wire();
takeKeyFromAddress();
if (key()) enter({ focus: false });
else show({ focus: false });
