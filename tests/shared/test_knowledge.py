"""The knowledge cards: complete, careful, unsigned until signed, and found by the questions patients ask."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from shared.knowledge import KNOWLEDGE_FILE, MAX_CHARS, Knowledge, KnowledgeError
from shared.prediction import INFORMATION_INTENTS, Intent
from shared.settings import Settings
from shared.texts import center_facts

KNOWLEDGE = Knowledge.load()
FACTS = center_facts(Settings(_env_file=None, DEMO=True))
I = Intent  # noqa: E741 - keeps the table below readable


TOPICS = """
    tb_que_es sintomas contagio contagio_hasta contactos terapia_preventiva bcg baciloscopia genexpert
    otras_pruebas tratamiento_esquema taes_dots completar dosis_olvidada efectos_leves senales_alarma alimentacion
    alcohol anticonceptivos_interacciones embarazo lactancia vih diabetes gratuidad estigma_apoyo orina_naranja
    tratamiento_duracion horarios direccion telefono documentos
"""


def test_all_topics_of_the_specification_have_a_card() -> None:
    asked = TOPICS.split()
    assert set(asked) <= set(KNOWLEDGE.cards)


@pytest.mark.parametrize("topic", sorted(KNOWLEDGE.cards))
def test_a_card_is_short_polite_sourced_and_without_doses(topic: str) -> None:
    card = KNOWLEDGE.cards[topic]
    text = card.text.format(**FACTS)
    assert len(text) <= MAX_CHARS
    assert not re.search(r"\b(tú|vos|tu|tus|debes|tienes|puedes)\b", text)
    assert not re.search(r"\d+\s*(mg|ml)|\btome (\d|una|dos|tres|media)", text)
    assert all(KNOWLEDGE.sources[source] for source in card.sources)


def test_treatment_cards_point_to_the_danger_signs() -> None:
    treatment = {Intent.TRATAMIENTO, Intent.DOSIS_OLVIDADA, Intent.EFECTOS_SECUNDARIOS}
    lacking = [
        topic
        for topic, card in KNOWLEDGE.cards.items()
        if card.intents & treatment and not card.alarm_pointer and topic not in ("senales_alarma", "estigma_apoyo")
    ]
    assert lacking == ["extrapulmonar"]


def test_every_information_intent_has_cards() -> None:
    assert {intent for card in KNOWLEDGE.cards.values() for intent in card.intents} == INFORMATION_INTENTS


def test_all_cards_wait_for_a_signature() -> None:
    assert len(KNOWLEDGE.unsigned()) == len(KNOWLEDGE.cards)


QUESTIONS = [
    ("que cosa es la tuberculosis", I.CONSULTAR_INFO, "tb_que_es"),
    ("en que me podes ayudar", I.CONSULTAR_INFO, "asistente"),
    ("cuales son las senales de alarma", I.CONSULTAR_INFO, "senales_alarma"),
    ("la tuberculosis se cura", I.CONSULTAR_INFO, "tb_se_cura"),
    ("como se si es tuberculosis o resfrio", I.SINTOMAS, "sintomas"),
    ("sudo harto de noche hace un mes", I.SINTOMAS, "sintomas"),
    ("baje 6 kilos sin hacer dieta , sera eso", I.SINTOMAS, "sintomas"),
    ("que es el genexpert", I.DIAGNOSTICO_PRUEBAS, "genexpert"),
    ("cuando salen mis analisis", I.DIAGNOSTICO_PRUEBAS, "resultados"),
    ("como junto la flema para el frasco", I.DIAGNOSTICO_PRUEBAS, ("baciloscopia", "muestra_como")),
    ("me van a sacar placa", I.DIAGNOSTICO_PRUEBAS, "otras_pruebas"),
    ("por que son tantos meses", I.TRATAMIENTO, "tratamiento_duracion"),
    ("puedo tomar una cervecita", I.TRATAMIENTO, "alcohol"),
    ("puedo tomar alcohol", I.CONSULTAR_INFO, "alcohol"),
    ("estoy dando pecho y empece las pastillas", I.TRATAMIENTO, "lactancia"),
    ("estoy embarazada", I.TRATAMIENTO, "embarazo"),
    ("puedo tomar mate de coca", I.TRATAMIENTO, "hierbas_otros_remedios"),
    ("cuantas pastillas tomo", I.TRATAMIENTO, "dosis"),
    ("tomo anticonceptivos", I.TRATAMIENTO, "anticonceptivos_interacciones"),
    ("tengo diabetes", I.TRATAMIENTO, "diabetes"),
    ("que puedo comer", I.TRATAMIENTO, "alimentacion"),
    ("anoche me dormi sin tomarlas", I.DOSIS_OLVIDADA, "dosis_olvidada"),
    ("se me acabaron y es domingo", I.DOSIS_OLVIDADA, "sin_pastillas"),
    ("ya estoy bien , las dejo", I.DOSIS_OLVIDADA, "completar"),
    ("voy a viajar al chaco", I.DOSIS_OLVIDADA, "viaje"),
    ("me da nauseas la medicina", I.EFECTOS_SECUNDARIOS, "efectos_leves"),
    ("por que orino naranja", I.EFECTOS_SECUNDARIOS, "orina_naranja"),
    ("me hormiguean los pies desde que tomo eso", I.EFECTOS_SECUNDARIOS, "hormigueo"),
    ("me pica el cuerpo", I.EFECTOS_SECUNDARIOS, "comezon"),
    ("puedo dormir con mi esposo", I.PREVENCION_CONTAGIO, "cuidados_casa"),
    ("mis hijitos tienen que hacerse revisar", I.PREVENCION_CONTAGIO, "contactos"),
    ("hasta cuando contagio", I.PREVENCION_CONTAGIO, "contagio_hasta"),
    ("se pega por los platos", I.PREVENCION_CONTAGIO, "contagio"),
    ("la vacuna bcg sirve", I.PREVENCION_CONTAGIO, "bcg"),
    ("atienden sabado", I.HORARIOS_UBICACION_COSTOS, "horarios"),
    ("por donde queda el centro", I.HORARIOS_UBICACION_COSTOS, "direccion"),
    ("hay que pagar algo", I.HORARIOS_UBICACION_COSTOS, "gratuidad"),
    ("que documentos llevo", I.HORARIOS_UBICACION_COSTOS, "documentos"),
    ("cual es su telefono", I.HORARIOS_UBICACION_COSTOS, "telefono"),
]


@pytest.mark.parametrize(("question", "intent", "topic"), QUESTIONS, ids=[question for question, _, _ in QUESTIONS])
def test_a_question_finds_its_card(question: str, intent: Intent, topic: str | tuple[str, ...]) -> None:
    card = KNOWLEDGE.find(question, intent)
    assert card is not None
    assert card.topic_id in ((topic,) if isinstance(topic, str) else topic)


def test_a_typo_does_not_lose_the_card() -> None:
    card = KNOWLEDGE.find("que es el genexprt", Intent.DIAGNOSTICO_PRUEBAS)
    assert card is not None
    assert card.topic_id == "genexpert"


def test_a_short_follow_up_stays_near_the_last_topic() -> None:
    card = KNOWLEDGE.find("y eso es peligroso", Intent.EFECTOS_SECUNDARIOS, previous="orina_naranja")
    assert card is not None
    assert card.topic_id in ("orina_naranja", "senales_alarma")
    again = KNOWLEDGE.find("y por que pasa", Intent.CONSULTAR_INFO, previous="orina_naranja")
    assert again is not None
    assert again.topic_id == "orina_naranja"


def test_words_that_say_nothing_find_nothing() -> None:
    assert KNOWLEDGE.find("asdf qwer", Intent.CONSULTAR_INFO) is None
    assert KNOWLEDGE.find("", None) is None


def test_an_intent_without_a_pointing_word_gets_its_general_card() -> None:
    card = KNOWLEDGE.find("y eso", Intent.EFECTOS_SECUNDARIOS)
    assert card is not None
    assert card.topic_id == "efectos_leves"


def test_the_same_question_always_finds_the_same_card() -> None:
    first = [KNOWLEDGE.find(question, intent) for question, intent, _ in QUESTIONS]
    assert first == [Knowledge.load().find(question, intent) for question, intent, _ in QUESTIONS]


@pytest.mark.parametrize("change", ["twice", "source", "too long", "intent"])
def test_a_wrong_file_is_refused_at_load(tmp_path: Path, change: str) -> None:
    content = yaml.safe_load(KNOWLEDGE_FILE.read_text(encoding="utf-8"))
    card = content["cards"][0]
    match change:
        case "twice":
            content["cards"].append(dict(card))
        case "source":
            card["sources"] = ["S99"]
        case "too long":
            card["text"] = "a" * 501
        case "intent":
            card["intents"] = ["saludo"]
    path = tmp_path / "knowledge.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with pytest.raises(KnowledgeError):
        Knowledge.load(path)
