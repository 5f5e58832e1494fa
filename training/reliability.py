"""Counts how far the rules can be believed: `python -m training.reliability`.

Writes shared/assets/rules_reliability.json (see `workers.language.reliability`).

Reads every training and validation family once or a few times, as the road would: what the danger rules find never
reaches the intent rules. Run it again whenever the cue lists or the data change.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Iterable

from tqdm import tqdm

from shared.prediction import Intent
from training import context
from training.families import Family, families
from training.phrases import expand
from workers.language.reliability import BANDS, FILE, band
from workers.safety.danger import find_danger
from workers.understanding import read_rules

NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=context.TZ)
DRAWS_OF_A_TEMPLATE = 3
PRIOR = 0.25  # pseudo-messages per cell: a reading never seen is improbable, not impossible


def count(members: Iterable[Family], seed: int = 5) -> dict[Intent, Counter[str]]:
    """Read each family by rules and count the readings by what was meant."""
    rng = random.Random(seed)
    found: dict[Intent, Counter[str]] = {intent: Counter() for intent in Intent}
    for family in members:
        for _ in range(1 if family.voice else DRAWS_OF_A_TEMPLATE):
            phrase = expand(family.line, rng)
            text = "".join(piece.text for piece in phrase.pieces)
            if find_danger(text):
                continue
            state = context.draw(family.intent, phrase.slots, rng, family.state).state
            reading = read_rules(text, NOW, state).reading
            found[family.intent][f"{reading.intent}:{band(reading.strength)}"] += 1
    return found


def likelihoods(found: dict[Intent, Counter[str]]) -> dict[str, dict[str, float]]:
    """Turn counts into P(reading | meant), each intent's readings summing to one."""
    keys = [f"{intent}:{name}" for intent in Intent for name, _ in BANDS]
    totals = {intent: counts.total() + PRIOR * len(keys) for intent, counts in found.items()}
    return {
        key: {intent.value: round((found[intent][key] + PRIOR) / totals[intent], 6) for intent in Intent}
        for key in keys
        if any(found[intent][key] for intent in Intent)
    }


def main() -> None:
    members = [*families()["train"], *families()["val"]]
    found = count(tqdm(members, desc="messages"))
    content = {"messages": sum(counts.total() for counts in found.values()), "likelihood": likelihoods(found)}
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{FILE.name}: {content['messages']} messages")


if __name__ == "__main__":
    main()
