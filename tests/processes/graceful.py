"""What the tests of stopping share: patients who write, an end as a container's engine ends a process, the judge."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from demo.processes import Process
from demo.redis_server import RedisServer
from shared.identity import message_id
from tests.processes.system import PATIENT_ID_KEY, System, assert_answered_once_and_in_order
from tests.processes.test_load import SAID, body, signed_headers

ROOT = Path(__file__).parents[2]
ENGINE_S = 10.0  # what Docker gives a service that says nothing
PATIENTS = 8
EVERY_S = 0.15
GIVE_UP_S = 60


def stop_time_s(service: str) -> float:
    """Seconds from SIGTERM to SIGKILL: the shorter of what Compose and Kubernetes give."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"][service]
    given = float(str(compose.get("stop_grace_period", f"{ENGINE_S:g}s")).removesuffix("s"))
    file = ROOT / "deploy" / "kubernetes" / "base" / f"{service}.yaml"
    (pod,) = (
        document["spec"]["template"]["spec"]
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        if document["kind"] in ("Deployment", "StatefulSet")
    )
    return min(given, float(pod["terminationGracePeriodSeconds"]) - _pre_stop_s(pod))


def _pre_stop_s(pod: dict[str, Any]) -> float:
    """The pod's time counts from before its preStop command, a `sleep`."""
    command = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
    return float(command[1])


def end(running: Process | RedisServer, service: str, *codes: int) -> float:
    """SIGTERM to the main process alone, as an engine sends it; returns the seconds it took to end.

    `codes` are the exit codes that are right, 0 when none is given.
    """
    assert running.process is not None
    allowed_s, began = stop_time_s(service), time.monotonic()
    running.process.terminate()
    try:
        ended = running.process.wait(timeout=allowed_s)
    except subprocess.TimeoutExpired:
        ended = None
    took_s = time.monotonic() - began
    log = running.log() if isinstance(running, Process) else ""
    assert ended in (codes or (0,)), f"{service}: {ended} after {took_s:.1f} s\n{log[-4000:]}"
    print(f"{service}: {took_s:.1f} s of {allowed_s:g}")
    return took_s


@dataclass
class Written:
    """What was acknowledged, by patient, in order; and how often a post was refused and made again."""

    ids: dict[str, list[str]] = field(default_factory=lambda: {f"5917{n:07d}": [] for n in range(PATIENTS)})
    refused: int = 0

    def total(self) -> int:
        return sum(len(ids) for ids in self.ids.values())


@contextmanager
def patients_writing(system: System) -> Iterator[Written]:
    """Each writes one message after the other, the next once the last is acknowledged; refused posts are repeated."""
    written, enough = Written(), threading.Event()

    def write(phone: str) -> None:
        number = 0
        while not enough.wait(EVERY_S):
            wamid = f"wamid.{phone}.{number}"
            _post(system, body(phone, wamid, SAID[number % len(SAID)]), written)
            written.ids[phone].append(message_id(PATIENT_ID_KEY.encode(), wamid))
            number += 1

    with ThreadPoolExecutor(PATIENTS) as pool:
        running = [pool.submit(write, phone) for phone in written.ids]
        try:
            yield written
        finally:
            enough.set()
        for one in running:
            one.result()


def _post(system: System, content: bytes, written: Written) -> None:
    """Until it is acknowledged; whatever answers at all must answer 200."""
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            url = f"{system.url}/webhook/whatsapp"
            answer = requests.post(url, data=content, headers=signed_headers(content), timeout=30)
        except (requests.ConnectionError, requests.ReadTimeout):
            assert time.monotonic() < deadline
            written.refused += 1
            time.sleep(0.1)
        else:
            assert answer.status_code == 200
            return


def are_answered_once_and_in_order(system: System, written: Written) -> None:
    """All that was acknowledged, by what the simulated Graph API received."""
    system.wait_for(system.everything_is_answered, 120)
    assert_answered_once_and_in_order(system, written.ids)
    assert system.store.hlen("calls") == 0


def in_hand(system: System, lane: bool = False) -> int:
    """Turns (or deliveries) that a worker holds at this moment."""
    return sum((key.count(":") == 2) is lane for key in system.store.scan_iter("lease:p_*", count=1000))
