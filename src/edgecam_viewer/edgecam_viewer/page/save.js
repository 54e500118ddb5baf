// Frames and films saved by the browser itself.

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const fileName = (text) => text.replaceAll(/[^\w.-]+/g, "_");

// The newest frame as the node sends it, without boxes; its capture stamp is in the name.
export async function saveSnapshot(camera) {
  const answer = await fetch(`/snapshot.jpg?camera=${camera.index}`);
  if (answer.ok) save(await answer.blob(), `${fileName(camera.title)}-${answer.headers.get("X-Stamp")}.jpg`);
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
