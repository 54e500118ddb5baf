// The WebSocket: reconnects, reads frame messages, answers requests that the viewer cannot answer, measures the offset
// between the clocks of server and browser.

const RETRY_MS = [250, 500, 1000, 2000];
const QUIET_BEATS = 10; // of the server, which sends a message every second
const LOST = "The connection to the viewer was lost before it answered: see whether it happened, or try again";
const HOPELESS = 3; // attempts without success: a proxy or firewall blocks WebSockets

// A frame message is: uint32 little-endian N, N bytes of JSON, a JPEG file.
export function readFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { ...facts, jpeg: new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }) };
}

const key = ({ type, camera = 0 }) => `${type} ${camera}`;

export class Link {
  constructor(handlers) {
    this.handlers = handlers; // frame(facts), note(object), state("waiting" | "live" | "lost"), hopeless()
    this.asked = new Map(); // requests without an answer, by type and camera
    this.everLive = false;
    this.tries = 0;
    this.best = Infinity; // shortest round trip so far, whose clock reading is the most accurate
    this.offset = 0; // server clock minus browser clock, milliseconds
    this.open();
    setInterval(() => this.beat(), 1000);
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.quiet = 0;
    socket.onopen = () => {
      this.tries = 0;
      this.everLive = true;
      this.best = Infinity;
      this.handlers.state("live");
      this.ping();
    };
    socket.onmessage = ({ data }) => {
      this.quiet = 0;
      if (typeof data === "string") this.note(JSON.parse(data));
      else this.handlers.frame(readFrame(data));
    };
    socket.onclose = () => {
      if (socket !== this.socket) return;
      this.handlers.state("lost");
      this.giveUp(LOST);
      setTimeout(() => this.open(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
      if (this.tries === HOPELESS && !this.everLive) this.handlers.hopeless();
    };
  }

  note(note) {
    if (note.type === "refused") return this.refused(note);
    if (note.type !== "pong") {
      this.asked.delete(key(note));
      return this.handlers.note(note);
    }
    const now = Date.now();
    const trip = now - note.sent;
    if (trip > this.best + 1) return undefined;
    this.best = trip;
    this.offset = note.server_ms - (note.sent + now) / 2;
    return undefined;
  }

  // The request that the viewer refuses ends with an answer that is not ok; the others wait for theirs.
  refused(note) {
    const name = key({ type: note.request, camera: note.camera });
    const message = this.asked.get(name);
    this.asked.delete(name);
    return this.handlers.note(message ? { ...message, ok: false, text: note.text } : note);
  }

  beat() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.best += 0.2; // clocks drift, so prefer newer readings over time
    this.ping();
    // A dead network neither sends nor closes the connection. Counted, not timed: on a busy machine, messages may wait
    // for this thread longer than the server was quiet.
    if (++this.quiet > QUIET_BEATS) this.socket.close();
  }

  ping() { this.send({ type: "ping", sent: Date.now() }); }

  // Sends a message that has no answer; without a connection it is dropped.
  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // Sends a request. The handler "note" is called with the answer; if there will be none, with one that is not ok.
  ask(message) {
    this.asked.set(key(message), message);
    if (this.socket.readyState === WebSocket.OPEN) this.send(message);
    else this.giveUp(LOST);
  }

  giveUp(text) {
    const messages = [...this.asked.values()];
    this.asked.clear();
    for (const message of messages) this.handlers.note({ ...message, ok: false, text });
  }

  // Milliseconds since a stamp of the server's clock, given in nanoseconds as text.
  age(stamp) { return Date.now() + this.offset - Number(BigInt(stamp) / 1000n) / 1000; }
}
