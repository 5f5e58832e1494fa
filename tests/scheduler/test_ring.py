"""Ringing by hand: the right queue gets one message, and a broker that is away is said in a sentence."""

from __future__ import annotations

import pytest
import redis

from scheduler import ring
from scheduler.schedule import SCHEDULE
from shared.celery_app import KEY_PREFIX
from shared.settings import Settings


def test_a_ring_puts_one_message_into_its_queue(
    settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ring, "load", lambda role: settings)
    assert ring.main(["remind"]) == 0
    assert client.llen(f"{KEY_PREFIX}ops") == 1
    assert "rang assistant.remind" in capsys.readouterr().out


def test_a_broker_that_is_away_is_said_in_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = Settings(_env_file=None, DEMO=True, REDIS_URL="redis://127.0.0.1:9/0")
    monkeypatch.setattr(ring, "load", lambda role: away)
    assert ring.main(["report"]) == ring.NO_BROKER
    assert "cannot be reached" in capsys.readouterr().err


def test_what_is_not_in_the_table_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "load", lambda role: settings)
    with pytest.raises(SystemExit):
        ring.main(["nothing"])


def test_everything_beat_rings_expires() -> None:
    """A bell that nobody heard must not be answered a day later."""
    assert all(entry["options"]["expires"] for entry in SCHEDULE.values())
