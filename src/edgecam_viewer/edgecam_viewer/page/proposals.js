// Improved models: the proposals, their test results, and buttons to deploy or decline them.

import { write } from "./text.js";

const AGAIN_MS = 5000;
const STATES = { working: "in progress", pending: "waits for approval", refused: "refused by the gate", failed: "failed", approved: "deployed", declined: "declined" };
const LEVELS = { pending: "warn", failed: "error" };
const FIGURES = { frames: "frames tested", before: "before", after: "after", difference: "difference", wrong_boxes_before: "wrong boxes before", wrong_boxes_after: "wrong boxes after", learned: "new classes" };
const HTML = `
  <h3></h3><p class="condition"></p><table><tbody></tbody></table>
  <div class="actions" hidden><button class="approve">Deploy</button><button class="decline">Decline</button></div>
  <a target="_blank" rel="noopener" hidden>Report</a>`;

export class Proposals {
  // box: the panel, hidden while there are no proposals.
  constructor(box) {
    this.box = box;
    this.refresh();
    setInterval(() => this.refresh(), AGAIN_MS);
  }

  async refresh() {
    if (document.hidden) return;
    const answer = await fetch("/models/proposals").catch(() => null);
    if (answer?.ok) this.show(await answer.json());
  }

  show(proposals) {
    this.box.hidden = !proposals.length;
    const parts = proposals.map((one, i) => {
      const part = this.box.querySelectorAll(".proposal")[i] ?? this.add();
      this.fill(part, one);
      return part;
    });
    for (const gone of [...this.box.querySelectorAll(".proposal")].slice(parts.length)) gone.remove();
  }

  add() {
    const part = document.createElement("div");
    part.className = "proposal";
    part.innerHTML = HTML;
    this.box.querySelector(".response").before(part);
    return part;
  }

  fill(part, { name, state, text, version, sha256, report, figures }) {
    part.dataset.level = LEVELS[state] ?? "ok";
    write(part.querySelector("h3"), `${name}${version ? `, version ${version}` : ""}: ${STATES[state] ?? state}`);
    write(part.querySelector("p"), text);
    this.showFigures(part.querySelector("tbody"), figures);
    part.querySelector(".actions").hidden = state !== "pending";
    for (const verb of ["approve", "decline"]) {
      const button = part.querySelector(`.${verb}`);
      button.setAttribute("aria-label", `${button.textContent} ${name}, version ${version}`);
      button.onclick = () => this.decide(verb, { name, version, sha256 });
    }
    const link = part.querySelector("a");
    link.hidden = !report;
    link.href = `/models/report/${encodeURIComponent(name)}`;
    link.setAttribute("aria-label", `Report of ${name}`);
  }

  showFigures(body, figures) {
    const rows = Object.entries(figures).map(([key, value]) => [FIGURES[key] ?? key.replaceAll("_", " "), Array.isArray(value) ? value.join(", ") : String(value)]);
    rows.forEach(([key, value], i) => {
      const row = body.rows[i] ?? body.insertRow();
      if (!row.cells.length) {
        row.append(document.createElement("th"));
        row.cells[0].scope = "row";
        row.insertCell();
      }
      write(row.cells[0], key);
      write(row.cells[1], value);
    });
    while (body.rows.length > rows.length) body.lastChild.remove();
    body.parentElement.hidden = !rows.length;
  }

  // Sends the version and hash on the screen; the viewer refuses them if the proposal has changed.
  async decide(verb, offer) {
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(offer) };
    const answer = await fetch(`/models/${verb}`, options).catch(() => null);
    const body = await answer?.json().catch(() => null);
    if (answer?.ok) {
      this.show(body);
      this.say(`${offer.name}, version ${offer.version}: ${verb === "approve" ? "deployed" : "declined"}`);
    } else {
      this.say(body?.error ?? "the viewer does not respond");
      this.refresh();
    }
  }

  say(text) { write(this.box.querySelector(".response"), text); }
}
