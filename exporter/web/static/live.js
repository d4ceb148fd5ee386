// Writes times in the reader's zone, and keeps the content of #live up to date by fetching the page again.
"use strict";
(() => {
  const two = (number) => String(number).padStart(2, "0");
  const local = (moment) => {
    const offset = -moment.getTimezoneOffset();
    const zone = `${offset < 0 ? "-" : "+"}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
    const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
    return `${day} ${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())} ${zone}`;
  };
  const localize = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const text = local(new Date(time.dateTime));
      if (time.hasAttribute("data-clock")) time.textContent = text;
      else time.title = text;
    }
  };
  localize(document);

  const live = document.getElementById("live");
  const note = document.getElementById("live-note");
  if (!live || !note) return;
  const INTERVAL = 5000;
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
    button.textContent = pressed ? note.dataset.live : note.dataset.paused;
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
    localize(fresh);
    if (fresh.innerHTML === live.innerHTML) return;
    const mark = focused();
    live.replaceChildren(...fresh.childNodes);
    focus(mark);
  };

  async function refresh() {
    if (document.hidden) return plan(INTERVAL);
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      put(await answer.text());
      said.textContent = note.dataset.asOf.replace("{time}", local(new Date()).slice(11, 19));
      document.body.classList.remove("offline");
    } catch {
      said.textContent = note.dataset.offline;
      document.body.classList.add("offline");
    }
    plan(Math.max(INTERVAL, 20 * (performance.now() - begun)));
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
  plan(INTERVAL);
})();
