// The timeline: events newest first; filters in the address; older events on request, new events automatically.

import { Card } from "./event_card.js";
import { write } from "./text.js";

const NONE = "There is no events folder: start the viewer with events:=FOLDER, the events_directory of the events node";
const AGAIN_MS = 5000;
const element = (id) => document.getElementById(id);
const form = element("filters");
const cards = new Map(); // by event id
let round = 0; // responses to older requests are ignored

async function ask(path) {
  const answer = await fetch(path).catch(() => { throw new Error("the viewer does not respond; retrying"); });
  const body = await answer.json().catch(() => null);
  if (answer.status === 404 && !body) throw new Error(NONE);
  if (!answer.ok) throw new Error(body?.error ?? `the viewer responded with HTTP status ${answer.status}`);
  return body;
}

// The query for the filters; a day is in the browser's time zone.
function query(more = {}) {
  const found = new URLSearchParams(more);
  for (const [name, value] of new FormData(form)) {
    if (!value) continue;
    if (name !== "day") found.set(name, value);
    else {
      const day = new Date(`${value}T00:00`);
      found.set("since", String(day.getTime()));
      found.set("until", String(new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1).getTime() - 1));
    }
  }
  return found;
}

function say(text, level = "ok") {
  element("message").dataset.level = level;
  write(element("message"), text);
}

function count(more) {
  const days = new FormData(form);
  const filtered = [...days.values()].some(Boolean);
  if (!cards.size) return say(filtered ? "no event matches the filters" : "no event yet");
  return say(`${cards.size} event${cards.size > 1 ? "s" : ""}${more ? ", the newest" : ""}${filtered ? " that match the filters" : ""}`);
}

function card(event) {
  if (!cards.has(event.id)) cards.set(event.id, new Card(event));
  const one = cards.get(event.id);
  one.show(event);
  return one.element;
}

// Load the list again, e.g. after a change of filters.
async function load() {
  const mine = ++round;
  const { events, more } = await ask(`/events/list?${query()}`);
  if (mine !== round) return;
  cards.clear();
  element("list").replaceChildren(...events.map(card));
  element("older").hidden = !more;
  count(more);
}

async function older() {
  const mine = round;
  const last = Math.min(...[...cards.values()].map((one) => one.event.number));
  const { events, more } = await ask(`/events/list?${query({ before: last })}`);
  if (mine !== round) return;
  const added = events.map(card);
  element("list").append(...added);
  element("older").hidden = !more;
  count(more);
  added[0]?.querySelector("button, a")?.focus({ preventScroll: true });
}

// Add new events at the top; update the end, snapshot and clip of ongoing events.
async function refresh() {
  if (document.hidden) return;
  const mine = round;
  const { events } = await ask(`/events/list?${query()}`);
  if (mine !== round) return;
  const fresh = events.filter((event) => !cards.has(event.id));
  for (const event of events) if (cards.has(event.id)) card(event);
  element("list").prepend(...fresh.map(card));
  if (fresh.length || element("message").dataset.level === "error") {
    count(!element("older").hidden);
    await choices();
  }
}

async function choices() {
  for (const [name, values] of Object.entries(await ask("/events/choices"))) {
    const select = form.elements[name];
    if (!select) continue;
    const chosen = select.value || new URLSearchParams(location.search).get(name) || "";
    const known = [...new Set([...values, chosen])].filter(Boolean).sort();
    select.replaceChildren(new Option("all", ""), ...known.map((value) => new Option(value, value)));
    select.value = chosen;
    select.parentElement.hidden = name === "camera" && known.length < 2 && !chosen;
  }
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    say(error.message, "error");
  }
}

function changed() {
  const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
  attempt(load);
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", changed);
form.addEventListener("reset", () => setTimeout(changed)); // after the fields are empty
element("older").addEventListener("click", () => attempt(older));
form.elements.day.value = new URLSearchParams(location.search).get("day") ?? "";
attempt(async () => {
  await choices();
  await load();
});
setInterval(() => attempt(refresh), AGAIN_MS);
window.edgecam = { cards }; // for the browser's console and the tests
