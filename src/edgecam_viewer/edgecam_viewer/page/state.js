// What is wrong, in words, the worst first. No page inside.

const RANK = { error: 0, stale: 1, warn: 2 };

// Why a visible camera shows no frame; "" while frames arrive, and in the first moments.
export function reason(camera, facts) {
  if (!camera.silent()) return "";
  return facts.waiting || (facts.fps > 0 ? "the viewer gets frames, but none arrives here" : `no frame arrives on ${facts.topic}`);
}

// link: "waiting", "live" or "lost"; visible: the cameras whose frames are asked for, [camera, facts] each.
export function problems(link, visible, status) {
  if (link !== "live") return [{ level: link === "lost" ? "error" : "wait", text: link === "lost" ? "the viewer does not answer; trying again" : "connecting to the viewer" }];
  const found = [];
  for (const [camera, facts] of visible) {
    const text = reason(camera, facts);
    if (text) found.push({ level: "error", text: `${facts.name}: no frames: ${text}` });
  }
  for (const node of status.nodes) {
    if (!(node.level in RANK)) continue;
    // The age of a stale report grows; the words stay the same.
    const text = node.level === "stale" ? `does not report any more ${node.message.replace(/^.*?\(/, "(")}` : node.message;
    if (!found.some((one) => one.text.includes(`${node.name}: `))) found.push({ level: node.level, text: `${node.name}: ${text}` });
  }
  for (const [, facts] of visible) {
    // A detector that was never there is no problem: not every camera has one.
    if (facts.threshold !== null && facts.threshold_problem && !found.length) found.push({ level: "warn", text: `${facts.name}: ${facts.threshold_problem}` });
  }
  return found.sort((one, other) => RANK[one.level] - RANK[other.level]);
}

// The header's line: level and words.
export function summary(found, visible, playing) {
  if (found.length) {
    const [{ level, text }] = found;
    const word = { error: "Error: ", stale: "Silent: ", warn: "Warning: ", wait: "" }[level];
    return { level, text: `${word}${text}${found.length > 1 ? ` (and ${found.length - 1} more)` : ""}` };
  }
  if (!visible.some(([camera]) => camera.live())) return { level: "wait", text: "waiting for frames" };
  return { level: "ok", text: playing ? "live, WebRTC" : "live" };
}
