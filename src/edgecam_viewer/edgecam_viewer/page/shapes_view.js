// Draws the shapes of a camera over its frame and turns pointer moves and keys into changes.

const NAMES = "http://www.w3.org/2000/svg";
const STEP = 0.005; // of the frame, for an arrow key
const NEAR = 16; // pixels; a tap this close to the first point closes a zone

function make(name, attributes) {
  const element = document.createElementNS(NAMES, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export class ShapesView {
  // screen: the element around the frame; place(): { left, top, width, height } of the frame in it; changed(): callback
  // after each change.
  constructor(screen, place, changed) {
    Object.assign(this, { screen, place, changed, shapes: null, cursor: [0.5, 0.5] });
    this.svg = make("svg", { class: "shapes", tabindex: "0", role: "application" });
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) this.svg.addEventListener(name, () => { this.action = null; });
    this.svg.addEventListener("dblclick", (event) => this.double(event));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.observer = new ResizeObserver(() => this.draw());
  }

  open(shapes, label) {
    this.shapes = shapes;
    this.svg.setAttribute("aria-label", label);
    this.screen.append(this.svg);
    this.observer.observe(this.screen);
    this.draw();
  }

  close() {
    this.shapes = null;
    this.observer.disconnect();
    this.svg.remove();
  }

  draw() {
    if (!this.shapes) return;
    const { left, top, width, height } = this.place();
    Object.assign(this.svg.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    Object.assign(this, { width, height });
    this.svg.replaceChildren(...this.shapes.list.map((shape, i) => this.group(shape, i)));
    if (this.shapes.drawing) this.svg.append(this.cross());
  }

  group(shape, index) {
    const { selected, point, drawing } = this.shapes;
    const points = shape.points.map(([x, y]) => [x * this.width, y * this.height]);
    const group = make("g", { class: `${shape.line ? "line" : "zone"}${index === selected ? " selected" : ""}` });
    const open = shape.line || (drawing && index === selected);
    if (points.length > 1) group.append(make(open ? "polyline" : "polygon", { class: "body", points: points.join(" "), "data-shape": index }));
    if (shape.line && points.length === 2) group.append(this.arrow(points));
    if (points.length) {
      const words = make("text", { x: points[0][0] + 8, y: Math.max(points[0][1] - 8, 16) });
      words.textContent = shape.name;
      group.append(words);
    }
    if (index === selected) points.forEach(([x, y], i) => group.append(make("circle", { cx: x, cy: y, r: i === point ? 9 : 7, class: i === point ? "chosen" : "", "data-point": i })));
    return group;
  }

  // An arrow from left to right, seen from the first point to the second: the direction "left-to-right".
  arrow([[x1, y1], [x2, y2]]) {
    const length = Math.hypot(x2 - x1, y2 - y1) || 1;
    const [nx, ny] = [-(y2 - y1) / length, (x2 - x1) / length];
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    const tip = [x + nx * 22, y + ny * 22];
    const side = (sign) => [x + nx * 13 + sign * ny * 6, y + ny * 13 - sign * nx * 6];
    return make("polyline", { class: "arrow", points: [[x, y], tip, side(1), tip, side(-1)].join(" ") });
  }

  cross() {
    const [x, y] = [this.cursor[0] * this.width, this.cursor[1] * this.height];
    return make("path", { class: "cross", d: `M${x - 10} ${y}h20M${x} ${y - 10}v20` });
  }

  at(event) {
    const box = this.svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  down(event) {
    if (event.button) return;
    event.preventDefault();
    this.svg.focus();
    const { shapes } = this;
    const at = this.at(event);
    if (shapes.drawing) return this.put(at);
    const { shape, point } = event.target.dataset;
    if (point !== undefined) shapes.select(shapes.selected, Number(point));
    else shapes.select(shape === undefined ? -1 : Number(shape));
    if (shapes.current) {
      this.action = { at, begun: false };
      this.svg.setPointerCapture(event.pointerId);
    }
    return this.done();
  }

  // While drawing: a new point, or the end at the first one.
  put(at) {
    const { shapes } = this;
    const { points } = shapes.current;
    const near = (point) => point && Math.hypot((at[0] - point[0]) * this.width, (at[1] - point[1]) * this.height) < NEAR;
    if (points.length > 2 && near(points[0])) shapes.finish();
    else if (!near(points[points.length - 1])) shapes.add(at); // ignore the second click of a double click
    this.done();
  }

  drag(event) {
    if (!this.action) return;
    const at = this.at(event);
    if (!this.action.begun) this.shapes.begin();
    this.action.begun = true;
    this.shapes.move(at[0] - this.action.at[0], at[1] - this.action.at[1]);
    this.action.at = at;
    this.done();
  }

  // On an edge of the selected zone: a new point there.
  double(event) {
    const { shapes } = this;
    if (shapes.drawing || !shapes.current || shapes.current.line) return;
    const [x, y] = this.at(event);
    const { points } = shapes.current;
    const far = points.map(([px, py], i) => {
      const [qx, qy] = points[(i + 1) % points.length];
      const share = Math.min(Math.max(((x - px) * (qx - px) + (y - py) * (qy - py)) / ((qx - px) ** 2 + (qy - py) ** 2 || 1), 0), 1);
      return Math.hypot(px + share * (qx - px) - x, py + share * (qy - py) - y);
    });
    shapes.insert(far.indexOf(Math.min(...far)), [x, y]);
    this.done();
  }

  key(event) {
    const { shapes } = this;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const by = STEP * (event.shiftKey ? 10 : 1);
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") event.shiftKey ? shapes.redo() : shapes.undo();
    else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "y") shapes.redo();
    else if (arrow && shapes.drawing) this.cursor = this.cursor.map((value, k) => Math.min(Math.max(value + arrow[k] * by, 0), 1));
    else if (arrow && shapes.current) {
      shapes.begin();
      shapes.move(arrow[0] * by, arrow[1] * by);
    } else if (event.key === " " && shapes.drawing) shapes.add([...this.cursor]);
    else if (event.key === "Enter" && shapes.drawing) shapes.finish();
    else if (event.key === "Escape" && shapes.drawing) shapes.remove(true);
    else if (event.key === "Escape") shapes.select(-1);
    else if (event.key === "." || event.key === ",") shapes.step(event.key === "." ? 1 : -1);
    else if (event.key === "Delete" || event.key === "Backspace") shapes.remove();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.done();
  }

  done() {
    this.draw();
    this.changed();
  }
}
