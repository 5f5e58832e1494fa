"""An older store becomes a present one: run twice, killed at each command, by two processes at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from demo.redis_server import RedisServer
from shared.settings import CONFIG_ERROR, Settings
from shared.state import first_shape, schema
from workers import migrate

ROOT = Path(__file__).parents[3]
RAISED = "2026-11-20T10:00:00+00:00"
RAISED_MS = 1795168800000


def hand_off(patient: str, why: str = "pedido", at: str = RAISED) -> str:
    return json.dumps({"patient": patient, "kind": "handoff", "why": why, "at": at})


def lost(patient: str, delivery: str) -> str:
    return json.dumps({"patient": patient, "delivery": delivery, "kind": "reply", "why": "unknown", "at": RAISED_MS})


def fill(client: redis.Redis, patients: int = 3) -> None:
    """A store as the release before the mark left it."""
    for number in range(patients):
        client.lpush("calls", hand_off(f"p_{number}"), lost(f"p_{number}", f"d_{number}"))
        client.set(f"optout:p_{number}", RAISED_MS + number)
        client.set(f"handoff:p_{number}", json.dumps({"reason": "person", "at": RAISED}), ex=3600)
        client.rpush(f"inbox:p_{number}", "1|{}")
    client.lpush("calls", "{not json")
    client.hset("metrics", "messages_total", 3)


def is_second_shape(client: redis.Redis, patients: int = 3) -> None:
    calls = client.hgetall("calls")
    expected = {f"h:p_{n}" for n in range(patients)} | {f"d_{n}" for n in range(patients)}
    unreadable = set(calls) - expected
    assert set(calls) >= expected
    assert [calls[id_] for id_ in unreadable] == ["{not json"]
    assert json.loads(calls["h:p_0"]) == {"patient": "p_0", "kind": "handoff", "why": "pedido", "at": RAISED_MS}
    assert json.loads(calls["d_1"]) == json.loads(lost("p_1", "d_1"))
    optouts = client.zrange("optouts", 0, -1, withscores=True)
    assert optouts == [(f"p_{n}", RAISED_MS + n) for n in range(patients)]
    ends = dict(client.zrange("handoffs", 0, -1, withscores=True))
    seconds, micros = client.time()
    assert set(ends) == {f"p_{n}" for n in range(patients)}
    assert all(abs(end - (seconds + 3600) * 1000 - micros / 1000) < 60_000 for end in ends.values())
    assert [client.lrange(f"inbox:p_{n}", 0, -1) for n in range(patients)] == [["1|{}"]] * patients
    assert client.get(schema.KEY) == str(schema.CURRENT)


def test_the_table_is_in_order_and_ends_with_the_present_shape() -> None:
    assert [step.to for step in schema.MIGRATIONS] == list(range(2, schema.CURRENT + 1))
    assert schema.pending(1) == schema.MIGRATIONS
    assert schema.pending(schema.CURRENT) == ()


def test_an_empty_store_has_the_present_shape_at_once(client: redis.Redis) -> None:
    assert schema.version(client) == schema.CURRENT
    assert client.get(schema.KEY) == str(schema.CURRENT)
    assert schema.migrate(client) == []


def test_the_first_shape_becomes_the_second_and_a_second_run_changes_nothing(client: redis.Redis) -> None:
    fill(client)
    told: list[str] = []
    assert schema.migrate(client, told.append) == list(schema.MIGRATIONS)
    is_second_shape(client)
    assert not client.exists(f"lease:{schema.LEASE}")
    assert [sentence.split(":")[0] for sentence in told] == ["Schema 2", "Schema 2", "Schema 3", "Schema 3"]
    before = {key: client.dump(key) for key in client.scan_iter("*") if not key.startswith("handoff:")}
    assert schema.migrate(client, told.append) == []
    first_shape.to_second(client)  # and the step itself, were it begun again
    assert {key: client.dump(key) for key in client.scan_iter("*") if not key.startswith("handoff:")} == before


def test_what_the_present_code_wrote_meanwhile_stays(client: redis.Redis) -> None:
    fill(client)
    client.zadd("optouts", {"p_0": 1})
    client.zadd("handoffs", {"p_0": 2})
    schema.migrate(client)
    assert client.zscore("optouts", "p_0") == 1
    assert client.zscore("handoffs", "p_0") == 2


def test_hand_offs_of_one_patient_become_one_line_the_oldest(client: redis.Redis) -> None:
    client.lpush("calls", hand_off("p_1", "no_entendido"), hand_off("p_1", "pedido", "2026-11-21T10:00:00+00:00"))
    schema.migrate(client)
    assert {id_: json.loads(line)["why"] for id_, line in client.hgetall("calls").items()} == {"h:p_1": "no_entendido"}


def test_a_line_written_between_reading_and_swapping_is_not_lost(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client)
    read = client.lrange
    late = [lost("p_9", "d_9")]

    def read_then_written(*arguments: Any) -> Any:
        lines = read(*arguments)
        if late:
            client.lpush("calls", late.pop())
        return lines

    monkeypatch.setattr(client, "lrange", read_then_written)
    schema.migrate(client)
    assert client.hexists("calls", "d_9")
    assert client.hlen("calls") == 8


class DyingClient(redis.Redis):
    """Kills its process, as a power cut would, before its `left`-th command."""

    left = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        return super().execute_command(*args, **options)


def _die_at(url: str, command: int) -> None:
    dying = DyingClient.from_url(url, decode_responses=True)
    dying.left = command
    schema.migrate(dying, lambda _: None, lease_s=0.3)


def test_killed_at_each_command_the_next_run_finishes(client: redis.Redis, redis_server: RedisServer) -> None:
    fork = multiprocessing.get_context("fork")
    codes = []
    for command in range(60):
        client.flushall()
        fill(client)
        process = fork.Process(target=_die_at, args=(redis_server.url, command))
        process.start()
        process.join(timeout=20)
        codes.append(process.exitcode)
        schema.migrate(client, lease_s=0.3)
        is_second_shape(client)
        if codes[-1] == 0:
            break
    assert codes[-1] == 0, "it never came to its end"
    assert codes[:-1] == [-signal.SIGKILL] * (len(codes) - 1)
    assert len(codes) > 8


def tool(server: RedisServer, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"REDIS_URL": server.url}
    command = [sys.executable, "-m", "workers.migrate", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_at_once_one_does_it(client: redis.Redis, redis_server: RedisServer) -> None:
    fill(client, 300)
    both = [tool(redis_server) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all(out.endswith("schema 3: up to date\n") for out, _ in outputs)
    assert sum("Schema 2: done" in out for out, _ in outputs) == 1
    is_second_shape(client, 300)


def test_many_threads_at_once_do_each_step_once(client: redis.Redis) -> None:
    fill(client)
    done: list[schema.Migration] = []
    threads = [threading.Thread(target=lambda: done.extend(schema.migrate(client))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == list(schema.MIGRATIONS)
    is_second_shape(client)


def test_who_was_held_up_beyond_its_lease_does_not_say_that_it_is_done(client: redis.Redis) -> None:
    fill(client)
    assert client.eval(schema._DONE, 2, f"lease:{schema.LEASE}", schema.KEY, "mine", "2") == 0
    client.set(f"lease:{schema.LEASE}", "another's", px=300)
    assert client.eval(schema._DONE, 2, f"lease:{schema.LEASE}", schema.KEY, "mine", "2") == 0
    assert not client.exists(schema.KEY)
    schema.migrate(client)  # begins when that lease has run out
    is_second_shape(client)


def heartbeat(client: redis.Redis, name: str, **facts: Any) -> None:
    client.zadd("workers", {name: 1})
    client.set(f"worker:{name}", json.dumps({"name": name, **facts}))


def test_former_workers_are_waited_for(client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    fill(client)
    heartbeat(client, "new-1", schema=schema.CURRENT)
    heartbeat(client, "old-1")
    client.zadd("workers", {"dead-1": 1})
    with pytest.raises(schema.FormerWorkersError, match="old-1"):
        schema.migrate(client, wait_s=0)
    assert client.type("calls") == "list"
    with pytest.raises(SystemExit) as ended:
        migrate.at_start(Impatient(client))  # type: ignore[arg-type]
    assert ended.value.code == schema.TRY_AGAIN
    assert "stop them first: old-1" in capsys.readouterr().err
    told: list[str] = []

    def tell(sentence: str) -> None:
        told.append(sentence)
        client.delete("worker:old-1")

    schema.migrate(client, tell)
    assert "waits until workers of the former release have ended: old-1" in told[0]
    is_second_shape(client)


class Impatient:
    """A client whose worker is given no time to end: `migrate` would wait two minutes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def zrange(self, *arguments: Any) -> Any:
        raise schema.FormerWorkersError(["old-1"])


