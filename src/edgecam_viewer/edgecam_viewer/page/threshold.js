// The slider of one camera, which sets the threshold of its detector for all viewers.

const PATIENCE_MS = 8000; // the viewer responds within 5 s

export class Threshold {
  // box: an element with <input type=range>, <output> and an element .note; send(value): requests a new value
  constructor(box, send) {
    Object.assign(this, { box, send, requested: null, requestedAt: 0, held: false, refusal: "" });
    this.input = box.querySelector("input");
    this.input.oninput = () => this.request(Number(this.input.value), true);
    this.input.onchange = () => { this.held = false; };
  }

  request(value, held) {
    Object.assign(this, { held, requested: value, requestedAt: performance.now(), refusal: "" });
    this.write(value);
    this.send(value);
  }

  // Whether a new value is pending; until then, reported values may be older and are not shown.
  waiting() { return this.held || (this.requested !== null && performance.now() - this.requestedAt < PATIENCE_MS); }

  // Show the status: the threshold is null while unknown; problem: why it cannot be set now, "" if it can.
  show({ detector, threshold = null, threshold_problem: problem }) {
    this.box.hidden = !detector;
    this.input.disabled = Boolean(problem) || threshold === null;
    if (this.input.disabled) Object.assign(this, { held: false, requested: null });
    this.note(problem || this.refusal);
    if (threshold !== null && !this.waiting()) this.write(threshold);
  }

  // The response to the newest value; responses to older ones are ignored.
  answer({ ok, value, text }) {
    if (value !== this.requested) return;
    this.requested = null;
    this.refusal = ok ? "" : text;
    this.note(this.refusal);
  }

  write(value) {
    this.input.value = value;
    this.box.querySelector("output").textContent = value.toFixed(2);
  }

  note(text) {
    const note = this.box.querySelector(".note");
    if (note.textContent !== text) note.textContent = note.title = text;
  }
}
