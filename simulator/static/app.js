// The chat page: draws what /page/state says and turns clicks into calls of the control API. No library, no build.
import { agendaView, alertsView } from "./agenda.js";
import { bubbleView, dayLabel, dayOf, initials, phoneLabel, plain, timeOf, toneOf } from "./bubbles.js";
import { element } from "./dom.js";

const $ = (id) => document.getElementById(id);
const seenReplies = new Map(); // patient -> replies already shown; the rest are unread
const drafts = new Map();
const tapped = new Set(); // wamid + choice
let state = null;
let patient = new URLSearchParams(location.search).get("paciente") || "";
let agendaFilter = "all";
let drawnAgenda = null;
let unreadAgenda = false;

// --- talking to the simulator ---------------------------------------------------------------------------------

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const data = await answer.json();
  if (!answer.ok) throw new Error(typeof data.error === "string" ? data.error : "Dato no válido");
  return data;
}

async function write(wish) {
  try {
    await post("/control/messages", { patient, ...wish });
  } catch (problem) {
    showBanner(`No se pudo enviar: ${problem.message}`, true);
    return false;
  }
  stickToEnd = true;
  refresh();
  return true;
}

let loading = false;
let again = false;
async function refresh() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    const answer = await fetch(`/page/state?patient=${encodeURIComponent(patient)}`, { cache: "no-store" });
    state = await answer.json();
    if (!state.chat && state.patients.length && !state.patients.some((one) => one.id === patient)) {
      patient = state.patients[0].id;
      again = true;
    }
    draw();
  } catch {
    showBanner("El simulador no responde. Vuelva a iniciarlo con «make demo».", true);
  }
  loading = false;
  if (again) {
    again = false;
    refresh();
  }
}

// Live: the server says that something changed. Without that, ask now and then (also notices a webhook that comes up).
const events = new EventSource("/page/events");
events.onmessage = refresh;
setInterval(() => document.hidden || refresh(), 2500);
document.addEventListener("visibilitychange", () => document.hidden || refresh());

// --- drawing --------------------------------------------------------------------------------------------------

function draw() {
  drawBanner();
  drawPeople();
  drawChat();
  drawAgenda();
}

function showBanner(text, bad) {
  const banner = $("banner");
  banner.hidden = !text;
  banner.classList.toggle("bad", Boolean(bad));
  if (banner.textContent !== text) banner.textContent = text;
}

function drawBanner() {
  const { ready, pending, last_error: error, gave_up: lost } = state.webhook;
  if (ready === false) {
    const waiting = pending ? ` ${pending === 1 ? "Un envío espera y se repetirá solo." : `${pending} envíos esperan y se repetirán solos.`}` : "";
    showBanner(`El asistente todavía no está listo: nadie responde en la dirección del webhook.${waiting}`);
  } else if (pending && error) {
    showBanner(`El asistente no aceptó un envío (${error}). Se vuelve a intentar.`, true);
  } else if (lost) {
    showBanner(`${lost} envíos al asistente se abandonaron después de muchos intentos.`, true);
  } else {
    showBanner("");
  }
}

function drawPeople() {
  const rows = state.patients.map((one) => {
    if (one.id === patient) seenReplies.set(one.id, one.replies);
    if (!seenReplies.has(one.id)) seenReplies.set(one.id, one.replies);
    const unread = one.replies - seenReplies.get(one.id);
    const about = one.typing ? "El centro está escribiendo…" : previewOf(one);
    const avatar = element("span", { class: "avatar", "aria-hidden": "true" }, initials(one.name));
    avatar.style.setProperty("--tone", toneOf(one.id));
    return element("li", {}, [
      element("button", { class: "person", type: "button", "aria-current": String(one.id === patient), "data-testid": "patient", "data-patient": one.id }, [
        avatar,
        element("span", { class: "lines" }, [
          element("span", { class: "top" }, [
            element("span", { class: "name" }, one.name || one.number || one.user_id),
            one.last ? element("time", {}, timeOf(one.last.at)) : null,
          ]),
          element("span", { class: "top" }, [
            element("span", { class: "preview" }, about),
            unread > 0 ? element("span", { class: "badge", "aria-label": `${unread} sin leer` }, String(unread)) : null,
          ]),
        ]),
      ]),
    ]);
  });
  const focused = document.activeElement?.dataset?.patient;
  $("people").replaceChildren(...rows);
  if (focused) $("people").querySelector(`[data-patient="${CSS.escape(focused)}"]`)?.focus();
  const waiting = state.patients.some((one) => one.replies > seenReplies.get(one.id));
  document.querySelector('.tabs [data-pane="people"] .dot').hidden = !waiting;
}

