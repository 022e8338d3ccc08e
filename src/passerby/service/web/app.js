// The operator's page. Everything shown comes from the API of the same service; the key stays in this tab.

import { attempt, key } from "./api.js";
import { loadAudit } from "./audit.js";
import { dialogOk } from "./dialog.js";
import { $ } from "./dom.js";
import { ask, choose, enrolNew } from "./identify.js";
import { morePeople } from "./people.js";
import { enter, show, signOut, takeKeyFromAddress } from "./session.js";
import { state } from "./state.js";
import { keepThreshold, setThreshold, showThreshold } from "./threshold.js";

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
  $("threshold-reset").addEventListener("click", () => setThreshold(state.asked.answer.threshold));
  $("threshold-keep").addEventListener("click", keepThreshold);
  $("enrol-button").addEventListener("click", enrolNew);

  let typing = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => attempt(() => ((state.people.offset = 0), morePeople(true))), 200);
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
