"""One turn at a time: bursts, competing workers, failures, giving up, a model that loads, hand-offs."""

from __future__ import annotations

import datetime as dt
import json
import threading

import pytest

from shared.celery_app import TaskName
from shared.errors import BadCredentials, OutcomeUnknown, RetryLater
from shared.messages import Channel, MessageKind
from shared.state import audit
from tests.workers.fakes import Clinic
from workers.drain import drain


def test_a_burst_is_one_turn_with_one_reply_that_covers_it(clinic: Clinic) -> None:
    ids = [clinic.says("hola"), clinic.says("una pregunta"), clinic.says("¿qué es la tuberculosis?")]
    assert len(clinic.answered()) == 1
    assert clinic.left() == 0
    key = next(clinic.client.scan_iter("delivery:*"))
    assert clinic.client.hget(key, "covers").split() == ids


def test_a_tap_is_a_turn_of_its_own(clinic: Clinic) -> None:
    clinic.says("hola")
    clinic.says("Mi cita", kind=MessageKind.CHOICE, choice_id="go:mi_cita")
    clinic.says("gracias")
    assert len(clinic.answered()) == 3


def test_two_workers_that_drain_at_once_answer_once(clinic: Clinic) -> None:
    for n in range(5):
        clinic.says(f"hola {n}")
    others = [clinic.worker() for _ in range(4)]
    threads = [threading.Thread(target=clinic.drain, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clinic.answered()) == 1
    assert clinic.left() == 0


def test_nothing_is_answered_before_the_patient_pauses(clinic: Clinic) -> None:
    clinic.services = Clinic(clinic.settings.model_copy(update={"BURST_WAIT_MS": 60_000}), clinic.client).services
    clinic.says("hola")
    clinic.drain()
    assert clinic.left() == 1
    assert clinic.client.zscore("waiting", clinic.patient) > clinic.client.time()[0] * 1000 + 50_000


def test_a_backend_that_is_down_delays_what_needs_it_and_not_what_does_not(clinic: Clinic) -> None:
    clinic.agenda.errors = [RetryLater("down")] * 3
    clinic.says("¿qué es la tuberculosis?")
    assert "bacteria" in clinic.answered()[0]
    clinic.says("quiero cancelar mi cita")
    clinic.drain()
    assert clinic.left() == 1
    assert clinic.client.exists(f"delay:{clinic.patient}")
    clinic.agenda.errors = []
    clinic.end_delay()
    assert len(clinic.answered()) == 2
    assert clinic.left() == 0


def test_a_partner_that_is_down_for_long_never_counts_as_a_failed_try(clinic: Clinic) -> None:
    clinic.says("quiero cancelar mi cita")
    for _ in range(8):
        clinic.agenda.errors = [RetryLater("down")]
        clinic.drain()
        clinic.end_delay()
    assert clinic.left() == 1
    assert clinic.client.llen("dead") == 0


def test_after_three_failures_of_its_own_a_turn_is_set_aside_and_the_next_has_its_turn(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = clinic.agenda.patient

    def broken(phone: str) -> object:
        raise ValueError("a fault of ours")

    clinic.says("hola")
    monkeypatch.setattr(clinic.agenda, "patient", broken)
    for _ in range(3):
        clinic.drain()
        clinic.end_delay()
    assert clinic.left() == 0
    letter = json.loads(clinic.client.lindex("dead", 0))
    assert letter["why"] == "ValueError"
    assert len(letter["entries"]) == 1
    assert "dead_letter" in clinic.alerts.incidents
    monkeypatch.setattr(clinic.agenda, "patient", real)
    clinic.says("¿qué es la tuberculosis?")
    received = clinic.answered()
    assert len(received) == 2
    assert "tuve un problema" in received[0]
    assert "bacteria" in received[1]


def test_a_turn_older_than_the_window_is_given_up_in_silence(clinic: Clinic) -> None:
    clinic.agenda.errors = [RetryLater("down")]
    clinic.says("quiero cancelar mi cita", at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=25))
    clinic.drain()
    assert clinic.client.llen("dead") == 1
    assert clinic.answered() == []


def test_a_confirmed_booking_whose_answer_was_lost_is_made_once(clinic: Clinic) -> None:
    clinic.says("quiero una cita el proximo martes a las 10")
    clinic.answered()
    clinic.agenda.write_errors = [BadCredentials("refused")]
    clinic.says("si")
    clinic.drain()
    assert clinic.left() == 1  # the credentials are somebody's to mend; the patient keeps the place in the queue
    clinic.end_delay()
    assert "quedó para el martes" in clinic.answered()[-1]
    assert len(clinic.agenda.visits) == 1


def test_an_unknown_outcome_is_never_told_as_done(clinic: Clinic) -> None:
    clinic.says("quiero una cita el proximo martes a las 10")
    clinic.answered()
    clinic.agenda.write_errors = [OutcomeUnknown("timeout")]
    clinic.says("si")
    reply = clinic.answered()[-1]
    assert "quedó" not in reply
    assert clinic.client.hlen("calls") == 1


def test_a_commit_whose_lease_was_lost_changes_nothing_and_says_so(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = clinic.agenda.patient

    def slow(phone: str) -> object:
        clinic.client.set(f"lease:{clinic.patient}", "somebody else")
        return real(phone)

    monkeypatch.setattr(clinic.agenda, "patient", slow)
    clinic.says("hola")
    clinic.drain()
    clinic.services.metrics.flush()
    assert clinic.left() == 1
    assert clinic.client.hget("metrics", "leases_lost_total") == "1"


def test_while_the_model_loads_a_waiting_turn_asks_nothing_of_the_backend(clinic: Clinic) -> None:
    """It comes back each second, and so does everybody else's."""
    clinic.model.state = "loading"
    clinic.agenda.errors = [RetryLater("nobody may ask")]
    clinic.says("mi primo me dijo algo raro ayer")
    clinic.drain()
    assert clinic.received() == []
    assert len(clinic.agenda.errors) == 1


def test_a_turn_waits_for_a_model_that_loads_but_leaving_does_not(clinic: Clinic) -> None:
    clinic.model.state = "loading"
    clinic.says("quiero una cita")
    clinic.drain()
    assert clinic.left() == 1
    clinic.model.state = "ready"  # without a reader: as when it failed in between
    assert len(clinic.answered()) == 1
    clinic.model.state = "loading"
    clinic.says("BAJA")
    assert len(clinic.answered()) == 2
    assert clinic.client.exists(f"optout:{clinic.patient}")


def test_the_audit_does_not_grow_while_a_model_loads(clinic: Clinic) -> None:
    clinic.model.state = "loading"
    now = dt.datetime.now(dt.UTC)
    clinic.says("quiero una cita", at=now, received_at=now)
    for seconds in range(60):
        clinic.clock = lambda seconds=seconds: now + dt.timedelta(seconds=1 + seconds)  # type: ignore[misc]
        clinic.drain()
    told = [record.event for record in audit.read(clinic.client, now - dt.timedelta(hours=1))]
    assert 1 <= told.count("waits") <= 4
    assert told.count("drained") == told.count("waits")


def test_after_the_longest_wait_rules_and_cards_answer(clinic: Clinic) -> None:
    clinic.services = Clinic(clinic.settings.model_copy(update={"MODEL_WAIT_S": 0}), clinic.client).services
    clinic.services.model.state = "loading"  # type: ignore[misc]
    clinic.says("¿qué es la tuberculosis?")
    clinic.drain()
    assert clinic.left() == 0


def test_a_danger_sign_is_answered_while_the_model_loads_and_a_delay_runs(clinic: Clinic) -> None:
    clinic.model.state = "loading"
    clinic.client.set(f"delay:{clinic.patient}", "1", px=600_000)
    clinic.says("quiero una cita")
    clinic.says("estoy botando sangre al toser")
    clinic.triage()
    clinic.deliver("urgent")
    assert "Ya avisé al personal" in clinic.received()[0]
    assert clinic.alerts.dangers == [("hemoptisis", "emergencia", "+59170000001")]
    clinic.triage()
    assert len(clinic.bells.of(TaskName.DELIVER_OUTBOX)) == 1


def test_the_patient_is_told_only_what_has_happened(clinic: Clinic) -> None:
    clinic.alerts.accepts = False
    clinic.says("no puedo respirar")
    reply = clinic.answered()[0]
    assert "Ya avisé" not in reply
    assert "Llame usted al centro" in reply


def test_a_sign_split_over_two_messages_is_found(clinic: Clinic) -> None:
    clinic.says("doctora al toser me sale")
    clinic.says("sangre")
    assert "AHORA" in clinic.answered()[0]


def test_after_an_alarm_only_the_reminder_and_no_booking(clinic: Clinic) -> None:
    clinic.says("quiero una cita el proximo martes a las 10")
    clinic.answered()
    clinic.says("no puedo respirar")
    clinic.answered()
    clinic.says("si")
    assert "quedó registrado" in clinic.answered()[-1]
    assert clinic.agenda.visits == []


def test_what_comes_after_a_danger_message_is_a_turn_of_its_own(clinic: Clinic) -> None:
    clinic.says("no puedo respirar")
    clinic.says("quiero una cita")
    clinic.drain()
    assert clinic.left() == 0
    clinic.deliver("urgent")
    clinic.deliver("normal")
    assert len(clinic.received()) == 2


def test_after_asking_for_a_person_one_line_each_half_hour(clinic: Clinic) -> None:
    clinic.says("quiero hablar con una persona")
    assert len(clinic.answered()) == 1
    clinic.says("¿me atienden?")
    assert len(clinic.answered()) == 1
    later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=31)
    clinic.clock = lambda: later
    clinic.says("hola?")
    assert len(clinic.answered()) == 2
    assert clinic.client.hlen("calls") == 1


def test_a_reaction_is_taken_in_silence(clinic: Clinic) -> None:
    clinic.says("", kind=MessageKind.REACTION)
    assert clinic.answered() == []
    assert clinic.left() == 0


def test_a_late_message_is_asked_about_before_anything_is_done(clinic: Clinic) -> None:
    clinic.says("confirmo mi cita", at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=7))
    clinic.answered()
    assert clinic.agenda.keys == []
    assert len(clinic.received()) == 1


