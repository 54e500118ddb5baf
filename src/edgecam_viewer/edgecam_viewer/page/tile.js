// The tile around the frame of one camera: name, state, figures, threshold, and saving here and at the camera.

import { Recorder, saveSnapshot } from "./save.js";
import { ShapesPanel } from "./shapes_panel.js";
import { write } from "./text.js";
import { Threshold } from "./threshold.js";

const HTML = `
  <div class="screen"><button class="view"><canvas aria-hidden="true"></canvas></button><p class="wait"></p></div>
  <div class="bar">
    <h2></h2>
    <p class="figures"><span class="word"></span><span class="fps"></span><span class="ms"></span></p>
    <div class="slider" hidden>
      <label>Confidence <input type="range" min="0.01" max="0.99" step="0.01"></label><output>–</output>
      <small class="note" role="status"></small>
    </div>
    <div class="actions">
      <button class="snapshot">Snapshot</button><button class="record" aria-pressed="false">Record</button>
    </div>
    <div class="actions camera" hidden>
      <span>At the camera</span>
      <button class="snapshot">Snapshot</button><button class="record" aria-pressed="false">Record</button>
    </div>
    <button class="draw" aria-pressed="false" hidden>Zones</button>
    <p class="saved" role="status"></p>
    <div class="drawing part" hidden></div>
  </div>`;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const shape = (title) => `edgecam shape ${title}`;

// Browsers may refuse access to the storage.
function remembered(title) {
  try {
    return localStorage.getItem(shape(title)) ?? "4 / 3";
  } catch {
    return "4 / 3";
  }
}

function remember(title, text) {
  try {
    localStorage.setItem(shape(title), text);
  } catch { /* the next visit starts with 4:3 */ }
}

export class Tile {
  constructor(camera) {
    this.camera = camera;
    this.element = document.createElement("section");
    this.element.className = "tile";
    this.element.innerHTML = HTML;
    this.canvas = this.find("canvas");
    this.view = this.find(".view");
    this.wait = this.find(".wait");
    this.recorder = new Recorder();
    const { index, link } = camera;
    this.threshold = new Threshold(this.find(".slider"), (value) => link.ask({ type: "threshold", camera: index, value }));
    this.shapes = new ShapesPanel(this.find(".drawing"), this.find(".screen"), camera, (message) => link.ask(message));
    this.find(".draw").onclick = () => this.draw();
    const [here, there] = this.element.querySelectorAll(".actions");
    this.buttons = { snapshot: here.children[0], record: here.children[1], there, saveThere: there.children[1], recordThere: there.children[2] };
    this.buttons.snapshot.onclick = () => saveSnapshot(camera).then((text) => this.say(text));
    this.buttons.record.onclick = () => this.record();
    this.buttons.saveThere.onclick = () => link.ask({ type: "snapshot", camera: index });
    this.buttons.recordThere.onclick = () => link.ask({ type: "record", camera: index, value: !this.recording });
    this.offer("waiting for frames");
  }

  find(selector) { return this.element.querySelector(selector); }

  // lone: the page has only this camera; large: only this camera is shown.
  name(title, lone, large) {
    const { buttons } = this;
    if (this.camera.title !== title || !this.named) {
      this.named = true;
      this.camera.title = title;
      write(this.find("h2"), title);
      this.element.setAttribute("aria-label", `Camera ${title}`);
      this.find(".slider input").setAttribute("aria-label", `Confidence threshold of the detector of ${title}`);
      buttons.snapshot.setAttribute("aria-label", `Snapshot of ${title}`);
      buttons.saveThere.setAttribute("aria-label", `Snapshot of ${title} on the camera's disk`);
      this.reshape(remembered(title));
    }
    this.lone = lone;
    this.button(this.find(".draw"), this.shapes.opened, "Zones", `draw zones and lines of ${title}`);
    this.view.disabled = lone || this.shapes.opened;
    this.view.setAttribute("aria-label", lone ? `Live frames of ${title}` : `${large ? "Show all cameras instead of" : "Enlarge"} ${title}`);
  }

  reshape(text) {
    this.shape = text;
    this.element.style.setProperty("--shape", text);
  }

  // A frame was shown.
  arrived({ width, height }) {
    if (!("live" in this.element.dataset)) this.offer("");
    this.element.dataset.live = "";
    const text = `${width} / ${height}`;
    if (this.shape === text) return;
    this.reshape(text);
    remember(this.camera.title, text); // so that the next visit starts with the right height
  }

  // Called once a second. reason: why no frame arrives, "" while frames arrive.
  show(facts, reason) {
    const { camera } = this;
    const live = camera.live();
    if (!live) delete this.element.dataset.live;
    const seconds = camera.silent();
    this.element.dataset.level = reason ? "error" : live ? "ok" : "wait";
    write(this.find(".word"), reason ? "no frames" : live ? "live" : "waiting");
    write(this.find(".fps"), live ? `${camera.fps().toFixed(1)} fps` : "– fps");
    write(this.find(".ms"), live ? `latency ${Math.round(camera.latency)} ms` : "latency – ms");
    write(this.wait, reason ? `no frame for ${seconds} s: ${reason}` : "waiting for frames");
    this.showRecording(facts);
    this.offer(live ? "" : reason ? `no frames: ${reason}` : "waiting for frames");
    this.find(".draw").hidden = !facts.drawing && !this.shapes.opened;
  }

  // Saving here needs frames; why: the reason why there are none, "" while they arrive. A recording can always be stopped.
  offer(why) {
    const { snapshot, record } = this.buttons;
    snapshot.disabled = why !== "";
    record.disabled = why !== "" && !this.recorder.running;
    snapshot.title = record.title = why;
  }

  showRecording({ saving, recording, recording_seconds: seconds }) {
    const { record, there, recordThere } = this.buttons;
    const here = this.recorder.running;
    this.button(record, here, here ? `Stop ${clock(this.recorder.seconds)}` : "Record", `recording ${this.camera.title}`);
    this.recording = recording;
    there.hidden = !saving;
    const running = recording ? `Stop ${clock(seconds ?? 0)}` : "Record";
    this.button(recordThere, Boolean(recording), running, `recording ${this.camera.title} on the camera's disk`);
    recordThere.title = recording;
  }

  // The accessible name of a button begins with its text.
  button(button, pressed, text, what) {
    write(button, text);
    button.setAttribute("aria-pressed", String(pressed));
    button.setAttribute("aria-label", `${text}: ${what}`);
  }

  // Opens or closes the drawing of zones.
  draw() {
    if (this.shapes.opened) {
      this.shapes.close();
      this.find(".draw").focus();
    } else this.shapes.ask(this.lone);
  }

  record() {
    if (this.recorder.running) this.recorder.stop();
    else this.say(this.recorder.start(this.camera));
    this.showRecording({ saving: !this.buttons.there.hidden, recording: this.recording });
  }

  // Show the result of the last request.
  say(text) { write(this.find(".saved"), text ?? ""); }
}
