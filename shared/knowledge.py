"""The reviewed knowledge cards and the search for the one that answers a question. Used by the workers.

Deterministic and lexical: the same question always gets the same card. Takes text that is already normalised (lower
case, no accents), because `shared` imports no process.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator
from rapidfuzz.distance import OSA

from shared.prediction import INFORMATION_INTENTS, Intent

KNOWLEDGE_FILE = Path(__file__).resolve().parent / "assets" / "knowledge.yaml"
MAX_CHARS = 500  # dialogue specification, section 9

_PHRASE_POINTS = 3.0
_WORD_POINTS = 1.0
_INTENT_POINTS = 2.0
_PREVIOUS_POINTS = 0.9
_ENOUGH = 1.0  # one word of the card, or its topic asked about a moment ago
_FOLLOW_UP_WORDS = 5  # "¿y cuanto dura?"
_STEM = 6
# Words that say nothing about the topic; a phrase in `ask` may still hold them.
_EMPTY_LIST = """
    a al ante con de del desde e el ella ellos en entre es esa ese eso esta este esto estoy fue ha hay he la las le
    les lo los me mi mis muy no nos o para pero por que se ser si sin sobre son su sus te tengo tiene tu un una uno
    y ya yo doctor doctora favor gracias hola buenas buenos dias tardes noches quiero quisiera saber puedo puede
"""
_EMPTY = frozenset(_EMPTY_LIST.split())


class KnowledgeError(ValueError):
    """The file of cards is wrong; the sentence says where."""


class Card(BaseModel):
    """One answer. `text` may hold the placeholders of `shared.texts.center_facts`.

    `alarm_pointer`: the reply must also say when to call at once (text `senales_alarma_aviso`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic_id: str = Field(pattern=r"^[a-z_]+$")
    title: str
    text: str = Field(max_length=MAX_CHARS)
    sources: tuple[str, ...] = Field(min_length=1)
    intents: frozenset[Intent]
    ask: tuple[str, ...] = Field(min_length=1)
    alarm_pointer: bool = False
    reviewed_by: str | None = None
    reviewed_on: dt.date | None = None

    @field_validator("intents")
    @classmethod
    def _information_only(cls, value: frozenset[Intent]) -> frozenset[Intent]:
        if not value or not value <= INFORMATION_INTENTS:
            raise ValueError("must be information intents")
        return value

    @property
    def signed(self) -> bool:
        return bool(self.reviewed_by and self.reviewed_on)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int
    sources: dict[str, str]
    cards: tuple[Card, ...]


class Knowledge:
    """All cards. `cards` by topic id, in the order of the file."""

    def __init__(self, cards: Iterable[Card], sources: dict[str, str]) -> None:
        self.cards = {card.topic_id: card for card in cards}
        self.sources = sources
        self._words = {topic: _card_words(card) for topic, card in self.cards.items()}
        self._phrases = {topic: _card_phrases(card) for topic, card in self.cards.items()}
        counts: dict[str, int] = {}
        for words in self._words.values():
            for word in words:
                counts[word] = counts.get(word, 0) + 1
        self._weight = {word: _WORD_POINTS + 0.5 / count for word, count in counts.items()}  # rare words say more

    @classmethod
    def load(cls, path: Path = KNOWLEDGE_FILE) -> Knowledge:
        """Read and check the cards.

        Raises:
            KnowledgeError: when the file cannot be read, a topic stands twice, or a source is not listed.
        """
        try:
            file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise KnowledgeError(f"{path.name} cannot be read: {error}") from error
        topics = [card.topic_id for card in file.cards]
        if twice := {topic for topic in topics if topics.count(topic) > 1}:
            raise KnowledgeError(f"{path.name}: {', '.join(sorted(twice))} stands more than once")
        if unknown := {source for card in file.cards for source in card.sources} - set(file.sources):
            raise KnowledgeError(f"{path.name}: unknown source {', '.join(sorted(unknown))}")
        return cls(file.cards, file.sources)

    def unsigned(self) -> list[Card]:
        """Return the cards that no clinician has signed."""
        return [card for card in self.cards.values() if not card.signed]

    def find(self, normalised: str, intent: Intent | None = None, previous: str | None = None) -> Card | None:
        """Return the card that answers a question best, or None when nothing points to one.

        Args:
            normalised: the question, lower case without accents.
            intent: what it was understood as; its cards are preferred. CONSULTAR_INFO says nothing about the topic.
            previous: topic of the last answer, for a short follow-up such as "y cuanto dura".
        """
        text = " ".join(re.findall(r"[a-z0-9ñ]+", normalised))
        words = [word for word in text.split() if word not in _EMPTY]
        follow_up = len(text.split()) <= _FOLLOW_UP_WORDS
        best: tuple[float, int, Card] | None = None
        for order, (topic, card) in enumerate(self.cards.items()):
            score = self._word_score(topic, words) + self._phrase_score(topic, text)
            if topic == previous and follow_up:
                score += _PREVIOUS_POINTS
            if score < _ENOUGH - (0.1 if topic == previous else 0):
                continue
            if intent in card.intents and intent is not Intent.CONSULTAR_INFO:
                score += _INTENT_POINTS
            if best is None or score > best[0]:
                best = (score, order, card)
        if best is None:
            return self._by_intent(intent)
        return best[2]

    def _by_intent(self, intent: Intent | None) -> Card | None:
        """Return the general card of an intent when no word points to a special one."""
        topic = _GENERAL.get(intent) if intent else None
        return self.cards.get(topic) if topic else None

    def _word_score(self, topic: str, words: list[str]) -> float:
        found = {known for word in words if (known := _same_word(word, self._words[topic]))}
        return sum(self._weight[known] for known in found)

    def _phrase_score(self, topic: str, text: str) -> float:
        padded = f" {text} "
        return sum(_PHRASE_POINTS for phrase in self._phrases[topic] if f" {phrase} " in padded)


# The card that opens a family; horarios has none: hours, address and price are different questions.
_GENERAL: dict[Intent, str] = {
    Intent.SINTOMAS: "sintomas",
    Intent.DIAGNOSTICO_PRUEBAS: "otras_pruebas",
    Intent.TRATAMIENTO: "tratamiento_esquema",
    Intent.DOSIS_OLVIDADA: "dosis_olvidada",
    Intent.EFECTOS_SECUNDARIOS: "efectos_leves",
    Intent.PREVENCION_CONTAGIO: "contagio",
    Intent.HORARIOS_UBICACION_COSTOS: "horarios",
}


def _card_words(card: Card) -> frozenset[str]:
    return frozenset(_stem(entry) for entry in card.ask if " " not in entry)


def _card_phrases(card: Card) -> tuple[str, ...]:
    return tuple(entry for entry in card.ask if " " in entry)


@lru_cache(4096)
def _stem(word: str) -> str:
    """Cut endings so that "contagiar", "contagio" and "contagiosa" meet; short words only lose their plural."""
    word = word.removesuffix("s") if len(word) > 4 else word
    if len(word) > 6 and (root := re.sub(r"(cit[oa]|it[oa])$", "", word)) != word:
        return root[:_STEM]
    return word[:_STEM] if len(word) > _STEM else re.sub(r"([aei]r|[aeio])$", "", word) if len(word) > 3 else word


def _same_word(word: str, known: frozenset[str]) -> str | None:
    stem = _stem(word)
    if stem in known:
        return stem
    if len(stem) >= 5:  # one typo, in words long enough to have few neighbours
        return next((k for k in sorted(known) if len(k) >= 5 and OSA.distance(k, stem, score_cutoff=1) <= 1), None)
    return None
