"""What the dialogue knows and never changes between turns: wording, cards, the centre's facts, the guardrails."""

from __future__ import annotations

from collections.abc import Callable

from shared.knowledge import Knowledge
from shared.metrics import Metrics
from shared.settings import Settings
from shared.texts import Texts, center_facts
from workers.dialogue.decision import Known
from workers.dialogue.wording import load_wording
from workers.language.normalise import words
from workers.safety.guardrails import Facts, review

SHARED_WORDS = 0.6  # of the words of a reworded card


def build_known(settings: Settings, texts: Texts, metrics: Metrics | None = None) -> Known:
    """Load what is said and what may be said; a wrong file ends the start with a sentence."""
    facts = center_facts(settings)
    return Known(
        wording=load_wording(),
        texts=texts,
        knowledge=Knowledge.load(),
        facts=facts,
        approves=_guardrails(tuple(facts.values()), metrics),
        has_address=settings.CENTER_ADDRESS is not None,
        may_send_unreviewed=settings.may_send_unreviewed,
    )


def _speaks_of(text: str, card_text: str) -> bool:
    """True when most of what the model says is said by the card: it may reword, not answer another question."""
    said = {word[:5] for word in words(text) if len(word) > 3}
    card = {word[:5] for word in words(card_text)}
    return not said or len(said & card) >= SHARED_WORDS * len(said)


def _guardrails(values: tuple[str, ...], metrics: Metrics | None) -> Callable[[str, str], bool]:
    def approves(text: str, card_text: str) -> bool:
        broken = review(text, Facts(values=values, texts=(card_text,)))
        if broken is None and card_text and not _speaks_of(text, card_text):
            broken = "another_topic"
        if broken and metrics is not None:
            metrics.count("replies_blocked_total", rule=broken)
        return broken is None

    return approves
