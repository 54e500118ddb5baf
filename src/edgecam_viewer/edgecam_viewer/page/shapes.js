// Zones and lines of one camera: parsing and writing, selection, changes, undo. Independent of the page.
// Points are [x, y], fractions of the frame.

const CLOSE = 1e-4;

// "camera/name: x,y x,y", with or without camera and name.
export function parse(text, line = false) {
  const at = text.lastIndexOf(":");
  const path = at < 0 ? "" : text.slice(0, at).trim();
  const points = text.slice(at + 1).trim().split(/\s+/).map((one) => one.split(",").map(Number));
  const cut = path.lastIndexOf("/");
  return { camera: cut < 0 ? "" : path.slice(0, cut), name: path.slice(cut + 1), line, points };
}

const round = (value) => Number(Math.min(Math.max(value, 0), 1).toFixed(4));
const written = (points) => points.map((point) => point.map(round).join()).join(" ");

export function text({ camera, name, points }) {
  const path = [camera, name].filter(Boolean).join("/");
  return path ? `${path}: ${written(points)}` : written(points);
}

// The node's text if the shape has not changed, because its numbers may have more digits.
function kept(shape) {
  const before = shape.original && parse(shape.original, shape.line);
  return before && before.name === shape.name && before.camera === shape.camera && same(before.points, shape.points) ? shape.original : text(shape);
}

// The detector's regions have a camera and no name.
const region = ({ camera, points }) => text({ camera: "", name: camera, points });

function same(one, other) {
  return one.length === other.length && one.every((point, i) => point.every((value, k) => Math.abs(value - other[i][k]) < CLOSE));
}

export class Shapes {
  // values: { zones, lines, regions } from the nodes; camera: name of the camera; single: there is only one camera.
  constructor(values, camera, single) {
    Object.assign(this, { values, selected: -1, point: -1, drawing: false, past: [], future: [] });
    const mine = (shape) => single || !shape.camera || shape.camera === camera;
    const all = [...values.zones.map((one) => [one, parse(one)]), ...values.lines.map((one) => [one, parse(one, true)])];
    this.own = single ? "" : camera; // of new shapes
    this.foreign = all.filter(([, shape]) => !mine(shape)).map(([original, shape]) => [original, shape.line]);
    this.list = all.filter(([, shape]) => mine(shape)).map(([original, shape]) => ({ ...shape, original, region: false }));
    this.regions = this.takeRegions(values.regions ?? []);
  }

  // Marks the zones that are also regions of the detector; returns the other regions.
  takeRegions(texts) {
    return texts.filter((one) => {
      const { name: camera, points } = parse(one);
      const zone = this.list.find((shape) => !shape.line && !shape.region && shape.camera === camera && same(shape.points, points));
      if (zone) zone.region = true;
      return !zone;
    });
  }

  get current() { return this.list[this.selected]; }

  // The values for the nodes.
  result() {
    const of = (line) => [...this.foreign.filter((one) => one[1] === line).map(([original]) => original), ...this.list.filter((one) => one.line === line).map(kept)];
    const regions = [...this.regions, ...this.list.filter((one) => one.region).map(region)];
    return { zones: of(false), lines: of(true), regions };
  }

  // Why the shapes cannot be saved; "" if they can.
  problem() {
    if (this.drawing) return "finish drawing the shape first";
    const names = this.list.map((one) => `${one.line} ${one.camera}/${one.name}`);
    const bad = this.list.find((one) => !/^[\p{L}\p{N}_-]{1,60}$/u.test(one.name));
    if (bad) return `'${bad.name}' is not a valid name: use letters, digits, - and _`;
    const twice = this.list.find((one, i) => names.indexOf(names[i]) !== i);
    return twice ? `the name '${twice.name}' is used twice` : "";
  }

  // Call before each change; once for a drag.
  begin() {
    this.past.push(this.copy());
    this.future = [];
  }

  copy() { return structuredClone({ list: this.list, selected: this.selected, point: this.point, drawing: this.drawing }); }

  restore(from, to) {
    const state = from.pop();
    if (!state) return;
    to.push(this.copy());
    Object.assign(this, state);
  }

  undo() { this.restore(this.past, this.future); }
  redo() { this.restore(this.future, this.past); }

  start(line) {
    if (this.drawing) this.finish();
    this.begin();
    const taken = new Set(this.list.map((one) => one.name));
    let number = 1;
    while (taken.has(`${line ? "line" : "zone"}-${number}`)) number += 1;
    this.list.push({ camera: this.own, name: `${line ? "line" : "zone"}-${number}`, line, points: [], region: false });
    Object.assign(this, { selected: this.list.length - 1, point: -1, drawing: true });
  }

  add(point) {
    this.begin();
    this.current.points.push(point.map(round));
    this.point = this.current.points.length - 1;
    if (this.current.line && this.current.points.length === 2) this.drawing = false;
  }

  // End drawing; drop a shape with too few points.
  finish() {
    this.drawing = false;
    if (this.current && this.current.points.length < (this.current.line ? 2 : 3)) this.remove(true);
  }

  select(index, point = -1) { if (!this.drawing) Object.assign(this, { selected: index, point }); }

  // The next or previous point of the selected shape, or the next shape.
  step(by) {
    if (!this.current) return this.select(this.list.length ? 0 : -1);
    const count = this.current.points.length;
    return this.select(this.selected, (this.point + by + count) % count);
  }

  // Moves the selected point, or the whole shape; the shape stays inside the frame.
  move(dx, dy) {
    const points = this.point < 0 ? this.current.points : [this.current.points[this.point]];
    const inside = (step, k) => Math.min(Math.max(step, -Math.min(...points.map((one) => one[k]))), 1 - Math.max(...points.map((one) => one[k])));
    const [x, y] = [inside(dx, 0), inside(dy, 1)];
    for (const point of points) Object.assign(point, [round(point[0] + x), round(point[1] + y)]);
  }

  // A new point after another one.
  insert(after, point) {
    this.begin();
    this.current.points.splice(after + 1, 0, point.map(round));
    this.point = after + 1;
  }

  // Remove the selected point if enough points remain, otherwise the shape.
  remove(shape = false) {
    if (!this.current) return;
    this.begin();
    if (!shape && this.point >= 0 && !this.current.line && this.current.points.length > 3) {
      this.current.points.splice(this.point, 1);
      this.point = -1;
      return;
    }
    this.list.splice(this.selected, 1);
    Object.assign(this, { selected: -1, point: -1, drawing: false });
  }

  rename(name) {
    this.begin();
    this.current.name = name;
  }

  setRegion(on) {
    this.begin();
    this.current.region = on;
  }
}
