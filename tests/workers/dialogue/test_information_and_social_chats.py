"""Chats without appointments: information, greetings, people, leaving, not understood, not text."""

import pytest

from shared.prediction import Danger, DangerCategory, Intent, Level
from tests.workers.dialogue.agenda import THU
from tests.workers.dialogue.script import Patient, build_known

INFO = Intent.CONSULTAR_INFO


def test_a_question_is_answered_from_its_card_with_the_intents_buttons() -> None:
    patient = Patient()
    patient.says("¿cómo se contagia?", Intent.PREVENCION_CONTAGIO)
    patient.sees("Se transmite por el aire")
    patient.sees_buttons("Agendar cita", "Cómo llegar", "Hablar con alguien")
    assert patient.last.params == {"topic": "contagio"}
    patient.says("¿y cuánto dura?", INFO)
    patient.sees("Se transmite por el aire")  # the topic is remembered


def test_the_models_wording_is_used_only_when_it_is_approved() -> None:
    reply = "La TB la causa una bacteria. Llámenos al {phone}."
    patient = Patient(known=build_known(approves=True))
    patient.says("¿qué es la tuberculosis?", INFO, reply=reply)
    patient.sees("Llámenos al +591 3 000 0000")
    patient = Patient(known=build_known(approves=False))
    patient.says("¿qué es la tuberculosis?", INFO, reply=reply)
    patient.sees("causada por una bacteria")


@pytest.mark.parametrize("reply", ["Venga a {address}.", "Su cita es el {date_long}.", "un { suelto", "x" * 501, " "])
def test_wording_with_an_open_placeholder_or_too_long_falls_back_to_the_card(reply: str) -> None:
    patient = Patient()
    patient.says("¿qué es la tuberculosis?", INFO, reply=reply)
    patient.sees("causada por una bacteria")


def test_an_unsigned_card_is_replaced_by_the_phone_unless_allowed() -> None:
    patient = Patient(known=build_known(signed=False))
    patient.says("¿qué es la tuberculosis?", INFO, reply="La TB la causa una bacteria.")
    patient.sees("personal de salud", "+591")
    patient.does_not_see("bacteria")
    patient = Patient(known=build_known(signed=False, unreviewed=True))
    patient.says("¿qué es la tuberculosis?", INFO)
    patient.sees("causada por una bacteria")


def test_without_a_card_nothing_medical_is_said() -> None:
    patient = Patient()
    patient.says("¿y la hierba tal?", Intent.TRATAMIENTO, reply="La hierba cura.")
    patient.reads("solo_personal")
    patient.does_not_see("cura")
    patient.says("quiero información", INFO)
    patient.sees("¿Qué necesita?")


def test_a_treatment_card_ends_with_when_to_call() -> None:
    patient = Patient()
    patient.says("me da náusea", Intent.EFECTOS_SECUNDARIOS)
    patient.sees("Coma algo liviano")
    patient.reads("senales_alarma_aviso")
    patient.sees_buttons("Agendar control", "Señales de alarma", "Hablar con alguien")


def test_facts_of_the_centre_need_no_signature() -> None:
    patient = Patient(known=build_known(signed=False))
    patient.says("¿a qué hora atienden?", Intent.HORARIOS_UBICACION_COSTOS)
    patient.reads("horarios")


def test_the_topics_list_leads_to_cards() -> None:
    patient = Patient()
    patient.says("hola", Intent.SALUDO)
    patient.taps("Información TB")
    assert 1 < len(patient.reply.rows) <= 10
    patient.taps("Cómo se contagia")
    patient.sees("Se transmite por el aire")


def test_free_buttons_answer_whenever_they_are_tapped() -> None:
    patient = Patient()
    for action, words in {
        "llegar": "cómo llegar",
        "llamar": "teléfono del centro",
        "horarios": "Atendemos de",
        "alarma": "Sangre al toser",
        "pruebas": "examen de la flema",
        "en_camino": "Gracias por avisar",
        "hablar": "personal del centro",
        "agendar": "¿Para qué día",
    }.items():
        patient.taps_id(f"go:{action}")
        patient.sees(words)
    assert patient.agenda.received == []


def test_opening_hours_and_address_come_from_the_settings() -> None:
    patient = Patient()
    patient.says("¿dónde queda?", Intent.HORARIOS_UBICACION_COSTOS, reply="En la calle Falsa 123.")
    patient.reads("direccion_sin_datos")
    patient.sees("8:00 a 12:00")
    patient.does_not_see("Falsa")


def test_the_first_contact_notice_is_given_once() -> None:
    patient = Patient(introduced=False)
    patient.says("hola", Intent.SALUDO)
    patient.sees("asistente automático", "No reemplazo", "BAJA", "¿En qué le puedo ayudar?")
    patient.says("hola", Intent.SALUDO)
    patient.does_not_see("asistente automático")


def test_the_notice_comes_before_a_summary_too() -> None:
    patient = Patient(introduced=False)
    patient.says("cita el jueves a las 9", Intent.AGENDAR_CITA, date=THU, time="09:00")
    patient.sees("asistente automático", "¿Confirmo la cita?")
    patient.taps("Confirmar")
    patient.does_not_see("asistente automático")


