// Saves frames and videos in the browser.

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const fileName = (text) => text.replaceAll(/[^\w.-]+/g, "_");

// Saves the newest frame from the node, without boxes; its capture stamp is in the name. Returns the error, or "".
export async function saveSnapshot(camera) {
  try {
    const answer = await fetch(`/snapshot.jpg?camera=${camera.index}`);
    if (!answer.ok) return (await answer.text()).trim();
    save(await answer.blob(), `${fileName(camera.title)}-${answer.headers.get("X-Stamp")}.jpg`);
    return "";
  } catch {
    return "the viewer does not respond";
  }
}

// Records the canvas of a camera with everything drawn on it.
export class Recorder {
  get running() { return this.recorder?.state === "recording"; }

  get seconds() { return this.running ? (performance.now() - this.began) / 1000 : 0; }

  // Returns the error, or "".
  start(camera) {
    const parts = [];
    const stream = camera.canvas.captureStream();
    try {
      this.recorder = new MediaRecorder(stream, { videoBitsPerSecond: 5_000_000 });
      this.recorder.start(1000);
    } catch (error) {
      return `this browser cannot record: ${error.message}`;
    }
    this.began = performance.now();
    const name = `${fileName(camera.title)}-${new Date().toISOString().replaceAll(/[:.]/g, "-")}`;
    this.recorder.ondataavailable = ({ data }) => parts.push(data);
    this.recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      const type = this.recorder.mimeType;
      save(new Blob(parts, { type }), `${name}.${type.includes("mp4") ? "mp4" : "webm"}`);
    };
    return "";
  }

  stop() { if (this.running) this.recorder.stop(); }
}
