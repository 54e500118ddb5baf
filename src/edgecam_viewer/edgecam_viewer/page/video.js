// One camera over WebRTC: the node's offer, the <video> that decodes it, and the boxes of each frame.
// Frames and boxes arrive separately and are matched by RTP timestamp.

const CONNECT_MS = 6000;
const SILENT_MS = 3000;
const FRAMES = 4; // frames that may wait for their boxes
const FACTS = 64;

export const able = "RTCPeerConnection" in window && "requestVideoFrameCallback" in HTMLVideoElement.prototype;

export class Video {
  // show(bitmap, facts): a frame with its boxes.
  constructor(camera, link, show) {
    Object.assign(this, { camera, link, show, playing: false, failed: false, frames: new Map(), facts: new Map() });
    this.at = performance.now();
  }

  async offer(sdp) {
    this.close();
    const connection = new RTCPeerConnection();
    this.connection = connection;
    connection.ontrack = ({ track, receiver }) => this.play(track, receiver);
    try {
      await connection.setRemoteDescription({ type: "offer", sdp });
      await connection.setLocalDescription();
      this.link.send({ type: "answer", camera: this.camera, sdp: connection.localDescription.sdp });
    } catch {
      this.failed = true; // e.g. a browser without H.264; the JPEG frames continue
    }
  }

  play(track, receiver) {
    receiver.jitterBufferTarget = 0; // lowest latency instead of smooth playback
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, autoplay: true, srcObject: new MediaStream([track]) });
    video.play().catch(() => {});
    this.video = video;
    const frame = async (_now, { rtpTimestamp }) => {
      if (video !== this.video) return;
      video.requestVideoFrameCallback(frame);
      const bitmap = await createImageBitmap(video).catch(() => null); // null if it has just been closed
      if (bitmap && video === this.video) this.keep(this.frames, rtpTimestamp, bitmap, FRAMES);
      else bitmap?.close();
    };
    video.requestVideoFrameCallback(frame);
  }

  // The node's note about a frame.
  take(facts) { this.keep(this.facts, facts.rtp, facts, FACTS); }

  keep(map, rtp, value, limit) {
    map.set(rtp, value);
    if (this.frames.has(rtp) && this.facts.has(rtp)) {
      const [bitmap, facts] = [this.frames.get(rtp), this.facts.get(rtp)];
      this.frames.delete(rtp);
      this.facts.delete(rtp);
      this.playing = true;
      this.at = performance.now();
      this.show(bitmap, facts);
    }
    while (map.size > limit) {
      const oldest = map.keys().next().value;
      map.get(oldest).close?.();
      map.delete(oldest);
    }
  }

  // Called once a second; arriving: whether the camera delivers frames. True if JPEG frames must be used instead.
  hopeless(arriving) {
    if (!arriving && this.playing) this.at = performance.now();
    return this.failed || performance.now() - this.at > (this.playing ? SILENT_MS : CONNECT_MS);
  }

  close() {
    this.connection?.close();
    this.connection = this.video = null;
    for (const bitmap of this.frames.values()) bitmap.close();
    this.frames.clear();
    this.facts.clear();
  }
}
