"""Chats with what is no text: voice notes, pictures, places, cards, reactions."""

import pytest

from shared.messages import MessageKind
from shared.prediction import Intent, Prediction
from tests.workers.dialogue.agenda import THU
from tests.workers.dialogue.script import Patient

INFO = Intent.CONSULTAR_INFO


@pytest.mark.parametrize(
    ("media", "key"),
    [
        ("voice", "voz"),
        ("audio", "voz"),
        ("image", "imagen"),
        ("video", "imagen"),
        ("document", "documento"),
        ("sticker", "sticker"),
    ],
)
def test_voice_notes_and_pictures_get_the_notice(media: str, key: str) -> None:
    patient = Patient()
    patient.sends(MessageKind.MEDIA, media=media)
    patient.reads(key)
    assert "Hablar con alguien" in [b.title for b in patient.reply.buttons]


def test_a_caption_is_answered_and_the_picture_is_not_guessed() -> None:
    patient = Patient()
    patient.sends(
        MessageKind.MEDIA,
        Prediction(intent=INFO, confidence=0.9),
        media="image",
        text="¿qué es la tuberculosis?",
    )
    patient.sees("Solo puedo leer texto", "causada por una bacteria")


def test_a_voice_note_does_not_close_the_open_flow() -> None:
    patient = Patient()
    patient.says("cita el jueves a las 9", Intent.AGENDAR_CITA, date=THU, time="09:00")
    patient.sends(MessageKind.MEDIA, media="voice")
    patient.says("sí", Intent.AFIRMAR)
    assert len(patient.agenda.received) == 1


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (MessageKind.LOCATION, "ubicacion"),
        (MessageKind.CONTACTS, "contactos"),
        (MessageKind.UNSUPPORTED, "no_soportado"),
    ],
)
def test_other_kinds_are_answered_politely(kind: MessageKind, key: str) -> None:
    patient = Patient()
    patient.sends(kind)
    patient.reads(key)


def test_a_reaction_is_not_answered_and_changes_nothing() -> None:
    patient = Patient(introduced=False)
    patient.says("quiero cita", Intent.AGENDAR_CITA)
    before = patient.conversation
    patient.sends(MessageKind.REACTION)
    assert patient.last.reply is None
    assert patient.conversation.flow == before.flow
