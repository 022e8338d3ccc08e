// The operator's page. Everything shown comes from the API of the same service; the key stays in this tab.

import { attempt, call, key } from "./api.js";
import { exportLog, loadAudit, showLog } from "./audit.js";
import "./cameras.js";
import { dialogOk } from "./dialog.js";
import { $, make } from "./dom.js";
import { ZONE } from "./format.js";
import { ask } from "./identify.js";
import { morePeople } from "./people.js";
import { choose } from "./probe.js";
import { onKey } from "./review.js";
import { VIEWS, enter, show, signOut, takeKeyFromAddress } from "./session.js";
import "./sightings.js";
import { keepThreshold, resetThreshold, tryThreshold } from "./threshold.js";

function wireSession() {
  $("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("passerby-key", $("key").value.trim());
    $("key").value = "";
    enter();
  });
  $("sign-out").addEventListener("click", signOut);
  window.addEventListener("hashchange", () => show());
  document.addEventListener("keydown", onKey);
}

function wireIdentify() {
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
  $("taken-zone").textContent = `(${ZONE})`;
  $("threshold").addEventListener("input", tryThreshold);
  $("threshold-reset").addEventListener("click", resetThreshold);
  $("threshold-keep").addEventListener("click", keepThreshold);
  VIEWS.identify = async () => {
    const { cameras } = await call("/v1/identities", { query: { limit: 1 } });
    $("camera-names").replaceChildren(...cameras.map((camera) => make("option", { value: camera })));
  };
}

function wirePeople() {
  let typing = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => attempt(() => morePeople(true)), 200);
  });
  for (const id of ["people-kind", "people-sort", "people-camera"]) $(id).addEventListener("change", () => attempt(() => morePeople(true)));
  $("search-form").addEventListener("submit", (event) => event.preventDefault());
  $("more-people").addEventListener("click", () => attempt(() => morePeople()));
}

function wireAudit() {
  for (const id of ["audit-action", "audit-actor", "audit-whom", "audit-from", "audit-to"]) $(id).addEventListener("input", showLog);
  $("audit-filter").addEventListener("submit", (event) => event.preventDefault());
  $("audit-refresh").addEventListener("click", () => attempt(loadAudit));
  $("audit-export").addEventListener("click", exportLog);
}

function wireDialogs() {
  $("dialog-form").addEventListener("submit", dialogOk);
  $("dialog-cancel").addEventListener("click", () => $("dialog").close());
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("click", (event) => event.target === $("viewer") && $("viewer").close());
}

wireSession();
wireIdentify();
wirePeople();
wireAudit();
wireDialogs();
takeKeyFromAddress();
if (key()) enter({ focus: false });
else show({ focus: false });
