"""Queues and tasks: every task has a queue, every queue gets its own messages only, every queue has a consumer."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
import yaml

from scheduler.schedule import SCHEDULE
from shared.celery_app import KEY_PREFIX, QUEUE_OF_TASK, QueueName, Role, TaskName, create_celery
from shared.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_task_has_a_queue() -> None:
    assert set(QUEUE_OF_TASK) == set(TaskName)
    assert set(QUEUE_OF_TASK.values()) == set(QueueName)


@pytest.mark.parametrize("queue", list(QueueName), ids=str)
def test_a_doorbell_lies_in_its_own_queue_and_in_no_other(
    queue: QueueName, settings: Settings, client: redis.Redis
) -> None:
    celery = create_celery(settings, Role.WEB)
    celery.send_task(TaskName.PULSE, args=(queue.value,), queue=queue.value)
    lengths = {name.value: client.llen(f"{KEY_PREFIX}{name.value}") for name in QueueName}
    assert lengths == {name.value: int(name is queue) for name in QueueName}


def test_a_queue_that_nobody_reads_is_refused(settings: Settings) -> None:
    with pytest.raises(Exception, match="nope"):
        create_celery(settings, Role.WEB).send_task(TaskName.SWEEP, queue="nope")


def test_a_connection_that_is_lost_with_doorbells_in_hand_is_closed_without_an_error(
    settings: Settings, client: redis.Redis
) -> None:
    celery = create_celery(settings, Role.WORKER)
    celery.send_task(TaskName.PULSE, args=("turns",), queue="turns")
    with celery.connection_for_read() as connection:
        channel = connection.default_channel
        message = channel.basic_get("turns")
        assert message is not None
        assert client.hlen(f"{KEY_PREFIX}unacked") == 1
        channel.connection.client = None  # so kombu leaves it behind
        channel.close()
        message.ack()
    assert client.hlen(f"{KEY_PREFIX}unacked") == 1  # comes back by itself


def test_a_worker_registers_every_task_and_consumes_every_queue(settings: Settings) -> None:
    from workers import services as wiring
    from workers.sweeper import Vitals
    from workers.tasks import register

    celery = create_celery(settings, Role.WORKER)
    register(celery, wiring.build(settings, celery), Vitals())
    assert {task.value for task in TaskName} <= set(celery.tasks)
    assert {queue.name for queue in celery.conf.task_queues} == {queue.value for queue in QueueName}
    # compose starts workers without -Q, so each consumes all the queues of its configuration.
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert "worker" in compose["services"]
    assert "command" not in compose["services"]["worker"]


def test_what_beat_rings_exists_and_has_its_queue() -> None:
    for entry in SCHEDULE.values():
        assert entry["options"]["queue"] == QUEUE_OF_TASK[TaskName(entry["task"])]
