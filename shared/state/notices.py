"""Who waits for an answer for so long that they should be told, and the one notice that tells them.

The clock `untold` is kept by the scripts that begin and end a wait: accept.lua starts it for the first message of an
empty inbox, commit.lua and give_up.lua stop it, or start it anew for what is left. Called by `workers.notices`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import redis

from shared.messages import Delivery
from shared.state.at_rest import stored_delivery
from shared.state.store import Value, script

WINDOW = timedelta(hours=24)  # after the patient's last message Meta takes free text for so long
LOOK_AGAIN_MS = 10_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A patient whose oldest message has waited too long. `head`: the entry of the inbox, as stored."""

    patient: str
    head: str
    seconds: float


def take_waiting(client: redis.Redis, *, after_s: float, at_most: int) -> list[Waiting]:
    """Patients to be told now; whoever asks first in a second gets them, `at_most` for all workers together."""
    args: list[Value] = [round(after_s * 1000), at_most, LOOK_AGAIN_MS]
    flat = script("untold")(client, ["untold", "notices_rung"], args)
    return [Waiting(flat[i], flat[i + 1], int(flat[i + 2]) / 1000) for i in range(0, len(flat), 3)]


def never_tell(client: redis.Redis, patient: str) -> None:
    """Nobody is to be told: the message did not come by WhatsApp, or cannot be read."""
    client.zrem("untold", patient)


def tell(client: redis.Redis, notices: Sequence[tuple[Waiting, str, Delivery]]) -> int:
    """Queue notices, each behind what its patient is to receive anyway, in one round trip.

    Args:
        client: state store.
        notices: who, the id of the message that waits, and the notice.

    Returns:
        How many were queued; the others were answered, told or taken over meanwhile.
    """
    calls: list[tuple[list[str], list[Value]]] = []
    for waiting, message_id, delivery in notices:
        p, box = waiting.patient, f"{waiting.patient}:normal"
        keys = ["untold", f"inbox:{p}", f"outbox:{box}", "outgoing", f"delivery:{delivery.id}"]
        keys += [f"handoff:{p}", f"optout:{p}", f"address:{p}", "fresh"]
        args: list[Value] = [p, waiting.head, delivery.id, stored_delivery(client, delivery), box]
        args += [round(WINDOW.total_seconds() * 1000), f"{message_id} {delivery.id}"]
        args.append(json.dumps({"waited_s": round(waiting.seconds)}))
        calls.append((keys, args))
    return sum(result == 1 for result in script("notice").many(client, calls)) if calls else 0
