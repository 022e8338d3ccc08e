// Choose a person of the gallery by picture and name.

import { attempt, call } from "./api.js";
import { field } from "./dialog.js";
import { $, make } from "./dom.js";
import { count } from "./format.js";
import { ofObservation, picture } from "./thumbnails.js";

const SHOWN = 12;
let pickers = 0;

// An element, and `chosen()`: the name, or null. `without` is not offered; enrolled people come before unknowns.
export function personPicker(without, onChoice = () => {}) {
  pickers += 1;
  const group = `picker-${pickers}`;
  const search = field("Search by name", make("input", { type: "search", maxlength: 200, autocomplete: "off" }));
  const list = make("ul", { class: "picker", "aria-label": "People to choose from" });
  const note = make("p", { class: "quiet", role: "status" });
  const load = async () => {
    const query = { search: search.input.value.trim(), limit: SHOWN + 1 };
    const [enrolled, unknown] = await Promise.all([
      call("/v1/identities", { query: { ...query, kind: "enrolled" } }),
      call("/v1/identities", { query: { ...query, kind: "unknown" } }),
    ]);
    const found = [...enrolled.identities, ...unknown.identities].filter((one) => one.name !== without);
    const left = enrolled.total + unknown.total - 1 - Math.min(SHOWN, found.length);
    list.replaceChildren(...found.slice(0, SHOWN).map((one) => option(one, group, onChoice)));
    note.textContent = !found.length ? "Nobody of this name." : left > 0 ? `${count(left, "more", "more")}: search by name.` : "";
  };
  let typing = 0;
  search.input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => attempt(load), 200);
  });
  search.input.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  attempt(load);
  return { box: make("div", {}, search.box, list, note), chosen: () => $("dialog-body").querySelector(`[name=${group}]:checked`)?.value ?? null };
}

function option(identity, group, onChoice) {
  const input = make("input", { type: "radio", name: group, value: identity.name, onchange: () => onChoice(identity) });
  return make(
    "li",
    {},
    make("label", {}, input, picture(ofObservation(identity.newest), "", { plain: true }), make("span", { class: "name" }, identity.name)),
  );
}
