"""The reviewed knowledge cards and the search for the one that answers a question. Used by the workers.

Deterministic: the same question always gets the same card. What questions look like is learned (`card_index`), the
`ask` words of a card are added by hand. Takes text that is already normalised (lower case, no accents), because
`shared` imports no process.
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

from shared import card_index
from shared.prediction import INFORMATION_INTENTS, Intent

KNOWLEDGE_FILE = Path(__file__).resolve().parent / "assets" / "knowledge.yaml"
MAX_CHARS = 500  # dialogue specification, section 9

_PHRASE_POINTS = 3.0
_WORD_POINTS = 1.0
_ENOUGH = 1.0  # one word of the card
# On the scale of the index, where 1 is a question like those of the card and -1 is not.
_LOOKS_LIKE = -0.3
_ASK_WEIGHT = 0.06  # per point of the `ask` words
_INTENT_BONUS = 0.5
_PREVIOUS_BONUS = 0.8
_NOT_IN_INDEX = -1.0
_FOLLOW_UP_WORDS = 5  # "¿y cuanto dura?"
_STEM, _LONG = 6, 5  # letters
_MAX_WORDS = 120
_REMEMBERED = 5000  # stems and their neighbours, per process
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
        self._long_words = tuple(word for word in sorted(counts) if len(word) >= _LONG)
        self._neighbours: dict[str, tuple[str, ...]] = {}
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
        stems = list(dict.fromkeys(_stem(word) for word in text.split()[:_MAX_WORDS] if word not in _EMPTY))
        follow_up = len(text.split()) <= _FOLLOW_UP_WORDS
        family = None if intent is Intent.CONSULTAR_INFO else intent
        looks = card_index.scores(normalised, intent)
        best: tuple[float, int, Card] | None = None
        for order, (topic, card) in enumerate(self.cards.items()):
            points = self._word_score(topic, stems) + self._phrase_score(topic, text)
            score = looks.get(topic, _NOT_IN_INDEX)
            followed = topic == previous and follow_up
            if not (points >= _ENOUGH or score >= _LOOKS_LIKE or followed):
                continue
            score += _ASK_WEIGHT * points + _PREVIOUS_BONUS * followed + _INTENT_BONUS * (family in card.intents)
            if best is None or score > best[0]:
                best = (score, order, card)
        return best[2] if best else self._by_intent(intent)

    def _by_intent(self, intent: Intent | None) -> Card | None:
        """Return the general card of an intent when no word points to a special one."""
        topic = _GENERAL.get(intent) if intent else None
        return self.cards.get(topic) if topic else None

    def _word_score(self, topic: str, stems: Iterable[str]) -> float:
        known = self._words[topic]
        found = set()
        for stem in stems:
            word = stem if stem in known else next((near for near in self._near(stem) if near in known), None)
            if word:
                found.add(word)
        return sum(self._weight[word] for word in found)

    def _near(self, stem: str) -> tuple[str, ...]:
        """Return the long words of all cards that are one typo away; short ones have too many neighbours."""
        if len(stem) < _LONG:
            return ()
        if stem not in self._neighbours and len(self._neighbours) < _REMEMBERED:
            self._neighbours[stem] = _one_typo_away(stem, self._long_words)
        return self._neighbours[stem] if stem in self._neighbours else _one_typo_away(stem, self._long_words)

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


def _one_typo_away(stem: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if OSA.distance(word, stem, score_cutoff=1) <= 1)