def test_a_newer_store_is_refused_with_a_sentence(
    client: redis.Redis, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    client.set(schema.KEY, schema.CURRENT + 1)
    for refused in (schema.refuse_newer, migrate.at_start):
        with pytest.raises(SystemExit) as ended:
            refused(client)
        assert ended.value.code == CONFIG_ERROR
        assert "The store has schema 4, this release knows 3" in capsys.readouterr().err
    assert client.keys() == [schema.KEY]


def test_a_worker_waits_for_a_redis_that_is_away(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    fill(client)
    nowhere = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    pauses: list[float] = []

    class Back(Exception):
        pass

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise Back

    with pytest.raises(Back):
        migrate.at_start(nowhere, pause)
    assert pauses == [migrate.RETRY_S] * 2
    assert "redis cannot be reached: waiting" in caplog.text


@pytest.mark.parametrize(
    ("mark", "old", "code", "said"),
    [
        (None, True, 3, "to do: schema 2, the call list becomes a hash"),
        ("1", False, 3, "to do: schema 2"),
        ("2", False, 3, "to do: schema 3, what patients write"),
        ("3", False, 0, "schema 3: nothing to do"),
        (None, False, 0, "schema 3: nothing to do"),
        ("4", False, 78, "The store has schema 4"),
    ],
)
def test_check_says_what_is_to_be_done_and_changes_nothing(
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mark: str | None,
    old: bool,
    code: int,
    said: str,
) -> None:
    # A database of its own: a thread that another test left running may write to the common one.
    address = redis_server.url.removesuffix("/0") + "/9"
    client = redis.Redis.from_url(address, decode_responses=True)
    client.flushdb()
    monkeypatch.setenv("REDIS_URL", address)
    if old:
        fill(client)
    if mark:
        client.set(schema.KEY, mark)
    assert migrate.main(["--check"]) == code
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert client.type("calls") == ("list" if old else "none")


def test_the_tool_says_that_redis_is_away(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert migrate.main([]) == migrate.UNAVAILABLE
    assert "Redis cannot be reached" in capsys.readouterr().err
