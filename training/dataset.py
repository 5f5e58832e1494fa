"""Composes the Spanish samples the bundled model learns from: `python -m training.dataset` prints a few.

Every sentence comes from `training/data/`, written for this project; no chat of a real person is in it. A line of
those files is a template family and belongs to one split only.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.prediction import Intent, Reason
from shared.prompt import RULES, fold, patient_text, prompt_parts
from shared.tagged import Tagged, write
from training import context, noise
from training.families import SPLITS, Family, families, replies_of
from training.phrases import Phrase, Piece, expand, load

# Relative number of samples; what is not named has weight 1.
_WEIGHTS = {
    Intent.URGENCIA: 3.2,
    Intent.FUERA_DE_TEMA: 3.6,
    Intent.AGENDAR_CITA: 2.6,
    Intent.CANCELAR_CITA: 1.5,
    Intent.REPROGRAMAR_CITA: 2.2,
    Intent.CONSULTAR_INFO: 1.1,
    Intent.TRATAMIENTO: 1.4,
    Intent.INFORMAR_DATO: 2.4,
    Intent.SALUDO: 0.6,
    Intent.DESPEDIDA_GRACIAS: 0.7,
    Intent.BAJA: 0.9,
}
_LOOK_ALIKES = 2.4  # weight of all look-alikes together
_PAIRS = 0.8  # weight of messages joined of two
_SHORT = 90  # characters of a line that may be joined to another
_VOICES = 0.7  # share of whole messages; the rest is composed from templates
_OPENING, _CLOSING, _NOISY = 0.35, 0.2, 0.55
_VOICE_OPENING, _VOICE_CLOSING, _VOICE_NOISY = 0.12, 0.06, 0.45  # they bring their own

# Priority of the primary intent (dialogue specification 2.1); information intents keep their order of mention.
_PRIORITY = (
    Intent.URGENCIA,
    Intent.BAJA,
    Intent.REPROGRAMAR_CITA,
    Intent.CANCELAR_CITA,
    Intent.AGENDAR_CITA,
    Intent.CONFIRMAR_ASISTENCIA,
    Intent.CONSULTAR_CITA,
    Intent.HABLAR_HUMANO,
    Intent.DOSIS_OLVIDADA,
    Intent.EFECTOS_SECUNDARIOS,
)
_SOCIAL = (Intent.SALUDO, Intent.DESPEDIDA_GRACIAS)
_BARE = (*_SOCIAL, Intent.AFIRMAR, Intent.NEGAR, Intent.INFORMAR_DATO, Intent.BAJA)
_PAIRABLE = (
    Intent.AGENDAR_CITA,
    Intent.CANCELAR_CITA,
    Intent.CONSULTAR_CITA,
    Intent.HORARIOS_UBICACION_COSTOS,
    Intent.TRATAMIENTO,
    Intent.EFECTOS_SECUNDARIOS,
    Intent.PREVENCION_CONTAGIO,
    Intent.DIAGNOSTICO_PRUEBAS,
    Intent.DOSIS_OLVIDADA,
    Intent.HABLAR_HUMANO,
    Intent.SINTOMAS,
)


@dataclass(frozen=True)
class Sample:
    setting: str  # what the answer depends on besides the message; samples of one setting may swap their heads
    head: str  # the prompt up to the question: rules, data, earlier turns
    question: str  # the patient's line and the cue
    completion: str
    message: str  # as it stands in the prompt
    answer: Tagged
    around: context.Context
    group: str = "plain"
    families: tuple[str, ...] = ()

    @property
    def state(self) -> str | None:
        return self.around.state

    @property
    def prompt(self) -> str:
        return self.head + self.question


def generate(split: str, seed: int, count: int) -> Iterator[Sample]:
    """Yield `count` samples of a split, the same for the same seed; messages may repeat, prompts hardly ever do."""
    rng = random.Random(f"{seed}/{split}")
    pool: dict[str, _Pool] = {}
    for family in families()[split]:
        group = pool.setdefault(f"{family.group}/{family.intent}", _Pool([], []))
        (group.voices if family.voice else group.templates).append(family)
    look_alikes = _Pool([], [])
    for key in sorted(pool):
        if key.startswith("look_alike"):
            look_alikes.templates.extend(pool[key].templates)
            look_alikes.voices.extend(pool[key].voices)
    keys = sorted(key for key in pool if not key.startswith("look_alike"))
    weights = [_WEIGHTS.get(Intent(key.split("/")[1]), 1.0) for key in keys]
    for _ in range(count):
        kind = rng.choices(["one", "look_alike", "pair"], [sum(weights), _LOOK_ALIKES, _PAIRS])[0]
        if kind == "pair":
            first, second = rng.sample(_PAIRABLE, 2)
            yield _compose([pool[f"plain/{intent}"].draw(rng, short=True) for intent in (first, second)], rng)
        elif kind == "look_alike":
            yield _compose([look_alikes.draw(rng)], rng)
        else:
            yield _compose([pool[rng.choices(keys, weights)[0]].draw(rng)], rng)


@dataclass(frozen=True)
class _Pool:
    """The families that one draw chooses from."""

    templates: list[Family]
    voices: list[Family]

    def draw(self, rng: random.Random, *, short: bool = False) -> Family:
        """Draw a voice or a template first, then a line: the few templates stand for many messages each.

        `short`: one that may be joined to another.
        """
        candidates = self.voices if rng.random() < _VOICES else self.templates
        for _ in range(20):
            family = rng.choice(candidates or self.templates or self.voices)
            if not short or (len(family.line) < _SHORT and not family.others):
                break
        return family


def _compose(chosen: list[Family], rng: random.Random) -> Sample:
    """Put openings, closings, noise, context and the expected answer around one or two drawn lines."""
    phrases = [expand(family.line, rng) for family in chosen]
    if len(phrases) == 2 and phrases[0].slots & phrases[1].slots:
        chosen, phrases = chosen[:1], phrases[:1]
    body = _join(phrases, rng)
    main = chosen[0].intent
    voice = chosen[0].voice
    if main not in _BARE and rng.random() < (_VOICE_OPENING if voice else _OPENING):
        body = (Piece(rng.choice(load("noise")["openings"]) + rng.choice((" ", " ", ", ", ". "))), *body)
    if main not in (*_BARE, Intent.URGENCIA) and rng.random() < (_VOICE_CLOSING if voice else _CLOSING):
        body = (*body, Piece(rng.choice((" ", " ", ", ")) + rng.choice(load("noise")["closings"])))
    if rng.random() < 0.2:
        body = (*body, Piece(rng.choice((".", "?", "??", "!", "...", "?", " ?"))))
    noisy = _VOICE_NOISY if voice else _NOISY
    body = tuple(Piece(_folded(piece.text), piece.slot) for piece in body) if voice else body
    body = noise.spoil(body, rng, rng.choice((0.05, 0.1, 0.2)) if rng.random() < noisy else 0.0)
    message, spans = _text_and_spans(body)
    ranked = _by_priority([intent for family in chosen for intent in (family.intent, *family.others)])[:3]
    reason = next((phrase.reason for phrase in phrases if phrase.reason), None)
    around = context.draw(ranked[0], set(spans), rng, chosen[0].state)
    reply = rng.choice(_replies(ranked[0], chosen, spans, around))
    answer = Tagged(
        intent=ranked[0],
        danger=ranked[0] is Intent.URGENCIA,
        secondary=tuple(ranked[1:]),
        spans=spans,
        reason=Reason(reason) if reason else None,
        reply=reply,
    )
    *head, question = prompt_parts(RULES, around.record, around.visits, around.state, around.turns, message, context.TZ)
    setting = f"{around.state} {bool(around.visits)}"
    lines = tuple(family.line for family in chosen)
    completion = write(answer, message)
    return Sample(setting, "".join(head), question, completion, message, answer, around, chosen[0].group, lines)


def _join(phrases: list[Phrase], rng: random.Random) -> tuple[Piece, ...]:
    if len(phrases) == 1:
        return phrases[0].pieces
    link = rng.choice((" y ", ". ", ", ", " tambien ", " y ademas ", ". otra cosa ", " y otra pregunta ", "? y "))
    return (*phrases[0].pieces, Piece(link), *phrases[1].pieces)


def _text_and_spans(pieces: tuple[Piece, ...]) -> tuple[str, dict[str, str]]:
    """Return the message as it will stand in the prompt, and each slot's words in the same spelling."""
    message = patient_text("".join(piece.text for piece in pieces), folded=True)
    spans = {piece.slot: patient_text(piece.text, folded=True) for piece in pieces if piece.slot}
    return message, {slot: span for slot, span in spans.items() if span and span in message}


