// New sightings as they are stored: server-sent events, read with fetch because an EventSource cannot send a key.

import { call, key } from "./api.js";
import { $ } from "./dom.js";

const AGAIN = 3000; // milliseconds
const LATER = 30000;

let controller = null;
let last = null; // the newest sighting that was received

function tell(state, text) {
  $("live").className = `live ${state}`;
  $("live").textContent = text;
}

const dispatch = (sightings) => document.dispatchEvent(new CustomEvent("sightings", { detail: sightings }));

export function stopListening() {
  controller?.abort();
  controller = null;
  last = null;
  tell("", "");
}

export async function listen() {
  stopListening();
  const mine = (controller = new AbortController());
  while (!mine.signal.aborted) {
    let wait = AGAIN;
    try {
      const response = await fetch("/v1/events", {
        headers: { Authorization: `Bearer ${key()}` },
        signal: mine.signal,
        cache: "no-store",
      });
      if (response.status === 401) return;
      if (response.ok) {
        tell("on", "Live");
        await catchUp();
        await read(response.body);
      } else {
        wait = LATER;
      }
    } catch (problem) {
      if (mine.signal.aborted) return;
      if (!(problem instanceof Error)) throw problem;
    }
    if (mine.signal.aborted) return;
    tell("off", "Not live: connecting again");
    await new Promise((done) => setTimeout(done, wait));
  }
}

// After a break: what was stored meanwhile.
async function catchUp() {
  if (last == null) return;
  const { sightings } = await call("/v1/sightings", { query: { newer_than: last, limit: 1000 } });
  receive(sightings.reverse());
}

async function read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (waiting + value).split("\n\n");
    waiting = parts.pop();
    receive(parts.map(sightingOf).filter(Boolean));
  }
}

function sightingOf(part) {
  const lines = part.split("\n");
  if (!lines.includes("event: sighting")) return null;
  return JSON.parse(lines.find((line) => line.startsWith("data: ")).slice(6));
}

function receive(sightings) {
  const fresh = sightings.filter((one) => last == null || one.sighting > last);
  if (!fresh.length) return;
  last = Math.max(...fresh.map((one) => one.sighting));
  dispatch(fresh);
}
