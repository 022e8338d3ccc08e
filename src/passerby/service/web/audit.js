// The log of changes and decisions.

import { call } from "./api.js";
import { openDialog } from "./dialog.js";
import { $, hiddenText, make, say } from "./dom.js";
import { when } from "./format.js";
import { VIEWS, refreshAbout } from "./session.js";
import { mayChange } from "./state.js";

export const UNDOABLE = new Set(["enroll", "observe", "merge", "split", "update", "threshold", "far", "pair"]);

export async function loadAudit() {
  const log = await call("/v1/history", { query: { limit: 500 } });
  $("audit-log").replaceChildren(logTable(log.events, loadAudit));
}

export function logTable(events, reload) {
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

export function undoEvent(event, reload) {
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

VIEWS.audit = loadAudit;
