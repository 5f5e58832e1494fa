"""The short version of `make chaos`: every kind of fault once while patients write, and three zeros.

The long one is `make chaos`, by hand; both print the seed that repeats them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.identity import message_id
from tests.chaos.__main__ import table
from tests.chaos.chaos import KINDS, plan, run
from tests.chaos.judge import judge
from tests.chaos.posting import IN_DANGER, TAPPING, Said
from tests.processes.system import PATIENT_ID_KEY
from workers.triage import delivery_id

SEED = 48  # its refusal for the pair rate comes early: at a fourth try Meta asks for 256 s of silence
SECONDS = 100


@pytest.mark.processes
@pytest.mark.timeout(600)
def test_nothing_is_lost_doubled_or_reordered_whatever_breaks(tmp_path: Path) -> None:
    done = run(tmp_path, seed=SEED, seconds=SECONDS, per_second=3)
    print(table(done))
    assert done.verdict.is_clean, table(done)
    assert done.failed == []
    assert len(done.injected) >= 25
    assert done.verdict.messages > 150


def test_a_plan_is_repeated_by_its_seed_and_holds_every_kind() -> None:
    first = list(plan(3, 600, KINDS))
    assert first == list(plan(3, 600, KINDS))
    assert first != list(plan(4, 600, KINDS))
    assert {fault.name for _, fault in first} == {kind.name for kind in KINDS}
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 25


def test_faults_of_one_place_never_meet() -> None:
    over: dict[str, float] = {}
    for at, fault in plan(5, 1800, KINDS):
        assert at > over.get(fault.place, 0)
        over[fault.place] = at + fault.seconds
        assert over[fault.place] <= 1800


# The judge itself: what it must not let pass.

WORDS = {"dosis": "Si olvidó una dosis", "llegar": "Estamos en"}


def said(number: int, rank: int, topic: str = "dosis", sort: str = TAPPING) -> Said:
    return Said("5917", sort, rank, f"wamid.{number}", topic if sort == TAPPING else "", b"")


def got(
    number: int, second: int, text: str = "Si olvidó una dosis, …", role: str = "reply", told: int = 0
) -> dict[str, object]:
    id_ = delivery_id(message_id(PATIENT_ID_KEY.encode(), f"wamid.{number}"), role)
    statuses = [{"status": "sent", "acknowledged_at": _at(told)}] if told else []
    return {"delivery_id": id_, "text": text, "at": _at(second), "statuses": statuses}


def _at(second: int) -> str:
    return f"2026-11-26T09:00:{second:02}+00:00"


FAULT = [(1795683600.0, 1795683600.0 + 60)]  # all of that minute


@pytest.mark.parametrize(
    ("messages", "received", "faults", "found"),
    [
        ([said(1, 1), said(2, 2)], [got(1, 1), got(2, 2)], [], (0, 0, 0, 0)),
        ([said(1, 1), said(2, 2)], [got(2, 2)], [], (1, 0, 0, 0)),
        ([said(1, 1)], [got(1, 1, "Estamos en la calle …")], [], (1, 0, 0, 0)),
        ([said(1, 1), said(2, 2)], [got(2, 1), got(1, 2)], [], (0, 0, 1, 0)),
        ([said(1, 1), said(2, 1)], [got(2, 1), got(1, 2)], [], (0, 0, 0, 0)),  # posted side by side
        ([said(1, 1)], [got(1, 1), got(1, 20)], FAULT, (0, 0, 0, 1)),
        ([said(1, 1)], [got(1, 1), got(1, 20)], [], (0, 1, 0, 0)),  # nothing kept the answer from us
        ([said(1, 1)], [got(1, 1, told=5), got(1, 20)], FAULT, (0, 1, 0, 0)),  # a status had said it
        ([said(1, 1)], [got(1, 1, told=30), got(1, 20)], FAULT, (0, 0, 0, 1)),
        ([said(1, 1, sort=IN_DANGER)], [got(1, 1, role="reply")], [], (1, 0, 0, 0)),
        ([said(1, 1, sort=IN_DANGER)], [got(1, 1, role="danger")], [], (0, 0, 0, 0)),
    ],
    ids="answered silent other_words reversed together withheld doubled told told_late not_fixed alarm".split(),
)
def test_the_judge(
    messages: list[Said], received: list[dict[str, object]], faults: list[tuple[float, float]], found: tuple[int, ...]
) -> None:
    verdict = judge(messages, received, {}, WORDS, faults)
    assert (len(verdict.lost), len(verdict.doubled), len(verdict.disordered), verdict.withheld) == found


def test_what_staff_were_asked_to_call_about_is_counted_apart() -> None:
    reply = str(got(1, 1)["delivery_id"])
    verdict = judge([said(1, 1), said(2, 2)], [got(2, 2)], {}, WORDS, [], {reply})
    assert (len(verdict.called), verdict.lost) == (1, [])


def test_an_apology_is_no_answer() -> None:
    id_ = message_id(PATIENT_ID_KEY.encode(), "wamid.1")
    apology = got(1, 1, "Algo falló", role="apology")
    verdict = judge([said(1, 1)], [apology], {str(apology["delivery_id"]): [id_]}, WORDS, [])
    assert len(verdict.lost) == 1