function previewOf(one) {
  if (one.last) return (one.last.mine ? "Usted: " : "") + plain(one.last.text);
  return one.number ? phoneLabel(one.number) : "sin número";
}

let stickToEnd = true;
let drawnPatient = null;
const drawnBubbles = new Map(); // wamid -> {node, json}
function drawChat() {
  const me = state.patients.find((one) => one.id === patient);
  const presence = $("presence");
  const name = me ? me.name || me.number || me.user_id : "";
  const known = me && (me.number ? phoneLabel(me.number) : "sin número");
  presence.textContent = me?.typing ? "escribiendo…" : me ? `Usted escribe como ${name} · ${known}` : "";
  presence.classList.toggle("typing", Boolean(me?.typing));
  if (!state.chat) return;

  const log = $("log");
  if (drawnPatient !== state.chat.patient) {
    drawnBubbles.clear();
    drawnPatient = state.chat.patient;
    stickToEnd = true;
  }
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  const before = log.childElementCount;
  const nodes = [];
  let previous = null;
  for (const bubble of state.chat.bubbles) {
    const day = dayOf(bubble.at);
    if (!previous || dayOf(previous.at) !== day) nodes.push(element("div", { class: "day" }, dayLabel(bubble.at, state.now)));
    const first = !previous || previous.side !== bubble.side || dayOf(previous.at) !== day;
    nodes.push(drawnBubble(bubble, first));
    previous = bubble;
  }
  if (!nodes.length) {
    nodes.push(element("p", { class: "empty" }, `${name}, escriba al centro. Por ejemplo: «Quiero una cita mañana a las 10 para recoger mis pastillas».`));
  }
  if (me?.typing) {
    const dots = element("div", { class: "typing-dots" }, [element("i"), element("i"), element("i")]);
    nodes.push(element("div", { class: "bubble in first", "data-testid": "typing", "aria-label": "El centro está escribiendo" }, [dots]));
  }
  syncChildren(log, nodes);
  if (stickToEnd || (atEnd && log.childElementCount !== before) || atEnd) log.scrollTop = log.scrollHeight;
  stickToEnd = false;
}

function drawnBubble(bubble, first) {
  const json = JSON.stringify([bubble, first, [...tapped].filter((key) => key.startsWith(bubble.wamid))]);
  const drawn = drawnBubbles.get(bubble.wamid);
  if (drawn?.json === json) return drawn.node;
  const quoted = bubble.quotes && state.chat.bubbles.find((other) => other.wamid === bubble.quotes);
  const node = bubbleView(bubble, { first, quoted, tapped, onChoice, onList, onShareContact, onShareLocation });
  if (drawn) node.style.animation = "none";
  drawnBubbles.set(bubble.wamid, { node, json });
  return node;
}

function syncChildren(parent, nodes) {
  // Bubbles that did not change keep their element, so taps, focus and screen readers are not disturbed.
  nodes.forEach((node, index) => {
    const present = parent.children[index];
    if (present === node) return;
    if (present && !nodes.includes(present)) present.replaceWith(node);
    else parent.insertBefore(node, present || null);
  });
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}

function drawAgenda() {
  const me = state.patients.find((one) => one.id === patient);
  const key = JSON.stringify([state.agenda, state.alerts, agendaFilter, me?.number, state.now.slice(0, 10)]);
  if (key === drawnAgenda) return;
  if (drawnAgenda !== null && document.body.dataset.pane !== "agenda") unreadAgenda = true;
  drawnAgenda = key;
  $("agenda").replaceChildren(...agendaView(state.agenda, { now: state.now, phone: me?.number, onlyMine: agendaFilter === "mine" }));
  $("agenda").querySelector(".fresh")?.scrollIntoView({ block: "nearest" });
  $("alerts").hidden = !state.alerts.length;
  $("alerts").replaceChildren(...alertsView(state.alerts));
  document.querySelector('.tabs [data-pane="agenda"] .dot').hidden = !unreadAgenda;
}

// --- what the person does -------------------------------------------------------------------------------------

function onChoice(bubble, choice) {
  tapped.add(bubble.wamid + choice.id);
  write({ kind: choice.kind, id: choice.id, title: choice.title, description: choice.description, context: bubble.wamid });
}

