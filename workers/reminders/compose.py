"""A planned reminder -> the delivery that lies in the outbox until it is due (pure). No disease is named."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from shared.conversation import Appointment
from shared.identity import candidate_ids, canonical_number
from shared.messages import Delivery, DeliveryKind, Identity, ReminderKind, ReminderOf, Reply, Template
from shared.settings import Settings
from shared.state.reminders import Claim
from workers.dialogue.buttons import visit_payload
from workers.dialogue.wording import has_hour, say_date, say_time
from workers.reminders.plan import Planned, reminder_id

NO_NAME = "estimado/a paciente"
_LONGEST_NAME = 40
_BUTTONS = ("asistire", "cambiar", "cancelar")  # in the template's order
_MISSED_BUTTONS = ("go:agendar", "go:hablar")


def compose(planned: Planned, settings: Settings, now: dt.datetime) -> Claim | None:
    """Build what is claimed for a visit; None when the agenda has no phone for it: only staff can call then."""
    number = canonical_number(planned.visit.phone)
    if number is None:
        return None
    visit, kind = planned.visit, planned.kind
    identity = Identity(number=number)
    delivery = Delivery(
        id=reminder_id(visit, kind),
        kind=DeliveryKind.REMINDER,
        reply=Reply(template=template(visit, kind, settings)),
        created_at=now,
        reminder_of=ReminderOf(
            appointment_id=visit.id, start=visit.start, kind=kind, due=planned.due, until=planned.until
        ),
    )
    return Claim(
        delivery=delivery,
        address=identity,
        ids=candidate_ids(settings.patient_id_key, identity),
        call=call_line(visit, kind),
        arrived_by=planned.arrived_by,
    )


def template(visit: Appointment, kind: ReminderKind, settings: Settings) -> Template:
    """The approved utility template with its two parameters; its quick replies go on in the normal dialogue."""
    missed = kind in (ReminderKind.MISSED_1, ReminderKind.MISSED_2)
    return Template(
        name=settings.MISSED_TEMPLATE if missed else settings.REMINDER_TEMPLATE,
        language=settings.REMINDER_TEMPLATE_LANGUAGE,
        parameters={"nombre": first_name(visit.name), "fecha": say_when(visit.start, settings.timezone)},
        payloads=_MISSED_BUTTONS if missed else tuple(visit_payload(action, visit.id) for action in _BUTTONS),
    )


def call_line(visit: Appointment, kind: ReminderKind) -> dict[str, str]:
    """What staff need to know of the visit, when they have to call."""
    return {
        "appointment": visit.id,
        "ref": visit.ref,
        "start": visit.start.astimezone(dt.UTC).isoformat(),
        "reminder": kind.value,
    }


def first_name(name: str) -> str:
    """`Rosa` of `ROSA MAMANI QUISPE`: enough to be greeted, and little for whoever looks at the screen."""
    words = name.split()
    return words[0][:_LONGEST_NAME].capitalize() if words else NO_NAME


def say_when(start: dt.datetime, zone: ZoneInfo) -> str:
    """`martes 24 de noviembre, 10:00`; of a visit at midnight only the day is known."""
    local = start.astimezone(zone)
    hour = say_time(local) if has_hour(local) else "a la hora que le confirme el centro"
    return f"{say_date(local.date())}, {hour}"
