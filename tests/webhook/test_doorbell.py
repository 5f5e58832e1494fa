"""One bell for many, quick to fail, never in Meta's way."""

from __future__ import annotations

import threading
import time

import pytest
import redis
from kombu.exceptions import OperationalError

from shared.celery_app import Role, TaskName, create_celery
from shared.metrics import Metrics
from shared.settings import Settings
from webhook.doorbell import Doorbell


class RecordingCelery:
    """Takes what is sent; the first publish waits until it may go on."""

    def __init__(self) -> None:
        self.bells: list[list[str]] = []
        self.first_is_under_way = threading.Event()
        self.go_on = threading.Event()

    def send_task(self, name: str, args: tuple[list[str]], queue: str) -> None:
        assert (name, queue) == (TaskName.TRIAGE, "triage")
        self.bells.append(args[0])
        self.first_is_under_way.set()
        self.go_on.wait(5)


def test_patients_who_write_during_a_publish_share_the_next_bell(client: redis.Redis) -> None:
    celery = RecordingCelery()
    doorbell = Doorbell(celery, Metrics(client))  # type: ignore[arg-type]
    doorbell.start()
    doorbell.ring(["p_1"])
    assert celery.first_is_under_way.wait(5)
    for patient in ("p_2", "p_3", "p_2"):
        doorbell.ring([patient])
    celery.go_on.set()
    doorbell.close()
    assert celery.bells == [["p_1"], ["p_2", "p_3"]]


def test_a_publish_fails_within_a_second_when_the_broker_is_down(settings: Settings, client: redis.Redis) -> None:
    down = settings.model_copy(update={"CELERY_BROKER_URL": settings.REDIS_URL.__class__("redis://127.0.0.1:9/0")})
    celery = create_celery(down, Role.WEB)
    began = time.monotonic()
    with pytest.raises(OperationalError):
        celery.send_task(TaskName.TRIAGE, args=(["p_1"],), queue="triage")
    assert time.monotonic() - began < 1.0


def test_a_bell_that_cannot_be_rung_is_counted(settings: Settings, client: redis.Redis) -> None:
    down = settings.model_copy(update={"CELERY_BROKER_URL": settings.REDIS_URL.__class__("redis://127.0.0.1:9/0")})
    metrics = Metrics(client)
    assert not Doorbell(create_celery(down, Role.WEB), metrics)._publish(["p_1"])
    metrics.flush()
    assert client.hget("metrics", "doorbells_failed_total") == "1"
