// The WebSocket: reconnects, reads frame messages, measures the offset between the clocks of server and browser.

const RETRY_MS = [250, 500, 1000, 2000];
const SILENCE_MS = 5000;
const HOPELESS = 3; // attempts without success: a proxy or firewall blocks WebSockets

// A frame message is: uint32 little-endian N, N bytes of JSON, a JPEG file.
export function readFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { ...facts, jpeg: new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }) };
}

export class Link {
  constructor(handlers) {
    this.handlers = handlers; // frame(facts), note(object), state("waiting" | "live" | "lost"), hopeless()
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
    this.heard = performance.now();
    socket.onopen = () => {
      this.tries = 0;
      this.everLive = true;
      this.best = Infinity;
      this.handlers.state("live");
      this.ping();
    };
    socket.onmessage = ({ data }) => {
      this.heard = performance.now();
      if (typeof data === "string") this.note(JSON.parse(data));
      else this.handlers.frame(readFrame(data));
    };
    socket.onclose = () => {
      if (socket !== this.socket) return;
      this.handlers.state("lost");
      setTimeout(() => this.open(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
      if (this.tries === HOPELESS && !this.everLive) this.handlers.hopeless();
    };
  }

  note(note) {
    if (note.type !== "pong") return this.handlers.note(note);
    const now = Date.now();
    const trip = now - note.sent;
    if (trip > this.best + 1) return undefined;
    this.best = trip;
    this.offset = note.server_ms - (note.sent + now) / 2;
    return undefined;
  }

  beat() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.best += 0.2; // clocks drift, so prefer newer readings over time
    this.ping();
    // The server sends a message every second; a dead network neither sends nor closes the connection.
    if (performance.now() - this.heard > SILENCE_MS) this.socket.close();
  }

  ping() { this.send({ type: "ping", sent: Date.now() }); }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // Milliseconds since a stamp of the server's clock, given in nanoseconds as text.
  age(stamp) { return Date.now() + this.offset - Number(BigInt(stamp) / 1000n) / 1000; }
}
