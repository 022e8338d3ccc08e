// The HTTP API of the same service; the key stays in this tab.

import { say } from "./dom.js";

export const key = () => sessionStorage.getItem("passerby-key");

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function call(path, { json, form, query, blob = false } = {}) {
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

let underway = 0; // tasks overlap: the page is busy until the last one ends

function busy(change) {
  underway += change;
  document.body.classList.toggle("busy", underway > 0);
}

// Run something that talks to the service; what goes wrong is said, not swallowed.
export async function attempt(task) {
  busy(1);
  try {
    return await task();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) document.dispatchEvent(new Event("unauthorised"));
    say(problem.message, "error");
  } finally {
    busy(-1);
  }
}
