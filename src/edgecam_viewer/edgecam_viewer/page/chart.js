// A small line chart of the last minutes, one value a second; a young one is stretched.

const POINTS = 120;
const FEWEST = 20;

export class Chart {
  constructor(title, unit, color) {
    this.unit = unit;
    this.color = color;
    this.values = [];
    this.element = document.createElement("div");
    this.element.className = "chart";
    this.element.innerHTML = "<span></span><b></b><canvas></canvas>";
    this.element.querySelector("span").textContent = title;
  }

  // null and NaN leave a gap.
  add(value) {
    this.values.push(value ?? NaN);
    if (this.values.length > POINTS) this.values.shift();
    const text = Number.isFinite(value) ? `${value.toFixed(value < 100 ? 1 : 0)} ${this.unit}` : "–";
    this.element.querySelector("b").textContent = text;
    this.draw();
  }

  draw() {
    const canvas = this.element.querySelector("canvas");
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    const known = this.values.filter(Number.isFinite);
    if (known.length < 2) return;
    const top = Math.max(...known) * 1.15 || 1;
    const points = Math.max(FEWEST, this.values.length);
    const x = (i) => ((i + points - this.values.length) / (points - 1)) * width;
    const y = (value) => height - ratio - (value / top) * (height - 2 * ratio);
    const line = new Path2D();
    const area = new Path2D();
    let start = null;
    this.values.forEach((value, i) => {
      if (!Number.isFinite(value)) {
        start = null;
        return;
      }
      if (start === null) line.moveTo(x(i), y(value));
      else {
        line.lineTo(x(i), y(value));
        area.moveTo(x(i - 1), height);
        area.lineTo(x(i - 1), y(this.values[i - 1]));
        area.lineTo(x(i), y(value));
        area.lineTo(x(i), height);
      }
      start = i;
    });
    pen.fillStyle = `${this.color}22`;
    pen.fill(area);
    pen.strokeStyle = this.color;
    pen.lineWidth = 1.5 * ratio;
    pen.lineJoin = "round";
    pen.stroke(line);
  }
}
