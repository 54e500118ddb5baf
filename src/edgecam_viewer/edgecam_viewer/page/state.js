// Problems as texts, the worst first. Independent of the page.

const RANK = { error: 0, stale: 1, warn: 2 };

// Why a visible camera shows no frame; "" while frames arrive and shortly after the start.
export function reason(camera, facts) {
  if (!camera.silent()) return "";
  return facts.waiting || (facts.fps > 0 ? "the viewer receives frames, but none arrives in this browser" : `no frame arrives on ${facts.topic}`);
}

// link: "waiting", "live" or "lost"; visible: the cameras whose frames are requested, [camera, facts] each.
export function problems(link, visible, status) {
  if (link !== "live") return [{ level: link === "lost" ? "error" : "wait", text: link === "lost" ? "the viewer does not respond; retrying" : "connecting to the viewer" }];
  const found = [];
  for (const [camera, facts] of visible) {
    const text = reason(camera, facts);
    if (text) found.push({ level: "error", text: `${facts.name}: no frames: ${text}` });
  }
  for (const node of status.nodes) {
    if (!(node.level in RANK)) continue;
    // Without the age of a stale report, which changes every second.
    const text = node.level === "stale" ? `no longer reports ${node.message.replace(/^.*?\(/, "(")}` : node.message;
    if (!found.some((one) => one.text.includes(`${node.name}: `))) found.push({ level: node.level, text: `${node.name}: ${text}` });
  }
  for (const [, facts] of visible) {
    // A detector that never ran is not a problem, because not every camera has one.
    if (facts.threshold !== null && facts.threshold_problem && !found.length) found.push({ level: "warn", text: `${facts.name}: ${facts.threshold_problem}` });
  }
  return found.sort((one, other) => RANK[one.level] - RANK[other.level]);
}

// The line in the header: level and text.
export function summary(found, visible, playing) {
  if (found.length) {
    const [{ level, text }] = found;
    const word = { error: "Error: ", stale: "Silent: ", warn: "Warning: ", wait: "" }[level];
    return { level, text: `${word}${text}${found.length > 1 ? ` (and ${found.length - 1} more)` : ""}` };
  }
  if (!visible.some(([camera]) => camera.live())) return { level: "wait", text: "waiting for frames" };
  return { level: "ok", text: playing ? "live, WebRTC" : "live" };
}
