"""What the buttons do, once, and what they say when somebody was faster."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from shared.celery_app import TaskName
from shared.messages import Delivery
from shared.settings import Settings
from shared.state import alarms, audit, dead
from shared.state import staff as desk
from shared.state.staff import Wrote
from tests.ops_world import World
from tests.webhook.ops.conftest import USER
from tests.workers.fakes import NUMBER, Clinic

Press = Callable[..., Any]
FORM = "0123456789abcdef01234567"


def events(client: redis.Redis, name: str) -> list[audit.Record]:
    return [record for record in audit.read(client, "-") if record.event == name]


@pytest.fixture
def rung(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Doorbells that the page rang."""
    bells: list[tuple[Any, ...]] = []
    celery = app.extensions["services"].doorbell._celery
    monkeypatch.setattr(celery, "send_task", lambda task, args, queue: bells.append((task, *args, queue)))
    return bells


def test_an_alarm_is_acknowledged_once(press: Press, world: World, client: redis.Redis) -> None:
    id_ = world.ids["open_alarm"]
    assert "Alerta atendida" in press("/alertas/atendido", alarm=id_).text
    taken = alarms.read(client, id_)
    assert taken is not None
    assert (taken.by, taken.acknowledged_ms > 0) == (USER, True)
    assert client.zscore("alarms", id_) is None  # nobody else is told
    again = press("/alertas/atendido", alarm=id_).text
    assert f"ya la había atendido {USER}, hace menos de 1 min" in again
    assert "ya no existe" in press("/alertas/atendido", alarm="a_0").text
    assert [record.detail["by"] for record in events(client, "acknowledged") if record.ids == (id_,)] == [USER]


def test_a_call_is_done_once(press: Press, world: World, client: redis.Redis) -> None:
    assert "Llamada hecha" in press("/llamadas/hecho", call="r_mario").text
    assert not client.hexists("calls", "r_mario")
    assert "ya no estaba en la lista" in press("/llamadas/hecho", call="r_mario").text
    [record] = events(client, "call_done")
    assert (record.ids, record.patient) == (("r_mario",), world.ids["mario"])
    assert record.detail == {"by": USER, "why": "not_delivered"}
    client.hset("calls", "odd", "no json")
    assert "Llamada hecha" in press("/llamadas/hecho", call="odd").text


def test_words_of_a_person_go_out_once_and_through_the_handoff(
    press: Press, world: World, client: redis.Redis, rung: list[tuple[Any, ...]]
) -> None:
    patient = world.ids["elena"]
    fields = {"patient": patient, "text": "  La llamo a las 4.\r\n<b>Enf. Quispe</b> ", "form_id": FORM}
    shown = press("/derivaciones/escribir", **fields).text
    assert "Mensaje en camino" in shown
    assert "&lt;b&gt;Enf. Quispe" in shown  # the staff's own words are shown, and escaped too
    assert "no se envió dos veces" in press("/derivaciones/escribir", **fields).text
    [raw] = client.lrange(f"outbox:{patient}:normal", 0, -1)
    delivery = Delivery.from_json(raw.partition("|")[2])
    assert delivery.reply.text == "La llamo a las 4.\n<b>Enf. Quispe</b>"
    assert (delivery.kind, delivery.through_handoff) == ("reply", True)
    wrote = datetime.fromtimestamp(int(client.hget(f"address:{patient}", "wrote_ms") or 0) / 1000, UTC)
    assert delivery.expires_at == wrote + desk.WINDOW
    assert client.hget(f"delivery:{delivery.id}", "state") == "queued"
    assert client.zscore("outgoing", f"{patient}:normal") is not None
    assert rung == [(TaskName.DELIVER_OUTBOX, patient, "normal", "deliveries")]
    [record] = events(client, "written")
    assert (record.ids, record.patient, record.detail) == ((delivery.id,), patient, {"by": USER})
    other = fields | {"form_id": FORM[::-1]}
    press("/derivaciones/escribir", **other)  # another form is another message
    assert client.llen(f"outbox:{patient}:normal") == 2


def test_each_form_has_an_id_of_its_own(staff: FlaskClient, world: World) -> None:
    def ids() -> set[str]:
        return {part[:24] for part in staff.get("/ops/derivaciones").text.split('name="form_id" value="')[1:]}

    first, second = ids(), ids()
    assert len(first) == 3  # elena, rosa and juan
    assert not first & second


@pytest.mark.parametrize(
    ("text", "says"), [("x" * 1001, "pasa de 1000 letras"), (" \n ", "vacío"), ("ñ" * 1000, "Mensaje en camino")]
)
def test_the_length_of_a_message(text: str, says: str, press: Press, world: World, client: redis.Redis) -> None:
    patient = world.ids["elena"]
    shown = press("/derivaciones/escribir", patient=patient, text=text, form_id=FORM)
    assert says in shown.text
    assert client.llen(f"outbox:{patient}:normal") == (says == "Mensaje en camino")
    assert "x" * 1001 in shown.text or len(text) != 1001  # what was typed is not lost


def test_after_24_hours_nothing_is_offered_and_nothing_is_sent(
    press: Press, staff: FlaskClient, world: World, client: redis.Redis
) -> None:
    patient = world.ids["elena"]
    client.hset(f"address:{patient}", "wrote_ms", world.now_ms - 86_400_000 - 1000)
    page = staff.get(f"/ops/paciente/{patient}").text
    assert "Ya no se le puede escribir" in page
    assert "<textarea" not in page
    shown = press("/derivaciones/escribir", patient=patient, text="hola", form_id=FORM)
    assert shown.status_code == 409
    assert "No se envió nada" in shown.text
    assert client.llen(f"outbox:{patient}:normal") == 0


