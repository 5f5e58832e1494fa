"""Sends whose end is unknown: the rows of the table in docs/reliability.md, with real processes and a simulated Meta.

Rows that need no process are tests of the store: tests/shared/state/test_outbox.py. Kills: test_kill_matrix.py.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from demo.processes import ROOT
from shared.identity import candidate_ids
from shared.messages import Identity
from shared.state import staff
from tests.processes.system import PATIENT_ID_KEY, System, started
from tests.processes.test_reminders import remind_nobody_else, ring_remind, tomorrow

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

KINDS = ("reply", "staff", "danger", "reminder")
_NUMBERS = itertools.count()
LANES = {"reply": "normal", "staff": "normal", "danger": "urgent", "reminder": "reminder"}
FAILURES = {
    "500": {"status": 500, "code": 131000},
    "html": {"status": 503, "raw_body": "<html>busy</html>"},
    "hangs_up": {"drop": "before"},
}


@dataclass
class Send:
    """One delivery of one patient, and what the simulated Meta knows of it."""

    system: System
    patient: str
    kind: str
    before: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Of the delivery in question, once there is one; '' before."""
        box = f"{patient_id(self.patient)}:{LANES[self.kind]}"
        store = self.system.store
        found = [k for k in store.scan_iter("delivery:*", count=1000) if store.hget(k, "box") == box]
        new = [key.removeprefix("delivery:") for key in found if key.removeprefix("delivery:") not in self.before]
        assert len(new) <= 1, new
        return new[0] if new else ""

    def field(self, name: str) -> str:
        return str(self.system.store.hget(f"delivery:{self.id}", name) or "")

    def copies(self) -> int:
        """How often the patient got it."""
        return self.system.sent_deliveries().count(self.id)

    def is_settled(self) -> bool:
        """It has left the outbox, whatever became of it."""
        box = f"outbox:{patient_id(self.patient)}:{LANES[self.kind]}"
        return bool(self.id) and not self.system.store.exists(box) and self.field("state") != "sending"

    def call(self) -> dict[str, Any]:
        """Its line on the call list."""
        return dict(json.loads(self.system.store.hget("calls", self.id) or "{}"))

    def letters(self) -> list[dict[str, Any]]:
        letters = (json.loads(letter) for letter in self.system.store.lrange("dead", 0, -1))
        return [letter for letter in letters if letter.get("delivery") == self.id]


def patient_id(number: str) -> str:
    return candidate_ids(PATIENT_ID_KEY.encode(), Identity(number=number.lstrip("+")))[0]


def send(system: System, kind: str, number: int, **fault: Any) -> Send:
    """Let one delivery of this kind be made to a patient of its own, whose first call at Meta meets the fault."""
    patient = f"+5917333{number:04d}"
    p, before = patient_id(patient), frozenset[str]()
    if kind == "reminder":
        tomorrow(system, patient)
    if kind == "staff":
        system.says(patient, "hola")
        system.reply(patient)
        system.wait_for(system.everything_is_answered)
        before = frozenset(key.removeprefix("delivery:") for key in system.store.scan_iter("delivery:*", count=1000))
        system.store.set(f"handoff:{p}", '{"reason": "person"}', ex=3600)
    system.control("faults", {"patient": patient, **fault})
    if kind == "reply":
        system.says(patient, "¿qué es la tuberculosis?")
    elif kind == "danger":
        system.says(patient, "no puedo respirar")
    elif kind == "reminder":
        ring_remind(system)
    else:
        staff.reply(system.store, p, "form", "Le llamo enseguida.", "operator", datetime.now(UTC))
    return Send(system, patient, kind, before)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    settings = {"QUIET_HOURS": "0-0", "REMINDER_SPREAD_MINUTES": "0"}
    with started(tmp_path_factory.mktemp("unknown"), **settings) as system:
        remind_nobody_else(system)
        system.start_worker()
        yield system


