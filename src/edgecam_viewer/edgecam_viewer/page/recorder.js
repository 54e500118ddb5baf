// The panel of the recorder node: starts and stops recordings, and preserves a rolling recording.

import { write } from "./text.js";

const size = (megabytes) => (megabytes >= 1000 ? `${(megabytes / 1000).toFixed(1)} GB` : `${megabytes.toFixed(1)} MB`);

export class RecorderPanel {
  // box: the panel; send(message): a request to the viewer.
  constructor(box, send) {
    this.box = box;
    [this.record, this.preserve] = box.querySelectorAll("button");
    this.record.onclick = () => this.ask(send, { type: "recorder", value: !this.recording });
    this.preserve.onclick = () => this.ask(send, { type: "recorder_snapshot" });
  }

  ask(send, message) {
    this.say("…");
    send(message);
  }

  // Called once a second; facts: null without a recorder.
  show(facts) {
    this.box.hidden = !facts;
    if (!facts) return;
    const { recording, megabytes, rolling, level, message } = facts;
    this.recording = Boolean(recording);
    this.box.dataset.level = level;
    write(this.record, recording ? "Stop" : "Record");
    this.record.setAttribute("aria-pressed", String(this.recording));
    this.preserve.hidden = !rolling || !recording;
    write(this.box.querySelector(".condition"), message);
    write(this.box.querySelector(".file"), recording ? `${recording}${megabytes === null ? "" : `, ${size(megabytes)}`}` : "");
  }

  answer({ ok, text, type, value }) {
    if (!ok) return this.say(text);
    if (type === "recorder_snapshot") return this.say(`Preserved: ${text}`);
    return this.say(value ? `Recording to ${text}` : `Stopped: ${text}`);
  }

  say(text) { write(this.box.querySelector(".response"), text); }
}
