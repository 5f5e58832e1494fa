"""Questions about tuberculosis and about the centre: answered from the knowledge cards and the settings, nothing else.

The model may put a card in its own words, if the guardrails approve; medical text comes from nowhere else.
"""

from __future__ import annotations

import re
import string

from shared.conversation import Conversation
from shared.knowledge import Card
from shared.messages import Button, ListRow, Reply
from shared.prediction import INFORMATION_INTENTS, Intent
from workers.dialogue.asking import join
from workers.dialogue.buttons import TOPICS, Choice, menu
from workers.dialogue.decision import Conclusion, Known, TurnInput
from workers.dialogue.wording import MAX_REPLY
from workers.language.intents import classify
from workers.language.normalise import normalise
from workers.language.slots import extract

# Facts of the centre: from the settings, so nobody has to sign them. Topic or button -> text of texts.yaml.
_CENTRE = {
    "horarios": "horarios",
    "direccion": "direccion",
    "llegar": "direccion",
    "telefono": "telefono",
    "llamar": "telefono",
}
CERTAIN = 0.8  # strength of the rules
# Where another request begins: after a mark, or with the words by which patients change the subject.
_SENTENCE_END = re.compile(
    r"(?<=[?!.;\n])\s+|\n+|(?:,\s*|(?<!\s)\s+|)\b(?:y\s+)?(?:otra\s+cos(?:a|ita)|una\s+(?:pregunt|consult)(?:a|ita)|"
    r"tambi[eé]n\s+(?:quer[ií]a|quiero|quisiera|dig|d[ií]g)\w*|tambi[eé]n(?=\s+(?:si|que|qué|cuánto|cuanto)\b))\b[,:]?\s*",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"^(?:y )?(?:que|como|cuando|cuant[oa]s?|donde|por que|cual|saber|si (?:se )?pued[oe]|es verdad|se puede|puedo"
    r"|hay que|tengo que)\b"
)


def inform(turn: TurnInput, conversation: Conversation, known: Known, choice: Choice | None = None) -> Conclusion:
    """Answer one question. The flow, if any, is kept by the caller."""
    intent = turn.prediction.intent
    if choice is not None and choice.action == "informacion":
        return Conclusion(reply=_topics(known), action="inform")
    buttons = menu(known.wording, intent)
    if choice is not None and choice.action in _CENTRE:
        return _told(_centre(choice.action, known), choice.action, buttons)
    card = _card(turn, conversation, known, choice)
    if card is None:
        key = "ayuda" if intent is Intent.CONSULTAR_INFO else "solo_personal"
        return Conclusion(reply=Reply(text=known.text(key), buttons=buttons), action="inform")
    text = wording_of(card, known)
    if text is None:
        reply = Reply(text=known.text("ficha_sin_firma"), buttons=buttons)
        return Conclusion(reply=reply, action="inform", params={"topic": card.topic_id, "sent": False})
    if not _is_config(card):
        text = in_own_words(turn, known, text) or text
    if card.alarm_pointer and len(longer := join(text, known.text("senales_alarma_aviso"))) <= MAX_REPLY:
        text = longer
    return _told(text, card.topic_id, buttons)


def _told(text: str, topic: str, buttons: tuple[Button, ...]) -> Conclusion:
    return Conclusion(Reply(text=text, buttons=buttons), action="inform", params={"topic": topic}, topic=topic)


def side_answer(turn: TurnInput, conversation: Conversation, known: Known) -> str:
    """The answer to a question that came together with a request ("cancele mi cita, ¿y qué es la TB?"); "" if none."""
    for intent in turn.prediction.secondary:
        if intent in INFORMATION_INTENTS:
            card = known.knowledge.find(normalise(turn.text), intent, conversation.topic)
            return (wording_of(card, known) or "") if card else ""
        if intent is Intent.HABLAR_HUMANO:
            return known.say("person_too")
    for question in questions_apart(turn.text):
        reading = classify(question, extract(question, turn.now), None, turn.now)
        if reading.intent in INFORMATION_INTENTS and reading.strength >= CERTAIN:
            card = known.knowledge.find(normalise(question), reading.intent, None)
            return (wording_of(card, known) or "") if card else ""
    return ""


def questions_apart(text: str) -> list[str]:
    """The sentences of a message that ask for something by themselves, when it has more than one sentence."""
    parts = [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
    return [part for part in parts if part.endswith("?") or _ASKS.search(normalise(part))] if len(parts) > 1 else []


def in_own_words(turn: TurnInput, known: Known, card_text: str) -> str | None:
    """The model's reply with the centre's facts filled in, if it is complete, short enough and approved."""
    reply = turn.prediction.reply
    if not reply:
        return None
    facts = {name: fact for name, fact in known.facts.items() if name != "address" or known.has_address}
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(reply) if name is not None}
    except ValueError:  # a lone brace
        return None
    if any(not facts.get(name) for name in names):
        return None
    text = reply.format_map(facts).strip()
    return text if text and len(text) <= MAX_REPLY and known.approves(text, card_text) else None


def wording_of(card: Card, known: Known) -> str | None:
    """The card's text, or None when nobody has signed it and unsigned cards may not be sent."""
    if _is_config(card):
        return _centre(card.topic_id, known) if card.topic_id in _CENTRE else card.text.format_map(known.facts)
    return card.text.format_map(known.facts) if card.signed or known.may_send_unreviewed else None


def _is_config(card: Card) -> bool:
    return card.sources == ("config",)


def _centre(name: str, known: Known) -> str:
    key = _CENTRE[name]
    return known.text("direccion_sin_datos" if key == "direccion" and not known.has_address else key)


def _card(turn: TurnInput, conversation: Conversation, known: Known, choice: Choice | None) -> Card | None:
    if choice is not None and choice.action == "tema":
        return known.knowledge.cards.get(choice.arg)
    if choice is not None and choice.action in TOPICS:
        return known.knowledge.cards.get(TOPICS[choice.action])
    return known.knowledge.find(normalise(turn.text), turn.prediction.intent, conversation.topic)


def _topics(known: Known) -> Reply:
    rows = tuple(ListRow(id=f"go:tema:{topic}", title=title) for topic, title in known.wording.topics.items())
    return Reply(text=known.say("topics"), rows=rows, rows_label=known.say("topics_label"))


def with_question(conclusion: Conclusion, question: Reply) -> Reply:
    """A side answer followed by the question that is still open, with the question's buttons."""
    answer = conclusion.reply.text if conclusion.reply else ""
    return question.model_copy(update={"text": join(answer, question.text)})
