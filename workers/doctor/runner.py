"""Runs the checks side by side and hands them out in their order: a slow or broken one never hides another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workers.doctor.check import Check, failed

LIMIT_S = 30.0  # each request has a limit of its own of a few seconds; this one is for whatever forgot it
TIMEOUT_S = 5.0  # of one request


@dataclass(frozen=True)
class Group:
    """What is asked in one thread. `name` stands for its checks when they cannot be had."""

    name: str
    run: Callable[[], list[Check]]


def run_all(groups: Sequence[Group], limit_s: float = LIMIT_S) -> Iterator[Check]:
    """Yield the checks of all groups in the order of the groups, each as soon as those before it are there."""
    results: list[list[Check] | None] = [None] * len(groups)

    def work(place: int, group: Group) -> None:
        try:
            results[place] = group.run()
        except Exception as error:
            # A fault of ours or an answer nobody thought of. Its text may hold an address or a token: only its type.
            results[place] = [
                failed(group.name, f"the check broke: {type(error).__name__}", "report this as a fault of the doctor")
            ]

    threads = [
        threading.Thread(target=work, args=(place, group), name=f"doctor-{group.name}", daemon=True)
        for place, group in enumerate(groups)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit_s
    for place, (group, thread) in enumerate(zip(groups, threads, strict=True)):
        thread.join(max(0.0, deadline - time.monotonic()))
        found = results[place]
        if found is None:
            found = [failed(group.name, f"no result within {limit_s:.0f} s", "look whether this service hangs")]
        yield from found
