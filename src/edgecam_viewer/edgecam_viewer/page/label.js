// The labelling page: shows frames by value, edits their boxes, saves automatically.

import { Edit } from "./label_edit.js";
import { hue, View } from "./label_view.js";

const element = (id) => document.getElementById(id);
const AUTOSAVE_MS = 800;
const NO_COLLECTION = "There is no collection: start the viewer with collection:=FOLDER, or edgecam label FOLDER";
const client = (sessionStorage["edgecam client"] ??= Math.random().toString(36).slice(2)); // this tab: claims its frames
const visited = []; // ids in the order they were shown
let place = -1; // index in `visited`
let shown = null; // {frame, revision}
let edit = null;
let classes = [];
let label = ""; // the class of the next box
let timer = 0;
let saving = Promise.resolve(true);

const view = new View(element("stage"), element("canvas"), element("image"), element("boxes"), changed, () => label || classes[0] || "object");
const reviewer = element("reviewer");
reviewer.value = localStorage.getItem("edgecam reviewer") ?? "";
reviewer.addEventListener("change", () => localStorage.setItem("edgecam reviewer", reviewer.value));

async function ask(path, content) {
  const options = content && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({ error: `the server responded with HTTP status ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(body.error ?? `the server responded with HTTP status ${answer.status}`), { status: answer.status, body });
  return body;
}

function say(text) {
  element("message").textContent = text;
  element("message").hidden = !text;
}

async function refresh() {
  const state = await ask("/label/state").catch((error) => {
    throw error.status === 404 && !error.body.error?.includes("/") ? new Error(NO_COLLECTION) : error;
  });
  classes = state.classes;
  const done = (state.states.reviewed ?? 0) + (state.states.skipped ?? 0);
  const boxes = Object.entries(state.boxes).map(([name, count]) => `${name} ${count}`).join(", ");
  element("progress").textContent = `${done} of ${state.frames} frames reviewed${boxes ? `; boxes: ${boxes}` : ""}`;
  showClasses();
}

async function next(after) {
  const query = new URLSearchParams({ client, after: after ?? "" });
  const { id } = await ask(`/label/next?${query}`);
  if (id === null) return finished();
  visited.push(id);
  place = visited.length - 1;
  return open(id);
}

function finished() {
  shown = edit = null;
  document.body.dataset.state = "finished";
  element("image").removeAttribute("src");
  element("boxes").replaceChildren();
  element("list").replaceChildren();
  element("facts").textContent = "";
  say("All frames are reviewed.");
}

async function open(id) {
  const { frame, review, problem } = await ask(`/label/frame/${encodeURIComponent(id)}`);
  const image = new Image();
  image.src = `/label/image/${encodeURIComponent(id)}`;
  const unreadable = await image.decode().then(() => "", () => `The image of ${id} cannot be shown; skip this frame.`);
  const boxes = review && review.state !== "skipped"
    ? review.boxes.map((one) => ({ ...one, by: one.score < 1 ? "model" : "person" }))
    : frame.proposals.map((one) => ({ ...one, by: "model" }));
  shown = { frame, revision: review?.revision ?? 0 };
  edit = new Edit(frame.width, frame.height, boxes);
  element("image").src = image.src;
  say(problem || unreadable);
  const when = new Date(frame.stamp_ns / 1e6).toLocaleString();
  element("facts").textContent = `${frame.camera}, ${when}; kept by rule ${frame.rules.map((one) => `${one.rule} (${one.value})`).join(", ")}`;
  view.show(edit);
  document.body.dataset.frame = id;
  document.body.dataset.state = "open";
  showBoxes();
}

// Saving: one request at a time; a draft shortly after each change, the verdict at once.

function save(state) {
  clearTimeout(timer);
  if (!shown) return Promise.resolve(true);
  const { frame } = shown, at = shown;
  const boxes = edit.boxes.map((one) => ({ label: one.label, box: one.box, score: state === "draft" ? one.score : 1 }));
  edit.changed = false;
  saving = saving.then(async () => {
    try {
      at.revision = (await ask(`/label/frame/${encodeURIComponent(frame.id)}`, { state, boxes, revision: at.revision, reviewer: reviewer.value, client })).revision;
      return true;
    } catch (error) {
      if (error.status === 409) {
        at.revision = error.body.current.revision;
        say(`${error.message}. Accept again to overwrite it with your boxes, or press P and N to load the other version.`);
      } else say(`Not saved: ${error.message}. Your boxes are still here; try again.`);
      return false;
    }
  });
  return saving;
}

function changed(edited) {
  showBoxes();
  if (!edited) return;
  clearTimeout(timer);
  timer = setTimeout(() => save("draft"), AUTOSAVE_MS);
}

async function verdict(state) {
  if (!shown) return;
  const { id } = shown.frame;
  if (!(await save(state))) return;
  await refresh();
  await (place < visited.length - 1 ? go(1) : next(id));
}

async function go(by) {
  if (edit?.changed) await save("draft");
  const target = place + by;
  if (target < 0) return;
  if (target >= visited.length) {
    await next(shown?.frame.id);
    return;
  }
  place = target;
  await open(visited[place]);
}

// The side panel.

function showBoxes() {
  element("list").replaceChildren(...edit.boxes.map((one, index) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const [x1, y1, x2, y2] = one.box.map(Math.round);
    button.textContent = `${one.label}, ${x2 - x1} × ${y2 - y1} px`;
    button.style.setProperty("--hue", hue(one.label));
    button.setAttribute("aria-pressed", index === edit.selected);
    button.addEventListener("click", () => { edit.selected = index; redraw(false); });
    item.append(button);
    return item;
  }));
  element("undo").disabled = !edit.past.length;
  element("redo").disabled = !edit.future.length;
  element("delete").disabled = !edit.current;
  showClasses();
}

function showClasses() {
  const chosen = edit?.current?.label ?? label;
  element("classes").replaceChildren(...classes.map((name, index) => {
    const button = document.createElement("button");
    button.textContent = index < 9 ? `${index + 1} ${name}` : name;
    button.style.setProperty("--hue", hue(name));
    button.setAttribute("aria-pressed", name === chosen);
    button.addEventListener("click", () => choose(name));
    return button;
  }));
}

function choose(name) {
  label = name;
  if (edit?.current) { edit.name(name); redraw(true); } else showClasses();
}

function redraw(edited) {
  view.draw();
  changed(edited);
}

element("new-class").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = event.target.querySelector("input"), name = input.value.trim();
  if (!name) return;
  await attempt(async () => {
    if (!classes.includes(name)) await ask("/label/classes", { classes: [...classes, name] });
    input.value = "";
    await refresh();
    choose(name);
    element("stage").focus();
  });
});

// Keys and buttons.

const change = (work) => () => { if (edit) { work(); redraw(true); } };
const nudge = (dx, dy) => (event) => {
  if (!edit?.current) return;
  const by = event.shiftKey ? 10 : 1;
  edit.begin();
  if (event.altKey) edit.resize("se", dx * by, dy * by);
  else edit.move(dx * by, dy * by);
  redraw(true);
};
const ACTIONS = {
  accept: () => verdict("reviewed"),
  nothing: () => { edit?.clear(); return verdict("reviewed"); },
  skip: () => verdict("skipped"),
  previous: () => go(-1),
  undo: change(() => edit.undo()),
  redo: change(() => edit.redo()),
  delete: change(() => edit.remove()),
};
const KEYS = {
  Enter: ACTIONS.accept, e: ACTIONS.nothing, s: ACTIONS.skip, p: ACTIONS.previous, n: () => go(1),
  Delete: ACTIONS.delete, Backspace: ACTIONS.delete,
  ".": () => { edit?.step(1); if (edit) redraw(false); },
  ",": () => { edit?.step(-1); if (edit) redraw(false); },
  b: change(() => edit.add([edit.width * 0.4, edit.height * 0.4, edit.width * 0.6, edit.height * 0.6], label || classes[0] || "object")),
  c: () => element("classes").querySelector("button")?.focus(),
  Escape: () => { if (edit) { edit.selected = -1; redraw(false); } element("stage").focus(); },
  ArrowLeft: nudge(-1, 0), ArrowRight: nudge(1, 0), ArrowUp: nudge(0, -1), ArrowDown: nudge(0, 1),
  "+": () => view.zoom(1.4), "-": () => view.zoom(1 / 1.4), 0: () => edit && view.fit(),
};

async function attempt(work, ...values) {
  try {
    await work(...values);
  } catch (error) {
    say(`${error.message}. Check that edgecam is running and try again.`);
  }
}

for (const [id, work] of Object.entries(ACTIONS)) element(id).addEventListener("click", (event) => attempt(work, event));
element("help").addEventListener("click", () => {
  element("keys").open = !element("keys").open;
  element("help").setAttribute("aria-expanded", element("keys").open);
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select")) return;
  const onButton = event.target.closest("aside button, header button, footer button, a, summary");
  if (onButton && ["Enter", " "].includes(event.key)) return; // normal keyboard use of the page
  const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  let work = KEYS[letter];
  if (event.ctrlKey || event.metaKey) work = { z: event.shiftKey ? ACTIONS.redo : ACTIONS.undo, y: ACTIONS.redo }[letter];
  else if (/^[1-9]$/.test(letter)) work = () => classes[letter - 1] && choose(classes[letter - 1]);
  if (!work || event.repeat && ["Enter", "e", "s"].includes(letter)) return;
  event.preventDefault();
  attempt(work, event);
});

window.addEventListener("beforeunload", (event) => { if (edit?.changed) event.preventDefault(); });
element("stage").focus();
attempt(async () => { await refresh(); await next(); });
