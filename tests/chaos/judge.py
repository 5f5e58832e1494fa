"""What became of every message, judged by what the simulator received: lost, doubled, out of order.

The name of a reply is made of the message that heads its turn, so that a tap and a danger message find theirs without
asking the store; a tap's reply must also hold the words of its topic. Only which questions were answered together is
read from the store.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from shared.identity import message_id
from tests.chaos.posting import BOOKING, IN_DANGER, TAPPING, Said
from tests.processes.system import PATIENT_ID_KEY
from workers.triage import delivery_id

Received = Mapping[str, Any]


@dataclass
class Verdict:
    """Sentences for each thing that went wrong; `withheld` counts sends whose answer and status were both withheld."""

    messages: int = 0
    replies: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)  # withheld twice, so that staff were asked to call: no reply came
    withheld: int = 0
    bookings: int = 0
    dead: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.dead)


def judge(
    said: Sequence[Said],
    received: Sequence[Received],
    covers: Mapping[str, Sequence[str]],
    words: Mapping[str, str],
    withholding: Sequence[tuple[float, float]],
    calls: Collection[str] = (),
) -> Verdict:
    """Compare what patients wrote with what they got.

    Args:
        said: every message.
        received: what the simulated Graph API accepted, in order.
        covers: delivery id -> message ids that it answers, from the store.
        words: topic -> the text that answers its button.
        withholding: stretches of time, Unix seconds, in which a fault could keep an answer of Meta from us.
        calls: delivery ids on the call list of staff.
    """
    verdict = Verdict(messages=len(said), replies=len(received))
    copies: dict[str, list[Received]] = defaultdict(list)
    first: dict[str, int] = {}
    for place, copy in enumerate(received):
        copies[str(copy["delivery_id"])].append(copy)
        first.setdefault(str(copy["delivery_id"]), place)
    _find_doubles(verdict, copies, withholding)

    ids = {message_id(PATIENT_ID_KEY.encode(), one.wamid): one for one in said}
    answered: dict[str, list[str]] = defaultdict(list)  # message id -> deliveries that were received
    for delivery, covered in covers.items():
        if delivery in first:
            for message in covered:
                answered[message].append(delivery)
    places: dict[str, list[tuple[int, int, Said]]] = defaultdict(list)  # patient -> rank, place
    for id_, one in ids.items():
        role = "danger" if one.sort == IN_DANGER else "reply"
        own = delivery_id(id_, role)
        found = [own] if own in first else []
        if one.sort not in (TAPPING, IN_DANGER) or delivery_id(id_, "apology") in first:
            found = answered.get(id_, [])
        on_list = own in calls or any(id_ in covers.get(delivery, ()) for delivery in calls)
        if not found and on_list:
            verdict.called.append(f"{one.wamid} of {one.sort}, rank {one.rank}: staff were asked to call")
            continue
        if delivery_id(id_, "apology") in found or not found:
            what = "an apology" if found else "nothing"
            verdict.lost.append(f"{one.wamid} of {one.sort}, rank {one.rank}: {what} was received ({own})")
            continue
        if len(found) > 1:
            verdict.doubled.append(f"{one.wamid} of {one.sort}: answered by {found}")
        if one.topic and words[one.topic] not in (got := str(copies[found[0]][0]["text"])):
            verdict.lost.append(f"{one.wamid}: asked for {one.topic} and got {got[:60]!r}")
        if one.sort != IN_DANGER:
            places[one.patient].append((one.rank, first[found[0]], one))
    for patient, ranked in places.items():
        ranked.sort(key=lambda each: each[0])
        for (rank, place, earlier), (later, later_place, other) in pairwise(ranked):
            if rank < later and place > later_place:
                verdict.disordered.append(f"{patient}: {earlier.wamid} was answered after {other.wamid}")
    return verdict


def _find_doubles(
    verdict: Verdict, copies: Mapping[str, Sequence[Received]], withholding: Sequence[tuple[float, float]]
) -> None:
    """A reply that was sent again is excused when neither its answer nor a status had reached us before."""
    for delivery, sent in copies.items():
        for before, again in pairwise(sent):
            told = [s["acknowledged_at"] for s in before["statuses"] if "acknowledged_at" in s]
            at = _seconds(before["at"])
            if not any(time < again["at"] for time in told) and any(a <= at + 10 and at <= b for a, b in withholding):
                verdict.withheld += 1
            else:
                verdict.doubled.append(f"{delivery}: {before['at']} and {again['at']}, status told {sorted(told)[:1]}")


def judge_bookings(verdict: Verdict, confirmed: Mapping[str, str], agenda: Sequence[Mapping[str, Any]]) -> None:
    """Who confirmed has one visit, nobody has two."""
    visits = Counter(str(row["phone"]).lstrip("+") for row in agenda if row["status"] == "scheduled")
    for phone, text in confirmed.items():
        if visits[phone] == 0:
            verdict.lost.append(f"booking of {phone}: confirmed, not written; read {text[:60]!r}")
        verdict.bookings += 1
    verdict.doubled += [f"booking of {p}: {n} visits" for p, n in visits.items() if n > 1 and p.startswith("5916")]


def _seconds(at: str) -> float:
    return dt.datetime.fromisoformat(at).timestamp()


__all__ = ["BOOKING", "Verdict", "judge", "judge_bookings"]
