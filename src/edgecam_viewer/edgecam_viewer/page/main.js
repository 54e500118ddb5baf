// The page: one link, one tile per camera, the state in the header; updates the side panel once a second.

import { Camera } from "./camera.js";
import { CollectorPanel } from "./collector.js";
import { Link } from "./link.js";
import { Charts, Chips, showNodes, showProblems } from "./panels.js";
import { Proposals } from "./proposals.js";
import { RecorderPanel } from "./recorder.js";
import { showShadows } from "./shadow.js";
import { problems, reason, summary } from "./state.js";
import { able, Video } from "./video.js";

const element = (id) => document.getElementById(id);
const choices = { boxes: true, hidden: new Set() };
const cameras = [];
const videos = new Map(); // by camera: videos that are connecting or playing
const without = new Set(); // cameras whose video failed; retried after AGAIN_MS and after a reconnect
const AGAIN_MS = 60_000;
let status = { cameras: [], nodes: [] };
let only = null; // index of the enlarged camera
let connection = "waiting";

const link = new Link({
  frame: (facts) => cameras[facts.camera]?.show(facts),
  note: (note) => ANSWERS[note.type]?.(note),
  state: (state) => {
    connection = state;
    if (state === "live") {
      if (element("plain")) element("grid").replaceChildren(...cameras.map(({ tile }) => tile.element));
      for (const camera of cameras) camera.asked();
      for (const index of [...videos.keys()]) endVideo(index);
      without.clear();
      watch();
    }
    showState();
  },
  hopeless: showPlain,
});
const chips = new Chips(choices, redraw);
const charts = new Charts();
const send = (message) => link.ask(message);
const recorder = new RecorderPanel(element("recorder"), send);
const collector = new CollectorPanel(element("collector"), send);
new Proposals(element("proposals"));
const ANSWERS = {
  threshold: (note) => cameras[note.camera]?.tile.threshold.answer(note),
  snapshot: (note) => cameras[note.camera]?.tile.say(note.text),
  record: (note) => cameras[note.camera]?.tile.say(note.text),
  recorder: (note) => recorder.answer(note),
  recorder_snapshot: (note) => recorder.answer(note),
  shapes: (note) => cameras[note.camera]?.tile.shapes.answer(note),
  set_shapes: (note) => cameras[note.camera]?.tile.shapes.answer(note),
  keep: (note) => collector.answer(note),
  refused: (note) => cameras.forEach(({ tile }) => tile.say(note.text)),
  offer: (note) => videos.get(note.camera)?.offer(note.sdp),
  video: (note) => videos.get(note.camera)?.take(note),
  status: showStatus,
};

function showStatus(note) {
  const first = status.cameras.length !== note.cameras.length || status.webrtc !== note.webrtc;
  status = note;
  while (cameras.length < status.cameras.length) addCamera(cameras.length);
  if (first) watch();
  arrange();
  // Here, not once a second, so that a status older than a response is not shown after it.
  status.cameras.forEach((facts, i) => cameras[i].tile.threshold.show(facts));
  recorder.show(note.recorder ?? null);
  element("to-events").hidden = !note.timeline;
  collector.show(note.collector ?? null, note.labelling);
  showShadows(element("shadow"), note.shadows ?? []);
  showNodes(status.nodes);
}

// Without WebSockets: the frames of the first camera only, as MJPEG.
function showPlain() {
  const frame = document.createElement("img");
  frame.id = "plain";
  frame.alt = "Frames of the first camera";
  frame.src = "/stream.mjpg?camera=0";
  element("grid").replaceChildren(frame);
}

// The cameras whose frames are requested.
function visible() {
  return cameras.filter((_, i) => (only === null || only === i) && i < status.cameras.length);
}

function showState() {
  const shown = visible().map((camera) => [camera, status.cameras[camera.index]]);
  const found = problems(connection, document.hidden ? [] : shown, status);
  const playing = shown.length > 0 && shown.every(([camera]) => videos.get(camera.index)?.playing);
  const { level, text } = element("plain")
    ? { level: "warn", text: "a proxy or firewall blocks WebSockets: showing frames of the first camera only" }
    : summary(found, shown, playing);
  const box = element("state");
  box.dataset.level = level;
  box.title = text;
  const words = box.querySelector("span");
  if (words.textContent !== text) words.textContent = text;
  showProblems(found);
}

