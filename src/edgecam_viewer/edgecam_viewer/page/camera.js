// One camera's tile: decodes the newest frame, draws it with its own boxes, measures rate and latency.

const WINDOW_MS = 3000;
const LATE_MS = 2000;

// Colours far from each other; a label keeps the one it got first, the same in every tile.
const COLORS = [
  "#4ade80", "#f472b6", "#fbbf24", "#38bdf8", "#c084fc", "#fb923c",
  "#2dd4bf", "#f87171", "#a3e635", "#818cf8", "#facc15", "#e879f9",
];
const taken = new Map();

export function color(label) {
  if (!taken.has(label)) {
    let hash = 7;
    for (const char of label) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
    const used = [...taken.values()];
    let slot = hash % COLORS.length;
    // The hash makes most labels keep their colour over a reload; a free one is better than the same one twice.
    for (let tries = 0; used.includes(COLORS[slot]) && tries < COLORS.length; tries += 1) slot = (slot + 1) % COLORS.length;
    taken.set(label, COLORS[slot]);
  }
  return taken.get(label);
}

export class Camera {
  constructor(index, link, choices) {
    this.index = index;
    this.link = link;
    this.choices = choices; // { boxes: bool, hidden: Set of labels }
    this.times = [];
    this.latency = NaN;
    this.counts = new Map();
    this.shown = 0;
    this.title = String(index);
    this.tile = document.createElement("button");
    this.tile.className = "tile";
    this.tile.innerHTML = '<canvas></canvas><div class="wait">waiting for frames</div>'
      + '<div class="cap"><span class="name"></span></div>';
    this.canvas = this.tile.querySelector("canvas");
    this.wait = this.tile.querySelector(".wait");
    this.pen = this.canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => this.draw()).observe(this.tile);
  }

  name(text) {
    this.title = text;
    this.tile.querySelector(".name").textContent = text;
    this.tile.setAttribute("aria-label", `Camera ${text}`);
  }

  // Newest wins: while one frame is being decoded only the latest of those that come is kept.
  async show(facts) {
    this.next = facts;
    if (this.decoding) return;
    this.decoding = true;
    while (this.next) {
      const facts = this.next;
      this.next = null;
      try {
        this.present(await createImageBitmap(facts.jpeg), facts);
      } catch (error) {
        if (error.name !== "InvalidStateError") throw error; // a frame that cannot be decoded is left out
      }
    }
    this.decoding = false;
  }

  // A decoded frame and what belongs to it; an older one than what is shown is left out.
  present(bitmap, facts) {
    if (this.facts && BigInt(facts.stamp) < BigInt(this.facts.stamp) && this.fresh()) return bitmap.close();
    this.bitmap?.close();
    Object.assign(this, { bitmap, facts });
    this.measure();
    requestAnimationFrame(() => this.draw());
    return undefined;
  }

  // Whether something was shown lately. A stamp that went back is then a frame overtaken by another way.
  fresh() { return performance.now() - this.times[this.times.length - 1] < LATE_MS; }

  measure() {
    const now = performance.now();
    this.times.push(now);
    while (this.times[0] < now - WINDOW_MS) this.times.shift();
    const age = this.link.age(this.facts.stamp);
    this.latency = Number.isNaN(this.latency) ? age : this.latency + (age - this.latency) / 8;
    this.counts = new Map();
    for (const [label] of this.facts.detections ?? []) this.counts.set(label, (this.counts.get(label) ?? 0) + 1);
    this.shown += 1;
    this.tile.dataset.live = "";
    delete this.tile.dataset.late;
    this.tile.style.setProperty("--shape", `${this.facts.width} / ${this.facts.height}`);
  }

  fps() {
    const now = performance.now();
    const times = this.times.filter((time) => time > now - WINDOW_MS);
    return times.length < 2 ? 0 : (1000 * (times.length - 1)) / (now - times[0]);
  }

  // Called once a second: say so when frames have stopped.
  check() {
    const last = this.times[this.times.length - 1];
    if (last === undefined || performance.now() - last < LATE_MS) return;
    this.tile.dataset.late = "";
    this.wait.textContent = `no frame for ${Math.round((performance.now() - last) / 1000)} s`;
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.tile.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.tile.clientHeight * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const { pen, facts, bitmap } = this;
    pen.fillStyle = "#05070b";
    pen.fillRect(0, 0, width, height);
    if (!bitmap) return;
    const scale = Math.min(width / facts.width, height / facts.height);
    const left = (width - facts.width * scale) / 2;
    const top = (height - facts.height * scale) / 2;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, left, top, facts.width * scale, facts.height * scale);
    this.place = { left, top, scale };
    if (this.choices.boxes) this.drawBoxes(ratio);
  }

  drawBoxes(ratio) {
    // Worst first, so that the best lies on top.
    for (const one of [...(this.facts.detections ?? [])].reverse()) {
      if (!this.choices.hidden.has(one[0])) this.drawBox(one, ratio);
    }
  }

  drawBox([label, score, x1, y1, x2, y2, track], ratio) {
    const { pen } = this;
    const { left, top, scale } = this.place;
    const x = left + x1 * scale;
    const y = top + y1 * scale;
    const width = (x2 - x1) * scale;
    const height = (y2 - y1) * scale;
    const tint = color(label);
    const line = 2 * ratio;
    pen.lineWidth = line + 2 * ratio;
    pen.strokeStyle = "#05070b80"; // a dark rim keeps the box visible on a bright frame
    pen.strokeRect(x, y, width, height);
    pen.lineWidth = line;
    pen.strokeStyle = tint;
    pen.strokeRect(x, y, width, height);
    this.drawLabel(`${label} ${Math.round(score * 100)}%${track ? `  #${track}` : ""}`, x, y, tint, ratio);
  }

  drawLabel(text, x, y, tint, ratio) {
    const { pen, canvas } = this;
    const size = 13 * ratio;
    const pad = 6 * ratio;
    pen.font = `600 ${size}px system-ui, sans-serif`;
    const width = pen.measureText(text).width + 2 * pad;
    const height = size + pad;
    const left = Math.max(0, Math.min(x - ratio, canvas.width - width));
    const over = y - height - ratio >= 0 ? y - height - ratio : y + ratio; // inside where there is no room above
    pen.fillStyle = tint;
    pen.beginPath();
    pen.roundRect(left, over, width, height, 4 * ratio);
    pen.fill();
    pen.fillStyle = "#05070b";
    pen.textBaseline = "middle";
    pen.fillText(text, left + pad, over + height / 2 + ratio * 0.5);
  }
}
