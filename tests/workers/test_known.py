"""The model may reword a card; it may not answer another question or add to it."""

from __future__ import annotations

import pytest
import redis

from shared.metrics import Metrics
from shared.settings import Settings
from shared.texts import Texts
from workers.known import build_known

CARD = "No tome alcohol durante el tratamiento: aumenta el riesgo de daño al hígado."


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Durante el tratamiento no tome alcohol, porque aumenta el riesgo de daño al hígado.", True),
        ("El embarazo no impide el tratamiento. Por lo general se puede seguir dando pecho.", False),
        ("No tome alcohol durante el tratamiento. Tome 2 pastillas cada día.", False),
        ("Deje las pastillas si toma alcohol.", False),
    ],
)
def test_a_reworded_card_is_judged(text: str, allowed: bool, settings: Settings, client: redis.Redis) -> None:
    metrics = Metrics(client)
    known = build_known(settings, Texts.load(settings), metrics)
    assert known.approves(text, CARD) is allowed
    metrics.flush()
    blocked = [key for key in client.hkeys("metrics") if key.startswith("replies_blocked_total")]
    assert bool(blocked) is not allowed
