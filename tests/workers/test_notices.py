"""«Seguimos aquí»: told once for each wait, only to who would be answered, never after the answer or instead of it."""

from __future__ import annotations

import datetime as dt
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import OutcomeUnknown, PartnerRefused, RetryLater
from shared.identity import candidate_ids
from shared.messages import Channel, Identity, Message
from shared.state import inbox, notices
from shared.state.inbox import Arrival
from tests.workers.fakes import Clinic
from workers.notices import A_SECOND, tell_who_waits, waited_words

TOLD = "Seguimos aquí"
LONG_S = 150


def pass_time(clinic: Clinic, seconds: float = LONG_S) -> None:
    """What waits has waited so much longer."""
    for patient in clinic.client.zrange("untold", 0, -1):
        clinic.client.zincrby("untold", -seconds * 1000, patient)
    for key in clinic.client.scan_iter("inbox:*"):
        rows = clinic.client.lrange(key, 0, -1)
        clinic.client.delete(key)
        for row in rows:
            ms, _, body = row.partition("|")
            clinic.client.rpush(key, f"{int(ms) - round(seconds * 1000)}|{body}")


def tell(clinic: Clinic) -> int:
    clinic.client.delete("notices_rung")  # the next second
    return tell_who_waits(clinic.services)


def waits(clinic: Clinic, text: str = "¿qué es la tuberculosis?") -> str:
    """A message that was searched for danger and has waited too long."""
    written = clinic.says(text)
    clinic.triage()
    pass_time(clinic)
    return written


def outcomes(clinic: Clinic) -> list[str]:
    return [str(clinic.client.hget(key, "state")) for key in clinic.client.scan_iter("delivery:*")]


def test_who_waits_too_long_is_told_how_long_and_then_answered(clinic: Clinic) -> None:
    waits(clinic)
    assert tell(clinic) == 1
    clinic.deliver()
    assert clinic.received()[0].startswith(f"{TOLD}. Su mensaje espera desde hace 2 minutos")
    assert len(clinic.answered()) == 2
    assert "bacteria" in clinic.received()[1]
    assert clinic.client.hget("metrics", "notices_total") == "1"


def test_who_has_not_waited_long_is_not_told(clinic: Clinic) -> None:
    clinic.says("hola")
    clinic.triage()
    pass_time(clinic, clinic.settings.WAIT_NOTICE_S - 5)
    assert tell(clinic) == 0


def test_it_is_told_once_however_many_messages_and_workers_and_again_only_after_an_answer(clinic: Clinic) -> None:
    waits(clinic)
    assert tell(clinic) == 1
    for text in ("¿hola?", "¿están ahí?"):
        waits(clinic, text)
        assert tell(clinic) == 0
    clinic.deliver()
    assert len(clinic.answered()) == 2
    assert clinic.client.zcard("untold") == 0
    waits(clinic)
    assert tell(clinic) == 1


def test_workers_that_look_at_once_tell_once(clinic: Clinic) -> None:
    waits(clinic)
    [waiting] = notices.take_waiting(clinic.client, after_s=1, at_most=5)
    clinic.client.zadd("untold", {clinic.patient: 1})
    start = threading.Barrier(4)

    def look(_: int) -> int:
        start.wait()
        return tell_who_waits(clinic.services)

    clinic.client.delete("notices_rung")
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(look, range(4))) == 1
    assert waiting.patient == clinic.patient
    assert clinic.client.llen(f"outbox:{clinic.patient}:normal") == 1


def test_a_worker_that_dies_before_it_tells_leaves_it_to_the_next_look(clinic: Clinic) -> None:
    waits(clinic)
    assert notices.take_waiting(clinic.client, after_s=clinic.settings.WAIT_NOTICE_S, at_most=5)
    assert tell(clinic) == 0  # looked at a moment ago
    pass_time(clinic, notices.LOOK_AGAIN_MS / 1000 + 1)
    assert tell(clinic) == 1


@pytest.mark.parametrize("why", ["handoff", "optout", "window", "canary", "fresh", "outbox"], ids=lambda why: str(why))
def test_who_is_not_told(clinic: Clinic, why: str) -> None:
    waits(clinic)
    p, client = clinic.patient, clinic.client
    if why == "handoff":
        client.set(f"handoff:{p}", json.dumps({"reason": "person"}))
    elif why == "optout":
        client.set(f"optout:{p}", "1")
    elif why == "window":
        client.hset(f"address:{p}", "wrote_ms", round((dt.datetime.now(dt.UTC).timestamp() - 86_500) * 1000))
    elif why == "canary":
        client.hset("canary", "patient", p)
    elif why == "fresh":  # it may yet be a danger sign
        client.zadd("fresh", {p: 1})
    else:  # a reply is on its way
        client.rpush(f"outbox:{p}:normal", "d_1|{}")
    assert tell(clinic) == 0
    assert (client.zscore("untold", p) is not None) == (why in ("fresh", "outbox"))


def test_a_danger_sign_is_answered_by_its_own_text_only(clinic: Clinic) -> None:
    waits(clinic, "estoy tosiendo sangre")
    assert tell(clinic) == 0
    assert all(TOLD not in text for text in clinic.answered())


def test_a_caller_of_chat_is_not_told(clinic: Clinic) -> None:
    clinic.says("hola", channel=Channel.CHAT)
    clinic.triage()
    pass_time(clinic)
    assert tell(clinic) == 0
    assert clinic.client.zcard("untold") == 0


