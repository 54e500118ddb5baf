// Text on the page.

// Writes only what has changed: a screen reader announces every write of a status.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
