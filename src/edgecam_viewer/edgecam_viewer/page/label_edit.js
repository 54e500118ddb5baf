// Editing the boxes of one frame: selection, changes, undo. Boxes are [x1, y1, x2, y2] in image pixels.

const SMALLEST = 2;

export class Edit {
  constructor(width, height, boxes) {
    this.width = width;
    this.height = height;
    this.boxes = boxes.map((one) => ({ ...one, box: [...one.box] }));
    this.selected = -1;
    this.changed = false;
    this.past = [];
    this.future = [];
  }

  get current() { return this.boxes[this.selected]; }

  // Remember the state before a change; a drag remembers once.
  begin() {
    this.past.push(this.copy());
    this.future = [];
    this.changed = true;
  }

  copy() { return { selected: this.selected, boxes: this.boxes.map((one) => ({ ...one, box: [...one.box] })) }; }

  restore(from, to) {
    const state = from.pop();
    if (!state) return;
    to.push(this.copy());
    Object.assign(this, state);
    this.changed = true;
  }

  undo() { this.restore(this.past, this.future); }
  redo() { this.restore(this.future, this.past); }

  add(box, label) {
    this.begin();
    this.boxes.push({ label, box: this.inside(box), score: 1, by: "person" });
    this.selected = this.boxes.length - 1;
  }

  remove() {
    if (!this.current) return;
    this.begin();
    this.boxes.splice(this.selected, 1);
    this.selected = Math.min(this.selected, this.boxes.length - 1);
  }

  clear() {
    if (!this.boxes.length) return;
    this.begin();
    this.boxes = [];
    this.selected = -1;
  }

  name(label) {
    if (!this.current || this.current.label === label) return;
    this.begin();
    Object.assign(this.current, { label, score: 1, by: "person" });
  }

  // Does not call begin(): drags and keys call it themselves.
  move(dx, dy) {
    const [x1, y1, x2, y2] = this.current.box;
    const x = Math.min(Math.max(dx, -x1), this.width - x2), y = Math.min(Math.max(dy, -y1), this.height - y2);
    this.current.box = [x1 + x, y1 + y, x2 + x, y2 + y];
  }

  resize(edges, dx, dy) {
    const box = [...this.current.box];
    if (edges.includes("w")) box[0] = Math.min(box[0] + dx, box[2] - SMALLEST);
    if (edges.includes("e")) box[2] = Math.max(box[2] + dx, box[0] + SMALLEST);
    if (edges.includes("n")) box[1] = Math.min(box[1] + dy, box[3] - SMALLEST);
    if (edges.includes("s")) box[3] = Math.max(box[3] + dy, box[1] + SMALLEST);
    this.current.box = this.inside(box);
  }

  step(by) {
    if (this.boxes.length) this.selected = (this.selected + by + this.boxes.length) % this.boxes.length;
  }

  inside([x1, y1, x2, y2]) {
    const low = (value, limit) => Math.min(Math.max(value, 0), limit - SMALLEST);
    const left = low(Math.min(x1, x2), this.width), top = low(Math.min(y1, y2), this.height);
    return [left, top, Math.min(Math.max(x1, x2, left + SMALLEST), this.width), Math.min(Math.max(y1, y2, top + SMALLEST), this.height)];
  }
}
