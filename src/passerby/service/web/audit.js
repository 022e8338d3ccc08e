// The log of changes and decisions: filtered, exported, undone.

import { call } from "./api.js";
import { actionInWords, detailInWords } from "./audit_words.js";
import { openDialog } from "./dialog.js";
import { $, button, hiddenText, make, say } from "./dom.js";
import { count, when } from "./format.js";
import { VIEWS, refreshAbout } from "./session.js";
import { mayChange } from "./state.js";

const MOST = 1000;
let events = [];

export async function loadAudit() {
  ({ events } = await call("/v1/history", { query: { limit: MOST } }));
  offer($("audit-action"), "All actions", [...new Set(events.map((event) => event.action))], actionInWords);
  offer($("audit-actor"), "Everybody", [...new Set(events.map((event) => event.actor).filter(Boolean))], (name) => name);
  showLog();
}

function offer(select, all, values, inWords) {
  const chosen = select.value;
  const named = values.map((value) => [value, inWords(value)]).sort((a, b) => a[1].localeCompare(b[1]));
  select.replaceChildren(make("option", { value: "" }, all), ...named.map(([value, text]) => make("option", { value }, text)));
  select.value = values.includes(chosen) ? chosen : "";
}

function filtered() {
  const [action, actor] = [$("audit-action").value, $("audit-actor").value];
  const whom = $("audit-whom").value.trim().toLowerCase();
  const from = $("audit-from").value ? new Date(`${$("audit-from").value}T00:00:00`).getTime() / 1000 : -Infinity;
  const to = $("audit-to").value ? new Date(`${$("audit-to").value}T23:59:59.999`).getTime() / 1000 : Infinity;
  return events.filter(
    (event) =>
      (!action || event.action === action) &&
      (!actor || event.actor === actor) &&
      (!whom || (event.identity ?? "").toLowerCase().includes(whom)) &&
      event.at >= from &&
      event.at <= to,
  );
}

export function showLog() {
  const shown = filtered();
  const more = events.length === MOST ? ` of the newest ${MOST.toLocaleString()}; the command line has the others` : "";
  $("audit-count").textContent = `${count(shown.length, "entry", "entries")}${more}.`;
  $("audit-log").replaceChildren(logTable(shown, loadAudit));
}

const whom = (event) => (event.gone ? "no longer in the gallery" : event.identity ?? "–");

export function logTable(events, reload) {
  const titles = ["When", "Who", "Did", "Whom", "Details", ""].map((title) => make("th", { scope: "col" }, title || hiddenText("Undo")));
  const rows = events.map((event) => {
    const undo =
      mayChange() && event.undoable
        ? button("Undo", () => undoEvent(event, reload), { "aria-label": `Undo "${actionInWords(event.action)}" of ${when(event.at)}` })
        : null;
    const cell = (label, kind, ...content) => make("td", { class: kind, "data-label": label }, ...content);
    return make(
      "tr",
      { class: event.undone ? "undone" : null },
      cell("When", "time", when(event.at)),
      cell("Who", null, event.actor || "–"),
      cell("Did", null, actionInWords(event.action)),
      cell("Whom", event.gone ? "free quiet" : "free", whom(event)),
      cell("Details", "free", detailInWords(event.detail) || "–"),
      make("td", { class: "keep" }, event.undone ? "undone" : undo),
    );
  });
  return make("table", { class: "stacking" }, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
}

function undoEvent(event, reload) {
  openDialog({
    title: `Undo "${actionInWords(event.action)}"?`,
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

// A table for a spreadsheet: what is shown, the moments in ISO 8601 (UTC).
export function exportLog() {
  const rows = filtered().map((event) => [
    new Date(event.at * 1000).toISOString(),
    event.actor,
    actionInWords(event.action),
    event.gone ? "" : event.identity ?? "",
    detailInWords(event.detail),
    event.undone ? "yes" : "no",
  ]);
  const text = [["when", "who", "did", "whom", "details", "undone"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
  const url = URL.createObjectURL(new Blob([`${text}\r\n`], { type: "text/csv" }));
  make("a", { href: url, download: "audit.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  say(`Exported: ${count(rows.length, "entry", "entries")}.`);
}

// A spreadsheet would compute a cell that begins like a formula (OWASP, CSV injection).
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

VIEWS.audit = loadAudit;
