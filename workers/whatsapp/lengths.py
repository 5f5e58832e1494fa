"""Cut texts to Meta's limits without cutting a character, and drop what may not be sent (pure).

Used by `workers.whatsapp.payloads`. Lengths are counted in UTF-16 units: Meta does not say how it counts an emoji, and
these are never fewer than the code points or the visible characters.
"""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"
# Control characters, lone surrogates, and the marks that turn the direction of writing (a patient's name may hold one).
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_INVISIBLE = re.compile(
    "[\\s\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2060-\u2065\u3164\ufe00-\ufe0f\ufeff\uffa0]*"
)
_SPACES = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"[.!?…](?=\s)|\n")
_JOINER = "\u200d"


def length(text: str) -> int:
    """Length in UTF-16 units: 1 for most characters, 2 for most emoji."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def sayable(text: str) -> str:
    """Drop NUL, other control characters and lone surrogates, and the blanks around; "" if nothing visible is left."""
    text = _FORBIDDEN.sub("", text.replace("\r\n", "\n")).strip()
    return "" if _INVISIBLE.fullmatch(text) else text


def one_line(text: str) -> str:
    """The same on one line, each run of blanks as one space: for titles and template parameters."""
    return _SPACES.sub(" ", sayable(text)).strip()


def shorten(text: str, limit: int) -> str:
    """Cut to the limit with `…`, after a word if that leaves most of it: `Confirmar la cita…`."""
    if length(text) <= limit:
        return text
    head = text[: _whole(text, limit - 1)]
    at_word = head.rstrip() if text[len(head) : len(head) + 1].isspace() else head.rpartition(" ")[0].rstrip()
    kept = at_word if length(at_word) * 2 > limit else head.rstrip()
    return kept.rstrip(",;:-") + ELLIPSIS


def trim_at_sentence(text: str, limit: int) -> str:
    """Cut to the limit after the last whole sentence, with ` …`; inside a sentence only if that would lose half."""
    if length(text) <= limit:
        return text
    head = text[: _whole(text, limit - 2)]
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, len(head) + 1) if match.end() <= len(head)]
    if ends and ends[-1] * 2 > len(head):
        return head[: ends[-1]].rstrip() + " " + ELLIPSIS
    return shorten(text, limit)


def _whole(text: str, limit: int) -> int:
    """The largest cut of at most that many units which does not divide what is seen as one character."""
    cut = len(text[:limit])
    while cut and length(text[:cut]) > limit:
        cut -= 1
    while 0 < cut < len(text) and _is_inside(text, cut):
        cut -= 1
    return cut


def _is_inside(text: str, cut: int) -> bool:
    before, after = text[cut - 1], text[cut]
    if before == _JOINER or after == _JOINER or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff":  # skin tones
        return True
    if _is_flag_half(after):
        run = cut
        while run and _is_flag_half(text[run - 1]):
            run -= 1
        return (cut - run) % 2 == 1
    return False


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
