// The panel of shadow models: their agreement with the detector's live model, by class.

import { write } from "./text.js";

// shadows: [{detector, fps, classes: [[label, found by both, found by either]]}].
export function showShadows(box, shadows) {
  box.hidden = !shadows.length;
  const parts = shadows.map((shadow, i) => {
    const part = box.querySelectorAll(".shadow")[i] ?? newPart(box);
    write(part.querySelector("p"), `${shadow.detector}, ${shadow.fps === null ? "waiting for frames" : `${shadow.fps.toFixed(1)} fps`}`);
    showClasses(part, shadow.classes);
    return part;
  });
  for (const gone of [...box.querySelectorAll(".shadow")].slice(parts.length)) gone.remove();
}

function newPart(box) {
  const part = box.appendChild(document.createElement("div"));
  part.className = "shadow";
  part.innerHTML = `<p></p><table><thead><tr><th scope="col">Class</th><th scope="col">Agreement</th></tr></thead><tbody></tbody></table>`;
  return part;
}

function showClasses(part, classes) {
  const table = part.querySelector("table");
  table.hidden = !classes.length;
  const body = part.querySelector("tbody");
  classes.forEach(([label, both, either], i) => {
    const row = body.rows[i] ?? newRow(body);
    write(row.cells[0], label);
    write(row.cells[1], either ? `${Math.round((100 * both) / either)} % (${both} of ${either})` : "–");
  });
  while (body.rows.length > classes.length) body.lastChild.remove();
}

function newRow(body) {
  const row = body.insertRow();
  const head = row.appendChild(document.createElement("th"));
  head.scope = "row";
  row.insertCell();
  return row;
}