function onList(bubble) {
  $("list-title").textContent = bubble.list.label;
  const parts = bubble.list.sections.flatMap((section) => [
    section.title ? element("h4", {}, section.title) : null,
    ...section.rows.map((row) => {
      const button = element("button", { type: "submit", value: row.id, "data-testid": "list-row", "data-id": row.id }, [
        row.title,
        row.description ? element("small", {}, row.description) : null,
      ]);
      button.addEventListener("click", () => onChoice(bubble, { kind: "list_reply", ...row }));
      return button;
    }),
  ]);
  $("list-rows").replaceChildren(...parts.filter(Boolean));
  $("list-dialog").showModal();
}

function onShareContact(bubble) {
  openPhoneDialog("contact_request", bubble.wamid);
}

function onShareLocation(bubble) {
  write({ kind: "location", context: bubble.wamid, name: "Mi casa" });
}

function openPhoneDialog(kind, context) {
  const form = $("phone-form");
  form.reset();
  form.dataset.kind = kind;
  form.dataset.context = context || "";
  form.phone.value = state.patients.find((one) => one.id === patient)?.number || "";
  $("phone-dialog").showModal();
}

$("phone-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const phone = form.phone.value.replace(/\s/g, "");
  write({ kind: form.dataset.kind, phone, context: form.dataset.context || undefined });
  $("phone-dialog").close();
});

const text = $("text");
function fitText() {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight + 2, 140)}px`;
}
text.addEventListener("input", fitText);
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});

$("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = text.value.trim();
  if (!body || !patient) return;
  text.value = "";
  fitText();
  text.focus();
  if (!(await write({ kind: "text", text: body }))) text.value = body;
});

$("attach").addEventListener("click", () => $("attach-dialog").showModal());
$("attach-dialog").addEventListener("close", (event) => {
  const kind = event.target.returnValue;
  event.target.returnValue = "";
  if (!kind) return;
  if (kind === "contacts") return openPhoneDialog("contacts");
  const caption = text.value.trim();
  const wish = kind === "location" ? { kind, name: caption || "Mi casa", address: "Santa Cruz" } : { kind };
  if (caption && ["image", "video", "document"].includes(kind)) wish.caption = caption;
  if (kind === "document") wish.filename = "receta.pdf";
  if (wish.caption || kind === "location") text.value = "";
  write(wish);
});

$("people").addEventListener("click", (event) => {
  const row = event.target.closest("[data-patient]");
  if (!row) return;
  drafts.set(patient, text.value);
  patient = row.dataset.patient;
  text.value = drafts.get(patient) || "";
  fitText();
  history.replaceState(null, "", `?paciente=${encodeURIComponent(patient)}`);
  showPane("chat");
  refresh();
});

$("add-patient").addEventListener("click", () => {
  $("patient-form").reset();
  $("patient-error").hidden = true;
  $("patient-dialog").showModal();
});
$("patient-form").addEventListener("change", (event) => {
  const form = event.currentTarget;
  form.elements.number.disabled = form.elements.hidden.checked;
});
$("patient-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const withoutNumber = form.elements.hidden.checked;
  const number = form.elements.number.value.replace(/\s/g, "");
  const error = $("patient-error");
  if (!withoutNumber && !number) {
    error.textContent = "Escriba el número o marque que no lo comparte.";
    error.hidden = false;
    return;
  }
  try {
    const wish = withoutNumber ? { identity: "user_id" } : { number };
    const added = await post("/control/patients", { name: form.elements.name.value.trim(), ...wish });
    patient = added.id;
    $("patient-dialog").close();
    showPane("chat");
    refresh();
  } catch {
    error.textContent = "Ese número no es válido o ya existe. Debe llevar el código del país: +591…";
    error.hidden = false;
  }
});
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => {
    agendaFilter = button.dataset.filter;
    for (const other of document.querySelectorAll("[data-filter]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    drawAgenda();
  });
}

function showPane(name) {
  document.body.dataset.pane = name;
  for (const tab of document.querySelectorAll(".tabs button")) {
    tab.setAttribute("aria-current", String(tab.dataset.pane === name));
  }
  if (name === "agenda") {
    unreadAgenda = false;
    document.querySelector('.tabs [data-pane="agenda"] .dot').hidden = true;
  }
  if (name === "chat") $("log").scrollTop = $("log").scrollHeight;
}
for (const tab of document.querySelectorAll(".tabs button")) tab.addEventListener("click", () => showPane(tab.dataset.pane));

showPane("chat");
refresh();
