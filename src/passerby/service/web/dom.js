// Elements of the page, and messages to the person at it.

export const $ = (id) => document.getElementById(id);
export const SVG = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text != null) element.textContent = text;
  return element;
}

export function say(text, kind = "known") {
  const line = make("p", { class: kind, role: kind === "unknown" ? "alert" : null }, text);
  $("messages").append(line);
  setTimeout(() => line.remove(), kind === "unknown" ? 12000 : 5000);
}

export const hiddenText = (text) => make("span", { class: "skip" }, text);
