// The one dialog of the page.

import { Problem } from "./api.js";
import { $, make } from "./dom.js";

let fields = 0;

export function field(text, input) {
  fields += 1;
  input.id = `field-${fields}`;
  return { input, box: make("div", { class: "field" }, make("label", { for: input.id }, text), input) };
}

let onOk = null;

export function openDialog({ title, body, ok, run, danger = false, wide = false }) {
  $("dialog-title").textContent = title;
  $("dialog-body").replaceChildren(...body);
  $("dialog-error").textContent = "";
  $("dialog-ok").textContent = ok;
  $("dialog-ok").className = danger ? "primary danger" : "primary";
  $("dialog").className = wide ? "wide" : "";
  onOk = run;
  $("dialog").showModal();
  const first = $("dialog-body").querySelector("input, textarea");
  (first ?? $("dialog-cancel")).focus();
}

export async function dialogOk(event) {
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
