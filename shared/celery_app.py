"""Queue names, task names and the Celery settings that every process shares.

`create_celery(settings, role)` is called once per process. A Celery message is only a doorbell: it carries opaque
patient ids, so that a lost, late or repeated one is harmless (docs/architecture.md). Where a value surprises, the
comment says what was measured without it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.transport import redis as redis_transport

from shared import sentinels
from shared.sentinels import Sentinels
from shared.settings import Settings


class Role(StrEnum):
    WEB = "web"  # publishes inside a request: must fail fast
    WORKER = "worker"
    BEAT = "beat"


class QueueName(StrEnum):
    TRIAGE = "triage"  # danger signs: never behind a turn that waits for the model
    TURNS = "turns"  # one patient's waiting messages -> one answer
    DELIVERIES = "deliveries"  # one patient's outbox -> Graph API: a slow partner must not hold the answers
    REMINDERS = "reminders"  # reminders to Graph API: ten thousand of them must not stand before a reply
    OPS = "ops"  # what Beat rings


class TaskName(StrEnum):
    TRIAGE = "assistant.triage"  # (patient_ids)
    DRAIN_INBOX = "assistant.drain_inbox"  # (patient_id)
    DELIVER_OUTBOX = "assistant.deliver_outbox"  # (patient_id, lane)
    DELIVER_REMINDER = "assistant.deliver_reminder"  # (patient_id)
    REMIND = "assistant.remind"  # (): plan the reminders of this hour
    FOLLOW_UP = "assistant.follow_up"  # (): undelivered reminders to the call list, old data away
    REPORT = "assistant.report"  # (): the daily report, once a day
    CANARY = "assistant.canary"  # (): a test message on the whole road
    SWEEP = "assistant.sweep"  # ()
    PULSE = "assistant.pulse"  # (queue): proof that a queue is consumed


QUEUE_OF_TASK: dict[TaskName, QueueName] = {
    TaskName.TRIAGE: QueueName.TRIAGE,
    TaskName.DRAIN_INBOX: QueueName.TURNS,
    TaskName.DELIVER_OUTBOX: QueueName.DELIVERIES,
    TaskName.DELIVER_REMINDER: QueueName.REMINDERS,
    TaskName.REMIND: QueueName.OPS,
    TaskName.FOLLOW_UP: QueueName.OPS,
    TaskName.REPORT: QueueName.OPS,
    TaskName.CANARY: QueueName.OPS,
    TaskName.SWEEP: QueueName.OPS,
    # PULSE names its queue at each call: it visits them all.
    TaskName.PULSE: QueueName.OPS,
}

EXCHANGE = Exchange("assistant", type="direct")
KEY_PREFIX = "wa:q:"  # the broker's keys share a database with ours


class QoS(redis_transport.QoS):
    """Acknowledges doorbells and gives unfinished ones back, but not over a connection that is gone already.

    kombu tries, fails with an AttributeError, and the worker ends, its model with it, whenever its Redis dies while
    tasks are in hand. They come back by `visibility_timeout`, or are rung again by the sweep.
    """

    def ack(self, delivery_tag: str) -> None:
        if not self._is_cut_off():
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self._is_cut_off():
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]

    def restore_unacked_once(self, stderr: Any = None) -> None:
        if self._is_cut_off():
            self._on_collect.cancel()
        else:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]

    def _is_cut_off(self) -> bool:
        return self.channel.connection is None or self.channel.connection.client is None


redis_transport.Channel.QoS = QoS


def create_celery(settings: Settings, role: Role) -> Celery:
    """Build the Celery application of one process.

    Args:
        settings: gives the broker's address; nothing is contacted here.
        role: `web` gets short socket timeouts, so that a dead broker costs a request less than a second.
    """
    url = settings.broker_url
    behind = sentinels.parse(url) if sentinels.is_sentinel(url) else None
    app = Celery("assistant", broker=behind.broker_url() if behind else url, set_as_current=True)
    app.conf.update(_common(role))
    app.conf.update(_rabbitmq(role) if url.startswith("amqp") else _redis(role, behind))
    return app


def _common(role: Role) -> dict[str, Any]:
    return {
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
        "enable_utc": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure_or_timeout": True,  # a failing doorbell must not loop: the sweep brings the patient back
        "worker_prefetch_multiplier": 1,
        "worker_pool": "threads",  # one model, many turns in flight
        "worker_concurrency": 56,
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "task_create_missing_queues": False,  # a typo in a queue name must fail
        # Without a key of its own each queue would be bound to the default one and get every message.
        "task_queues": [Queue(name.value, EXCHANGE, routing_key=name.value) for name in QueueName],
        "task_default_queue": QueueName.OPS.value,
        "task_routes": {task.value: {"queue": queue.value} for task, queue in QUEUE_OF_TASK.items()},
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_channel_error_retry": True,  # else a Redis that is full or read-only ends the worker, its model with it
        "broker_connection_max_retries": None,  # the default, 100, ends the worker
        "broker_connection_timeout": 0.5 if role is Role.WEB else 4,
        "broker_pool_limit": 32,
        "task_publish_retry": True,  # False is slower: 6 s against 0.6 s until the error
        "task_publish_retry_policy": {
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.05,
            "interval_max": 0.05,
        },
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }


def _redis(role: Role, behind: Sentinels | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "global_keyprefix": KEY_PREFIX,
        "visibility_timeout": 600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,  # the default sweeps only every 100 s
        "health_check_interval": 10,
        "socket_keepalive": True,
        "socket_connect_timeout": 2,
        "socket_timeout": 5,  # unset would hang for ever on a hung Redis
        "retry_on_timeout": False,  # a repeated LPUSH may enqueue twice
        "max_connections": 64,
    }
    if role is Role.WEB:
        options |= {
            "socket_timeout": 0.4,
            "socket_connect_timeout": 0.3,
            "max_retries": 0,
            "connect_retries_timeout": 0.5,
        }
    if behind:
        asking = behind.asking(options["socket_connect_timeout"])
        options |= {"master_name": behind.master, "sentinel_kwargs": asking}
    return {"broker_transport_options": options}


def _rabbitmq(role: Role) -> dict[str, Any]:
    exchange = Exchange("assistant", type="topic")
    options: dict[str, Any] = {"confirm_publish": True}  # without it a publish can vanish silently
    # For ever by itself; gevent does not know the socket's own timeouts below.
    confirm_s = 1.0 if role is Role.WEB else 4.0
    if role is Role.WEB:
        options |= {"read_timeout": 1.0, "write_timeout": 1.0}
    return {
        "task_default_queue_type": "quorum",
        "task_default_exchange_type": "topic",
        "task_queues": [
            Queue(name.value, exchange, routing_key=name.value, queue_arguments={"x-queue-type": "quorum"})
            for name in QueueName
        ],
        "task_routes": {
            task.value: {"queue": queue.value, "confirm_timeout": confirm_s} for task, queue in QUEUE_OF_TASK.items()
        },
        "broker_transport_options": options,
        "broker_heartbeat": 10,
        "worker_detect_quorum_queues": True,
    }
