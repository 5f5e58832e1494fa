"""References, reasons and the slots that each intent keeps."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.prediction import Intent, Reason, Slots
from tests.workers.language.conftest import LA_PAZ
from workers.language.normalise import normalise
from workers.language.reasons import reason_of
from workers.language.slots import extract, keep_for, read


@pytest.mark.parametrize("said", ["cc 417", "cc0417", "CC-0417", "Cc 0417", "mi código es 417", "c.c. 417", "ref. 417"])
def test_a_reference_is_read_however_it_is_typed(said: str, now: dt.datetime) -> None:
    assert extract(said, now).appointment_ref == "CC-0417"


@pytest.mark.parametrize("said", ["mi carnet es 4170417", "70123456", "cc 04170", "tomo 417", "a las 4"])
def test_other_numbers_are_no_reference(said: str, now: dt.datetime) -> None:
    assert extract(said, now).appointment_ref is None


def test_a_bare_number_is_a_reference_when_it_was_asked_which_visit(now: dt.datetime) -> None:
    assert extract("0417", now, expects="cual").appointment_ref == "CC-0417"
    assert extract("0417", now).appointment_ref is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("cita para mi control", Reason.CONTROL),
        ("para recoger mis pastillas", Reason.MEDICAMENTOS),
        ("ficha para dejar la flema", Reason.LABORATORIO),
        ("quiero ver mis resultados", Reason.RESULTADOS),
        ("para la placa", Reason.RADIOGRAFIA),
        ("es mi primera consulta", Reason.PRIMERA_CONSULTA),
        ("para que revisen a mis hijos", Reason.CONTACTOS),
        ("las pastillas me están haciendo mal", Reason.EFECTOS),
        ("para que me vean la tos", Reason.OTRO),
        ("una ficha por favor", None),
        ("quiero cita", None),
        ("dejá sin efecto mi reserva", None),
    ],
)
def test_a_reason_is_read_only_if_stated(said: str, reason: Reason | None) -> None:
    assert reason_of(normalise(said)) is reason


def test_a_whole_request_fills_its_slots_and_spans(now: dt.datetime) -> None:
    found = read("dra ficha a nombre de doña rosa mamani pa mñn 10 y media, recojo pastillas", now)
    assert found.slots == Slots(
        date=dt.date(2026, 11, 24), time="10:30", reason=Reason.MEDICAMENTOS, name="Rosa Mamani"
    )
    assert found.spans == {"date": "mñn", "time": "10 y media"}


def test_an_intent_keeps_only_its_own_slots(now: dt.datetime) -> None:
    slots = extract("en vez del martes 24 el jueves 26 a las 9, CC-0417", now)
    moved = keep_for(slots, [Intent.REPROGRAMAR_CITA])
    assert moved.old_date == dt.date(2026, 11, 24)
    assert keep_for(slots, [Intent.CONFIRMAR_ASISTENCIA]).old_date is None
    assert keep_for(slots, [Intent.AGENDAR_CITA]).appointment_ref is None
    assert keep_for(slots, [Intent.SINTOMAS]) == Slots()


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    slots = extract(text, dt.datetime(2026, 11, 23, 9, tzinfo=LA_PAZ))
    assert Slots.model_validate(slots.model_dump()) == slots  # whatever was read keeps the contract's formats
