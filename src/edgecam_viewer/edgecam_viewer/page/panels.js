// The side panel: classes, threshold, charts, nodes.

import { color } from "./camera.js";
import { Chart } from "./chart.js";

const element = (id) => document.getElementById(id);
const number = (value, digits = 1) => (Number.isFinite(value) ? value.toFixed(digits) : "–");

// The header's figures: [name, text] pairs.
export function showFacts(facts) {
  const list = element("facts");
  facts.forEach(([name, text], i) => {
    const row = list.children[i] ?? list.appendChild(document.createElement("div"));
    if (!row.children.length) row.append(document.createElement("dt"), document.createElement("dd"));
    row.children[0].textContent = name;
    row.children[1].textContent = text;
  });
}

// One chip per label ever seen; a click hides or shows its boxes.
export class Chips {
  constructor(choices, changed) {
    this.choices = choices;
    this.changed = changed;
    this.chips = new Map();
  }

  show(labels, counts) {
    for (const label of labels) if (!this.chips.has(label)) this.add(label);
    for (const [label, chip] of this.chips) {
      const count = counts.get(label) ?? 0;
      const text = count ? String(count) : "";
      const shown = chip.querySelector("b");
      if (shown.textContent !== text) shown.textContent = text;
    }
  }

  add(label) {
    const chip = document.createElement("button");
    chip.className = "chip";
    chip.innerHTML = "<i></i><span></span><b></b>";
    chip.querySelector("span").textContent = label;
    chip.style.setProperty("--hue", color(label));
    const hidden = this.choices.hidden;
    chip.setAttribute("aria-pressed", String(!hidden.has(label)));
    chip.onclick = () => {
      if (!hidden.delete(label)) hidden.add(label);
      chip.setAttribute("aria-pressed", String(!hidden.has(label)));
      this.changed();
    };
    this.chips.set(label, chip);
    const box = element("chips");
    if (this.chips.size === 1) box.replaceChildren();
    box.append(chip);
  }
}

// The slider sets the detector's own parameter; what the detector answers is what is shown.
export class Threshold {
  constructor(send) {
    this.box = element("threshold");
    this.input = this.box.querySelector("input");
    this.camera = 0;
    this.held = false;
    this.input.oninput = () => {
      this.held = true;
      this.text(Number(this.input.value));
      send({ type: "threshold", camera: this.camera, value: Number(this.input.value) });
    };
    this.input.onchange = () => { this.held = false; };
  }

  text(value) { this.box.querySelector("output").textContent = value.toFixed(2); }

  show(camera, value) {
    this.camera = camera;
    this.box.hidden = value === null || value === undefined;
    if (this.box.hidden || this.held) return;
    this.input.value = value;
    this.text(value);
  }

  answer(note) { this.box.querySelector("small").textContent = note.ok ? "" : note.text; }
}

// Snapshot and recording by the camera's own node, on its disk.
export class Saving {
  constructor(send) {
    this.box = element("saving");
    this.camera = 0;
    this.recording = "";
    element("camera-snapshot").onclick = () => send({ type: "snapshot", camera: this.camera });
    element("camera-record").onclick = () => send({ type: "record", camera: this.camera, value: !this.recording });
  }

  show(camera, { saving, recording }) {
    if (this.camera !== camera) this.text("");
    Object.assign(this, { camera, recording });
    this.box.hidden = !saving;
    element("camera-record").setAttribute("aria-pressed", String(Boolean(recording)));
    element("camera-record").textContent = recording ? `Stop (${recording})` : "Record";
  }

  text(text) { this.box.querySelector("p").textContent = text; }

  answer(note) { this.text(note.text); }
}

const RATES = [
  ["camera", "camera", "#5eead4"], ["sender", "sender", "#60a5fa"], ["receiver", "receiver", "#c084fc"],
  ["detector", "detector", "#fbbf24"], ["shown", "shown", "#f472b6"],
];
const LATENCIES = [["detected", "capture to detection", "#fbbf24"], ["glass", "capture to screen", "#f472b6"]];
const LOSSES = [
  ["camera drops", "camera drops", "#5eead4"], ["bad frames", "bad frames", "#94a3b8"],
  ["encoder skips", "encoder skips", "#60a5fa"], ["packets missing", "packets missing", "#c084fc"],
  ["packets lost", "packets lost", "#f87171"], ["frames withheld", "frames withheld", "#fb923c"],
  ["detector drops", "detector drops", "#fbbf24"],
];

// Frames per second of every stage, latencies, and what was lost per second.
export class Charts {
  constructor() {
    this.rates = new Chart("Frames per second", "", RATES);
    this.latencies = new Chart("Latency", "ms", LATENCIES);
    this.losses = new Chart("Lost per second", "", LOSSES, true);
    for (const one of [this.latencies, this.losses]) one.element.classList.add("long");
    element("charts").append(this.rates.element, this.latencies.element, this.losses.element);
    this.counters = {};
  }

  add(camera, stages, latencies, counters) {
    this.rates.add(stages);
    this.latencies.add(latencies);
    const known = this.camera === camera ? this.counters : {};
    const fresh = {};
    // A counter that went back belongs to a node that was started again.
    for (const [name, count] of Object.entries(counters)) fresh[name] = Math.max(0, count - (known[name] ?? count));
    this.losses.add(fresh);
    this.losses.element.hidden = !Object.keys(counters).length;
    Object.assign(this, { camera, counters });
  }
}

export function showNodes(nodes) {
  const box = element("nodes");
  if (!nodes.length) return;
  box.querySelector(".none")?.remove();
  const known = new Map([...box.children].map((row) => [row.dataset.name, row]));
  for (const node of nodes) {
    const row = known.get(node.name) ?? newNode(box, node.name);
    known.delete(node.name);
    fillNode(row, node);
  }
  for (const gone of known.values()) gone.remove();
}

function newNode(box, name) {
  const row = document.createElement("details");
  row.className = "node";
  row.dataset.name = name;
  row.innerHTML = "<summary><i></i><span></span><em></em></summary><table></table>";
  row.querySelector("span").textContent = name;
  box.append(row);
  return row;
}

function fillNode(row, node) {
  row.dataset.level = node.level;
  const fps = Number(node.values.fps);
  const fine = node.level === "ok" && Number.isFinite(fps) && "fps" in node.values;
  row.querySelector("em").textContent = fine ? `${number(fps)} fps` : node.message;
  row.querySelector("i").title = node.level;
  if (!row.open) return;
  const table = row.querySelector("table");
  table.replaceChildren();
  for (const [key, value] of [["state", node.message], ["hardware", node.hardware_id], ...Object.entries(node.values)]) {
    const line = table.insertRow();
    line.insertCell().textContent = key.replaceAll("_", " ");
    line.insertCell().textContent = value;
  }
}
