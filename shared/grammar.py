"""Which tokens may come next in a tagged answer: the finite-state machine behind constrained decoding. Pure.

Order: intent, danger, up to two secondary intents, slots in their order, reply. Words inside a slot are contiguous
pieces of the patient's message, so a model cannot invent a date. Source: dialogue specification, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum, auto

from shared.prompt import END_OF_TEXT
from shared.tags import (
    DANGER_TOKENS,
    INTENT_TOKENS,
    MAX_SECONDARY,
    REASON_TOKENS,
    REPLY_TOKEN,
    SECONDARY_TOKENS,
    SLOT_TOKENS,
    SPECIAL_TOKENS,
)

MAX_SPAN_TOKENS = 24

# The pieces a byte-level tokenizer never joins: a word, a number or signs, each with the space before it.
_WORDS = re.compile(r"\s?[^\W\d_]+|\s?\d+|\s?(?:[^\w\s]|_)+|\s+")


class _Stage(Enum):
    INTENT = auto()
    DANGER = auto()
    SECTIONS = auto()  # secondary intents, slot openers or the reply
    REASON = auto()
    WORDS = auto()  # inside a slot
    REPLY = auto()


class Grammar:
    """The grammar of one answer to one message. Not for two threads at once.

    Args:
        encode: text to token ids, nothing added at either end; every special token is one id. Called twice.
        message: the patient's words as they stand in the prompt (`shared.prompt.patient_text`).

    Raises:
        ValueError: if the tokenizer does not know the special tokens.
    """

    def __init__(self, encode: Callable[[str], list[int]], message: str) -> None:
        ids = encode("".join(SPECIAL_TOKENS))
        if len(ids) != len(SPECIAL_TOKENS):
            raise ValueError("the tokenizer does not hold the special tokens of the tagged format")
        by_token = dict(zip(SPECIAL_TOKENS, ids, strict=True))
        self.intent_ids = [by_token[token] for token in INTENT_TOKENS.values()]  # in the order of `Intent`
        self._dangers = [by_token[token] for token in DANGER_TOKENS.values()]
        self._secondary = {by_token[token]: by_token[INTENT_TOKENS[i]] for i, token in SECONDARY_TOKENS.items()}
        self._openers = [by_token[token] for token in SLOT_TOKENS.values()]
        self._reason_opener = by_token[SLOT_TOKENS["reason"]]
        self._reasons = [by_token[token] for token in REASON_TOKENS.values()]
        self._reply = by_token[REPLY_TOKEN]
        self._message, self._edges = _split(encode, message, by_token[END_OF_TEXT])
        self._seen = 0  # how many generated ids were looked at
        self._restart()

    def allowed(self, generated: Sequence[int]) -> list[int] | None:
        """Return the ids that may follow `generated`, without repeats; None when all may (inside the reply).

        Call it once per step with everything generated so far: only what is new is looked at. An id that was not
        allowed is read as the end of the structure, and everything is free after it.
        """
        if len(generated) < self._seen:
            self._restart()
        for token in generated[self._seen :]:
            self._advance(token)
        self._seen = len(generated)
        return self._next()

    def _restart(self) -> None:
        self._seen = 0
        self._stage = _Stage.INTENT
        self._said: list[int] = []  # intents named, as ids of their primary token
        self._slot = -1  # index of the last opener used
        self._length = 0  # tokens inside the present slot
        self._places: set[int] = set()  # where in the message the present slot may go on

    def _next(self) -> list[int] | None:
        if self._stage is _Stage.INTENT:
            return self.intent_ids
        if self._stage is _Stage.DANGER:
            return self._dangers
        if self._stage is _Stage.SECTIONS:
            return [*self._more_intents(), *self._closers()]
        if self._stage is _Stage.REASON:
            return self._reasons
        if self._stage is _Stage.WORDS:
            return self._words()
        return None

    def _more_intents(self) -> list[int]:
        if self._slot >= 0 or len(self._said) > MAX_SECONDARY:
            return []
        return [token for token, primary in self._secondary.items() if primary not in self._said]

    def _closers(self) -> list[int]:
        """What may end the section before: a later slot, or the reply. Without words only the reason can be filled."""
        later = self._openers[self._slot + 1 :]
        return [token for token in later if self._message or token == self._reason_opener] + [self._reply]

    def _words(self) -> list[int]:
        if self._length == 0:
            return sorted({self._message[place] for place in self._places})
        going_on = self._length < MAX_SPAN_TOKENS
        words = {self._message[place] for place in self._places if place < len(self._message)} if going_on else set()
        complete = not going_on or any(place in self._edges for place in self._places)
        return sorted(words) + (self._closers() if complete else [])

    def _advance(self, token: int) -> None:
        if self._stage is _Stage.REPLY:
            return
        if self._stage is _Stage.INTENT:
            self._said, self._stage = [token], _Stage.DANGER
        elif self._stage is _Stage.DANGER or self._stage is _Stage.REASON:
            self._stage = _Stage.SECTIONS
        elif token in self._openers:
            self._slot, self._length = self._openers.index(token), 0
            self._stage = _Stage.REASON if token == self._reason_opener else _Stage.WORDS
            self._places = {place for place in self._edges if place < len(self._message)}
        elif self._stage is _Stage.WORDS and token != self._reply:
            self._places = {p + 1 for p in self._places if p < len(self._message) and self._message[p] == token}
            self._length += 1
            if not self._places:
                self._stage = _Stage.REPLY
        elif self._stage is _Stage.SECTIONS and token in self._secondary:
            self._said.append(self._secondary[token])
        else:
            self._stage = _Stage.REPLY


def _split(encode: Callable[[str], list[int]], message: str, separator: int) -> tuple[list[int], set[int]]:
    """Return the message's ids and the positions between its words, where a slot may begin or end.

    The words are encoded in one call, kept apart by end-of-text, which patient text cannot hold.
    """
    words = [word for word in _WORDS.findall(f" {message}") if word.strip()]
    ids: list[int] = []
    edges = {0} if words else set()
    for token in encode(END_OF_TEXT.join(words)) if words else []:
        if token == separator:
            edges.add(len(ids))
        else:
            ids.append(token)
    edges.add(len(ids))
    return ids, edges
