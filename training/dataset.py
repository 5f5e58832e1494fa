"""Composes the Spanish samples the bundled model learns from: `python -m training.dataset` prints a few.

Every sentence comes from `training/data/`, written for this project; no chat of a real person is in it. A line of
those files is a template family and belongs to one split only.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.prediction import Intent, Reason
from shared.prompt import RULES, patient_text, prompt_parts
from shared.tagged import Tagged, write
from training import context, noise
from training.families import SPLITS, Family, families
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
_PAIRS = 1.2  # weight of messages with two intents
_OPENING, _CLOSING, _NOISY = 0.35, 0.2, 0.55

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
    group: str = "plain"
    families: tuple[str, ...] = field(default=())

    @property
    def prompt(self) -> str:
        return self.head + self.question


def generate(split: str, seed: int, count: int) -> Iterator[Sample]:
    """Yield `count` samples of a split, the same for the same seed; messages may repeat, prompts hardly ever do."""
    rng = random.Random(f"{seed}/{split}")
    pool: dict[str, list[Family]] = {}
    for family in families()[split]:
        pool.setdefault(f"{family.group}/{family.intent}", []).append(family)
    look_alikes = sorted(key for key in pool if key.startswith("look_alike"))
    keys = sorted(key for key in pool if key not in look_alikes)
    weights = [_WEIGHTS.get(Intent(key.split("/")[1]), 1.0) for key in keys]
    for _ in range(count):
        kind = rng.choices(["one", "look_alike", "pair"], [sum(weights), _LOOK_ALIKES, _PAIRS])[0]
        if kind == "pair":
            yield _compose(_pair(pool, rng), rng)
            continue
        if kind == "look_alike":
            candidates = [family for key in look_alikes for family in pool[key]]
        else:
            candidates = pool[rng.choices(keys, weights)[0]]
        yield _compose([rng.choice(candidates)], rng)


def _pair(pool: Mapping[str, Sequence[Family]], rng: random.Random) -> list[Family]:
    first, second = rng.sample(_PAIRABLE, 2)
    return [rng.choice(pool[f"plain/{intent}"]) for intent in (first, second)]


def _compose(chosen: list[Family], rng: random.Random) -> Sample:
    """Put openings, closings, noise, context and the expected answer around one or two drawn lines."""
    phrases = [expand(family.line, rng) for family in chosen]
    if len(phrases) == 2 and phrases[0].slots & phrases[1].slots:
        chosen, phrases = chosen[:1], phrases[:1]
    body = _join(phrases, rng)
    main = chosen[0].intent
    if main not in _BARE and rng.random() < _OPENING:
        body = (Piece(rng.choice(load("noise")["openings"]) + rng.choice((" ", " ", ", ", ". "))), *body)
    if main not in (*_BARE, Intent.URGENCIA) and rng.random() < _CLOSING:
        body = (*body, Piece(rng.choice((" ", " ", ", ")) + rng.choice(load("noise")["closings"])))
    if rng.random() < 0.2:
        body = (*body, Piece(rng.choice((".", "?", "??", "!", "...", "?", " ?"))))
    body = noise.spoil(body, rng, rng.choice((0.05, 0.1, 0.2)) if rng.random() < _NOISY else 0.0)
    message, spans = _text_and_spans(body)
    ranked = _by_priority([family.intent for family in chosen])
    reason = next((phrase.reason for phrase in phrases if phrase.reason), None)
    around = context.draw(ranked[0], set(spans), rng)
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
    return Sample(setting, "".join(head), question, write(answer, message), message, answer, chosen[0].group, lines)


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


def _by_priority(intents: list[Intent]) -> list[Intent]:
    different = list(dict.fromkeys(intents))
    return sorted(different, key=lambda intent: _PRIORITY.index(intent) if intent in _PRIORITY else len(_PRIORITY))


def _replies(intent: Intent, chosen: list[Family], spans: Mapping[str, str], around: context.Context) -> Sequence[str]:
    topic = next((family.replies for family in chosen if family.intent is intent and family.replies), None)
    if topic:
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
