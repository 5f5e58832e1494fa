"""Behind Sentinel nothing is acknowledged, and nothing sent, that a failover could forget; all servers are real."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from kombu.exceptions import OperationalError

from shared.celery_app import KEY_PREFIX, QueueName, Role, TaskName, create_celery
from shared.conversation import Conversation
from shared.settings import Settings
from shared.state import inbox, outbox, store, turns
from shared.state.leases import Leases
from shared.state.outbox import Claim
from shared.state.turns import Commit, CommitResult
from tests.brokers.sentinel import PASSWORD, SentinelGroup
from tests.shared.state.test_inbox import a_commit, accept, arrival
from tests.shared.state.test_outbox import Sender, put
from tests.webhook.conftest import SECRET, envelope, text_message
from tests.workers.doctor.conftest import one, told
from webhook import replay
from webhook.app import Services, build_services
from workers.doctor import redis_checks
from workers.doctor.check import State
from workers.doctor.redis_checks import CONNECTION, REPLICAS


@pytest.fixture
def alone(group: SentinelGroup) -> SentinelGroup:
    """The master works, no replica confirms anything."""
    group.signal(group.replicas(), signal.SIGSTOP)
    return group


def test_what_was_accepted_has_reached_a_replica(client: redis.Redis, group: SentinelGroup) -> None:
    accept(client, arrival(1))
    found = []
    for server in group.replicas():
        with group.on(server) as replica:
            found.append(replica.exists("seen:m_1"))
    assert sum(found) >= 1


def test_what_no_replica_has_is_not_accepted_and_taken_once_when_it_comes_again(
    client: redis.Redis, alone: SentinelGroup
) -> None:
    with pytest.raises(store.NotReplicated):
        accept(client, arrival(1))
    with pytest.raises(store.NotReplicated):  # the master has it, and still nobody else
        accept(client, arrival(1))
    alone.signal(alone.servers, signal.SIGCONT)
    assert accept(client, arrival(1))[0][0] is inbox.Accepted.DUPLICATE
    assert client.llen("inbox:p_1") == 1


def test_a_replica_that_hangs_is_waited_for_until_the_sentinels_give_it_up(
    client: redis.Redis, group: SentinelGroup
) -> None:
    accept(client, arrival(1))
    group.signal(group.replicas()[:1], signal.SIGSTOP)
    with pytest.raises(store.NotReplicated):  # it may be the one that is just made master
        accept(client, arrival(2))
    again(lambda: accept(client, arrival(2)))
    assert client.llen("inbox:p_1") == 2


def test_a_master_that_refuses_writes_for_want_of_replicas_is_left(client: redis.Redis, group: SentinelGroup) -> None:
    with group.on(group.master()) as master:
        master.config_set("min-replicas-to-write", "3")
        try:
            with pytest.raises(redis.ConnectionError):  # else it would be asked again, deposed or not
                accept(client, arrival(1))
        finally:
            master.config_set("min-replicas-to-write", "1")
    assert accept(client, arrival(1))[0][0] is inbox.Accepted.NEW


def test_a_commit_that_no_replica_has_says_so_and_is_not_done_twice(client: redis.Redis, group: SentinelGroup) -> None:
    accept(client, arrival(1))
    token = Leases(client).take("p_1") or ""
    entries = turns.read_desk(client, "p_1", at_most=10).entries
    group.signal(group.replicas(), signal.SIGSTOP)
    assert turns.commit(client, "p_1", token, a_commit(entries)) == (CommitResult.NOT_REPLICATED, 0)
    stale = Commit(entries, Conversation(), 60)
    assert turns.commit(client, "p_1", "stale-token", stale) == (CommitResult.LEASE_LOST, 0)
    assert client.llen("outbox:p_1:normal") == 1


def test_nothing_is_sent_before_a_replica_knows_of_it(client: redis.Redis, group: SentinelGroup) -> None:
    put(client, "d_1")
    group.signal(group.replicas(), signal.SIGSTOP)
    assert Sender(client).claim().kind is Claim.WAIT
    assert client.hget("delivery:d_1", "state") == "queued"
    assert client.exists("lease:p_1:normal") == 0
    assert client.zscore("outgoing", "p_1:normal") is not None  # the sweep rings again
    group.signal(group.servers, signal.SIGCONT)
    claimed = Sender(client).claim()
    assert claimed.kind is Claim.SEND
    outbox.mark_sent(client, "p_1", "normal", claimed, "wamid.1")


@pytest.fixture
def webhook(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setattr(replay, "POLL_S", 3600)  # by hand: services.replay.tick()
    told = {"WHATSAPP_APP_SECRET": SECRET, "WHATSAPP_VERIFY_TOKEN": "verify", "SPOOL_DIR": tmp_path / "spool"}
    services = build_services(Settings(_env_file=None, **(settings.model_dump(exclude_none=True) | told)))
    yield services
    services.watch.close()
    services.replay.close()
    services.doorbell.close()
    services.metrics.close()


def test_a_body_that_no_replica_has_goes_to_disk_and_reaches_the_inbox_once(
    webhook: Services, client: redis.Redis, alone: SentinelGroup
) -> None:
    began = time.monotonic()
    webhook.keeper.keep(envelope(text_message(1)))  # returns: it may be answered 200
    assert time.monotonic() - began < 5
    assert webhook.spool.size().bodies == 1
    webhook.replay.tick()
    assert webhook.spool.size().bodies == 1  # still nobody who has it
    assert not list((webhook.spool.folder / "aside").iterdir())
    alone.signal(alone.servers, signal.SIGCONT)
    deadline = time.monotonic() + 10
    while webhook.spool.holds() and time.monotonic() < deadline:
        webhook.replay.tick()
    assert not webhook.spool.holds()
    assert [client.llen(key) for key in client.scan_iter("inbox:*")] == [1]


def test_after_a_failover_client_and_broker_find_the_new_master(
    settings: Settings, client: redis.Redis, group: SentinelGroup
) -> None:
    celery = create_celery(settings, Role.WEB)
    accept(client, arrival(1))
    celery.send_task(TaskName.PULSE, args=("turns",), queue="turns")
    former = group.master()
    former.kill()
    with pytest.raises(redis.RedisError):
        accept(client, arrival(2))
    group.wait_for_another(former)
    assert group.master() is not former
    again(lambda: accept(client, arrival(2)))
    again(lambda: celery.send_task(TaskName.PULSE, args=("turns",), queue="turns"))
    assert [e.message.id for e in turns.read_desk(client, "p_1", at_most=10).entries] == ["m_1", "m_2"]
    assert client.llen(f"{KEY_PREFIX}{QueueName.TURNS}") >= 1


def again(act: Callable[[], object], timeout_s: float = 15) -> None:
    """What a doorbell or a replay does: try until it works."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            act()
        except (redis.RedisError, OperationalError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def test_the_doctor_looks_at_replicas(settings: Settings, group: SentinelGroup) -> None:
    checks = redis_checks.check(settings)
    assert one(checks, CONNECTION).state is State.OK
    told(one(checks, REPLICAS), State.OK, "2 online")
    [broker] = redis_checks.check_broker(settings)
    assert broker.state is State.OK
    elsewhere = Settings(_env_file=None, DEMO=True, REDIS_URL="redis://127.0.0.1:9/0", CELERY_BROKER_URL=group.url)
    [broker] = redis_checks.check_broker(elsewhere)
    told(broker, State.OK, "answers")
    assert PASSWORD not in broker.found
    with group.on(group.master()) as master:
        master.config_set("min-replicas-to-write", "0")
        try:
            told(one(redis_checks.check(settings), REPLICAS), State.WARNING, "cut off", "min-replicas-to-write 1")
        finally:
            master.config_set("min-replicas-to-write", "1")
