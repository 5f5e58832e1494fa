from __future__ import annotations

import json

import pytest

from shared.errors import UnreadablePrediction
from shared.prediction import Intent, Reason
from shared.tagged import SPECIAL_TOKENS, Tagged, original_words, parse, parse_answer, write

EXAMPLE = (
    "<i:agendar_cita><d:0><s:fecha> mañana<s:hora> 10 y media<s:motivo><m:medicamentos><rsp> Con gusto. Le propongo "
    "{date_long} a las {time} para recoger sus medicamentos. ¿Confirmo la cita?<|endoftext|>"
)


def test_the_example_of_the_specification_is_read() -> None:
    answer = parse(EXAMPLE)
    assert answer.intent is Intent.AGENDAR_CITA
    assert not answer.danger
    assert answer.spans == {"date": "mañana", "time": "10 y media"}
    assert answer.reason is Reason.MEDICAMENTOS
    assert answer.reply is not None
    assert answer.reply.startswith("Con gusto. Le propongo {date_long}")


def test_the_example_of_the_specification_is_written() -> None:
    assert write(parse(EXAMPLE)) == EXAMPLE


@pytest.mark.parametrize(
    "answer",
    [
        Tagged(Intent.SALUDO),
        Tagged(Intent.URGENCIA, danger=True, reply="Vaya a emergencias."),
        Tagged(
            Intent.CANCELAR_CITA, secondary=(Intent.TRATAMIENTO, Intent.SINTOMAS), spans={"appointment_ref": "cc 4"}
        ),
        Tagged(
            Intent.REPROGRAMAR_CITA,
            spans={"date": "5", "time": "3pm", "old_date": "lunes", "old_time": "9", "name": "rosa choque"},
            reason=Reason.OTRO,
            reply="¿Confirmo?",
        ),
    ],
    ids=lambda answer: answer.intent,
)
def test_what_is_written_is_read_back(answer: Tagged) -> None:
    assert parse(write(answer)) == answer


def test_slots_are_written_in_their_order_whatever_the_order_given() -> None:
    text = write(Tagged(Intent.AGENDAR_CITA, spans={"name": "ana", "time": "9", "date": "hoy"}, reason=Reason.CONTROL))
    order = ["<s:fecha>", "<s:hora>", "<s:motivo>", "<s:nombre>"]
    assert [text.index(token) for token in order] == sorted(text.index(token) for token in order)


def test_a_span_keeps_the_spacing_it_has_in_the_message() -> None:
    answer = Tagged(Intent.INFORMAR_DATO, spans={"date": "lunes"})
    assert "<s:fecha>lunes" in write(answer, "puedo (lunes)")
    assert "<s:fecha> lunes" in write(answer, "lunes")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<rsp> Hola",
        "<i:saludo>",
        "<d:0><i:saludo><rsp>",
        "<i:bailar><d:0><rsp>",
        "<i:saludo><d:2><rsp>",
        "<i:saludo><d:0><s:hora> 9<s:fecha> lunes<rsp>",
        "<i:saludo><d:0><s:fecha> hoy<s:fecha> hoy<rsp>",
        "<i:saludo><d:0><s:fecha><rsp>",
        "<i:saludo><d:0><s:motivo><rsp>",
        "<i:saludo><d:0><s:motivo><m:nada><rsp>",
        "<i:saludo><d:0><m:control><rsp>",
        "<i:saludo><d:0><s:fecha> hoy<j:sintomas><rsp>",
        "<i:saludo><d:0><j:sintomas><j:tratamiento><j:baja><rsp>",
        "<i:saludo> hola <d:0><rsp>",
        "Hola <i:saludo><d:0><rsp>",
        "<i:saludo><d:0><x:1><rsp>",
    ],
)
def test_anything_else_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadablePrediction):
        parse(text)


def test_tags_without_reply_are_an_answer() -> None:
    assert parse("<i:saludo><d:0>") == Tagged(Intent.SALUDO)


def test_an_angle_in_the_reply_does_not_disturb() -> None:
    assert parse("<i:saludo><d:0><rsp> menos de <5 días>").reply == "menos de <5 días>"


@pytest.mark.parametrize(
    ("name", "intent"),
    [
        ("agendar cita", Intent.AGENDAR_CITA),
        ("CANCELAR CITA", Intent.CANCELAR_CITA),
        ("Consultar-Info", Intent.CONSULTAR_INFO),
        ("síntomas", Intent.SINTOMAS),
        ("reprogramar_cita", Intent.REPROGRAMAR_CITA),
    ],
)
def test_json_answers_are_read_with_aliases(name: str, intent: Intent) -> None:
    assert parse_answer(json.dumps({"intent": name})) == Tagged(intent)


def test_json_brings_slots_reason_danger_and_reply() -> None:
    given = {
        "intent": "agendar_cita",
        "danger": False,
        "secondary": ["tratamiento"],
        "slots": {"date": "2026-11-24", "time": "10:30", "reason": "control", "name": None, "odd": 3},
        "spans": {"date": "mañana"},
        "reply": " Con gusto. ",
    }
    answer = parse_answer(json.dumps(given))
    assert answer == Tagged(
        Intent.AGENDAR_CITA,
        secondary=(Intent.TRATAMIENTO,),
        spans={"date": "mañana", "time": "10:30"},
        reason=Reason.CONTROL,
        reply="Con gusto.",
    )


def test_json_in_a_code_fence_is_read() -> None:
    assert parse_answer('```json\n{"intent": "saludo"}\n```') == Tagged(Intent.SALUDO)


@pytest.mark.parametrize(
    "text", ['{"intent": "bailar"}', '{"reply": "hola"}', '{"intent": ', "[" * 9 + "", "{}", "{" * 9]
)
def test_broken_json_is_unreadable(text: str) -> None:
    if text.startswith("["):
        assert parse_answer(text) == text
        return
    with pytest.raises(UnreadablePrediction):
        parse_answer(text)


def test_a_bare_reply_comes_back_as_text() -> None:
    assert parse_answer(" Su cita es el martes.<|endoftext|> resto") == "Su cita es el martes."


def test_nothing_is_unreadable() -> None:
    with pytest.raises(UnreadablePrediction):
        parse_answer("<|endoftext|>")


def test_special_tokens_are_all_different_and_complete() -> None:
    assert len(set(SPECIAL_TOKENS)) == len(SPECIAL_TOKENS)
    assert {f"<i:{intent}>" for intent in Intent} | {f"<j:{intent}>" for intent in Intent} < set(SPECIAL_TOKENS)


@pytest.mark.parametrize(
    ("message", "span", "written"),
    [
        ("Soy María  López, buenas", "maria lopez", "María  López"),
        ("¿Mañanaaa a las 10?", "mañana", "Mañana"),
        ("hola", "jueves", "jueves"),
        ("hola", "", ""),
    ],
)
def test_a_span_is_shown_as_the_patient_wrote_it(message: str, span: str, written: str) -> None:
    assert original_words(message, span) == written
