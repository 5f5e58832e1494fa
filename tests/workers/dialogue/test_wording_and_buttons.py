"""The fixed sentences and button ids: complete, within WhatsApp's limits, in step with the code."""

import ast
import datetime as dt
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.conversation import Conversation, Expects, Flow, FlowKind
from shared.knowledge import Knowledge
from shared.prediction import Intent
from shared.texts import KEYS
from tests.workers.dialogue.agenda import at
from tests.workers.dialogue.script import WORDING
from workers.dialogue import information, social
from workers.dialogue.buttons import FLOW_ACTIONS, TOPICS, Scope, menu, read_choice, visit_payload
from workers.dialogue.wording import FLOWS, load_wording, say_date, say_start, say_time, slot_title
from workers.dialogue.words import name_in, ordinal, wants_any_slot

CODE = Path(__file__).resolve().parents[3] / "workers" / "dialogue"
BUILT = {  # keys that the code puts together
    *(f"{part}_{kind}" for part in ("summary", "done", "which", "dropped", "change") for kind in FlowKind),
    *(f"by_person_{why}" for why in ("sin_registro", "anular", "por_persona")),
    "slot_taken",
    "closed",
    "past",
}


def test_every_sentence_that_the_code_says_exists_and_none_is_idle() -> None:
    literals = {
        node.value
        for file in CODE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    said = {
        node.args[0].value
        for file in CODE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "say"
        and isinstance(node.args[0], ast.Constant)
    }
    assert said <= set(WORDING.sentences)
    assert set(WORDING.sentences) <= literals | BUILT


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"buttons": {"x": "un título de más de veinte letras"}}, "title"),
        ({"menus": {"saludo": ["agendar", "mi_cita", "hablar", "informacion"]}}, "at most 3"),
        ({"menus": {"saludo": ["nadie"]}}, "unknown button"),
        ({"sentences": {"x": "hola {quien}"}}, "unknown placeholder"),
        ({"sentences": {"x": "a" * 501}}, "longer than"),
        ({"topics": {"x": "un título de más de veinticuatro letras"}}, "topics"),
    ],
)
def test_a_wrong_flows_file_stops_the_start(
    tmp_path: Path, change: dict[str, dict[str, object]], complaint: str
) -> None:
    content = yaml.safe_load(FLOWS.read_text(encoding="utf-8"))
    for section, values in change.items():
        content[section] |= values
    file = tmp_path / "flows.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        load_wording(file)


def test_every_fixed_text_that_the_code_names_is_among_the_required_ones() -> None:
    named = {
        node.args[0].value
        for file in CODE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "text"
        and isinstance(node.args[0], ast.Constant)
    }
    assert named
    assert named | set(social._MEDIA.values()) | set(information._CENTRE.values()) <= KEYS


def test_every_topic_behind_a_button_or_row_has_a_card() -> None:
    cards = Knowledge.load().cards
    assert set(WORDING.topics) | set(TOPICS.values()) <= set(cards)


def test_the_button_table_is_that_of_the_specification() -> None:
    flow = Flow(kind=FlowKind.AGENDAR, expects=Expects.CONFIRMAR, number="n1")
    table = {
        "saludo": ["Agendar cita", "Mi cita", "Información TB"],
        "agendar_cita": ["Confirmar", "Otra hora", "Hablar con alguien"],
        "reprogramar_cita": ["Confirmar", "Otra hora", "Hablar con alguien"],
        "cancelar_cita": ["Sí, cancelar", "Cambiar fecha", "Mantener cita"],
        "confirmar_asistencia": ["Asistiré", "Cambiar fecha", "Cancelar cita"],
        "sintomas": ["Agendar cita", "Pruebas", "Hablar con alguien"],
        "dosis_olvidada": ["Agendar control", "Señales de alarma", "Hablar con alguien"],
        "horarios_ubicacion_costos": ["Agendar cita", "Cómo llegar", "Hablar con alguien"],
        "urgencia": ["Llamar al centro", "Ya estoy en camino"],
        "fuera_de_tema": ["Agendar cita", "Información TB", "Hablar con alguien"],
        "baja": ["Volver a activar"],
        "despedida_gracias": [],
    }
    for intent, titles in table.items():
        assert [b.title for b in menu(WORDING, intent, flow=flow)] == titles
    assert all(menu(WORDING, str(intent), flow=flow) is not None for intent in Intent)


@given(st.text(max_size=40))
def test_reading_any_choice_id_never_fails_and_foreign_ids_are_stale(choice_id: str) -> None:
    choice = read_choice(choice_id, Conversation())
    assert choice.scope is not Scope.FLOW
    assert choice.prediction.intent in Intent


def test_only_the_number_of_the_open_flow_opens_its_buttons() -> None:
    flow = Flow(kind=FlowKind.AGENDAR, expects=Expects.CONFIRMAR, number="n1")
    now = Conversation(flow=flow)
    for action in FLOW_ACTIONS:
        assert read_choice(f"n1:{action}", now).scope is Scope.FLOW
        for other in (f"n2:{action}", f"go:{action}", f"rem:{action}:1", f":{action}", f"N1:{action}"):
            assert read_choice(other, now).scope is Scope.STALE
    assert read_choice("n1:unknown", now).scope is Scope.STALE
    assert read_choice("n1:slot:2026-11-24T10:00", now).arg == "2026-11-24T10:00"
    assert read_choice(visit_payload("asistire", "a:1"), now).arg == "a:1"


def test_dates_and_times_in_words() -> None:
    start = at(dt.date(2026, 11, 25), "09:05")
    assert say_date(start.date()) == "miércoles 25 de noviembre"
    assert say_time(start) == "09:05"
    assert say_start(start) == "miércoles 25 de noviembre a las 09:05"
    assert slot_title(start) == "mié 25 nov, 09:05"


@given(st.dates())
def test_a_slot_always_fits_a_button(day: dt.date) -> None:
    assert len(slot_title(at(day, "10:30"))) <= 20


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Rosa Mamani Quispe", "Rosa Mamani Quispe"),
        ("soy juan de la cruz", "Juan de la Cruz"),
        ("a nombre de doña maría choque", "María Choque"),
        ("me llamo ELVIRA", "Elvira"),
        ("no sé", None),
        ("para mi mamá", None),
        ("CC-0417", None),
        ("¿cuánto cuesta?", None),
        ("una frase muy larga que no puede ser un nombre de nadie", None),
    ],
)
def test_a_bare_answer_is_a_name_only_when_it_looks_like_one(text: str, name: str | None) -> None:
    assert name_in(text) == name


@pytest.mark.parametrize(
    ("text", "count", "index"),
    [("la primera", 3, 0), ("la 2", 3, 1), ("el último", 3, 2), ("la tercera", 2, None), ("mañana", 3, None)],
)
def test_ordinals_choose_from_what_was_offered(text: str, count: int, index: int | None) -> None:
    assert ordinal(text, count) == index


@pytest.mark.parametrize(
    "text", ["cuando haya campo", "lo antes posible", "¿qué horas tienen?", "cualquier hora", "la más cercana"]
)
def test_leaving_the_choice_to_us_is_understood(text: str) -> None:
    assert wants_any_slot(text)
