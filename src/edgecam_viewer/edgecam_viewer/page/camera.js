// One camera: decodes the newest frame, draws it with its boxes, measures rate and latency.

import { drawBoxes } from "./boxes.js";
import { Tile } from "./tile.js";

const WINDOW_MS = 3000;
const LATE_MS = 2000;

export class Camera {
  // choices: { boxes: bool, hidden: Set of labels }; link: see link.js
  constructor(index, link, choices) {
    Object.assign(this, { index, link, choices, times: [], latency: NaN, counts: new Map(), shown: 0 });
    this.since = performance.now(); // time of the request for frames
    this.title = String(index);
    this.tile = new Tile(this);
    this.canvas = this.tile.canvas;
    this.pen = this.canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => this.draw()).observe(this.tile.view);
  }

  // While a frame is being decoded, only the newest arrival is kept.
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
        if (error.name !== "InvalidStateError") throw error; // skip a frame that cannot be decoded
      }
    }
    this.decoding = false;
  }

  // Show a decoded frame with its data; skip it if it is older than the frame shown.
  present(bitmap, facts) {
    if (this.facts && BigInt(facts.stamp) < BigInt(this.facts.stamp) && this.live()) return bitmap.close();
    this.bitmap?.close();
    Object.assign(this, { bitmap, facts });
    this.measure();
    requestAnimationFrame(() => this.draw());
    return undefined;
  }

  // Whether a frame was shown recently. An earlier stamp is then a late frame, not a restart.
  live() { return performance.now() - this.times[this.times.length - 1] < LATE_MS; }

  // Frames are requested again; earlier ones no longer count.
  asked() { this.since = performance.now(); }

  // Seconds without a frame, 0 while they arrive and just after they were requested.
  silent() {
    const waited = performance.now() - Math.max(this.since, this.times[this.times.length - 1] ?? 0);
    return waited < LATE_MS ? 0 : Math.round(waited / 1000);
  }

  measure() {
    const now = performance.now();
    this.times.push(now);
    while (this.times[0] < now - WINDOW_MS) this.times.shift();
    const age = this.link.age(this.facts.stamp);
    this.latency = Number.isNaN(this.latency) ? age : this.latency + (age - this.latency) / 8;
    this.counts = new Map();
    for (const [label] of this.facts.detections ?? []) this.counts.set(label, (this.counts.get(label) ?? 0) + 1);
    this.shown += 1;
    this.tile.arrived(this.facts);
  }

  fps() {
    const now = performance.now();
    const times = this.times.filter((time) => time > now - WINDOW_MS);
    return times.length < 2 ? 0 : (1000 * (times.length - 1)) / (now - times[0]);
  }

  // Position of the frame in its view, in CSS pixels; the whole view before the first frame.
  frameBox() {
    const { clientWidth, clientHeight } = this.tile.view;
    const { width, height } = this.facts ?? { width: clientWidth, height: clientHeight };
    const scale = Math.min(clientWidth / width, clientHeight / height);
    return { left: (clientWidth - width * scale) / 2, top: (clientHeight - height * scale) / 2, width: width * scale, height: height * scale };
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.tile.view.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.tile.view.clientHeight * ratio));
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
    if (this.choices.boxes) drawBoxes(pen, facts.detections ?? [], this.place, ratio, this.choices.hidden);
  }
}
