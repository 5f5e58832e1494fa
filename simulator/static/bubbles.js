// One message as a bubble: text with WhatsApp's formatting, media, buttons, lists, ticks.
import { element, icon } from "./dom.js";

const ZONE = "America/La_Paz";
const clock = new Intl.DateTimeFormat("es-BO", { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: ZONE });
const isoDay = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: ZONE });
const longDay = new Intl.DateTimeFormat("es", { weekday: "long", day: "numeric", month: "long", timeZone: ZONE });

export const timeOf = (at) => clock.format(new Date(at));
export const dayOf = (at) => isoDay.format(new Date(at));

export function dayLabel(at, now) {
  const days = Math.round((Date.parse(dayOf(at)) - Date.parse(dayOf(now))) / 86_400_000);
  const name = longDay.format(new Date(at));
  const near = { "-1": "Ayer", 0: "Hoy", 1: "Mañana" }[days];
  return near ? `${near}, ${name}` : name.charAt(0).toUpperCase() + name.slice(1);
}

export function initials(name) {
  const letters = (name || "?").split(/\s+/).slice(0, 2).map((word) => word.charAt(0));
  return letters.join("").toUpperCase();
}

const TONES = ["#b0563f", "#3f6fb0", "#7a4fa0", "#2f8a6b", "#a8762a", "#a0476b", "#4a7d8c"];
export function toneOf(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 9973;
  return TONES[sum % TONES.length];
}

export const phoneLabel = (number) => number.replace(/^(\+591)(\d{8})$/, "$1 $2");
export const plain = (text) => text.replace(/(^|\s)[*_~](\S(?:.*?\S)?)[*_~](?=\W|$)/g, "$1$2").replace(/\s+/g, " ");

const MARKS = [
  [/\*(?=\S)([^*\n]*\S)\*/, "strong"],
  [/(?<![\p{L}\d])_(?=\S)([^_\n]*\S)_(?![\p{L}\d])/u, "em"],
  [/~(?=\S)([^~\n]*\S)~/, "s"],
  [/`([^`\n]+)`/, "code"],
];
function formatted(text) {
  for (const [pattern, tag] of MARKS) {
    const match = pattern.exec(text);
    if (match) {
      const after = text.slice(match.index + match[0].length);
      return [...formatted(text.slice(0, match.index)), element(tag, {}, formatted(match[1])), ...formatted(after)];
    }
  }
  return text ? [text] : [];
}

const TICKS = {
  pending: ["t-pending", "enviando"],
  sent: ["t-one", "enviado"],
  delivered: ["t-two", "entregado"],
  read: ["t-two", "leído"],
  failed: ["t-failed", "no entregado"],
};

export function bubbleView(bubble, { first, quoted, tapped, onChoice, onList, onShareContact, onShareLocation }) {
  const classes = `bubble ${bubble.side}${first ? " first" : ""}`;
  const node = element("article", {
    class: classes,
    "data-testid": "bubble",
    "data-wamid": bubble.wamid,
    "data-kind": bubble.kind,
    "data-tick": bubble.tick,
    "aria-label": bubble.side === "out" ? "Usted" : "El centro",
  });
  if (quoted) node.append(element("div", { class: "quote" }, [element("span", {}, plain(quoted.text))]));
  if (bubble.kind === "template") node.append(element("div", { class: "label" }, "Plantilla"));
  if (bubble.header) node.append(element("div", { class: "head" }, bubble.header));
  if (bubble.media) node.append(mediaView(bubble.media, bubble.wamid));
  if (bubble.location) node.append(element("div", { class: "picture map" }, [icon("i-pin")]));
  const text = bodyText(bubble);
  if (text) node.append(element("div", { class: "body", "data-testid": "bubble-text" }, formatted(text)));
  if (bubble.footer) node.append(element("div", { class: "foot" }, bubble.footer));

  const [symbol, word] = TICKS[bubble.tick] || TICKS.pending;
  const tick = element("span", { class: "tick", "data-testid": "tick", "data-state": bubble.tick, role: "img", "aria-label": word, title: word }, [icon(symbol)]);
  const failure = bubble.error ? element("span", { class: "failure" }, `error ${bubble.error}`) : null;
  node.append(element("div", { class: "meta" }, [failure, element("time", {}, timeOf(bubble.at)), tick]));

  const choices = choiceButtons(bubble, { tapped, onChoice, onList, onShareContact, onShareLocation });
  if (choices.length) node.append(element("div", { class: "choices" }, choices));
  return node;
}

function bodyText(bubble) {
  if (bubble.media) return bubble.media.caption || "";
  if (bubble.location) return [bubble.location.name, bubble.location.address].filter(Boolean).join("\n");
  if (bubble.kind === "reaction") return `Reaccionó ${bubble.text || "(reacción retirada)"}`;
  return bubble.text;
}

function choiceButtons(bubble, { tapped, onChoice, onList, onShareContact, onShareLocation }) {
  const make = (symbol, title, testid, act, id) => {
    const done = id && tapped.has(bubble.wamid + id) ? "tapped" : null;
    const button = element("button", { type: "button", class: done, "data-testid": testid, "data-id": id }, [icon(symbol), title]);
    button.addEventListener("click", act);
    return button;
  };
  const buttons = (bubble.buttons || []).map((choice) =>
    make("i-reply", choice.title, "reply-button", () => onChoice(bubble, choice), choice.id),
  );
  if (bubble.list) buttons.push(make("i-list", bubble.list.label, "list-open", () => onList(bubble)));
  if (bubble.asks_contact) buttons.push(make("i-person", "Compartir mi número", "share-contact", () => onShareContact(bubble)));
  if (bubble.asks_location) buttons.push(make("i-pin", "Enviar ubicación", "share-location", () => onShareLocation(bubble)));
  return buttons;
}

function mediaView(media, wamid) {
  if (media.kind === "image" || media.kind === "video" || media.kind === "sticker") {
    return element("div", { class: "picture", role: "img", "aria-label": media.kind === "video" ? "Video" : "Foto" }, [
      icon(media.kind === "video" ? "i-video" : "i-photo"),
    ]);
  }
  const disc = element("span", { class: "disc" }, [icon(media.kind === "document" ? "i-doc" : "i-mic")]);
  if (media.kind === "document") return element("div", { class: "media" }, [disc, element("span", {}, media.filename || "Documento")]);
  const bars = Array.from({ length: 30 }, (_, i) => {
    const bar = element("i");
    bar.style.height = `${5 + ((wamid.charCodeAt(wamid.length - 1 - (i % 30)) * (i + 3)) % 20)}px`;
    return bar;
  });
  return element("div", { class: "media", role: "img", "aria-label": "Nota de voz" }, [disc, element("span", { class: "wave" }, bars), "0:07"]);
}
