// Part of each page itself: loads the page again when one of its scripts or style sheets did not arrive. On a busy machine
// or a bad network a connection may be reset, and the page would stay without that file for ever.
(() => {
  const LONGEST_S = 30;
  const tries = history.state?.tries ?? 0; // survives the reload
  let failed = false;

  // Only if the viewer responds: the browser's own error page would not try again.
  const again = (seconds) => setTimeout(() => fetch(location.href).then(() => location.reload(), () => again(seconds)), seconds * 1000);

  addEventListener("error", ({ target }) => {
    if (failed || !target.matches?.("script, link[rel=stylesheet]")) return;
    failed = true;
    const seconds = Math.min(2 ** tries, LONGEST_S);
    history.replaceState({ tries: tries + 1 }, "");
    const line = document.createElement("p");
    line.setAttribute("role", "alert");
    line.textContent = `A part of this page could not be loaded. Trying again in ${seconds} s`;
    // Independent of the style sheets.
    line.style.cssText = "position: fixed; inset: 0 0 auto; margin: 0; padding: 0.6rem; background: #7a1020; color: #fff; text-align: center";
    (document.body ?? document.documentElement).append(line);
    again(seconds);
  }, true);
  addEventListener("load", () => { if (!failed && tries) history.replaceState(null, ""); });
})();
