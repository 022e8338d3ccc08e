// The pictures of whom the question is about. Other pictures put the answer about the former ones away.

import { say, $, button, make } from "./dom.js";
import { state } from "./state.js";
import { enlarging } from "./thumbnails.js";

const KINDS = ["image/jpeg", "image/png", "image/webp"];

export function choose(files) {
  const wrong = [...files].filter((file) => !KINDS.includes(file.type));
  if (wrong.length) say(`Not a JPEG, PNG or WebP picture: ${wrong.map((file) => file.name).join(", ")}.`, "error");
  take([...files].filter((file) => KINDS.includes(file.type)));
}

function take(files) {
  clearAnswer();
  for (const { url } of state.pictures) URL.revokeObjectURL(url);
  state.pictures = files.map((file) => ({ file, url: URL.createObjectURL(file) }));
  $("previews").replaceChildren(
    ...state.pictures.map(({ file, url }, index) =>
      make(
        "li",
        {},
        enlarging(make("img", { src: url, alt: `Chosen picture ${index + 1}: ${file.name}` })),
        button("×", () => leaveOut(index), { class: "leave-out", "aria-label": `Leave out picture ${index + 1}` }),
      ),
    ),
  );
}

function leaveOut(index) {
  take(state.pictures.map(({ file }) => file).filter((_, i) => i !== index));
  $("pictures").value = "";
  $("pictures").focus();
}

export function clearAnswer() {
  state.asked = null;
  $("answer").hidden = true;
  $("answer-none").hidden = false;
  $("compare").replaceChildren();
  $("candidates").replaceChildren();
  $("outcome").replaceChildren();
}

document.addEventListener("signed-out", () => take([]));
