"""Rules, n-grams and model together: one turn's text -> one Prediction. Pure, but for the question put to the model.

Each is believed as far as it was right on labelled messages; the model also words answers. Dates are always resolved by
code: the model only points at the words, and must agree with the rules or the patient is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.prediction import (
    INFORMATION_INTENTS,
    Danger,
    DangerCategory,
    Intent,
    Level,
    Prediction,
    Slots,
    Source,
)
from shared.weights import WITHOUT_MODEL, Weights
from workers.language import ngrams
from workers.language.dates import resolve
from workers.language.intents import VISITS, RuleReading, classify
from workers.language.names import bare_name
from workers.language.reliability import likelihood
from workers.language.slots import extract, keep_for
from workers.language.topics import in_order, topics_of

if TYPE_CHECKING:
    from workers.model.reader import Reading

SURE = 0.8  # rules at least this strong need no wording from the model to be believed
OBEYED = 1.0  # the exact words of leaving: never weighed
ACT = 0.6  # confidence to act; below it we ask back
ALTERNATIVES = 3
SECOND = 0.1  # probability by the n-grams of a topic that is no more than a second one
# An alarm that no rule named: the model or the letters look like danger. They can raise one, never cancel one.
SEEN = Danger(category=DangerCategory.ESTADO_GRAVE, level=Level.EMERGENCIA)
# Intents whose answer the model may word; the others are read back from data.
WORDED = INFORMATION_INTENTS | {Intent.SALUDO, Intent.DESPEDIDA_GRACIAS, Intent.FUERA_DE_TEMA}

AskModel = Callable[[bool], "Reading | None"]  # needs_reply -> reading, None when no model can answer


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules alone say of a turn."""

    slots: Slots
    reading: RuleReading

    @property
    def needs_model(self) -> bool:
        """False for what must never wait for a model: leaving, and asking for a person."""
        return not (self.reading.intent in (Intent.BAJA, Intent.HABLAR_HUMANO) and self.reading.strength >= SURE)


def read_rules(text: str, now: datetime, state: str | None) -> Rules:
    """Apply the rules. `now` in the clinic's time zone; `state` like `agendar:fecha` or None."""
    slots = extract(text, now, expects=_expected(state))
    return Rules(slots, classify(text, slots, state, now))


def beside_danger(text: str, now: datetime, state: str | None) -> Prediction:
    """What else a message with a danger sign asks for, by the rules: reported, never acted upon."""
    rules = read_rules(text, now, state)
    wanted = (rules.reading.intent, *rules.reading.secondary) if rules.reading.strength >= SURE else ()
    visits = tuple(intent for intent in wanted if intent in VISITS)[:2]
    slots = keep_for(rules.slots, visits)
    return Prediction(intent=Intent.URGENCIA, confidence=1.0, secondary=visits, slots=slots, source=Source.SAFETY)


def _expected(state: str | None) -> str | None:
    return state.partition(":")[2] if state else None


def understand(text: str, now: datetime, state: str | None, ask_model: AskModel) -> Prediction:
    """Read one turn; the safety layer has already searched it for danger signs.

    Args:
        text: all messages of the turn.
        now: when the last one was written, in the clinic's time zone.
        state: the pending flow and what it expects.
        ask_model: asks the model, or returns None.
    """
    rules = read_rules(text, now, state)
    reading = None
    if rules.needs_model:
        reading = ask_model(rules.reading.intent in WORDED or rules.reading.strength < SURE)
    return combine(text, state, now, rules, reading)


