// Live updates: pieces of the page that changed come over one EventSource. Without this file the page still works.
"use strict";

(() => {
  const status = document.getElementById("vivo");
  const list = document.getElementById("lista");
  if (!status || !list || !window.EventSource) return;
  const AGAIN_MS = 30_000; // the browser itself comes back after a cut; a refusal is ours to try again

  const say = (text, kind) => {
    if (status.textContent === text) return;
    status.textContent = text;
    status.className = "live " + kind;
  };

  const find = (key) => document.querySelector(`[data-piece="${CSS.escape(key)}"]`);

  // What somebody is writing in, or has open, is left alone.
  const isBusy = (element) => {
    if (element.querySelector("details[open]")) return true;
    if ([...element.querySelectorAll("textarea")].some((box) => box.value !== box.defaultValue)) return true;
    return element.contains(document.activeElement) && document.activeElement.matches("textarea, input");
  };

  const read = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.firstElementChild;
  };

  // Whoever stands on a button with the keyboard stays on it.
  const swap = (old, fresh) => {
    const buttons = (element) => [...element.querySelectorAll("a, button, summary")];
    const place = buttons(old).indexOf(document.activeElement);
    old.replaceWith(fresh);
    if (place >= 0) buttons(fresh)[place]?.focus();
  };

  const apply = ({ order, pieces }, first) => {
    for (const [key, html] of Object.entries(pieces)) {
      const old = find(key);
      const fresh = read(html);
      if (old && old.dataset.v === fresh.dataset.v) continue;
      if (old && isBusy(old)) {
        old.classList.add("stale");
        continue;
      }
      if (old) swap(old, fresh);
      else list.append(fresh);
      if (!first && key !== "menu") fresh.classList.add("fresh");
    }
    const wanted = order.filter((key) => key !== "menu");
    for (const element of [...list.children]) {
      if (!wanted.includes(element.dataset.piece) && !isBusy(element)) element.remove();
    }
    wanted.forEach((key, place) => {
      const element = find(key);
      const standing = list.children[place];
      if (element && standing !== element && !element.contains(document.activeElement)) list.insertBefore(element, standing ?? null);
    });
  };

  const title = document.title;
  const nameAlarms = () => {
    const badge = document.querySelector(".tabs .badge.bad");
    document.title = badge ? `(${parseInt(badge.textContent, 10)}) ${title}` : title;
  };

  const listen = () => {
    const source = new EventSource(status.dataset.events);
    let first = true;
    source.addEventListener("change", (event) => {
      apply(JSON.parse(event.data), first);
      first = false;
      nameAlarms();
      say("Se actualiza sola", "on");
    });
    source.addEventListener("trouble", () => say("Sin acceso a los datos: puede faltar lo más reciente", "off"));
    source.addEventListener("error", () => {
      say("Sin conexión: puede faltar lo más reciente", "off");
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(listen, AGAIN_MS);
    });
    window.addEventListener("pagehide", () => source.close());
  };
  nameAlarms();
  listen();
})();
