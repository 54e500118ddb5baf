// Pictures and films saved by the browser itself.

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const fileName = (text) => text.replaceAll(/[^\w.-]+/g, "_");

// The picture as it came, without boxes; its capture stamp is in the name.
export function saveSnapshot(camera) {
  if (!camera.facts) return;
  save(camera.facts.jpeg, `${fileName(camera.title)}-${camera.facts.stamp}.jpg`);
}

// Films the tile with everything that is drawn in it.
export class Recorder {
  get running() { return this.recorder?.state === "recording"; }

  start(camera) {
    const parts = [];
    const stream = camera.canvas.captureStream();
    this.recorder = new MediaRecorder(stream, { videoBitsPerSecond: 5_000_000 });
    const name = `${fileName(camera.title)}-${new Date().toISOString().replaceAll(/[:.]/g, "-")}`;
    this.recorder.ondataavailable = ({ data }) => parts.push(data);
    this.recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      const type = this.recorder.mimeType;
      save(new Blob(parts, { type }), `${name}.${type.includes("mp4") ? "mp4" : "webm"}`);
    };
    this.recorder.start(1000);
  }

  stop() { if (this.running) this.recorder.stop(); }
}