def test_a_notice_that_the_answer_has_overtaken_is_not_sent(clinic: Clinic) -> None:
    waits(clinic)
    assert tell(clinic) == 1
    assert len(clinic.answered()) == 1
    assert "bacteria" in clinic.received()[0]
    assert sorted(outcomes(clinic)) == ["dropped", "sent"]


def test_a_notice_is_not_sent_once_a_person_has_the_patient(clinic: Clinic) -> None:
    waits(clinic)
    tell(clinic)
    clinic.client.set(f"handoff:{clinic.patient}", "{}")
    clinic.deliver()
    assert clinic.received() == []
    assert outcomes(clinic) == ["dropped"]


def test_a_notice_whose_outcome_is_unknown_is_not_repeated_and_holds_nothing_up(clinic: Clinic) -> None:
    waits(clinic)
    tell(clinic)
    clinic.whatsapp.errors = [OutcomeUnknown()]
    clinic.deliver()
    assert outcomes(clinic) == ["unknown"]
    assert len(clinic.answered()) == 1
    assert "bacteria" in clinic.received()[0]
    assert clinic.client.hlen("calls") == 0


def test_a_notice_that_meta_refuses_leaves_no_dead_letter(clinic: Clinic) -> None:
    waits(clinic)
    tell(clinic)
    clinic.whatsapp.errors = [PartnerRefused(code=131047)]
    clinic.deliver()
    assert outcomes(clinic) == ["dropped"]
    assert clinic.client.llen("dead") == 0
    assert clinic.alerts.incidents == []


def test_a_notice_that_could_not_leave_for_long_is_not_sent_any_more(clinic: Clinic) -> None:
    waits(clinic)
    tell(clinic)
    clinic.clock = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(minutes=11)
    clinic.deliver()
    assert clinic.received() == []


def test_with_a_partner_down_and_then_given_up_there_is_one_notice_and_one_apology(clinic: Clinic) -> None:
    clinic.agenda.errors = [RetryLater("down")]
    clinic.says("quiero cancelar mi cita")
    clinic.triage()
    clinic.drain()
    pass_time(clinic)
    assert tell(clinic) == 1
    clinic.deliver()
    clinic.agenda.errors = [RuntimeError("ours")] * 3  # type: ignore[list-item]
    for _ in range(3):
        clinic.end_delay()
        clinic.drain()
        assert tell(clinic) == 0
    clinic.deliver()
    first, last = clinic.received()
    assert first.startswith(TOLD)
    assert last.startswith("Disculpe, tuve un problema")
    assert clinic.client.zcard("untold") == 0


def test_what_is_left_after_an_answer_waits_from_then_on(clinic: Clinic) -> None:
    clinic.says("Mi cita", kind="choice", choice_id="go:mi_cita")
    clinic.says("¿qué es la tuberculosis?")
    clinic.triage()
    pass_time(clinic)
    tell(clinic)
    clinic.deliver()
    desk = inbox.readable(clinic.client, clinic.patient, clinic.client.lrange(f"inbox:{clinic.patient}", 0, -1))
    before = clinic.client.time()[0] * 1000
    _answer_first(clinic)
    assert clinic.client.lrange(f"inbox:{clinic.patient}", 0, -1) == [desk[1].raw]
    assert clinic.client.zscore("untold", clinic.patient) >= before
    assert tell(clinic) == 0


def _answer_first(clinic: Clinic) -> None:
    """One turn, as if the worker were then asked to stop."""
    from shared.conversation import Conversation
    from shared.state import turns

    token = clinic.services.leases.take(clinic.patient) or ""
    desk = turns.read_desk(clinic.client, clinic.patient, at_most=50)
    turns.commit(clinic.client, clinic.patient, token, turns.Commit(desk.entries[:1], Conversation(), 3600))
    turns.release(clinic.client, clinic.patient, token, 0)


def test_of_a_crowd_so_many_are_told_in_a_second_who_came_last_first(clinic: Clinic) -> None:
    crowd = A_SECOND + 5
    now = dt.datetime.now(dt.UTC)
    for n in range(crowd):
        identity = Identity(number=f"5917111{n:04}")
        message = Message(id=f"m_{n}", text="hola", at=now, received_at=now)
        ids = candidate_ids(clinic.settings.patient_id_key, identity)
        inbox.accept(clinic.client, [Arrival(message, identity, ids)], burst_ms=0, limit_per_minute=20)
    clinic.client.delete("fresh")
    order = clinic.client.zrange("untold", 0, -1)
    for place, patient in enumerate(order):
        clinic.client.zincrby("untold", place, patient)  # a millisecond apart
    pass_time(clinic)
    assert tell(clinic) == A_SECOND
    assert clinic.client.zrange("untold", 0, -1) == order[: crowd - A_SECOND]
    assert tell_who_waits(clinic.services) == 0  # not in the same second
    assert tell(clinic) == crowd - A_SECOND


def test_it_can_be_switched_off(clinic: Clinic) -> None:
    waits(clinic)
    off = Clinic(clinic.settings.model_copy(update={"WAIT_NOTICE_S": 0}), clinic.client)
    assert tell_who_waits(off.services) == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (5, "un momento"),
        (119, "un minuto"),
        (120, "2 minutos"),
        (3599, "59 minutos"),
        (3600, "una hora"),
        (7300, "2 horas"),
    ],
)
def test_a_wait_is_said_as_a_person_says_it(seconds: float, words: str) -> None:
    assert waited_words(seconds) == words
