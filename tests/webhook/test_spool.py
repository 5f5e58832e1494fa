"""Redis away, hung, full, and back: what Meta is answered, and in which order patients' messages reach Redis."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from pydantic import SecretStr

from demo.redis_server import RedisServer
from shared.settings import Settings
from shared.spool import SpoolError
from tests.webhook.conftest import envelope, sign, text_message
from webhook import replay
from webhook.app import Services, create_app

AWAY = {"REDIS_URL": None, "REDIS_PORT": 9}


class Door:
    """The application on a Redis of its own, which the test may take away; replay happens when the test says so."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.redis = RedisServer(folder / "redis").start()
        self.store = redis.Redis.from_url(self.redis.url, decode_responses=True)
        self.settings = settings.model_copy(update={"REDIS_URL": SecretStr(self.redis.url)})
        self.app: Flask = create_app(self.settings)
        self.services: Services = self.app.extensions["services"]
        self.web = self.app.test_client()

    def post(self, body: bytes) -> int:
        return self.web.post("/webhook/whatsapp", data=body, headers=sign(body)).status_code

    def texts(self, sender: str = "59170000001") -> list[str]:
        """What lies in the inbox of this patient, in order."""
        rows = [row for key in self.store.scan_iter("inbox:*") for row in self.store.lrange(key, 0, -1)]
        return [json.loads(row.partition("|")[2])["text"] for row in rows]

    def stop(self) -> None:
        assert self.redis.process is not None
        self.redis.process.send_signal(signal.SIGCONT)
        self.store.close()
        self.redis.stop()