def test_a_caller_of_chat_gets_json_and_meta_gets_nothing(clinic: Clinic) -> None:
    asked = clinic.says("¿qué es la tuberculosis?", channel=Channel.CHAT)
    clinic.answered()
    answer = json.loads(clinic.client.lpop(f"answer:{asked}"))
    assert answer["intent"] == "consultar_info"
    assert "bacteria" in answer["response"]
    assert set(answer) == {"response", "intent", "confidence", "action", "params", "buttons", "timestamp"}
    assert clinic.received() == []


def test_when_all_turns_are_taken_the_patient_is_looked_at_again(clinic: Clinic) -> None:
    clinic.says("hola")
    while clinic.services.turns.take():
        pass
    clinic.drain()
    assert clinic.left() == 1
    assert clinic.client.zscore("waiting", clinic.patient) is not None


def test_nothing_is_booked_when_an_alarm_comes_while_the_turn_is_thought_about(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.says("quiero una cita el proximo martes a las 10")
    clinic.answered()
    real = clinic.agenda.of_patient

    def alarmed_meanwhile(phone: str) -> object:
        clinic.client.set(f"handoff:{clinic.patient}", json.dumps({"reason": "alarm", "told": True}))
        return real(phone)

    monkeypatch.setattr(clinic.agenda, "of_patient", alarmed_meanwhile)
    clinic.says("si")
    assert "quedó registrado" in clinic.answered()[-1]
    assert clinic.agenda.visits == []


def test_a_reply_still_in_the_outbox_when_an_alarm_comes_is_never_sent(clinic: Clinic) -> None:
    clinic.says("quiero una cita el proximo martes a las 10")
    clinic.drain()  # answered, not yet delivered
    clinic.says("no puedo respirar")
    received = clinic.answered()
    assert len(received) == 1
    assert "AHORA" in received[0]


def test_leaving_is_confirmed_although_a_person_has_the_patient(clinic: Clinic) -> None:
    clinic.says("quiero hablar con una persona")
    clinic.answered()
    clinic.says("BAJA")
    assert "ya no le enviaremos" in clinic.answered()[-1]
    assert clinic.client.exists(f"optout:{clinic.patient}")


def test_the_thread_that_answered_delivers_and_no_bell_is_rung_for_it(clinic: Clinic) -> None:
    clinic.says("hola")
    assert drain(clinic.services, clinic.patient) is True
    assert clinic.bells.of(TaskName.DELIVER_OUTBOX) == []
    assert clinic.client.zscore("outgoing", f"{clinic.patient}:normal") is not None  # should the thread die now
    assert drain(clinic.services, clinic.patient) is False


def test_a_reply_does_not_wait_for_the_turn_after_it(clinic: Clinic) -> None:
    clinic.says("hola")
    clinic.says("Mi cita", kind=MessageKind.CHOICE, choice_id="go:mi_cita")
    assert drain(clinic.services, clinic.patient) is True
    assert len(clinic.bells.of(TaskName.DELIVER_OUTBOX)) == 1
    assert clinic.left() == 0
