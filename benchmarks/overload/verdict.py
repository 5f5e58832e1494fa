"""What became of every message, from the audit and from what the simulated Meta received (pure).

Lost, doubled, out of order; who was told that they wait, and whether once and before the answer; how long danger took.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from shared.state.audit import Event, Record


@dataclass
class Verdict:
    """Message ids and patients for each thing that went wrong, and the waits in seconds."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    told: int = 0  # patients who read a notice
    told_wrongly: list[str] = field(default_factory=list)  # twice without an answer between, or after the answer
    replies: int = 0
    waits_s: list[float] = field(default_factory=list)  # acceptance to reply, one for each message
    danger_s: list[float] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.told_wrongly)


def judge(written: Mapping[str, Sequence[str]], records: Iterable[Record], received: Sequence[str]) -> Verdict:
    """Compare what was acknowledged with what was received.

    Args:
        written: patient -> ids of the acknowledged messages, in the order in which they were posted.
        records: the audit.
        received: delivery ids, in the order in which Meta accepted them.
    """
    ours = {message for messages in written.values() for message in messages}
    place: dict[str, int] = {}
    for n, delivery in enumerate(received):
        place.setdefault(delivery, n)
    accepted: dict[str, float] = {}
    sent: dict[str, float] = {}
    answers: dict[str, set[str]] = defaultdict(set)  # message -> deliveries that answer it
    notices: dict[str, list[str]] = defaultdict(list)  # message -> notices about it
    in_danger: set[str] = set()
    for record in records:
        about = [i for i in record.ids if i in ours]
        deliveries = [i for i in record.ids if i.startswith("d_")]
        if record.event == Event.ACCEPTED:
            accepted |= dict.fromkeys(about, record.at.timestamp())
        elif record.event in (Event.COMMITTED, Event.ALARM):
            for message in about:
                answers[message].update(d for d in deliveries if d in place)
            in_danger.update(about if record.event == Event.ALARM else ())
        elif record.event == Event.NOTICED:
            for message in about:
                notices[message] += [d for d in deliveries if d in place]
        elif record.event == Event.SENT:
            for delivery in deliveries:
                sent.setdefault(delivery, record.at.timestamp())
    found = Verdict()
    found.doubled += [delivery for delivery, times in Counter(received).items() if times > 1]
    for patient, messages in written.items():
        _judge_patient(found, patient, messages, answers, notices, place)
    for message in ours:
        if answers[message]:
            reply = min(answers[message], key=lambda d: place[d])
            wait_s = sent.get(reply, accepted[message]) - accepted[message]
            (found.danger_s if message in in_danger else found.waits_s).append(wait_s)
    replies = {delivery for deliveries in answers.values() for delivery in deliveries}
    found.replies = len(replies)
    return found


def _judge_patient(
    found: Verdict,
    patient: str,
    messages: Sequence[str],
    answers: Mapping[str, set[str]],
    notices: Mapping[str, Sequence[str]],
    place: Mapping[str, int],
) -> None:
    found.lost += [message for message in messages if not answers.get(message)]
    found.doubled += [message for message in messages if len(answers.get(message, ())) > 1]
    places = [min(place[d] for d in answers[m]) for m in messages if answers.get(m)]
    if any(earlier > later for earlier, later in pairwise(places)):
        found.disordered.append(patient)
    told = [(place[d], m) for m in messages for d in notices.get(m, ())]
    found.told += bool(told)
    late = any(at > min((place[d] for d in answers.get(m, ())), default=at) for at, m in told)
    between = any(not any(a < x < b for x in places) for (a, _), (b, _) in pairwise(sorted(told)))
    if late or between:
        found.told_wrongly.append(patient)
