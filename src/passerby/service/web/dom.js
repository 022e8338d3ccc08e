// Elements of the page, and messages to the person at it.

export const $ = (id) => document.getElementById(id);
export const SVG = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const button = (text, onclick, attributes = {}) => make("button", { type: "button", onclick, ...attributes }, text);

export function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text != null) element.textContent = text;
  return element;
}

// A message in the corner. `action` ([text, run]) is a button in it; such a message stays longer.
export function say(text, kind = "done", action = null) {
  const line = make("div", { class: `message ${kind}`, role: kind === "error" ? "alert" : null }, make("p", {}, text));
  const remove = () => line.remove();
  if (action) line.append(button(action[0], () => (remove(), action[1]())));
  line.append(button("×", remove, { class: "plain", "aria-label": "Close this message" }));
  $("messages").append(line);
  setTimeout(remove, kind === "error" ? 15000 : action ? 20000 : 6000);
}

export const hiddenText = (text) => make("span", { class: "skip" }, text);
export const chip = (kind, text) => make("span", { class: `chip ${kind}` }, text);
