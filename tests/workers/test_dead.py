"""A turn that was given up is put back from the command line and answered, once, in order."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

import pytest
import redis

from shared.state import dead
from shared.state.dead import Letter, LetterKind, Refusal
from tests.workers.fakes import Clinic
from workers.dead import line, main


@pytest.fixture
def letter(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> Letter:
    """The turn of one message failed three times; what broke it is mended since."""

    def broken(*_: object) -> None:
        raise ValueError("our own fault")

    monkeypatch.setenv("REDIS_URL", clinic.settings.redis_url)
    with monkeypatch.context() as patch:
        patch.setattr("workers.drain.answer", broken)
        clinic.says("¿Cuánto tiempo dura el tratamiento?")
        for _ in range(3):
            clinic.end_delay()
            clinic.answered()
    [found] = dead.list_letters(clinic.client)
    assert len(clinic.received()) == 1  # the apology
    return found


def test_a_given_up_turn_is_answered_once_and_before_what_came_later(
    letter: Letter, clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    later = clinic.says("hola", kind="choice", choice_id="x")  # a turn of its own
    assert main(["replay", letter.id]) == 0
    assert main(["replay", letter.id]) == 1
    told = capsys.readouterr()
    assert told.out == f"{letter.id} put back\n"
    assert "is not there" in told.err
    rows = clinic.client.lrange(f"inbox:{clinic.patient}", 0, -1)
    assert [later in raw for raw in rows] == [False, True]
    replies = clinic.answered()
    clinic.answered()
    assert sum("6 meses" in text for text in replies) == 1
    assert clinic.received() == replies
    assert clinic.left() == 0
    assert dead.list_letters(clinic.client) == []


def test_a_turn_that_fails_again_has_three_tries_again(
    letter: Letter, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("not mended at all")

    monkeypatch.setattr("workers.drain.answer", broken)
    assert dead.replay(clinic.client, letter.id, by="ana")
    clinic.drain()
    assert dead.list_letters(clinic.client) == []
    for _ in range(2):
        clinic.end_delay()
        clinic.drain()
    [again] = dead.list_letters(clinic.client)
    assert again.messages == letter.messages


def test_all_that_can_be_put_back_is_and_the_rest_is_named(
    letter: Letter, clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    status = {"delivery": "d_9", "box": f"{clinic.patient}:normal", "kind": "reply", "code": "131026", "why": "status"}
    clinic.client.lpush("dead", json.dumps(status))
    assert main(["list"]) == 0
    assert main(["replay", "--all"]) == 0
    told = capsys.readouterr()
    assert "1 put back, 1 left" in told.out
    assert "cannot be put back (status)" in told.out
    assert clinic.left() == 1
    [left] = dead.list_letters(clinic.client)
    assert main(["replay", left.id]) == 1
    assert "its text is not kept" in capsys.readouterr().err
    assert main(["drop", left.id]) == 0
    assert main(["drop", left.id]) == 1
    assert clinic.client.llen("dead") == 0


def test_a_letter_is_one_line_without_text() -> None:
    at = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    letter = Letter("x_1", LetterKind.STATUS, "status", "p_1", at, "131026", (), "d_1", Refusal.STATUS, "secreto")
    assert line(letter, ZoneInfo("America/La_Paz")) == (
        "x_1  2026-03-02 08:00:00  status    status 131026  p_1  0 message(s)  cannot be put back (status)"
    )


def test_without_redis_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    assert main(["list"]) == 2
    assert "Redis is unreachable" in capsys.readouterr().err


def test_bodies_are_not_posted_without_a_secret(
    client: redis.Redis, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", clinic.settings.redis_url)
    client.lpush("unreadable", "{broken")
    assert main(["unreadable"]) == 0
    assert "cannot be unpacked" in capsys.readouterr().out
    assert main(["unreadable", "--replay"]) == 2
    assert client.llen("unreadable") == 1
