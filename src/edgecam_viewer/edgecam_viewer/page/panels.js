// The side panel: classes, threshold, charts, nodes.

import { hue } from "./camera.js";
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
      chip.querySelector("b").textContent = count || "";
      chip.classList.toggle("seen", count > 0);
    }
  }

  add(label) {
    const chip = document.createElement("button");
    chip.className = "chip";
    chip.innerHTML = "<i></i><span></span><b></b>";
    chip.querySelector("span").textContent = label;
    chip.style.setProperty("--hue", hue(label));
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

export class Charts {
  constructor() {
    this.charts = new Map();
    this.rows = [
      ["camera fps", "camera", "fps", "#5eead4"],
      ["detector fps", "detections", "fps", "#a78bfa"],
      ["shown fps", "shown here", "fps", "#60a5fa"],
      ["detected", "capture to detection", "ms", "#fbbf24"],
      ["glass", "capture to glass", "ms", "#f472b6"],
    ];
  }

  add(values) {
    for (const [key, title, unit, color] of this.rows) {
      if (!this.charts.has(key)) {
        const chart = new Chart(title, unit, color);
        this.charts.set(key, chart);
        element("charts").append(chart.element);
      }
      this.charts.get(key).add(values[key]);
    }
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
