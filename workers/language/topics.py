"""Several questions in one message: which topics, in the order of mention (specification 2.1).

Called by `understanding`. Pure. Each sentence is read by the n-grams alone; only what they are sure of counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.prediction import INFORMATION_INTENTS, Intent
from workers.language import ngrams
from workers.language.intents import PRIORITY

SURE = 0.8
SHORTEST = 3  # words a sentence must have to be read alone
# Words that open a question or a second matter.
_OPENER = (
    r"(?:qu[eé]|q|cu[aá]l\w*|cu[aá]nt\w*|cu[aá]ndo|c[oó]mo|d[oó]nde|d[ií]game|puedo|debo|tengo que|tengo q|hay que|"
    r"hay q|se puede|hasta|a que hora|a q hora|si)"
)
_MORE = r"(?:mientras|tambi[eé]n|adem[aá]s|de paso|otra|una|un|me dice|quiero|kiero)"
_ENDS = re.compile(rf"(?<=[?])|[.;!\n]+|,? y (?=(?:{_OPENER}|{_MORE})\b)|, (?:y|pero) (?=\w+ )|, (?={_OPENER}\b)", re.I)
_ASKS = re.compile(rf"\?|^\W*(?:{_MORE},? |cosa |pregunta,? )*(?:{_OPENER}|es)\b|\b[qk]u?iero dejar", re.I)
_TOPICS = INFORMATION_INTENTS - {Intent.CONSULTAR_INFO}


def topics_of(text: str) -> tuple[Intent, ...]:
    """Return the information intents that the sentences of a message ask about, as mentioned; () for one sentence."""
    parts = [part for part in _ENDS.split(text) if len(part.split()) >= SHORTEST]
    if len(parts) < 2:
        return ()
    found: list[Intent] = []
    for part in parts:
        chances = ngrams.chances(part, None)
        likeliest = max(chances, key=lambda intent: chances[intent])
        if likeliest in _TOPICS and chances[likeliest] >= SURE and _ASKS.search(part.strip()):
            found.append(likeliest)
    return tuple(dict.fromkeys(found))


def in_order(intent: Intent, topics: Sequence[Intent]) -> tuple[Intent, tuple[Intent, ...]]:
    """Settle which of several topics is the primary intent: the fixed priority first, then the order of mention.

    Returns:
        The primary intent, and the other topics.
    """
    if intent not in topics or len(topics) < 2:
        return intent, tuple(topic for topic in topics if topic is not intent)
    ranked = sorted(topics, key=lambda each: PRIORITY.index(each) if each in PRIORITY else len(PRIORITY))
    return ranked[0], tuple(ranked[1:])
