"""Danger signs in what a patient wrote, found by reviewed rules before any model is asked. Called for every message.

A missed sign is the worst failure of this product: when the rules cannot be read or the matcher fails, everything is
escalated and `broken` says why. Never raises, never logs what the patient wrote.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from shared.prediction import Danger, DangerCategory, Level
from workers.language.normalise import normalise
from workers.safety.cues import Cue, CueIndex, Reading
from workers.safety.folding import Word, fold, split_words
from workers.safety.lexicon import Lexicon
from workers.safety.rule_file import RuleBook, Sign, read_rule_book
from workers.safety.scopes import Scopes, find_scopes

log = logging.getLogger(__name__)

RULES_FILE = Path(__file__).resolve().parents[2] / "shared" / "assets" / "danger_signs.yaml"
ESCALATE = Danger(category=DangerCategory.ESTADO_GRAVE, level=Level.EMERGENCIA)

_CHUNK_CHARS = 5000  # the normaliser shortens texts beyond 8,000; danger is looked for in all of it
_REMEMBERED_CHARS = 300
_LONGEST_ALONE = 12  # words a bare cry for help may have around it
_PAUSE = re.compile(r"\.{2,}|…|[\r\n]+")  # gasping "no... puedo... respirar" is one sentence
_SPELT = re.compile(r"(?<!\w)(?:[^\W\d_][ \t]){3,}[^\W\d_](?!\w)")  # a u x i l i o
_YES = re.compile(r"\bsí\b", re.IGNORECASE)  # "sí" is no condition, and would lose its accent
_INNER_POINT = re.compile(r"(?<=[^\W\d])\.(?=[^\W\d])")  # and so is "no.puedo.respirar"


class DangerRules:
    """The compiled rules. `broken` is None, or the sentence that health shows and staff must act on."""

    def __init__(self, book: RuleBook | None, broken: str | None = None) -> None:
        self.broken = broken
        self._book = book
        if book is not None:
            of_contexts = (cue for context in book.contexts for cue in (*context.markers, *context.unless_message))
            self._index = CueIndex((*(cue for sign in book.signs for cue in sign.cues), *of_contexts))
            self._cues = {id(cue): (rank, cue) for rank, sign in enumerate(book.by_urgency) for cue in sign.cues}
            self._lexicon = Lexicon(
                words={word for word in book.words if not word.endswith("*")},
                stems={word[:-1] for word in book.words if word.endswith("*")},
                mended={word.removesuffix("*") for word in book.sign_words},
                fillers=book.fillers,
                real_words=book.real_words,
            )

    @classmethod
    def load(cls, path: Path = RULES_FILE) -> DangerRules:
        """Read, compile and try the rule file. A file that is missing, wrong or misses its own examples gives rules
        that escalate everything, with `broken` set."""
        try:
            rules = cls(read_rule_book(path))
            missed = [sign.category for sign in rules.signs for text in sign.examples if rules.search(text) is None]
        except Exception as error:  # fails closed whatever is wrong with the file
            return cls._escalating(f"danger rules cannot be read: {type(error).__name__}: {str(error)[:300]}")
        if missed:
            return cls._escalating(f"danger rules miss their own examples of {', '.join(sorted(set(missed)))}")
        return rules

    @classmethod
    def _escalating(cls, why: str) -> DangerRules:
        log.error("danger rules broken, every message is escalated", extra={"why": why})
        return cls(None, why)

    @property
    def signs(self) -> tuple[Sign, ...]:
        return self._book.signs if self._book else ()

    def find(self, text: str) -> Danger | None:
        """Return the most urgent danger sign of a message, or None.

        Fails closed: an error inside is an emergency, and `broken` is set for health to show.
        """
        if not text.strip():
            return None
        if self._book is None:
            return ESCALATE
        try:
            return self.search(text)
        except Exception as error:  # whatever it was, the patient may be in danger
            self.broken = f"danger search failed: {type(error).__name__}"
            log.error("danger search failed, message escalated", extra={"error": type(error).__name__})
            return ESCALATE

    def search(self, text: str) -> Danger | None:
        """Like `find`, but lets errors out. For the self-test and the tests."""
        if self._book is None:
            raise RuntimeError(self.broken)
        message = self._read(text)
        present = {word for _, meanings in message for word in meanings}
        if not present:
            return None
        possible = self._index.possible(present)
        scopes: Scopes | None = None  # found out only when a sign may be there: most messages hold none
        candidates: dict[int, list[Cue]] = {}
        for rank, cue in (self._cues[key] for key in possible if key in self._cues):
            candidates.setdefault(rank, []).append(cue)
        for rank, sign in enumerate(self._book.by_urgency):
            for cue in candidates.get(rank, ()):
                scopes = scopes or find_scopes(message, possible, self._book.contexts, self._book.negators)
                if any(not scopes.silence(at) for at in cue.matches(message)):
                    return Danger(category=sign.category, level=sign.level)
            if self._is_only(sign.alone, message):
                return Danger(category=sign.category, level=sign.level)
        return None

    def _is_only(self, cries: tuple[Cue, ...], message: list[Reading]) -> bool:
        """Tell whether the message is nothing but one of these, courtesy left aside: "ayuda dra por favor"."""
        assert self._book is not None
        if not cries or len(message) > _LONGEST_ALONE or message[-1][0].after == "?":
            return False
        rest = [reading for reading in message if self._book.courtesy.isdisjoint(reading[1])]
        return any(len(at) == len(rest) for cue in cries for at in cue.matches(rest))

    def _read(self, text: str) -> list[Reading]:
        """Cut a message into words and say which rule words each may be; mends missing and extra spaces."""
        assert self._book is not None
        for emoji, meaning in self._book.emoji.items():
            text = text.replace(emoji, f" {meaning} ")
        text = _YES.sub(" afirmo ", _SPELT.sub(lambda letters: re.sub(r"\s", "", letters[0]), text))
        text = _INNER_POINT.sub(" ", _PAUSE.sub(" , ", text))
        plain = " ".join(normalise(chunk) for chunk in _chunks(text))
        message: list[Reading] = []
        for word in split_words(fold(plain)):
            meanings = self._lexicon.read(word.text)
            if parts := self._lexicon.unstick(word.text):
                first, *others = _pieces(word, parts)
                message.append((first, meanings | self._lexicon.read(first.text)))  # it may be one word after all
                message.extend((piece, self._lexicon.read(piece.text)) for piece in others)
                continue
            whole = self._lexicon.glue(message[-1][0].text, word.text) if message and not word.before else None
            if whole:
                before = message.pop()[0].before
                message.append((Word(whole, before, word.after), self._lexicon.read(whole)))
            else:
                message.append((word, meanings))
        return message


def _chunks(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + _CHUNK_CHARS
        if end < len(text):
            space = text.rfind(" ", start, end)
            end = space if space > start else end
        yield text[start:end]
        start = end


def _pieces(word: Word, parts: list[str]) -> Iterator[Word]:
    for i, part in enumerate(parts):
        yield Word(part, word.before if i == 0 else "", word.after if i == len(parts) - 1 else "")


@cache
def default_rules() -> DangerRules:
    """The rules of `shared/assets/danger_signs.yaml`, read once per process."""
    return DangerRules.load()


def find_danger(text: str) -> Danger | None:
    """Return the most urgent danger sign of a message by the default rules, or None. Never raises.

    Remembers short texts: triage and the turn search the same message, and patients often write the same words.
    """
    return _remembered(text) if len(text) <= _REMEMBERED_CHARS else default_rules().find(text)


@lru_cache(4096)
def _remembered(text: str) -> Danger | None:
    return default_rules().find(text)