@pytest.fixture
def number() -> int:
    """A patient of this test alone."""
    return next(_NUMBERS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_lost_and_a_status_comes(system: System, kind: str, number: int) -> None:
    made = send(system, kind, number, drop="after")
    system.wait_for(made.is_settled, 100)
    assert (made.field("state"), made.field("attempts"), made.copies()) == ("sent", "1", 1)
    assert not made.call()


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "never_answered"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_status_comes_before_the_answer(system: System, kind: str, answered: bool, number: int) -> None:
    lost = {} if answered else {"drop": "after"}
    made = send(system, kind, number, statuses="before_answer", **lost)
    system.wait_for(made.is_settled, 100)
    assert (made.field("state"), made.field("attempts"), made.copies()) == ("sent", "1", 1)
    assert not made.call()


@pytest.mark.parametrize("kind", KINDS)
def test_neither_answer_nor_status_comes(system: System, kind: str, number: int) -> None:
    made = send(system, kind, number, drop="after", statuses="none")
    system.wait_for(made.is_settled, 100)
    if kind == "reminder":
        assert (made.field("state"), made.field("attempts"), made.copies()) == ("failed", "1", 1)
        assert made.call()["why"] == "unknown"
    else:
        assert (made.field("state"), made.field("attempts"), made.copies()) == ("sent", "2", 2)
        assert not made.call()


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", KINDS)
def test_meta_fails_once(system: System, kind: str, failure: str, number: int) -> None:
    made = send(system, kind, number, **FAILURES[failure])
    system.wait_for(made.is_settled, 100)
    if kind == "reminder":
        assert (made.field("state"), made.copies()) == ("failed", 0)
        assert made.call()["why"] == "unknown"
    else:
        assert (made.field("state"), made.field("attempts"), made.copies()) == ("sent", "2", 1)
        assert not made.call()


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_lost_and_a_status_says_failed(system: System, kind: str, number: int) -> None:
    made = send(system, kind, number, drop="after", statuses="failed")
    system.wait_for(made.is_settled, 100)
    assert (made.field("state"), made.field("attempts")) == ("failed", "1")
    assert bool(made.call()) == (kind == "reminder")
    assert len(made.letters()) == (kind != "reminder")


@pytest.mark.parametrize("kind", ["reply", "staff", "danger"])
def test_the_status_comes_after_the_repetition(system: System, kind: str, number: int) -> None:
    made = send(system, kind, number, drop="after", statuses="late", status_delay_s=6)
    system.wait_for(lambda: made.is_settled() and made.copies() == 2)
    system.wait_for(lambda: system.control("idle", timeout=20)["idle"])  # all statuses of both have come
    system.wait_for(made.is_settled, 100)
    assert (made.field("state"), made.field("attempts"), made.copies()) == ("sent", "2", 2)


def test_meta_takes_nothing_for_ten_minutes(tmp_path: Path) -> None:
    """Ten minutes are twenty times SETTLE_S: here 20 s. Everybody is answered once, and nobody has to be called."""
    with started(tmp_path, SETTLE_S="1", LEASE_S="2", BURST_WAIT_MS="0") as system:
        system.start_worker()
        failures, made = list(FAILURES.values()), []
        began = time.monotonic()
        for number in range(10):
            time.sleep(max(0.0, began + 2 * number - time.monotonic()))
            kind = "danger" if number % 5 == 2 else "reply"
            made.append(send(system, kind, number, times=0, **failures[number % len(failures)]))
        time.sleep(max(0.0, began + 20 - time.monotonic()))
        assert system.sent_deliveries() == []
        system.control("faults", method="DELETE")
        system.wait_for(system.everything_is_answered)
        assert [one.copies() for one in made] == [1] * len(made)
        assert not system.store.exists("calls", "dead")


def test_the_status_waits_on_the_webhooks_disk_while_redis_is_away(tmp_path: Path) -> None:
    """Longer than SETTLE_S; and the webhook replays later than the first sweep: the reply is not repeated."""
    settle_s = 8
    with started(tmp_path, SETTLE_S=str(settle_s)) as system:
        webhook = next(process for process in system.running if process.name == "webhook")
        worker = system.start_worker()
        made = send(system, "reply", 1, drop="after", statuses="late", status_delay_s=3)
        system.wait_for(lambda: made.field("state") == "unknown")
        unknown_at, delivery = time.monotonic(), made.id
        system.redis_server.stop()
        system.wait_for(lambda: _acknowledged(system, delivery))
        time.sleep(max(0.0, unknown_at + settle_s + 1 - time.monotonic()))
        webhook.send(signal.SIGSTOP)
        try:
            system.redis_server.start()
            if not worker.is_running():  # its supervisor's part
                system.start_worker("again")
            swept = system.store.get("swept")
            system.wait_for(lambda: system.store.get("swept") != swept)
            time.sleep(2)  # a repetition would be made by the first sweep
            assert system.sent_deliveries() == [delivery]
        finally:
            webhook.send(signal.SIGCONT)
        system.wait_for(lambda: made.field("state") == "sent")
        system.wait_for(system.everything_is_answered)
        assert system.sent_deliveries() == [delivery]


def _acknowledged(system: System, delivery: str) -> bool:
    """The webhook has answered 200 to a status of this delivery."""
    found = system.control("messages", direction="to_patient", limit=1000)["messages"]
    return any("acknowledged_at" in s for m in found if m["delivery_id"] == delivery for s in m["statuses"])


# The table in docs/reliability.md


def _rows() -> list[list[str]]:
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    section = text.partition("## Sends whose end is unknown\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_policy_has_rows_and_each_names_a_test_that_exists() -> None:
    rows = _rows()
    assert len(rows) >= 12
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row[-1])
        assert named, row[0]
        for path, test in named:
            assert f"def {test}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_each_test_of_this_module_stands_in_the_policy() -> None:
    own: list[Callable[..., object]] = [v for k, v in globals().items() if k.startswith("test_")]
    cells = " ".join(row[-1] for row in _rows())
    missing = [test.__name__ for test in own if f"::{test.__name__}`" not in cells and "policy" not in test.__name__]
    assert not missing
