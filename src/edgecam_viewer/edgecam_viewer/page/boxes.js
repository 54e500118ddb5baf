// Boxes and labels on a canvas.

// Distinct colours; a label keeps its first colour, in all tiles.
const COLORS = [
  "#4ade80", "#f472b6", "#fbbf24", "#38bdf8", "#c084fc", "#fb923c",
  "#2dd4bf", "#f87171", "#a3e635", "#818cf8", "#facc15", "#e879f9",
];
const MAX_LABELS = 1000; // labels that keep their colour
const taken = new Map();

export function color(label) {
  if (!taken.has(label)) {
    let hash = 7;
    for (const char of label) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
    const used = [...taken.values()];
    let slot = hash % COLORS.length;
    // With the hash, most labels keep their colour after a reload; a used colour is replaced by an unused one.
    for (let tries = 0; used.includes(COLORS[slot]) && tries < COLORS.length; tries += 1) slot = (slot + 1) % COLORS.length;
    if (taken.size >= MAX_LABELS) return COLORS[slot];
    taken.set(label, COLORS[slot]);
  }
  return taken.get(label);
}

// place: position of the frame on the canvas, { left, top, scale } in canvas pixels; ratio: canvas to CSS pixels.
export function drawBoxes(pen, detections, place, ratio, hidden) {
  // Lowest score first, so that the highest is on top.
  for (const one of [...detections].reverse()) if (!hidden.has(one[0])) drawBox(pen, one, place, ratio);
}

function drawBox(pen, [label, score, x1, y1, x2, y2, track], { left, top, scale }, ratio) {
  const [x, y] = [left + x1 * scale, top + y1 * scale];
  const [width, height] = [(x2 - x1) * scale, (y2 - y1) * scale];
  const tint = color(label);
  const line = 2 * ratio;
  pen.lineWidth = line + 2 * ratio;
  pen.strokeStyle = "#05070b80"; // a dark rim keeps the box visible on a bright frame
  pen.strokeRect(x, y, width, height);
  pen.lineWidth = line;
  pen.strokeStyle = tint;
  pen.strokeRect(x, y, width, height);
  drawLabel(pen, `${label} ${Math.round(score * 100)}%${track ? `  #${track}` : ""}`, x, y, tint, ratio);
}

function drawLabel(pen, text, x, y, tint, ratio) {
  const size = 13 * ratio;
  const pad = 6 * ratio;
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const width = pen.measureText(text).width + 2 * pad;
  const height = size + pad;
  const left = Math.max(0, Math.min(x - ratio, pen.canvas.width - width));
  const over = y - height - ratio >= 0 ? y - height - ratio : y + ratio; // inside the box if there is no room above
  pen.fillStyle = tint;
  pen.beginPath();
  pen.roundRect(left, over, width, height, 4 * ratio);
  pen.fill();
  pen.fillStyle = "#05070b";
  pen.textBaseline = "middle";
  pen.fillText(text, left + pad, over + height / 2 + ratio * 0.5);
}
