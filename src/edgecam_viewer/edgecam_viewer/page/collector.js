// The panel of the collector node: keeps the next frame of every camera for labelling.

import { write } from "./text.js";

export class CollectorPanel {
  // box: the panel; send(message): a request to the viewer.
  constructor(box, send) {
    this.box = box;
    this.keep = box.querySelector("button");
    this.keep.onclick = () => {
      this.say("…");
      send({ type: "keep" });
    };
  }

  // Called once a second; facts: null without a collector; labelling: whether the viewer serves the labelling page.
  show(facts, labelling) {
    this.box.hidden = !facts;
    if (!facts) return;
    this.box.dataset.level = facts.level;
    this.box.querySelector("a").hidden = !labelling;
    write(this.box.querySelector(".condition"), facts.message);
  }

  answer({ ok, text }) { this.say(ok ? `Kept: ${text}` : text); }

  say(text) { write(this.box.querySelector(".response"), text); }
}
