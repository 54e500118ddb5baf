// Text on the page.

// Writes only changed text, because a screen reader announces every write to a status.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