def test_to_a_patient_of_the_assistant_nobody_writes(press: Press, world: World, client: redis.Redis) -> None:
    patient = world.ids["elena"]
    client.delete(f"handoff:{patient}")
    shown = press("/derivaciones/escribir", patient=patient, text="hola", form_id=FORM)
    assert (shown.status_code, "ya no está derivado" in shown.text) == (409, True)
    assert client.llen(f"outbox:{patient}:normal") == 0


@pytest.mark.parametrize("fields", [{"patient": "handoff"}, {"patient": "p_1", "form_id": "x"}, {}])
def test_an_odd_form_is_refused(fields: dict[str, str], press: Press) -> None:
    assert press("/derivaciones/escribir", text="hola", **fields).status_code == 400


def test_a_patient_given_back_is_answered_by_the_assistant(
    press: Press, client: redis.Redis, app_settings: Settings
) -> None:
    clinic = Clinic(app_settings.model_copy(update={"BURST_WAIT_MS": 0}), client)
    clinic.says("quiero hablar con una persona")
    clinic.answered()
    clinic.says("¿cuáles son los horarios?")
    before = clinic.answered()
    assert len(before) == 1  # the hand-over; the assistant keeps quiet after it
    assert "Devuelto" in press("/derivaciones/devolver", patient=clinic.patient).text
    clinic.says("¿cuáles son los horarios?")
    after = clinic.answered()
    assert len(after) == 2
    assert "08:00" in after[-1] or "8:00" in after[-1]
    assert client.zscore("handoffs", clinic.patient) is None
    assert "ya atendía" in press("/derivaciones/devolver", patient=clinic.patient).text
    assert [record.detail for record in events(client, "returned")] == [{"by": USER}]


def test_words_of_a_person_reach_the_patient_by_the_worker(
    press: Press, client: redis.Redis, app_settings: Settings, rung: list[tuple[Any, ...]]
) -> None:
    clinic = Clinic(app_settings.model_copy(update={"BURST_WAIT_MS": 0}), client)
    clinic.says("quiero hablar con una persona")
    clinic.answered()
    assert (
        client.ttl(f"conversation:{clinic.patient}") > 86_000
    )  # whoever takes over can read it as long as they have it
    press("/derivaciones/escribir", patient=clinic.patient, text="Le escribe la enfermera.", form_id=FORM)
    clinic.deliver()
    assert clinic.received()[-1] == "Le escribe la enfermera."
    assert clinic.whatsapp.bodies[-1]["to"] == "+" + NUMBER
    page = press("/derivaciones/escribir", patient=clinic.patient, text="Le escribe la enfermera.", form_id=FORM)
    assert "<strong>enviado</strong>" in page.text
    clinic.deliver()
    assert clinic.received().count("Le escribe la enfermera.") == 1


def test_an_optout_is_lifted_only_when_the_patient_asked(press: Press, world: World, client: redis.Redis) -> None:
    patient = world.ids["hugo"]
    assert "No se cambió nada" in press("/bajas/reactivar", patient=patient).text
    assert client.exists(f"optout:{patient}")
    assert "Reactivado" in press("/bajas/reactivar", patient=patient, asked="yes").text
    assert not client.exists(f"optout:{patient}")
    assert client.zscore("optouts", patient) is None
    assert "ya no estaba de baja" in press("/bajas/reactivar", patient=patient, asked="yes").text
    assert [record.detail for record in events(client, "reactivated")] == [{"by": USER}]


def test_dead_letters_are_put_back_one_or_all(press: Press, world: World, client: redis.Redis) -> None:
    world.patient("zoila", "59175550077")
    world.dead_message("zoila", "hola", 5)
    letters = {letter.patient: letter for letter in dead.list_letters(client)}
    mine = letters[world.ids["zoila"]]
    assert "Se intentará de nuevo" in press("/cartas/reintentar", letter=mine.id).text
    assert client.llen(f"inbox:{world.ids['zoila']}") == 1
    assert "otra persona ya lo hizo" in press("/cartas/reintentar", letter=mine.id).text
    assert client.llen(f"inbox:{world.ids['zoila']}") == 1
    assert "Se intentarán de nuevo 1." in press("/cartas/reintentar", letter="all").text
    assert client.llen(f"inbox:{world.ids['mario']}") == 1
    shown = press("/cartas/reintentar", letter="all").text
    assert "No había nada que reintentar" in shown
    assert "WhatsApp ya lo había aceptado" in shown.replace("whatsApp", "WhatsApp")  # stays for a person
    assert {json.dumps(record.detail["by"]) for record in events(client, "replayed")} == {json.dumps(USER)}


def test_every_step_may_be_repeated_by_the_redis_client(world: World, client: redis.Redis) -> None:
    patient, now = world.ids["elena"], datetime.now(UTC)
    assert [desk.reply(client, patient, FORM, "hola", "a", now)[0] for _ in range(2)] == [Wrote.QUEUED, Wrote.BEFORE]
    assert [desk.give_back(client, patient, "a") for _ in range(2)] == [True, False]
    assert [desk.call_done(client, "r_mario", "a") for _ in range(2)] == [True, False]
    assert [desk.reactivate(client, world.ids["hugo"], "a") for _ in range(2)] == [True, False]
    names = [record.event for record in audit.read(client, "-")]
    assert [names.count(name) for name in ("written", "returned", "call_done", "reactivated")] == [1, 1, 1, 1]
