"""Random walks through the dialogue: whatever is written or tapped, old buttons included, no write comes by itself."""

from __future__ import annotations

import random

import pytest

from shared.messages import MessageKind, Reply
from tests.workers.dialogue.agenda import SUN, THU, TUE, at, visit
from tests.workers.dialogue.script import options_of
from tests.workers.dialogue.test_written_chats import Writer
from workers.dialogue.decision import Cancel, Reschedule, Schedule
from workers.dialogue.wording import say_date, say_start

SAID = (
    "sí",
    "no",
    "ya",
    "gracias",
    "hola",
    "el jueves",
    "mejor el viernes",
    "a las 9",
    "en la tarde",
    "la segunda",
    "cuando haya",
    "misma hora",
    "quiero una cita",
    "quiero cita mañana a las 10",
    "cancele mi cita",
    "cancele la del jueves",
    "cámbieme la cita al viernes a las 3",
    "en vez del martes el miércoles",
    "ahí estaré sin falta",
    "¿cuándo es mi cita?",
    "¿qué es la tuberculosis?",
    "Rosa Mamani",
    "CC-0417",
    "no puedo a esa hora",
    "domingo a las 10",
    "asdf",
    "BAJA",
    "páseme con alguien",
    "10",
    "si dios quiere",
    "no sé si podré",
    "sí pero más tarde",
    "más temprano",
    "otra hora",
    "la otra semana",
    "las dos",
    "cuántas pastillas tomo",
    "a qué hora es la cita de mi mamá",
)
YES = {"sí", "ya", "Confirmar", "Sí, cancelar"}


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_writes_follow_a_summary_and_a_yes(seed: int) -> None:
    luck = random.Random(seed)
    visits = (visit(417, TUE, "10:00"), visit(418, THU, "15:00"))[: luck.randrange(3)]
    patient = Writer(*visits, registered=luck.random() < 0.5)
    patient.agenda.taken = {at(TUE, "10:00"), at(SUN, "09:00")}
    seen = list(visits)
    for _ in range(25):
        seen += [v for v in patient.agenda.visits if v not in seen]
        on_screen = [option for reply in patient.shown for option in options_of(reply)]
        summaries = [reply for reply in patient.shown if any(o.title in YES for o in options_of(reply))]
        summary, before = (summaries or [Reply()])[-1], len(patient.agenda.received)
        dice = luck.random()
        if on_screen and dice < 0.4:
            option = luck.choice(on_screen[-6:] if luck.random() < 0.7 else on_screen)
            act = option.title
            patient.taps_id(option.id, act)
        elif dice < 0.45:
            act = ""
            patient.sends(MessageKind.MEDIA, media="voice")
        elif dice < 0.5:
            act = ""
            patient.has_an_alarm()
        else:
            act = luck.choice(SAID)
            patient.writes(act)
        for call in patient.agenda.received[before:]:
            if isinstance(call, Schedule | Reschedule | Cancel):
                assert act in YES or (act == "ahí estaré sin falta" and not visits)
            if isinstance(call, Schedule | Reschedule):
                assert say_start(call.start) in summary.text
            if isinstance(call, Cancel):
                assert any(say_date(v.start.date()) in summary.text for v in seen)
    keys = [call.key for call in patient.agenda.received]
    assert len(set(keys)) == len(keys)
