"""Guesses of what the model writes next, for the engine to verify: token ids in, token ids out. Pure, no torch.

A verified draft saves forward passes and never changes an answer: the engine keeps only what the model chooses anyway.
The corpus is built once (`draft_corpus.corpus_of`) and read-only from then on; a drafter is one request's, in the
engine's thread. What was tried and what it brings: docs/performance.md, "Drafts".

Privacy: although a draft cannot change an answer, no patient's words may stand in another patient's draft: nothing of
one conversation shall be held for, or be noticed (by its speed) in another. The corpus therefore holds only what is the
same for everybody: cards, fixed texts, and what the model said to invented messages, with `WORD` for the words of a
slot. Finished answers are not kept. What a patient wrote serves the drafter of that request and ends with it.

Ids are kept as the characters of strings: slices, hashes and searches then run in C.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

WORD = 0x10FFFF  # stands for any token of the patient's words inside a slot; no vocabulary is that large
MOST_TOKENS = 30_000  # that a corpus takes in, at most 1.5 kB of memory each; what comes after is left out
FLOOR = 0.2  # a draft ends where it is less likely than this to be right up to there
_ORDERS = (8, 5, 3, 2, 1)  # tokens of context; the longest that is known decides, in the request or in the corpus
_SHORTEST = 3  # context in the request itself; inside a slot, whose words are always some of the message, 1 is enough
_REPEATED_CHANCE = 0.9  # that what followed in the request follows again

_WORD = chr(WORD)


class Corpus:
    """What most often followed what, in sequences that are the same for every patient. Immutable."""

    def __init__(
        self,
        sequences: Iterable[tuple[Sequence[int], int]],
        tags: Collection[int] = (),
        reply: int | None = None,
        end: int | None = None,
    ) -> None:
        """Count the sequences.

        Args:
            sequences: ids, `WORD` among them, each with how often it was seen; the most useful ones first.
            tags: ids of the special tokens: before the reply everything else is a word of the patient.
            reply: the id that opens the reply; None for a model that writes bare text.
            end: the id that ends an answer; a draft ends with it.
        """
        self.tags, self.reply, self.end = frozenset(map(chr, tags)), _sign(reply), _sign(end)
        self.tokens = 0
        counts: dict[str, dict[str, int]] = {}
        for ids, times in sequences:
            if self.tokens + len(ids) > MOST_TOKENS:
                break
            self.tokens += len(ids)
            _count(_signs(ids), times, counts)
        self._next = {context: _best(found) for context, found in counts.items()}

    def likely(self, context: str) -> tuple[str, float] | None:
        """Return what most often followed `context`, and its share; None if that was never seen."""
        return self._next.get(context)


class Drafter:
    """What one request is likely to be answered."""

    def __init__(self, corpus: Corpus, prompt: Sequence[int]) -> None:
        self._corpus = corpus
        self._read = 0  # how much of `generated` was looked at
        self._seen = _signs(prompt)  # prompt and answer
        self._answer = ""  # the answer as the corpus knows it: WORD for the words of slots
        self._in_reply = not corpus.reply

    def draft(self, generated: Sequence[int], most: int) -> list[int]:
        """Return up to `most` ids that are likely to follow `generated`, none when nothing is likely enough.

        Call it with everything generated so far, which only ever grows: only what is new is looked at.
        """
        for sign in _signs(generated[self._read :]):
            self._seen += sign
            self._answer += self._masked(sign, self._in_reply)
            self._in_reply = self._in_reply or sign == self._corpus.reply
        self._read = len(generated)
        return [ord(sign) for sign in self._guesses(most)]

    def _guesses(self, most: int) -> Iterator[str]:
        seen, answer, in_reply, chance = self._seen, self._answer, self._in_reply, 1.0
        for _ in range(most):
            sign, share = self._guess(seen, answer, in_reply)
            chance *= share
            if not sign or chance < FLOOR:
                return
            yield sign
            if sign == self._corpus.end:
                return
            seen += sign
            answer += self._masked(sign, in_reply)
            in_reply = in_reply or sign == self._corpus.reply

    def _guess(self, seen: str, answer: str, in_reply: bool) -> tuple[str, float]:
        """Return the next token and the chance that it is right, by the longest context; in a tie the request's own."""
        for order in _ORDERS:
            if in_reply and order >= _SHORTEST and (sign := _repeated(seen, order)):
                return sign, _REPEATED_CHANCE
            if order <= len(answer) and (found := self._corpus.likely(answer[-order:])):
                return found if found[0] != _WORD else (self._next_word(seen), found[1] * _REPEATED_CHANCE)
        return "", 0.0

    def _next_word(self, seen: str) -> str:
        return next((sign for order in _ORDERS if (sign := _repeated(seen, order))), "")

    def _masked(self, sign: str, in_reply: bool) -> str:
        return sign if in_reply or sign in self._corpus.tags else _WORD


def _repeated(seen: str, order: int) -> str:
    """Return what followed the `order` tokens at the end when they stood in `seen` before; empty if they never did."""
    place = seen.rfind(seen[-order:], 0, -1) if order < len(seen) else -1
    return seen[place + order] if place >= 0 else ""


def _sign(token: int | None) -> str:
    return "" if token is None else chr(token)


def _signs(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


def _count(signs: str, times: int, counts: dict[str, dict[str, int]]) -> None:
    for place in range(1, len(signs)):
        for order in _ORDERS:
            if order <= place:
                found = counts.setdefault(signs[place - order : place], {})
                found[signs[place]] = found.get(signs[place], 0) + times


def _best(found: dict[str, int]) -> tuple[str, float]:
    best = max(found, key=found.__getitem__)
    return best, found[best] / sum(found.values())
