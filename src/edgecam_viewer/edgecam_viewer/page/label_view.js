// Shows one frame with its boxes, zoomed and moved by wheel, pinch and keys, and turns pointer moves into edits.

const NAMES = "http://www.w3.org/2000/svg";
const HANDLES = { nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5], se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5] };
const MAX_ZOOM = 20;
const MARGIN = 16; // pixels around the fitted image, so that handles at its edges can be grabbed
const HANDLE = 12, GRIP = 36; // pixels: what is visible of a handle, and what reacts to a finger

export const hue = (label) => {
  let sum = 0;
  for (const letter of label) sum = (sum * 31 + letter.codePointAt(0)) % 1_000_003;
  return `hsl(${Math.round(sum * 137.508) % 360} 90% 62%)`; // the golden angle: similar names get different hues
};

export class View {
  // `changed` is called after every edit, `label` returns the class of a new box.
  constructor(stage, canvas, image, svg, changed, label) {
    Object.assign(this, { stage, canvas, image, svg, changed, label });
    this.scale = 1;
    this.offset = [0, 0];
    this.pointers = new Map();
    this.touch = matchMedia("(pointer: coarse)").matches;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.up(event));
    new ResizeObserver(() => this.edit && this.fit()).observe(stage);
  }

  show(edit) {
    this.edit = edit;
    this.image.width = edit.width;
    this.image.height = edit.height;
    this.svg.setAttribute("viewBox", `0 0 ${edit.width} ${edit.height}`);
    this.svg.setAttribute("width", edit.width);
    this.svg.setAttribute("height", edit.height);
    this.fit();
  }

  fit() {
    const { clientWidth, clientHeight } = this.stage;
    const room = (side) => Math.max(side - 2 * MARGIN, 1);
    this.scale = Math.min(room(clientWidth) / this.edit.width, room(clientHeight) / this.edit.height);
    this.offset = [(clientWidth - this.edit.width * this.scale) / 2, (clientHeight - this.edit.height * this.scale) / 2];
    this.draw();
  }

  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, 0.05), MAX_ZOOM);
    const by = scale / this.scale;
    this.offset = [x - (x - this.offset[0]) * by, y - (y - this.offset[1]) * by];
    this.scale = scale;
    this.draw();
  }

  draw() {
    this.canvas.style.transform = `translate(${this.offset[0]}px, ${this.offset[1]}px) scale(${this.scale})`;
    this.svg.replaceChildren(...this.edit.boxes.map((one, index) => this.group(one, index)));
  }

  group(one, index) {
    const [x1, y1, x2, y2] = one.box;
    const group = make("g", {});
    group.style.setProperty("--hue", hue(one.label));
    group.classList.toggle("selected", index === this.edit.selected);
    const stroke = (index === this.edit.selected ? 4 : 2) / this.scale;
    const dashes = one.by === "person" ? "none" : `${7 / this.scale} ${5 / this.scale}`;
    group.append(make("rect", { class: "box", "stroke-width": stroke, "stroke-dasharray": dashes, x: x1, y: y1, width: x2 - x1, height: y2 - y1, "data-box": index }));
    const text = make("text", { x: x1 + 3 / this.scale, y: Math.max(y1 - 5 / this.scale, 15 / this.scale), "font-size": 15 / this.scale });
    text.textContent = one.label + (one.by === "person" ? "" : ` ${one.score.toFixed(2)}`);
    group.append(text);
    if (index === this.edit.selected) {
      for (const [edges, [fx, fy]] of Object.entries(HANDLES)) {
        const x = x1 + fx * (x2 - x1), y = y1 + fy * (y2 - y1);
        group.append(this.square("handle", HANDLE, x, y, edges), ...(this.touch ? [this.square("grip", GRIP, x, y, edges)] : []));
      }
    }
    return group;
  }

  square(name, pixels, x, y, edges) {
    const side = pixels / this.scale;
    return make("rect", { class: name, "stroke-width": 1 / this.scale, x: x - side / 2, y: y - side / 2, width: side, height: side, "data-edges": edges });
  }

  point(event) {
    const frame = this.stage.getBoundingClientRect();
    return [(event.clientX - frame.left - this.offset[0]) / this.scale, (event.clientY - frame.top - this.offset[1]) / this.scale];
  }

  wheel(event) {
    event.preventDefault();
    const frame = this.stage.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 400), event.clientX - frame.left, event.clientY - frame.top);
  }

  down(event) {
    if (!this.edit || event.button > 1) return;
    this.touch = event.pointerType !== "mouse";
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.stage.setPointerCapture(event.pointerId);
    if (this.pointers.size > 1 || event.button === 1) { // pinch, or the middle button: move the view
      if (this.action?.kind === "draw" || this.action?.begun) this.edit.undo();
      this.action = { kind: "view" };
      return;
    }
    const at = this.point(event);
    const { edges, box } = event.shiftKey ? {} : event.target.dataset ?? {}; // Shift draws over other boxes
    if (edges) this.action = { kind: "resize", edges, at };
    else if (box !== undefined) {
      this.edit.selected = Number(box);
      this.action = { kind: "move", at };
      this.changed(false);
    } else this.action = { kind: "new", at };
    this.draw();
  }

  drag(event) {
    if (!this.pointers.has(event.pointerId)) return;
    const before = [...this.pointers.values()];
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const action = this.action;
    if (action.kind === "view") return this.pinch(before, [...this.pointers.values()]);
    const at = this.point(event), dx = at[0] - action.at[0], dy = at[1] - action.at[1];
    if (!action.begun && Math.hypot(dx, dy) * this.scale < 4) return undefined; // a small movement is a click, not a drag
    if (!action.begun) {
      action.begun = true;
      if (action.kind === "new") {
        this.edit.add([...action.at, ...at], this.label());
        Object.assign(action, { kind: "draw", from: action.at });
      } else this.edit.begin();
    }
    if (action.kind === "draw") this.edit.current.box = this.edit.inside([...action.from, ...at]);
    else if (action.kind === "move") this.edit.move(dx, dy);
    else this.edit.resize(action.edges, dx, dy);
    action.at = at;
    return this.draw();
  }

  pinch(before, after) {
    const middle = (points) => [0, 1].map((i) => points.reduce((sum, one) => sum + one[i], 0) / points.length);
    const spread = (points) => (points.length < 2 ? 1 : Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]) || 1);
    const [from, to] = [middle(before), middle(after)];
    this.offset = [this.offset[0] + to[0] - from[0], this.offset[1] + to[1] - from[1]];
    const frame = this.stage.getBoundingClientRect();
    this.zoom(spread(after) / spread(before), to[0] - frame.left, to[1] - frame.top);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const action = this.action;
    if (this.pointers.size) return;
    this.action = undefined;
    if (action?.kind === "new") this.edit.selected = -1;
    this.draw();
    this.changed(Boolean(action?.begun));
  }
}

function make(name, attributes) {
  const element = document.createElementNS(NAMES, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