def combine(text: str, state: str | None, now: datetime, rules: Rules, reading: Reading | None) -> Prediction:
    """Weigh rules, n-grams and model (pure)."""
    looks = ngrams.chances(text, state)
    chances = weigh(rules.reading, looks, reading)
    intent = max(chances, key=lambda each: chances[each])
    confidence = chances[intent]
    ranked = sorted((i for i in chances if i is not intent), key=lambda each: -chances[each])
    intent, topics = in_order(intent, topics_of(text))
    # A second topic is one that a sentence of its own asks about, or that the rules and the letters both see.
    topics = () if intent is Intent.FUERA_DE_TEMA else topics
    heard = (i for i in rules.reading.secondary if i not in INFORMATION_INTENTS or looks[i] >= SECOND)
    secondary = tuple(dict.fromkeys(i for i in (*heard, *topics) if i is not intent))[:2]
    slots = rules.slots
    if intent is Intent.REPROGRAMAR_CITA:
        slots = extract(text, now, expects=_expected(state), moving=True)
    return Prediction(
        intent=intent,
        confidence=round(min(1.0, confidence), 4),
        secondary=secondary,
        danger=SEEN if _alarming(intent, chances, reading) else None,
        slots=keep_for(_agree(slots, reading, now), (intent, *secondary)),
        alternatives=tuple(ranked)[:ALTERNATIVES],
        reply=reading.reply if reading is not None and reading.intent in (intent, None) else None,
        source=_source(intent, confidence, rules.reading, reading),
    )


def weigh(rule: RuleReading, looks: Mapping[Intent, float], reading: Reading | None) -> dict[Intent, float]:
    """Return the probability of each intent, given what the rules, the n-grams and the model say.

    A product of three opinions, each to the power of its weight. The rules' opinion is how often they say this when
    each intent is meant (`language.reliability`): a rule that is seldom wrong decides, one that guesses hardly counts.

    Args:
        rule: the rules' reading.
        looks: probabilities of the n-gram classifier.
        reading: the model's reading, None when no model answers; one without an intent is not weighed.
    """
    if rule.strength >= OBEYED:
        return {rule.intent: 1.0}
    weights = _weights(reading)
    believed = likelihood(rule)
    scores = {i: weights.rules * _log(believed[i]) + weights.ngrams * _log(looks[i]) for i in Intent}
    if reading is not None and reading.intent is not None:
        rest = (1 - reading.confidence) / (len(Intent) - 1)
        for i in Intent:
            chance = reading.chances.get(i, reading.confidence if i is reading.intent else rest)
            scores[i] += weights.model * _log(chance)
    highest = max(scores.values())
    powers = {i: math.exp(score - highest) for i, score in scores.items()}
    whole = sum(powers.values())
    return {i: power / whole for i, power in powers.items()}


def _weights(reading: Reading | None) -> Weights:
    """Those of the model; a model that names no intent leaves the choice to rules and n-grams, with theirs."""
    return reading.weights if reading is not None and reading.intent is not None else WITHOUT_MODEL


def _alarming(intent: Intent, chances: Mapping[Intent, float], reading: Reading | None) -> bool:
    return intent is Intent.URGENCIA or chances.get(Intent.URGENCIA, 0.0) >= _weights(reading).alarm


def _log(chance: float) -> float:
    return math.log(max(chance, 1e-6))


def _source(intent: Intent, confidence: float, rule: RuleReading, reading: Reading | None) -> Source:
    by_model = reading is not None and reading.intent is intent
    if intent is rule.intent and by_model:
        return Source.BOTH
    if confidence < ACT:
        return Source.FALLBACK
    return Source.MODEL if by_model else Source.RULES


def _agree(slots: Slots, reading: Reading | None, now: datetime) -> Slots:
    """Take what the model pointed at only where the rules saw nothing: a moment, or the words of a name.

    Not its reason of the visit: it names one also where nobody said any.
    """
    if reading is None or reading.intent is None:
        return slots
    spans = reading.spans
    changes: dict[str, object] = {}
    moment = " ".join(part for part in (spans.get("date"), spans.get("time")) if part)
    if moment and slots.date is None and slots.time is None and slots.time_window is None and slots.old_date is None:
        pointed = resolve(moment, now)
        if pointed.date is not None and not pointed.conflict:
            changes |= {"date": pointed.date, "time": pointed.time, "time_window": pointed.window}
    if slots.name is None and reading.confidence >= ACT and (name := bare_name(spans.get("name", ""))) is not None:
        changes["name"] = name
    return slots.model_copy(update=changes)
