// The page: one link, one tile per camera, the side panel once a second.

import { Camera } from "./camera.js";
import { Link } from "./link.js";
import { Charts, Chips, Saving, showFacts, showNodes, Threshold } from "./panels.js";
import { Recorder, saveSnapshot } from "./save.js";
import { able, Video } from "./video.js";

const element = (id) => document.getElementById(id);
const STATES = { waiting: "connecting", live: "live", lost: "reconnecting" };
const choices = { boxes: true, hidden: new Set() };
const cameras = [];
const videos = new Map(); // by camera, those that are tried or play
const without = new Set(); // cameras whose video did not work; tried again after a while and by a new connection
const AGAIN_MS = 60_000;
let status = { cameras: [], nodes: [] };
let only = null; // index of the enlarged camera

const link = new Link({
  frame: (facts) => cameras[facts.camera]?.show(facts),
  note: take,
  state: (state) => {
    element("link").dataset.state = state;
    showLink();
    if (state === "live") {
      document.getElementById("plain")?.remove();
      for (const index of [...videos.keys()]) endVideo(index);
      without.clear();
      watch();
    }
  },
  hopeless: showPlain,
});
const chips = new Chips(choices, redraw);
const threshold = new Threshold((message) => link.send(message));
const saving = new Saving((message) => link.send(message));
const charts = new Charts();
const recorder = new Recorder();

function take(note) {
  if (note.type === "threshold" || note.type === "refused") return threshold.answer(note);
  if (note.type === "snapshot" || note.type === "record") return saving.answer(note);
  if (note.type === "offer") return videos.get(note.camera)?.offer(note.sdp);
  if (note.type === "video") return videos.get(note.camera)?.take(note);
  if (note.type !== "status") return undefined;
  const first = status.cameras.length !== note.cameras.length || status.webrtc !== note.webrtc;
  status = note;
  while (cameras.length < status.cameras.length) addCamera(cameras.length);
  if (first) watch();
  status.cameras.forEach((one, i) => cameras[i].name(one.name));
  return showNodes(status.nodes);
}

// Without WebSockets: the bare frames of the first camera, as MJPEG.
function showPlain() {
  const frame = document.createElement("img");
  frame.id = "plain";
  frame.alt = "Camera";
  frame.src = "/stream.mjpg?camera=0";
  element("grid").replaceChildren(frame);
}

function showLink() {
  const { state } = element("link").dataset;
  const video = state === "live" && videos.get(only ?? 0)?.playing;
  element("link").querySelector("span").textContent = video ? "live, WebRTC" : STATES[state];
}

function addCamera(index) {
  const camera = new Camera(index, link, choices);
  cameras.push(camera);
  camera.tile.onclick = () => enlarge(only === null ? index : null);
  element("grid").append(camera.tile);
  arrange();
}

function enlarge(index) {
  if (cameras.length < 2) return;
  only = index;
  arrange();
  watch();
}

// As many columns as make the tiles most nearly square.
function arrange() {
  const grid = element("grid");
  const count = only === null ? cameras.length : 1;
  grid.style.gridTemplateColumns = `repeat(${Math.ceil(Math.sqrt(count))}, minmax(0, 1fr))`;
  grid.classList.toggle("single", only !== null);
  grid.classList.toggle("lone", cameras.length === 1);
  cameras.forEach((camera, i) => { camera.tile.hidden = only !== null && only !== i; });
}

// Ask only for what can be seen: nothing while the page is in the background.
function watch() {
  if (!cameras.length) return;
  const wanted = document.hidden ? [] : cameras.map((_, i) => i).filter((i) => only === null || only === i);
  const video = able && status.webrtc ? wanted.filter((i) => !without.has(i)) : [];
  for (const index of [...videos.keys()]) if (!video.includes(index)) endVideo(index);
  for (const index of video) if (!videos.has(index)) videos.set(index, newVideo(index));
  link.send({ type: "watch", cameras: wanted.filter((i) => !videos.get(i)?.playing), video });
}

// Frames go on until the first frame of the video has come.
function newVideo(index) {
  const video = new Video(index, link, (bitmap, facts) => {
    if (!video.told) watch();
    video.told = true;
    cameras[index].present(bitmap, facts);
  });
  return video;
}

function endVideo(index) {
  videos.get(index).close();
  videos.delete(index);
}

function checkVideos() {
  const hopeless = [...videos].filter(([index, video]) => video.hopeless(status.cameras[index].fps > 0));
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

const text = (value, unit) => (Number.isFinite(value) ? `${value.toFixed(value < 10 ? 1 : 0)} ${unit}` : "–");

function showClasses() {
  const counts = new Map();
  for (const one of cameras) for (const [label, n] of one.counts) counts.set(label, (counts.get(label) ?? 0) + n);
  chips.show(new Set([...status.cameras.flatMap((one) => one.labels), ...counts.keys()]), counts);
}

function everySecond() {
  cameras.forEach((camera) => camera.check());
  checkVideos();
  showLink();
  const index = only ?? 0;
  const camera = cameras[index];
  if (!camera) return;
  const facts = status.cameras[index];
  threshold.show(index, facts.threshold);
  saving.show(index, facts);
  const shown = camera.fps();
  const glass = shown ? camera.latency : NaN;
  showFacts([
    ["frame", text(shown, "fps")],
    ["detections", text(facts.detection_fps ?? NaN, "fps")],
    ["latency", text(glass, "ms")],
  ]);
  // The viewer sees the detections itself; the other stages report their rates.
  const stages = { ...facts.stages, detector: facts.detection_fps ?? facts.stages.detector, shown };
  charts.add(index, stages, { detected: facts.latency_ms, glass }, facts.losses);
}

toggle(element("boxes"), (on) => { choices.boxes = on; redraw(); });
toggle(element("details"), (on) => document.body.classList.toggle("plain", !on));
toggle(element("record"), (on) => {
  if (on && cameras.length) recorder.start(cameras[only ?? 0]);
  else recorder.stop();
});
element("snapshot").onclick = () => cameras.length && saveSnapshot(cameras[only ?? 0]);
document.addEventListener("visibilitychange", watch);
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = { b: "boxes", d: "details", s: "snapshot", r: "record" }[event.key];
  if (button) element(button).click();
  if (event.key === "Escape") enlarge(null);
});
setInterval(showClasses, 200);
setInterval(everySecond, 1000);
window.edgecam = { cameras, link, choices, videos }; // for the browser's console and the tests
