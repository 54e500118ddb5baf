// A small chart of the last two minutes: one value per second for each line; stretched while there are few values.

const POINTS = 120;
const FEWEST = 20;

export class Chart {
  // series: [key, title, colour number] each. A chart of losses (trouble) lists only lines with a value above zero.
  constructor(title, unit, series, trouble = false) {
    this.unit = unit;
    this.trouble = trouble;
    this.series = series.map(([key, name, hue]) => ({ key, name, hue, values: [] }));
    this.element = document.createElement("figure");
    this.element.className = "chart";
    this.element.append(document.createElement("figcaption"), document.createElement("canvas"), document.createElement("ul"));
    this.element.firstChild.textContent = title;
    this.element.children[1].setAttribute("role", "img");
    this.element.children[1].setAttribute("aria-label", `${title} of the last two minutes; the newest values are listed below`);
    this.rows = this.series.map((one) => this.row(one));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  row({ name, hue }) {
    const row = document.createElement("li");
    row.append(document.createElement("i"), document.createElement("span"), document.createElement("b"));
    row.style.setProperty("--hue", `var(--series-${hue})`);
    row.children[1].textContent = name;
    this.element.lastChild.append(row);
    return row;
  }

  // values: number by key; a missing value leaves a gap; a line without values is not listed.
  add(values) {
    this.series.forEach((one, i) => {
      const value = values[one.key] ?? NaN;
      one.values.push(value);
      if (one.values.length > POINTS) one.values.shift();
      this.rows[i].hidden = !one.values.some((known) => Number.isFinite(known) && (known || !this.trouble));
      this.rows[i].lastChild.textContent = Number.isFinite(value) ? `${value.toFixed(value < 10 ? 1 : 0)} ${this.unit}` : "–";
    });
    this.draw();
  }

  listed() { return this.rows.some((row) => !row.hidden); }

  clear() { for (const one of this.series) one.values.length = 0; }

  draw() {
    const canvas = this.element.children[1];
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    Object.assign(canvas, { width, height });
    const known = this.series.flatMap((one) => one.values).filter(Number.isFinite);
    const top = Math.max(...known, 1) * 1.1;
    const pen = canvas.getContext("2d");
    pen.lineWidth = 1.5 * ratio;
    pen.lineJoin = "round";
    this.series.forEach((one, i) => {
      const color = getComputedStyle(this.rows[i]).getPropertyValue("--hue"); // follows light and dark
      this.line(pen, one.values, color, top, width, height, ratio);
    });
  }

  line(pen, values, color, top, width, height, ratio) {
    const points = Math.max(FEWEST, values.length);
    pen.strokeStyle = color;
    pen.beginPath();
    let drawing = false;
    values.forEach((value, i) => {
      const x = ((i + points - values.length) / (points - 1)) * width;
      const y = height - ratio - (value / top) * (height - 2 * ratio);
      if (!Number.isFinite(value)) drawing = false;
      else if (drawing) pen.lineTo(x, y);
      else {
        pen.moveTo(x, y);
        drawing = true;
      }
    });
    pen.stroke();
  }
}
