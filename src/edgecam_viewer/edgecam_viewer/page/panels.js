// The side panel: problems, classes, charts, nodes.

import { color } from "./boxes.js";
import { Chart } from "./chart.js";

const element = (id) => document.getElementById(id);

export function showProblems(found) {
  const box = element("problems");
  box.hidden = !found.length;
  const list = box.querySelector("ul");
  const rows = found.map(({ level, text }, i) => {
    const row = list.children[i] ?? list.appendChild(document.createElement("li"));
    row.dataset.level = level;
    if (row.textContent !== text) row.textContent = text;
    return row;
  });
  while (list.children.length > rows.length) list.lastChild.remove();
}

// One chip per recently detected label; a click hides or shows its boxes.
export class Chips {
  constructor(choices, changed) {
    this.choices = choices;
    this.changed = changed;
    this.chips = new Map();
  }

  // labels: those of the last minute; a hidden label remains, so that it can be shown again.
  show(labels, counts) {
    for (const label of labels) if (!this.chips.has(label)) this.add(label);
    for (const [label, chip] of this.chips) {
      const count = counts.get(label) ?? 0;
      const text = count ? String(count) : "";
      const shown = chip.querySelector("b");
      if (shown.textContent !== text) shown.textContent = text;
      if (!labels.has(label) && !this.choices.hidden.has(label)) this.remove(label);
    }
  }

  add(label) {
    const chip = document.createElement("button");
    chip.className = "chip";
    chip.innerHTML = "<i></i><span></span> <b></b>";
    chip.querySelector("span").textContent = label;
    chip.title = "Show or hide the boxes of this class";
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
    box.querySelector(".none").hidden = true;
    box.append(chip);
  }

  remove(label) {
    this.chips.get(label).remove();
    this.chips.delete(label);
    element("chips").querySelector(".none").hidden = this.chips.size > 0;
  }
}

const RATES = [
  ["camera", "camera", 1], ["sender", "sender", 2], ["receiver", "receiver", 3], ["detector", "detector", 4],
  ["shown", "shown", 5],
];
const LATENCIES = [["detected", "capture to detection", 4], ["glass", "capture to screen", 5]];
const BITRATES = [["target_bitrate", "target", 1], ["sent_bitrate", "sent", 2], ["estimated_bitrate", "estimated", 3]];
const LOSSES = [
  ["camera drops", "camera drops", 1], ["bad frames", "bad frames", 7], ["encoder skips", "encoder skips", 2],
  ["packets missing", "packets missing", 3], ["packets lost", "packets lost", 6],
  ["frames withheld", "frames withheld", 8], ["detector drops", "detector drops", 4],
];

// The charts of one camera: frames per second of every stage, latencies, bitrates, and losses per second.
export class Charts {
  constructor() {
    this.charts = {
      rates: new Chart("Frames per second", "", RATES),
      latencies: new Chart("Latency", "ms", LATENCIES),
      bitrates: new Chart("Bitrate", "Mbit/s", BITRATES),
      losses: new Chart("Lost per second", "", LOSSES, true),
    };
    for (const name of ["latencies", "bitrates", "losses"]) this.charts[name].element.classList.add("long");
    element("charts").append(...Object.values(this.charts).map((one) => one.element));
    this.select = element("choice").querySelector("select");
    this.select.onchange = () => this.choose(Number(this.select.value));
    this.index = 0;
    this.counters = {};
  }

  choose(index) {
    if (index === this.index) return;
    Object.assign(this, { index, counters: {} });
    this.select.value = String(index);
    for (const chart of Object.values(this.charts)) chart.clear();
  }

  offer(all) {
    element("choice").hidden = all.length < 2;
    all.forEach(({ name }, i) => {
      const option = this.select.options[i] ?? this.select.appendChild(new Option(name, String(i)));
      if (option.textContent !== name) option.textContent = name;
    });
  }

  add(cameras, all) {
    this.offer(all);
    const [camera, facts] = [cameras[this.index], all[this.index]];
    if (!camera || !facts) return;
    const shown = camera.fps();
    const glass = shown ? camera.latency : NaN;
    // The viewer measures the rate of detections itself; the other stages report their rates.
    this.charts.rates.add({ ...facts.stages, detector: facts.detection_fps ?? facts.stages.detector, shown });
    this.charts.latencies.add({ detected: facts.latency_ms, glass });
    const bitrates = Object.entries(facts.bitrates ?? {}).map(([name, rate]) => [name, rate / 1e6]);
    this.charts.bitrates.add(Object.fromEntries(bitrates));
    this.charts.bitrates.element.hidden = !bitrates.length;
    this.addLosses(facts.losses);
  }

  addLosses(counters) {
    const fresh = {};
    // A counter that decreased belongs to a restarted node.
    for (const [name, count] of Object.entries(counters)) fresh[name] = Math.max(0, count - (this.counters[name] ?? count));
    this.counters = counters;
    this.charts.losses.add(fresh);
    this.charts.losses.element.hidden = !this.charts.losses.listed();
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
  row.innerHTML = "<summary><i></i><span></span><em></em></summary><table><tbody></tbody></table>";
  row.querySelector("span").textContent = name;
  box.append(row);
  return row;
}

function fillNode(row, node) {
  row.dataset.level = node.level;
  const fps = Number(node.values.fps);
  const fine = node.level === "ok" && Number.isFinite(fps) && "fps" in node.values;
  row.querySelector("em").textContent = fine ? `${fps.toFixed(1)} fps` : `${node.level === "ok" ? "" : `${node.level}: `}${node.message}`;
  if (!row.open) return;
  const table = row.querySelector("tbody");
  table.replaceChildren();
  for (const [key, value] of [["state", node.message], ["hardware", node.hardware_id], ...Object.entries(node.values)]) {
    const line = table.insertRow();
    const head = line.appendChild(document.createElement("th"));
    head.scope = "row";
    head.textContent = key.replaceAll("_", " ");
    line.insertCell().textContent = value;
  }
}