def test_leaving_and_coming_back() -> None:
    patient = Patient()
    patient.says("quiero cita", Intent.AGENDAR_CITA)
    patient.says("BAJA", Intent.BAJA)
    assert patient.last.optout is True
    assert patient.conversation.flow is None
    patient.reads("baja")
    patient.taps("Volver a activar")
    assert patient.last.optout is False
    patient.says("alta", Intent.FUERA_DE_TEMA)
    assert patient.last.optout is False
    patient.says("hola", Intent.SALUDO)
    assert patient.last.optout is None


def test_a_person_is_called_and_the_open_flow_waits() -> None:
    patient = Patient()
    patient.says("quiero cita", Intent.AGENDAR_CITA)
    patient.says("páseme con la enfermera", Intent.HABLAR_HUMANO)
    assert patient.last.handoff == "pedido"
    patient.reads("persona")
    patient.does_not_see("enseguida", "en este momento")
    assert patient.conversation.flow is not None


def test_thanks_after_everything_is_done_and_thanks_before_the_yes() -> None:
    patient = Patient()
    patient.says("cita el jueves a las 9", Intent.AGENDAR_CITA, date=THU, time="09:00")
    patient.says("gracias", Intent.DESPEDIDA_GRACIAS)
    patient.sees("aún no está confirmado", "¿Confirmo la cita?")
    patient.says("sí", Intent.AFIRMAR)
    patient.says("gracias", Intent.DESPEDIDA_GRACIAS)
    patient.sees("Con gusto")
    assert len(patient.agenda.received) == 1


@pytest.mark.parametrize(
    ("intent", "key"),
    [
        (Intent.SALUDO, "saludo"),
        (Intent.DESPEDIDA_GRACIAS, "despedida"),
        (Intent.AFIRMAR, "de_acuerdo"),
        (Intent.NEGAR, "de_acuerdo"),
        (Intent.INFORMAR_DATO, "sigo_aqui"),
        (Intent.FUERA_DE_TEMA, "fuera_de_tema"),
    ],
)
def test_small_talk_has_one_calm_sentence(intent: Intent, key: str) -> None:
    patient = Patient()
    patient.says("…", intent)
    patient.reads(key)
    assert patient.conversation.flow is None


def test_a_doubtful_message_is_asked_back_with_the_likeliest_intents() -> None:
    patient = Patient()
    patient.says("lo de la cita", Intent.CANCELAR_CITA, 0.45, alternatives=(Intent.REPROGRAMAR_CITA,))
    patient.sees_buttons("Cancelar cita", "Cambiar fecha", "Hablar con alguien")
    assert patient.agenda.received == []


def test_two_unsure_turns_in_a_row_offer_a_person_and_a_good_one_resets() -> None:
    patient = Patient()
    patient.says("xyz", Intent.TRATAMIENTO, 0.4)
    patient.sees("¿Cuál de estas opciones")
    patient.says("hola", Intent.SALUDO)
    patient.says("xyz", Intent.TRATAMIENTO, 0.4)
    assert patient.conversation.unsure_in_a_row == 1
    patient.says("zyx", Intent.TRATAMIENTO, 0.4)
    patient.sees("una persona le puede ayudar")
    assert "Hablar con alguien" in [b.title for b in patient.reply.buttons]


def test_two_fallbacks_in_a_row_are_handed_over() -> None:
    patient = Patient()
    patient.says("asdf", Intent.FUERA_DE_TEMA, 0.2)
    patient.sees("no le entendí")
    assert patient.last.handoff is None
    patient.says("qwer", Intent.FUERA_DE_TEMA, 0.2)
    assert patient.last.handoff == "no_entendido"


def test_not_understood_inside_a_flow_repeats_the_question_then_offers_a_person() -> None:
    patient = Patient()
    patient.says("quiero cita", Intent.AGENDAR_CITA)
    patient.says("ese mismito", Intent.INFORMAR_DATO)
    patient.sees("¿Qué día le queda bien?")
    patient.says("ese pues", Intent.INFORMAR_DATO)
    patient.sees("una persona le puede ayudar")
    patient.says("el jueves", Intent.INFORMAR_DATO, date=THU)
    patient.sees("¿A qué hora")


def test_another_language_gets_simple_spanish_and_a_person() -> None:
    patient = Patient()
    patient.says("imaynalla kashanki", Intent.FUERA_DE_TEMA, other_language=True)
    patient.reads("otro_idioma")
    assert "Hablar con alguien" in [b.title for b in patient.reply.buttons]


def test_a_danger_that_reaches_the_dialogue_is_never_answered_with_a_menu() -> None:
    patient = Patient(introduced=False)
    danger = Danger(category=DangerCategory.HEMOPTISIS, level=Level.EMERGENCIA)
    patient.says("cita", Intent.AGENDAR_CITA, danger=danger)
    patient.sees("168", "emergencias")
    patient.does_not_see("asistente automático")
    assert patient.last.handoff == "urgencia"
    patient.sees_buttons("Llamar al centro", "Ya estoy en camino")
