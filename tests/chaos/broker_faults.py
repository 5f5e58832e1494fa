"""What can happen to the servers of a larger installation: a RabbitMQ node, and Redis behind Sentinel.

A failover is written down in `stage.failovers`; `count_losses` says at the end what each of them cost.
"""

from __future__ import annotations

import functools
import signal
import threading
import time
from collections.abc import Sequence

from demo.redis_server import RedisServer
from shared.identity import message_id
from tests.brokers.rabbitmq import RabbitNode
from tests.brokers.sentinel import SentinelGroup
from tests.chaos.fault import Fault, Heal, Inject
from tests.chaos.posting import Posting, Said
from tests.chaos.redis_faults import again_and_again, cut, slow
from tests.chaos.stage import Failover, Stage
from tests.processes.system import PATIENT_ID_KEY


def node(stage: Stage) -> RabbitNode:
    if stage.rabbit is None:
        raise ValueError("this stage has no RabbitMQ")
    return stage.rabbit


def restarted(down_s: float, *, forgets: bool = False) -> Inject:
    """Killed, and `down_s` later started, which takes it some ten seconds: nobody waits for it meanwhile."""

    def inject(stage: Stage, _: Posting) -> Heal:
        rabbit = node(stage)

        def again() -> None:
            rabbit.kill()
            if forgets:
                rabbit.forget()
            time.sleep(down_s)
            rabbit.start()

        thread = threading.Thread(target=again, daemon=True)
        thread.start()
        return thread.join

    return inject


def rabbit_frozen(stage: Stage, _: Posting) -> Heal:
    node(stage).send(signal.SIGSTOP)
    return functools.partial(node(stage).send, signal.SIGCONT)


RABBITMQ = [
    Fault("RabbitMQ killed and restarted", "broker", 12, restarted(2)),
    Fault("RabbitMQ frozen", "broker", 5, rabbit_frozen),
    Fault("RabbitMQ killed, its queues lost", "broker", 12, restarted(1, forgets=True)),
]


def group(stage: Stage) -> SentinelGroup:
    found = stage.system.redis_server
    if not isinstance(found, SentinelGroup):
        raise ValueError("this stage has no Sentinels")
    return found


def watch(stage: Stage, cause: str, former: RedisServer) -> None:
    """Write down, beside the run, when another master has taken over."""
    failover = Failover(cause, time.time())
    stage.failovers.append(failover)

    def wait() -> None:
        failover.seconds = round(group(stage).wait_for_another(former), 1)
        failover.ended = time.time()

    stage.beside(wait)


def master_killed(stage: Stage, _: Posting) -> Heal:
    former = group(stage).master()
    former.kill()
    watch(stage, "killed", former)
    return group(stage).start


def master_frozen(stage: Stage, _: Posting) -> Heal:
    """It wakes up as a second master, with connections of ours that it still answers."""
    former = group(stage).master()
    group(stage).signal([former], signal.SIGSTOP)
    watch(stage, "frozen", former)
    return functools.partial(group(stage).signal, [former], signal.SIGCONT)


def master_changed(stage: Stage, _: Posting) -> Heal:
    former = group(stage).master()
    group(stage).fail_over()
    watch(stage, "asked for", former)
    return group(stage).start


def replica_killed(stage: Stage, _: Posting) -> Heal:
    group(stage).replicas()[0].kill()
    return group(stage).start


def replicas_frozen(stage: Stage, _: Posting) -> Heal:
    """The master works and nobody confirms that anything would outlive it."""
    frozen = group(stage).replicas()
    group(stage).signal(frozen, signal.SIGSTOP)
    return functools.partial(group(stage).signal, frozen, signal.SIGCONT)


def sentinel_killed(stage: Stage, _: Posting) -> Heal:
    group(stage).kill_sentinel(0)
    return functools.partial(group(stage).start_sentinel, 0)


SENTINEL = [
    Fault("master killed, a replica takes over", "redis", 7, master_killed),
    Fault("master frozen, a replica takes over", "redis", 8, master_frozen),
    Fault("another master asked for", "redis", 6, master_changed),
    Fault("a replica killed", "redis", 3, replica_killed),
    Fault("both replicas frozen", "redis", 4, replicas_frozen),
    Fault("a Sentinel killed", "sentinel", 5, sentinel_killed),
    Fault("master slow", "redis", 5, again_and_again(slow)),
    Fault("connections to Redis and broker cut", "redis", 4, again_and_again(cut)),
]


def count_losses(stage: Stage, said: Sequence[Said]) -> None:
    """Of the messages acknowledged until a failover, since the one before: how many does Redis not know at the end."""
    since = 0.0
    for failover in stage.failovers:
        known = [one for one in said if since < one.acknowledged_at <= failover.ended]
        with stage.store.pipeline(transaction=False) as pipe:
            for one in known:
                pipe.exists(f"seen:{message_id(PATIENT_ID_KEY.encode(), one.wamid)}")
            failover.acknowledged = len(known)
            failover.lost = pipe.execute().count(0)
        since = failover.ended
