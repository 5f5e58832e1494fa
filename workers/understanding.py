"""Rules and model together: one turn's text -> one Prediction. Pure, but for the question put to the model.

Closed decisions belong to the rules when they are sure; the model speaks where they are not, and words answers. Dates
are always resolved by code: the model only points at the words, and must agree with the rules or the patient is asked.
"""

from __future__ import annotations

from collections.abc import Callable
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
from workers.language.dates import resolve
from workers.language.intents import RuleReading, classify
from workers.language.slots import extract, keep_for

if TYPE_CHECKING:
    from workers.model.reader import Reading

SURE = 0.8  # rules at least this strong decide the intent
ACT = 0.6  # confidence to act; below it we ask back
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
    expects = state.partition(":")[2] if state else None
    slots = extract(text, now, expects=expects)
    return Rules(slots, classify(text, slots, state, now))


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
    return combine(text, now, rules, reading)


def combine(text: str, now: datetime, rules: Rules, reading: Reading | None) -> Prediction:
    """Weigh rules and model (pure)."""
    intent, confidence, source = _choose(rules.reading, reading)
    alternatives = list(rules.reading.alternatives)
    if reading is not None:
        alternatives += [i for i, _ in reading.alternatives if i not in alternatives]
    # Second requests come from the rules alone: the model hears more of them than there are.
    secondary = tuple(i for i in rules.reading.secondary if i is not intent)[:2]
    return Prediction(
        intent=intent,
        confidence=round(min(1.0, max(0.0, confidence)), 4),
        secondary=secondary,
        danger=_alarm(intent, reading),
        slots=keep_for(_agree(rules.slots, reading, now), (intent, *secondary)),
        alternatives=tuple(i for i in alternatives if i is not intent)[:3],
        reply=reading.reply if reading is not None and reading.intent in (intent, None) else None,
        source=source,
    )


def _choose(rule: RuleReading, reading: Reading | None) -> tuple[Intent, float, Source]:
    if reading is None or reading.intent is None:
        return rule.intent, rule.strength, Source.RULES if rule.strength >= ACT else Source.FALLBACK
    if reading.intent is rule.intent:
        return rule.intent, 1 - (1 - rule.strength) * (1 - reading.confidence), Source.BOTH
    if rule.strength >= SURE:
        return rule.intent, rule.strength, Source.RULES
    if reading.confidence > rule.strength:
        # The rules saw something else: the model is believed a little less than it believes itself.
        return reading.intent, reading.confidence * (1 - 0.3 * rule.strength), Source.MODEL
    return rule.intent, rule.strength, Source.RULES if rule.strength >= ACT else Source.FALLBACK


def _alarm(intent: Intent, reading: Reading | None) -> Danger | None:
    """A cry for help without a sign that the rules know is an alarm; the model can raise one, never cancel one."""
    seen_by_model = (
        reading is not None and reading.danger and reading.intent is Intent.URGENCIA and reading.confidence >= ACT
    )
    if intent is not Intent.URGENCIA and not seen_by_model:
        return None
    return Danger(category=DangerCategory.ESTADO_GRAVE, level=Level.EMERGENCIA)


def _agree(slots: Slots, reading: Reading | None, now: datetime) -> Slots:
    """Take what the model pointed at only where it adds to the rules; where they disagree on a date, it is asked."""
    if reading is None:
        return slots
    changes: dict[str, object] = {}
    span = " ".join(part for part in (reading.spans.get("date"), reading.spans.get("time")) if part)
    if span and slots.date is None and slots.time is None and slots.time_window is None and slots.old_date is None:
        pointed = resolve(span, now)
        if pointed.date is not None and not pointed.conflict:
            changes |= {"date": pointed.date, "time": pointed.time, "time_window": pointed.window}
    if slots.reason is None and reading.reason is not None and reading.confidence >= ACT:
        changes["reason"] = reading.reason
    return slots.model_copy(update=changes)
