// One event of the timeline: its snapshot or clip, what happened, where and when.

import { write } from "./text.js";

const HTML = `
  <div class="view"><p class="none">no snapshot yet</p></div>
  <div class="words"><h2></h2><p class="what"></p><p class="when"></p></div>
  <div class="actions"><button class="play" hidden>Play the clip</button><a class="save" hidden>Download the clip</a></div>`;
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function lasted(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const happened = ({ label, kind, zone }) => [label, kind, zone].filter(Boolean).join(" ");

function details({ camera, detail, score, track_id: track }) {
  return [camera, detail, score > 0 && `${Math.round(100 * score)} %`, track && `track ${track}`].filter(Boolean).join(", ");
}

export class Card {
  constructor(event) {
    this.element = document.createElement("li");
    this.element.className = "event";
    this.element.dataset.id = event.id;
    this.element.innerHTML = HTML;
    this.find(".play").onclick = () => this.play();
  }

  find(selector) { return this.element.querySelector(selector); }

  file(what) { return `/events/${what}/${encodeURIComponent(this.event.id)}`; }

  // Called again when the event changes; a playing clip continues.
  show(event) {
    this.event = event;
    const what = happened(event);
    write(this.find("h2"), event.rule);
    write(this.find(".what"), `${what}${details(event) ? ` (${details(event)})` : ""}`);
    const when = this.find(".when");
    const end = event.end_ms === null ? "ongoing" : event.end_ms > event.start_ms ? lasted((event.end_ms - event.start_ms) / 1000) : "";
    write(when, `${clock.format(event.start_ms)}${end && `, ${end}`}`);
    when.classList.toggle("lasts", event.end_ms === null);
    if (event.snapshot && this.find(".none")) this.showImage(`${event.rule}: ${what}`);
    const { clip } = event;
    this.find(".play").hidden = this.find(".save").hidden = !clip;
    const name = `${event.rule}, ${clock.format(event.start_ms)}`;
    this.find(".play").setAttribute("aria-label", `Play the clip: ${name}`);
    Object.assign(this.find(".save"), { href: this.file("clip"), download: clip.replace(/^.*\//, "") });
    this.find(".save").setAttribute("aria-label", `Download the clip: ${name}`);
  }

  showImage(text) {
    const image = document.createElement("img");
    Object.assign(image, { loading: "lazy", alt: text, src: this.file("snapshot") });
    image.onerror = () => this.instead("the snapshot no longer exists");
    this.find(".view").replaceChildren(image);
  }

  play() {
    const video = document.createElement("video");
    Object.assign(video, { controls: true, autoplay: true, playsInline: true, muted: true });
    video.setAttribute("aria-label", `Clip: ${this.event.rule}`);
    video.onerror = () => this.playFrames();
    video.src = this.file("clip");
    this.find(".view").replaceChildren(video);
    video.focus();
  }

  // Motion JPEG, and H.265 in most browsers: the server decodes.
  playFrames() {
    const image = document.createElement("img");
    Object.assign(image, { alt: `Clip: ${this.event.rule}`, className: "frames", src: this.file("frames") });
    image.onerror = () => this.instead("the clip cannot be played here; download it");
    this.find(".view").replaceChildren(image);
  }

  instead(text) {
    const note = document.createElement("p");
    note.className = "none";
    note.textContent = text;
    this.find(".view").replaceChildren(note);
  }
}
