"""Who writes what and when while there are too many, and the senders that post it on time.

Half of the patients write once, three in ten write a burst of three, two in ten write again after a while; a few write
of a danger sign. Each patient has one sender, so that their messages reach the webhook in the order they were written.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.reminders import QUESTIONS
from benchmarks.senders import Connection, signed_request

SENDERS = 64  # the webhook's answers must not hold back what is written next
IN_DANGER = ("estoy tosiendo sangre", "no puedo respirar bien", "tengo los ojos amarillos")
DANGER_EVERY = 100  # patients


@dataclass(frozen=True)
class Line:
    """One message: when it is posted, by whom, and its number, of which its id is made."""

    at_s: float
    patient: int
    number: int
    text: str
    in_danger: bool = False


@dataclass(frozen=True)
class Posted:
    line: Line
    status: int
    seconds: float  # from the request to the answer
    late_s: float  # the sender was so late: the fault of this program, not of the webhook


def crowd(messages: int, seconds: float, seed: int = 1) -> list[Line]:
    """So many messages spread over so many seconds, in order of time (pure)."""
    chance = random.Random(seed)
    said: list[list[float]] = []
    left = messages
    while left > 0:
        shape = chance.random()
        if len(said) % DANGER_EVERY == DANGER_EVERY // 2 or shape < 0.5:
            after = [0.0]
        elif shape < 0.8:
            after = [0.0, chance.uniform(0.2, 0.7), chance.uniform(0.8, 1.6)]
        else:
            after = [0.0, chance.uniform(0.2, 0.5) * seconds]
        begin = chance.uniform(0, max(0.0, seconds - after[-1]))
        said.append([begin + gap for gap in after[:left]])
        left -= len(said[-1])
    lines = []
    for patient, times in enumerate(said):
        danger = patient % DANGER_EVERY == DANGER_EVERY // 2
        for place, at in enumerate(times):
            text = chance.choice(IN_DANGER if danger else QUESTIONS)
            lines.append(Line(at, patient, patient + place * len(said), text, danger))
    return sorted(lines, key=lambda line: line.at_s)


def patients_of(lines: Sequence[Line]) -> int:
    return 1 + max(line.patient for line in lines)


def post(lines: Sequence[Line], port: int, secret: bytes, run: str) -> list[Posted]:
    """Post every line at its time; returns what became of each."""
    patients, began = patients_of(lines), time.perf_counter() + 0.5
    posted: list[Posted] = []
    lock = threading.Lock()

    def sender(own: Sequence[Line]) -> None:
        connection = Connection(port)
        for line in own:
            time.sleep(max(0.0, began + line.at_s - time.perf_counter()))
            late_s = time.perf_counter() - began - line.at_s
            request = signed_request(port, secret, line.number, run, patients, line.text)
            status, took = connection.post(request)
            with lock:
                posted.append(Posted(line, status, took, late_s))
        connection.close()

    with ThreadPoolExecutor(SENDERS) as pool:
        for one in [pool.submit(sender, [x for x in lines if x.patient % SENDERS == k]) for k in range(SENDERS)]:
            one.result()
    return posted
