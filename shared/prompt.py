"""Conversation -> the text the model reads. Used by training and by serving, so both see the same signs.

Format: architecture contract, section 7; the `Estado` line and the folding of patient text belong to the bundled model.
Pure: knows no tokenizer; `fit` is given a function that counts tokens.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

from shared.conversation import Appointment, PatientRecord, Role, Turn, leaving

# The rules of the bundled model, one sentence: each token of a prompt costs processor time on a small server.
# Models fine-tuned elsewhere may be given longer rules.
RULES = "Eres un asistente virtual especializado SOLO en Tuberculosis del centro de salud CAÑADA DEL CARMEN."

CUE = "<ASSISTANT>:"
PROMPT_TOKENS = ("<SYS>", "</SYS>", "<DATA>", "</DATA>", "<USER>", "<ASSISTANT>")
END_OF_TEXT = "<|endoftext|>"

# Anything that looks like one of our control tokens, whoever wrote it: <SYS>, </data>, <|endoftext|>, <i:...>, <rsp>.
_CONTROL = re.compile(
    r"<\s*(?:\|[^<>|]{0,40}\||(?:/\s*)?(?:sys|data|user|assistant|rsp|[a-z]:[^<>]{0,40}))\s*>\s*:?", re.IGNORECASE
)
_NESTED = 5

_STATUS_WORDS = {
    "scheduled": "Programado",
    "confirmed": "Confirmado",
    "rescheduled": "Reprogramado",
    "cancelled": "Cancelado",
}


def strip_control(text: str) -> str:
    """Remove control tokens from text that a patient or the backend wrote; whitespace becomes single spaces.

    Repeats until nothing is left to remove, so that `<<USER>USER>` does not leave a token behind. Nobody nests them by
    accident: a text with more than a few within each other loses all its `<`.
    """
    for _ in range(_NESTED):
        if (cleaned := _CONTROL.sub(" ", text)) == text:
            break
        text = cleaned
    else:
        text = text.replace("<", " ")
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())


def fold(text: str) -> str:
    """Write patient text as the bundled model was trained to read it.

    Lower case, no accents (ñ stays: it separates "mañana" from "mana"), no opening signs, three or more equal letters
    become one. A small model then meets one spelling where patients use ten.
    """
    return fold_with_origin(text)[0]


def fold_with_origin(text: str) -> tuple[str, list[int]]:
    """Fold, and say for each character of the result which character of `text` it came from.

    Returns:
        The folded text, and a list of its length with positions in `text`.
    """
    signs: list[tuple[str, int]] = []
    for position, sign in enumerate(text):
        if sign == "\u0303" and signs and signs[-1][0] == "n":  # ñ typed as n and a tilde on top
            signs[-1] = ("ñ", signs[-1][1])
        signs += [(piece, position) for piece in _fold_sign(sign)]
    out: list[tuple[str, int]] = []
    for sign, run in groupby(signs, key=lambda pair: pair[0]):
        equal = list(run)
        too_many = sign == " " or (len(equal) >= 3 and not sign.isdigit())
        out += equal[:1] if too_many else equal
    while out and out[0][0] == " ":
        out.pop(0)
    while out and out[-1][0] == " ":
        out.pop()
    return "".join(sign for sign, _ in out), [position for _, position in out]


def _fold_sign(sign: str) -> str:
    if sign.isspace():
        return " "
    if sign in "¿¡\u200d\ufe0f" or not sign.isprintable():
        return ""
    if sign in "ñÑ":
        return "ñ"
    if sign in "“”«»":
        return '"'
    decomposed = unicodedata.normalize("NFD", sign.lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def system_block(rules: str = RULES) -> str:
    """Return the constant head of every prompt; an engine may compute it once."""
    return f"<SYS>\n{rules.strip()}\n</SYS>\n\n"


def data_block(
    record: PatientRecord,
    appointments: Sequence[Appointment],
    state: str | None,
    tz: ZoneInfo,
    with_state: bool = True,
) -> str:
    """Return the `<DATA>` block: what the backend knows, times as clinic wall time in `tz`."""
    visits = ", ".join(_visit(appointment, tz) for appointment in appointments)
    lines = [
        f"Paciente_registrado = {record.registered}",
        f"Nombre = {_quoted(record.name)}",
        f"Citas = [{visits}]",
        f"Ultima_visita = {_quoted(record.last_visit.isoformat() if record.last_visit else None)}",
    ]
    if with_state:
        lines.append(f"Estado = {_quoted(state)}")
    return "<DATA>\n" + "\n".join(lines) + "\n</DATA>\n\n"


def _visit(appointment: Appointment, tz: ZoneInfo) -> str:
    start = appointment.start.astimezone(tz)
    status = _STATUS_WORDS.get(appointment.status, strip_control(appointment.status))
    return f'{{fecha: "{start:%Y-%m-%d}", hora: "{start:%H:%M}", estado: "{status}"}}'


def _quoted(value: str | None) -> str:
    return "None" if not value else '"' + strip_control(value).replace('"', "'") + '"'


def turn_line(turn: Turn, folded: bool) -> str:
    """Return one earlier turn as a line of the prompt."""
    if turn.role is Role.PATIENT:
        return f"<USER>: {patient_text(turn.text, folded)}\n"
    return f"{CUE} {strip_control(turn.text)}\n"


def patient_text(text: str, folded: bool) -> str:
    """Return what a patient wrote as it stands in the prompt."""
    cleaned = strip_control(text)
    return strip_control(fold(cleaned)) if folded else cleaned


def build_prompt(
    rules: str,
    record: PatientRecord,
    appointments: Sequence[Appointment],
    state: str | None,
    turns: Sequence[Turn],
    question: str,
    tz: ZoneInfo,
    with_state: bool = True,
) -> str:
    """Build the text that ends with the cue `<ASSISTANT>:`.

    Args:
        rules: content of the `<SYS>` block, normally `RULES`.
        state: `Flow.state` such as "agendar:fecha", or None.
        turns: earlier turns, oldest first, without the question.
        question: the patient's words of this turn.
        with_state: True for the bundled model (adds `Estado`, folds patient text); False gives exactly the
            clinic model's format with the patient's words as written.
    """
    parts = prompt_parts(rules, record, appointments, state, turns, question, tz, with_state)
    return "".join(parts)


def prompt_parts(
    rules: str,
    record: PatientRecord,
    appointments: Sequence[Appointment],
    state: str | None,
    turns: Sequence[Turn],
    question: str,
    tz: ZoneInfo,
    with_state: bool = True,
) -> list[str]:
    """Return the prompt in pieces: head (rules and data), one per earlier turn, question with cue. See `fit`."""
    head = system_block(rules) + data_block(record, appointments, state, tz, with_state)
    middle = [turn_line(turn, with_state) for turn in turns]
    return [head, *middle, f"<USER>: {patient_text(question, with_state)}\n{CUE}"]


def fit(parts: Sequence[str], count_tokens: Callable[[str], int], limit: int) -> str:
    """Join the parts, leaving out the oldest turns, a few at a time, until at most `limit` tokens remain.

    The head, the question and the cue are never left out: without turns the text is returned even when it is too
    long, and the engine answers `PromptTooLong`.
    """
    kept = list(parts)
    while len(kept) > 2 and count_tokens("".join(kept)) > limit:
        del kept[1 : 1 + leaving(len(kept) - 2)]
    return "".join(kept)


def to_chat_messages(
    rules: str,
    record: PatientRecord,
    appointments: Sequence[Appointment],
    state: str | None,
    turns: Sequence[Turn],
    question: str,
    tz: ZoneInfo,
) -> list[dict[str, str]]:
    """Return the same content for a tokenizer with a `chat_template`: rules and data first, then the turns."""
    data = data_block(record, appointments, state, tz)
    for token in PROMPT_TOKENS:
        data = data.replace(token, "")
    messages = [{"role": "system", "content": f"{rules.strip()}\n\n{data.strip()}"}]
    messages += [{"role": turn.role.value, "content": strip_control(turn.text)} for turn in turns]
    return [*messages, {"role": "user", "content": strip_control(question)}]