@pytest.fixture
def door(tmp_path: Path, app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr(replay, "POLL_S", 3600)  # by hand: services.replay.tick()
    opened = Door(tmp_path, app_settings)
    yield opened
    opened.stop()


def test_while_redis_is_away_bodies_are_kept_on_disk_and_answered(door: Door) -> None:
    door.redis.kill()
    for n in range(5):
        began = time.monotonic()
        assert door.post(envelope(text_message(n))) == 200
        assert time.monotonic() - began < (1.0 if n == 0 else 0.1)
    door.services.replay.tick()
    assert door.services.spool.size().bodies == 5


def test_a_hung_redis_costs_the_first_less_than_a_second_and_the_next_nothing(door: Door) -> None:
    assert door.post(envelope(text_message(1))) == 200
    assert door.redis.process is not None
    door.redis.process.send_signal(signal.SIGSTOP)
    for n, limit_s in ((2, 0.8), (3, 0.1), (4, 0.1)):  # 0.4 s; the rest is this machine's
        began = time.monotonic()
        assert door.post(envelope(text_message(n))) == 200
        assert time.monotonic() - began < limit_s
    assert door.services.spool.size().bodies == 3


def test_new_bodies_go_behind_those_that_wait_and_all_reach_redis_once_and_in_order(door: Door) -> None:
    door.post(envelope(text_message(0, "0")))
    door.redis.kill()
    for n in (1, 2):
        assert door.post(envelope(text_message(n, str(n)))) == 200
    door.redis.start()
    assert door.post(envelope(text_message(3, "3"))) == 200  # Redis is back, and yet it waits its turn
    assert door.post(envelope(text_message(2, "2"))) == 200  # Meta repeats
    assert door.texts() == ["0"]
    door.services.replay.tick()
    assert door.post(envelope(text_message(4, "4"))) == 200
    assert door.texts() == ["0", "1", "2", "3", "4"]
    assert not door.services.spool.holds()


def test_a_body_that_comes_in_the_middle_of_the_replay_comes_last(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "AT_ONCE", 1)
    door.redis.kill()
    for n in range(3):
        assert door.post(envelope(text_message(n, str(n)))) == 200
    door.redis.start()
    take_all, came = door.services.intake.take_all, []

    def interrupted(*args: Any, **named: Any) -> None:
        take_all(*args, **named)
        if not came:
            came.append(door.post(envelope(text_message(9, "9"))))

    monkeypatch.setattr(door.services.intake, "take_all", interrupted)
    door.services.replay.tick()
    assert came == [200]
    assert door.texts() == ["0", "1", "2", "9"]


def test_interrupted_between_redis_and_disk_nothing_is_taken_twice(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.redis.kill()
    door.post(envelope(text_message(1, "1")))
    door.post(envelope(text_message(2, "2")))
    door.redis.start()

    def crash(names: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(door.services.spool, "remove", crash)
        with pytest.raises(KeyboardInterrupt):
            door.services.replay.tick()
    assert door.texts() == ["1", "2"]
    assert door.services.spool.holds()
    door.services.replay.tick()
    assert door.texts() == ["1", "2"]
    assert not door.services.spool.holds()


def test_statuses_that_waited_move_their_deliveries(door: Door) -> None:
    door.store.hset("delivery:d_1", mapping={"state": "sent", "wamid": "wamid.x", "kind": "reply", "box": "p:normal"})
    door.redis.kill()
    status = {"id": "wamid.x", "status": "delivered", "timestamp": "1795438800", "biz_opaque_callback_data": "d_1"}
    assert door.post(envelope(statuses=[status])) == 200
    door.redis.start()
    door.services.replay.tick()
    assert door.store.hget("delivery:d_1", "status") == "delivered"


def test_messages_keep_the_time_at_which_they_came(door: Door) -> None:
    door.redis.kill()
    came = time.time()
    door.post(envelope(text_message(1)))
    door.redis.start()
    time.sleep(0.2)
    door.services.replay.tick()
    row = door.store.lindex(next(door.store.scan_iter("inbox:*")), 0)
    received = datetime.fromisoformat(json.loads(str(row).partition("|")[2])["received_at"])
    assert abs(received.timestamp() - came) < 0.15


def test_a_full_spool_is_503_and_staff_are_told_until_it_has_room(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.services.spool, "max_bytes", 5 * 4096)
    alerts = door.services.alerts
    door.redis.kill()
    for n in range(4):
        assert door.post(envelope(text_message(n, str(n)))) == 200
    assert door.web.get("/health/ready").status_code == 200
    door.services.replay.tick()
    assert "spool_full" in alerts.incidents.open_kinds()
    assert door.post(envelope(text_message(4, "4"))) == 200
    assert door.post(envelope(text_message(5, "5"))) == 503
    assert door.web.get("/health/ready").status_code == 503
    door.redis.start()
    door.services.replay.tick()
    monkeypatch.setattr(door.services.spool, "_refused_at", float("-inf"))
    door.services.watch.tick()
    now = alerts.now_ms()
    alerts.now_ms = lambda: now + 31_000  # not seen for half a minute
    door.services.replay.tick()
    assert "spool_full" not in alerts.incidents.open_kinds()
    assert door.texts() == ["0", "1", "2", "3", "4"]


def test_a_disk_that_refuses_is_503_and_an_incident(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(bodies: object) -> None:
        door.services.spool._refused_at = time.monotonic()
        raise SpoolError("nothing can be kept: No space left on device")

    monkeypatch.setattr(door.services.spool, "put", broken)
    door.redis.kill()
    assert door.post(envelope(text_message(1))) == 503
    door.services.replay.tick()
    assert "spool_full" in door.services.alerts.incidents.open_kinds()


def test_what_cannot_be_read_or_taken_is_set_aside_and_the_rest_is_replayed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.redis.kill()
    for n in range(4):
        door.post(envelope(text_message(n, str(n))))
    torn = door.settings.SPOOL_DIR / "bodies" / door.services.spool.names()[1]
    torn.write_bytes(torn.read_bytes()[:20])
    door.redis.start()
    take_all = door.services.intake.take_all

    def picky(bodies: list[Any], **named: Any) -> None:
        if any(b'"2"' in body.content for body in bodies):
            raise ValueError("a fault of ours")
        take_all(bodies, **named)

    monkeypatch.setattr(door.services.intake, "take_all", picky)
    door.services.replay.tick()
    assert door.texts() == ["0", "3"]
    assert len(list((door.settings.SPOOL_DIR / "aside").iterdir())) == 2
    door.services.metrics.flush()
    assert door.store.hget("metrics", "spooled_total|outcome=set_aside") == "2"
    monkeypatch.undo()
    for path in (door.settings.SPOOL_DIR / "aside").iterdir():
        if path != torn:
            path.rename(door.settings.SPOOL_DIR / "bodies" / path.name)  # after a mended fault
    door.services.replay.tick()
    assert door.texts() == ["0", "3", "2"]


@pytest.mark.parametrize("trouble", ["memory", "replica"])
def test_a_redis_that_answers_and_takes_no_writes_is_waited_for(door: Door, trouble: str) -> None:
    if trouble == "memory":
        door.store.set("ballast", "x" * 10_000_000)
        door.store.config_set("maxmemory", "1mb")
    else:
        door.store.replicaof("127.0.0.1", "9")
    assert door.post(envelope(text_message(1, "1"))) == 200
    door.services.replay.tick()
    assert door.services.spool.size().bodies == 1
    if trouble == "memory":
        door.store.config_set("maxmemory", "0")
    else:
        door.store.replicaof("NO", "ONE")
    door.services.replay.tick()
    assert door.texts() == ["1"]


def test_health_and_metrics_tell_of_the_spool_also_without_redis(door: Door) -> None:
    door.redis.kill()
    door.post(envelope(text_message(1)))
    told = door.web.get("/health")
    assert told.status_code == 503
    assert told.json["problems"][0] == "redis is unreachable"
    assert "the spool holds 1 webhook bodies" in told.json["problems"][1]
    page = door.web.get("/metrics").text
    assert "assistant_spool_bodies 1.0" in page
    assert "assistant_spool_bytes 4096.0" in page
    assert "assistant_health 0.0" in page
    door.redis.start()
    told = door.web.get("/health")
    assert told.json["spool"]["bodies"] == 1
    assert any("the spool holds" in problem for problem in told.json["problems"])


def test_started_while_redis_is_away_it_takes_bodies_at_once(app_settings: Settings) -> None:
    app = create_app(app_settings.model_copy(update=AWAY))
    web = app.test_client()
    for n in range(3):
        body = envelope(text_message(n))
        began = time.monotonic()
        assert web.post("/webhook/whatsapp", data=body, headers=sign(body)).status_code == 200
        assert time.monotonic() - began < (1.0 if n == 0 else 0.1)


def test_post_chat_is_not_spooled(door: Door) -> None:
    door.redis.kill()
    asked = {"user_id": "+59170000001", "messages": [{"role": "user", "content": "hola"}]}
    answer = door.web.post("/chat", json=asked, headers={"Authorization": "Bearer chat-key"})
    assert answer.status_code == 503
    assert not door.services.spool.holds()


def test_of_two_processes_one_replays(door: Door, app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    other: Services = create_app(door.settings).extensions["services"]
    door.redis.kill()
    for n in range(3):
        door.post(envelope(text_message(n, str(n))))
    door.services.replay.tick()  # leads from now on
    door.redis.start()
    other.replay.tick()
    assert door.services.spool.size().bodies == 3
    door.services.replay.close()
    other.replay.tick()
    assert door.texts() == ["0", "1", "2"]
