// Keeps what stands in #live as it is now: the page is fetched again and that part of it put in place.
"use strict";
(() => {
  const live = document.getElementById("live");
  const note = document.getElementById("live-note");
  if (!live || !note) return;
  const EVERY = 5000;
  let timer = 0;

  const button = document.createElement("button");
  button.type = "button";
  button.id = "live-button";
  const said = document.createElement("span");
  said.id = "live-said";
  note.replaceChildren(button, said);

  const on = () => button.getAttribute("aria-pressed") === "true";
  const set = (pressed) => {
    button.setAttribute("aria-pressed", String(pressed));
    button.textContent = pressed ? "Live" : "Paused";
  };
  const plan = (wait) => {
    clearTimeout(timer);
    if (on()) timer = setTimeout(refresh, wait);
  };
  const focused = () => {
    const at = document.activeElement;
    return at && live.contains(at) ? at.id || at.getAttribute("href") : null;
  };
  const focus = (mark) => {
    if (!mark) return;
    const again = document.getElementById(mark) || live.querySelector(`[href="${CSS.escape(mark)}"]`);
    if (again) again.focus({ preventScroll: true });
  };
  const put = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    if (!fresh) throw new Error("another page came");
    if (fresh.innerHTML === live.innerHTML) return;
    const mark = focused();
    live.replaceChildren(...fresh.childNodes);
    focus(mark);
  };

  async function refresh() {
    if (document.hidden) return plan(EVERY);
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      put(await answer.text());
      said.textContent = `as of ${new Date().toLocaleTimeString()}`;
      document.body.classList.remove("offline");
    } catch {
      said.textContent = "not reachable; this is what was last known";
      document.body.classList.add("offline");
    }
    plan(Math.max(EVERY, 20 * (performance.now() - begun)));
  }

  button.addEventListener("click", () => {
    set(!on());
    if (on()) refresh();
    else clearTimeout(timer);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && on()) refresh();
  });
  set(true);
  plan(EVERY);
})();
