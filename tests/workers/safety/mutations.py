"""A thousand good replies, and the same with one forbidden thing put in. Seeded; read by `test_mutations`.

Good: knowledge cards, fixed texts, flow sentences with real values, rewordings (`data/rewordings.yaml`), with plain
openings and endings. Forbidden: `data/insertions.yaml`, as a sentence of its own or inside one.
"""

from __future__ import annotations

import datetime as dt
import random
import re
import string
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from shared.knowledge import Knowledge
from shared.settings import Settings
from shared.texts import KEYS, Texts, center_facts
from workers.dialogue.wording import load_wording, say_date
from workers.safety.guardrails import MAX_CHARS, Facts

DATA = Path(__file__).parent / "data"
HELD_OUT = "held_out"  # the insertions, and the last rewording of each topic
COUNT = 1000

_SETTINGS = Settings(_env_file=None, DEMO=True)
_CENTRE = center_facts(_SETTINGS)
_NAMES = ("Elvira Choque", "Rosa Mamani Quispe", "Juan Carlos Vaca", "Ña Petrona Suárez", "Wilber Condori")
_OPENINGS = (
    "Con gusto.", "Gracias por preguntar.", "Claro.", "Entiendo su duda.", "Le cuento.", "Buena pregunta.",
    "Gracias por escribir.", "Por supuesto.",
)  # fmt: skip
_ENDINGS = (
    "¿Desea agendar una cita?", "¿Le ayudo en algo más?", "Si tiene otra duda, escríbame.",
    "¿Quiere que le agende un control?", "Si tiene dudas, llame al {phone}.", "Estamos para ayudarle.",
    "El personal le puede explicar más.", "¿Necesita algo más?",
)  # fmt: skip
_INSIDE = (
    "{before}, porque {clause}.", "{before}, y {clause}.", "{before}, ya que {clause}.", "{before} y además {clause}.",
    "Le aviso que {clause}, y {before_low}.", "{before}; {clause}.", "Como {clause}, {before_low}.",
    "{before} ({clause}).", "{before}, aunque {clause}.", "Si quiere saber, {clause}: {before_low}.",
)  # fmt: skip


class Good(NamedTuple):
    text: str
    facts: Facts
    kind: str


class Mutant(NamedTuple):
    text: str
    facts: Facts
    clause: str
    place: str


def good_replies(seed: int = 1) -> list[Good]:
    """Return COUNT distinct good replies, short enough for one more clause."""
    rng = random.Random(seed)
    bases = [good for good in _bases(rng) if len(good.text) <= MAX_CHARS - 130]
    found = {good.text: good for good in bases}
    while len(found) < COUNT:
        base = rng.choice(bases)
        opening = rng.choice((*_OPENINGS, "", ""))
        ending = rng.choice((*_ENDINGS, "")).format(**_CENTRE)
        text = f"{opening} {base.text} {ending}".strip()
        if len(text) <= MAX_CHARS - 110:
            found.setdefault(text, base._replace(text=text))
    return list(found.values())[:COUNT]


def mutants(clauses: Sequence[str], seed: int = 1, goods: Sequence[Good] | None = None) -> Iterator[Mutant]:
    """Yield every good reply with one clause in it: at the start, in the middle, at the end or inside a sentence."""
    rng = random.Random(seed)
    places = ("start", "middle", "end", "inside")
    for number, good in enumerate(goods or good_replies(seed)):
        clause, place = clauses[(number + 37 * seed) % len(clauses)], places[(number // len(clauses) + number) % 4]
        text = _put_in(good.text, clause, place, rng)
        if len(text) <= MAX_CHARS:  # else it would be refused for its length
            yield Mutant(text, good.facts, clause, place)


@cache
def insertions(part: str) -> tuple[str, ...]:
    """The forbidden clauses of `seen` or `held_out`, mixed."""
    kinds = yaml.safe_load((DATA / "insertions.yaml").read_text(encoding="utf-8"))[part]
    clauses = [clause for kind in kinds.values() for clause in kind]
    random.Random(7).shuffle(clauses)
    return tuple(clauses)


def _bases(rng: random.Random) -> Iterator[Good]:
    values = tuple(_CENTRE.values())
    rewordings = yaml.safe_load((DATA / "rewordings.yaml").read_text(encoding="utf-8"))
    for topic, card in Knowledge.load().cards.items():
        facts = Facts(values, (" ".join(card.text.format(**_CENTRE).split()),))
        yield Good(facts.texts[0], facts, "card")
        for number, wording in enumerate(rewordings[topic]):
            kind = HELD_OUT if number == len(rewordings[topic]) - 1 else "rewording"
            yield Good(wording.format(**_CENTRE), facts, kind)
    texts = Texts.load(_SETTINGS)
    for key in sorted(KEYS):
        text = texts.get(key, name="Rosa", staff="Ya avisé.", topic="", waited="3 minutos")
        yield Good(text, Facts((*values, "Rosa"), (text,)), "fixed")
    wording = load_wording().sentences
    for key, sentence in wording.items():
        for _ in range(4 if "{" in sentence else 1):
            given = _flow_values(rng)
            names = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
            facts = Facts((*values, *(given[name].strip() for name in sorted(names & set(given)))), (sentence,))
            if key.startswith(("summary", "done", "one_visit")):  # the parts that code puts in
                given |= {"ref": wording["ref_part"].format(**given), "name": wording["name_part"].format(**given)}
            if names <= set(given) and len(sentence) > 20 and not key.endswith("_part"):
                yield Good(sentence.format(**given), facts, "flow")


def _flow_values(rng: random.Random) -> dict[str, str]:
    """Real dates, hours, references and names, as the dialogue writes them."""
    days = [dt.date(2027, 3, 4) + dt.timedelta(days=rng.randrange(8)) for _ in range(3)]  # no date of an insertion
    hours = [f"{rng.choice((8, 10, 14, 16, 17))}:{rng.choice(('00', '30'))}" for _ in range(3)]
    date, old_date, missed = map(say_date, days)
    return {
        **_CENTRE,
        "date": date,
        "old_date": old_date,
        "missed": missed,
        "time": hours[0],
        "old_time": hours[1],
        "ref": f"CC-{rng.randrange(10000):04}",
        "name": rng.choice(_NAMES),
        "window": rng.choice((" por la mañana", " por la tarde", "")),
        "reason": rng.choice((" para su control", " para recoger sus medicamentos", "")),
        "options": f"{date} a las {hours[0]} o a las {hours[2]}",
    }


def _put_in(text: str, clause: str, place: str, rng: random.Random) -> str:
    sentence = f"{clause[0].upper()}{clause[1:]}."
    parts = re.split(r"(?<=[.!?])\s+", text)
    if place == "start":
        return f"{sentence} {text}"
    if place == "end":
        return f"{text} {sentence}"
    if place == "middle":
        at = rng.randrange(1, len(parts)) if len(parts) > 1 else 0
        return " ".join((*parts[:at], sentence, *parts[at:]))
    told = [n for n, part in enumerate(parts) if part.endswith(".") and len(part) > 12] or [0]
    at = rng.choice(told)
    before = parts[at].rstrip(".!?")
    form = rng.choice(_INSIDE)
    parts[at] = form.format(before=before, clause=clause, before_low=before[0].lower() + before[1:])
    return " ".join(parts)
