"""What can happen to the servers of a larger installation: a RabbitMQ node, and Redis behind Sentinel.

A failover is written down in `stage.failovers`; `count_losses` says at the end what each of them cost.
"""

from __future__ import annotations

import functools
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from demo.redis_server import RedisServer
from shared.identity import message_id
from tests.brokers.rabbitmq import RabbitNode
from tests.brokers.sentinel import DOWN_AFTER_MS, SentinelGroup
from tests.chaos.fault import Fault, Heal, Inject
from tests.chaos.posting import Posting, Said
from tests.chaos.redis_faults import again_and_again, cut, slow
from tests.chaos.stage import Failover, Stage
from tests.processes.system import PATIENT_ID_KEY


def node(stage: Stage) -> RabbitNode:
    if stage.rabbit is None:
        raise ValueError("this stage has no RabbitMQ")
    return stage.rabbit


def in_a_thread(work: Callable[[], object]) -> Heal:
    """Do it while other faults go on; healed is it when it has ended, and what it raised is raised then."""
    return ThreadPoolExecutor(1).submit(work).result


def restarted(down_s: float, *, forgets: bool = False) -> Inject:
    """Killed, and `down_s` later started, which takes it some ten seconds."""

    def inject(stage: Stage, _: Posting) -> Heal:
        rabbit = node(stage)

        def again() -> None:
            rabbit.kill()
            if forgets:
                rabbit.forget()
            time.sleep(down_s)
            rabbit.start()

        return in_a_thread(again)

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


def took_over(
    stage: Stage, cause: str, act: Callable[[RedisServer], object], heal: Callable[[RedisServer], object]
) -> Heal:
    """Do something to the master; when another has taken over, heal the former and wait until the group is whole.

    Not before: a master that dies while the former one has not copied it yet may be followed by that one, with what it
    knew before (docs/running.md).
    """
    former = group(stage).master()
    failover = Failover(cause, time.time())
    act(former)
    stage.failovers.append(failover)

    def rest() -> None:
        try:
            failover.seconds = round(group(stage).wait_for_another(former), 1)
            failover.ended = time.time()
        except RuntimeError:  # it woke up in time, and there was none
            stage.failovers.remove(failover)
        heal(former)
        group(stage).start()

    return in_a_thread(rest)


def master_killed(stage: Stage, _: Posting) -> Heal:
    return took_over(stage, "killed", RedisServer.kill, lambda _: time.sleep(1))


def master_frozen(thawed_after_s: float) -> Inject:
    """It wakes up as a second master, with connections of ours that it still answers."""

    def inject(stage: Stage, _: Posting) -> Heal:
        def freeze(master: RedisServer) -> None:
            group(stage).signal([master], signal.SIGSTOP)
            threading.Timer(thawed_after_s, group(stage).signal, ([master], signal.SIGCONT)).start()

        return took_over(stage, "frozen", freeze, lambda _: time.sleep(1))

    return inject


def master_changed(stage: Stage, _: Posting) -> Heal:
    return took_over(stage, "asked for", lambda _: group(stage).fail_over(), lambda _: None)


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


PATIENCE_S = DOWN_AFTER_MS / 1000
SENTINEL = [
    Fault("master killed, a replica takes over", "redis", 8, master_killed),
    Fault("master frozen, a replica takes over", "redis", 16, master_frozen(PATIENCE_S + 3)),
    Fault("master frozen as long as Sentinel is patient", "redis", 14, master_frozen(PATIENCE_S + 0.7)),
    Fault("another master asked for", "redis", 14, master_changed),
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