function addCamera(index) {
  const camera = new Camera(index, link, choices);
  cameras.push(camera);
  camera.tile.view.onclick = () => enlarge(only === null ? index : null);
  element("grid").append(camera.tile.element);
}

function enlarge(index) {
  if (cameras.length < 2) return;
  only = index;
  if (index !== null) charts.choose(index);
  for (const camera of visible()) camera.asked();
  arrange();
  watch();
}

// Choose the number of columns so that the grid is nearly square.
function arrange() {
  const grid = element("grid");
  const count = only === null ? cameras.length : 1;
  grid.style.gridTemplateColumns = `repeat(${Math.ceil(Math.sqrt(count))}, minmax(0, 1fr))`;
  cameras.forEach(({ tile }, i) => {
    tile.element.hidden = only !== null && only !== i;
    tile.name(status.cameras[i]?.name ?? String(i), cameras.length === 1, only === i);
  });
}

// Request only what is visible: nothing while the page is in the background.
function watch() {
  if (!cameras.length) return;
  const watched = document.hidden ? [] : visible().map((camera) => camera.index);
  const video = able && status.webrtc ? watched.filter((i) => !without.has(i)) : [];
  for (const index of [...videos.keys()]) if (!video.includes(index)) endVideo(index);
  for (const index of video) if (!videos.has(index)) videos.set(index, newVideo(index));
  link.send({ type: "watch", cameras: watched.filter((i) => !videos.get(i)?.playing), video });
}

// JPEG frames continue until the first frame of the video arrives.
function newVideo(index) {
  const video = new Video(index, link, (bitmap, facts) => {
    if (!video.shown) watch();
    video.shown = true;
    cameras[index].present(bitmap, facts);
  });
  return video;
}

function endVideo(index) {
  videos.get(index).close();
  videos.delete(index);
}

function checkVideos() {
  const hopeless = [...videos].filter(([index, video]) => video.hopeless(status.cameras[index]?.fps > 0));
  if (!hopeless.length) return;
  for (const [index] of hopeless) without.add(index);
  watch();
  setTimeout(() => {
    for (const [index] of hopeless) without.delete(index);
    watch();
  }, AGAIN_MS);
}

function redraw() { cameras.forEach((camera) => camera.draw()); }

function toggle(button, apply) {
  button.onclick = () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    apply(on);
  };
}

function showClasses() {
  const counts = new Map();
  for (const one of visible()) for (const [label, n] of one.counts) counts.set(label, (counts.get(label) ?? 0) + n);
  chips.show(new Set([...status.cameras.flatMap((one) => one.labels), ...counts.keys()]), counts);
}

function everySecond() {
  checkVideos();
  showState();
  for (const camera of visible()) {
    const facts = status.cameras[camera.index];
    camera.tile.show(facts, connection === "live" ? reason(camera, facts) : "the viewer does not respond");
  }
  charts.add(cameras, status.cameras);
}

// The camera for a key press: the enlarged one, the one with the focus, or the only one.
function keyTarget() {
  const focused = cameras.find(({ tile }) => tile.element.contains(document.activeElement));
  return only !== null ? cameras[only] : focused ?? (cameras.length === 1 ? cameras[0] : undefined);
}

toggle(element("boxes"), (on) => { choices.boxes = on; redraw(); });
toggle(element("details"), (on) => document.body.classList.toggle("plain", !on));
document.addEventListener("visibilitychange", () => {
  for (const camera of visible()) camera.asked();
  watch();
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "b") element("boxes").click();
  if (event.key === "d") element("details").click();
  if (event.key === "s") keyTarget()?.tile.buttons.snapshot.click();
  if (event.key === "r") keyTarget()?.tile.buttons.record.click();
  if (event.key === "k" && !element("collector").hidden) collector.keep.click();
  if (event.key === "Escape" && only !== null) {
    const { view } = cameras[only].tile;
    enlarge(null);
    view.focus();
  }
});
setInterval(showClasses, 200);
setInterval(everySecond, 1000);
window.edgecam = { cameras, link, choices, videos }; // for the browser's console and the tests
