// The drawing panel of one camera: its buttons, and saving to the events node and the detector.

import { Shapes } from "./shapes.js";
import { ShapesView } from "./shapes_view.js";
import { write } from "./text.js";

const HTML = `
  <div class="actions">
    <button class="new-zone">New zone</button><button class="new-line">New line</button>
    <button class="finish" hidden>Finish</button>
    <button class="undo">Undo</button><button class="redo">Redo</button><button class="delete">Delete</button>
  </div>
  <ul class="names"></ul>
  <div class="chosen" hidden>
    <label>Name <input class="name" maxlength="60" autocomplete="off" spellcheck="false"></label>
    <label class="region"><input type="checkbox"> Also a region of the detector (detect only here)</label>
  </div>
  <p class="help"></p>
  <p class="response" role="status"></p>
  <div class="actions"><button class="save">Save</button><button class="close">Close</button></div>`;
const HELP = "Drag a point or a shape; double-click an edge to add a point. Keys: arrows move (Shift: further), period and comma select a point, Delete, Ctrl Z.";
const DRAWING = "Click or tap each point; click the first point or press Enter to close a zone. Keys: arrows move the cursor, Space sets a point, Escape cancels.";

export class ShapesPanel {
  // box: an empty element; camera: see camera.js; send(message): a request to the viewer.
  constructor(box, screen, camera, send) {
    Object.assign(this, { box, camera, send, shapes: null });
    this.view = new ShapesView(screen, () => camera.frameBox(), () => this.show());
  }

  find(selector) { return this.box.querySelector(selector); }

  get opened() { return Boolean(this.shapes); }

  // Requests the shapes; the drawing opens with the response.
  ask(single) {
    this.single = single;
    this.send({ type: "shapes", camera: this.camera.index });
  }

  answer({ ok, text, value, type }) {
    if (type === "shapes" && ok) return this.open(value);
    if (type === "set_shapes" && ok) {
      this.shapes.values = this.sent;
      return this.say("Saved");
    }
    if (!this.opened) return this.camera.tile.say(text);
    return this.say(text);
  }

  open(values) {
    const name = this.camera.title.split("/").pop();
    this.shapes = new Shapes({ regions: [], ...values }, name, this.single);
    this.canDetect = "regions" in values;
    this.box.innerHTML = HTML;
    this.box.hidden = false;
    this.listen();
    this.view.open(this.shapes, `Zones and lines of ${this.camera.title}`);
    this.show();
    this.find(".new-zone").focus();
  }

  close() {
    this.shapes = null;
    this.box.hidden = true;
    this.box.replaceChildren();
    this.view.close();
  }

  listen() {
    const change = (work) => () => {
      work();
      this.view.done();
    };
    const actions = {
      "new-zone": () => this.start(false), "new-line": () => this.start(true), finish: change(() => this.shapes.finish()),
      undo: change(() => this.shapes.undo()), redo: change(() => this.shapes.redo()),
      delete: change(() => this.shapes.remove()), save: () => this.save(), close: () => this.camera.tile.draw(),
    };
    for (const [name, work] of Object.entries(actions)) this.find(`button.${name}`).onclick = work;
    this.find(".name").onchange = ({ target }) => change(() => this.shapes.rename(target.value.trim()))();
    this.find(".region input").onchange = ({ target }) => change(() => this.shapes.setRegion(target.checked))();
  }

  start(line) {
    this.shapes.start(line);
    this.view.done();
    this.view.svg.focus();
  }

  show() {
    const { shapes } = this;
    const { current, drawing } = shapes;
    this.find(".finish").hidden = !drawing || current.line;
    this.find("button.undo").disabled = !shapes.past.length;
    this.find("button.redo").disabled = !shapes.future.length;
    this.find("button.delete").disabled = !current;
    this.find(".chosen").hidden = !current;
    this.find(".region").hidden = !this.canDetect || Boolean(current?.line);
    if (current) {
      if (this.find(".name").value !== current.name) this.find(".name").value = current.name;
      this.find(".region input").checked = current.region;
    }
    write(this.find(".help"), drawing ? DRAWING : HELP);
    this.showNames();
  }

  showNames() {
    const list = this.find(".names");
    const rows = this.shapes.list.map((shape, i) => {
      const button = list.children[i]?.firstChild ?? list.appendChild(document.createElement("li")).appendChild(document.createElement("button"));
      write(button, `${shape.line ? "Line" : "Zone"} ${shape.name}`);
      button.setAttribute("aria-pressed", String(i === this.shapes.selected));
      button.onclick = () => {
        this.shapes.select(i);
        this.view.done();
      };
      return button;
    });
    while (list.children.length > rows.length) list.lastChild.remove();
  }

  save() {
    const problem = this.shapes.problem();
    if (problem) return this.say(problem);
    const { zones, lines, regions = [] } = this.shapes.values;
    this.sent = this.shapes.result();
    this.say("…");
    return this.send({ type: "set_shapes", camera: this.camera.index, value: { before: { zones, lines, regions }, after: this.sent } });
  }

  say(text) { write(this.find(".response"), text); }
}