def _folded(text: str) -> str:
    """Fold, but keep the spaces at the ends: they part the pieces."""
    folded = fold(text)
    return f"{' ' * text[:1].isspace()}{folded}{' ' * (text[-1:].isspace() and bool(folded))}"


def _by_priority(intents: list[Intent]) -> list[Intent]:
    different = list(dict.fromkeys(intents))
    return sorted(different, key=lambda intent: _PRIORITY.index(intent) if intent in _PRIORITY else len(_PRIORITY))


def _replies(intent: Intent, chosen: list[Family], spans: Mapping[str, str], around: context.Context) -> Sequence[str]:
    topic = next((family.replies for family in chosen if family.intent is intent and family.replies), None)
    if topic or (topic := replies_of(intent)):
        return topic
    replies: Mapping[str, Sequence[str]] = load("replies")
    if intent in replies:
        return replies[intent]
    if f"{intent}/both" in replies:
        case = {(True, True): "both", (True, False): "date", (False, True): "time", (False, False): "none"}[
            ("date" in spans, "time" in spans)
        ]
    elif f"{intent}/yes" in replies:
        case = "yes" if around.visits else "no"
    else:
        case = "flow" if around.state else "none"
    return replies[f"{intent}/{case}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    for sample in generate(options.split, options.seed, options.count):
        print(sample.prompt[sample.prompt.index("Estado") :].replace("\n", " ⏎ "), sample.completion)


if __name__ == "__main__":
    main()
