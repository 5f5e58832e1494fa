// The clinic's side: appointments by day, and the alerts that staff received.
import { dayLabel, dayOf, phoneLabel, timeOf } from "./bubbles.js";
import { element, icon } from "./dom.js";

const STATES = {
  scheduled: "Programada",
  rescheduled: "Reprogramada",
  confirmed: "Confirmada",
  cancelled: "Cancelada",
  missed: "No asistió",
  done: "Atendida",
};
const lastSeen = new Map(); // ref -> state and time, to show what just changed

export function agendaView(appointments, { now, phone, onlyMine }) {
  const known = lastSeen.size > 0;
  const nodes = [];
  let day = "";
  for (const one of appointments) {
    const look = `${one.status} ${one.datetime}`;
    const fresh = known && lastSeen.get(one.ref) !== look;
    lastSeen.set(one.ref, look);
    if (onlyMine && one.phone !== phone) continue;
    if (dayOf(one.datetime) !== day) {
      day = dayOf(one.datetime);
      nodes.push(element("h3", { class: "agenda-day" }, dayLabel(one.datetime, now)));
    }
    nodes.push(row(one, one.phone === phone, fresh));
  }
  return nodes.length ? nodes : [element("p", { class: "nothing" }, onlyMine ? "Este paciente no tiene citas." : "No hay citas.")];
}

function row(one, own, fresh) {
  const attributes = {
    class: `appointment${own ? " own" : ""}${fresh ? " fresh" : ""}`,
    "data-testid": "agenda-row",
    "data-ref": one.ref,
    "data-status": one.status,
    "data-datetime": one.datetime,
    "data-phone": one.phone,
  };
  return element("article", attributes, [
    element("time", { datetime: one.datetime }, timeOf(one.datetime)),
    element("span", { class: "name" }, one.name || one.phone),
    element("span", { class: "chip", "data-status": one.status }, STATES[one.status] || one.status),
    element("span", { class: "sub" }, [element("span", { class: "ref" }, one.ref), one.reason ? ` · ${one.reason}` : ""]),
  ]);
}

export function alertsView(alerts) {
  const title = element("h3", {}, [icon("i-bell"), `Avisos al personal (${alerts.length})`]);
  const rows = [...alerts].reverse().map((alert) =>
    element("div", { class: "alert", "data-testid": "alert", "data-category": alert.category, "data-level": alert.level }, [
      element("b", {}, String(alert.category).replaceAll("_", " ")),
      element("time", {}, timeOf(alert.received_at)),
      element("span", { class: "from" }, alert.phone ? phoneLabel(alert.phone) : alert.user_id),
      element("span", { class: "level" }, String(alert.level).replaceAll("_", " ")),
    ]),
  );
  return [title, ...rows];
}
