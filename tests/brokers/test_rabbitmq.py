"""RabbitMQ as the broker, short: its queues are quorum queues, and the three zeros while it is killed.

The long version is `make chaos-rabbitmq`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.exceptions import PreconditionFailed
from kombu.connection import Connection

from shared.celery_app import QueueName, Role, TaskName, create_celery
from shared.settings import Settings
from tests.brokers.rabbitmq import RabbitNode, missing
from tests.chaos.__main__ import table
from tests.chaos.broker_faults import RABBITMQ
from tests.chaos.chaos import run
from tests.chaos.process_faults import PROCESSES

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]
SECONDS = 18
ONLY = ("RabbitMQ killed and restarted", "webhook killed", "both workers killed")


@pytest.fixture(autouse=True)
def _installed() -> None:
    if what := missing():
        if os.environ.get("CI"):
            pytest.fail(what)
        pytest.skip(what)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RabbitNode]:
    started = RabbitNode(tmp_path / "rabbitmq").start()
    yield started
    started.stop()


def test_doorbells_lie_in_quorum_queues(node: RabbitNode) -> None:
    settings = Settings(_env_file=None, DEMO=True, CELERY_BROKER_URL=node.url)
    with create_celery(settings, Role.WEB) as celery:
        for queue in QueueName:
            celery.send_task(TaskName.PULSE, args=(queue.value,), queue=queue.value)
        assert node.queue_lengths(*QueueName) == dict.fromkeys(QueueName, 1)
        with Connection(node.url) as connection, connection.channel() as channel, pytest.raises(PreconditionFailed):
            channel.queue_declare(
                QueueName.TURNS, durable=True, auto_delete=False, arguments={"x-queue-type": "classic"}
            )


def test_nothing_is_lost_doubled_or_reordered_with_rabbitmq(tmp_path: Path) -> None:
    only = [fault for fault in (*RABBITMQ, *PROCESSES) if fault.name in ONLY]
    done = run(tmp_path, seed=11, seconds=SECONDS, per_second=4, broker="rabbitmq", only=only)
    print(table(done))
    assert done.verdict.is_clean, table(done)
    assert done.failed == []
    assert set(done.injected) == set(ONLY)
