"""Nothing is kept longer than the table of keys says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import redis

from shared.conversation import Conversation
from shared.messages import Delivery, Identity, Message, Reply, StatusUpdate
from shared.state import audit, dead, inbox, outbox, turns
from shared.state.inbox import Arrival, Outgoing
from shared.state.leases import Leases
from shared.state.turns import Commit
from tests.shared.state.retention import faults, rows

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def test_the_table_is_read_as_it_is_meant() -> None:
    table = rows()
    limits = {pattern: limit for pattern, (_, _, limit) in table.items()}
    assert len(table) > 50
    assert limits["seen:{message_id}"] == limits["delivery:{id}"] == 8 * 86400
    assert limits["address:{p}"] == 90 * 86400
    assert limits["conversation:{p}"] == limits["handoff:{p}"] == limits["written:{p}"] == 86400
    assert limits["answer:{message_id}"] == 120
    assert limits["optout:{p}"] is limits["waiting"] is limits["audit"] is limits["inbox:{p}"] is None


@pytest.mark.parametrize("to_chat", [False, True])
def test_what_a_turn_leaves_ends_by_itself(client: redis.Redis, to_chat: bool) -> None:
    message = Message(id="m_1", text="hola", at=NOW, received_at=NOW)
    inbox.accept(
        client, [Arrival(message, Identity(number="59170000001"), ("p_2", "p_1"))], burst_ms=0, limit_per_minute=9
    )
    leases = Leases(client)
    token = leases.take("p_1") or ""
    entries = turns.read_desk(client, "p_1", at_most=9).entries
    delivery = Delivery(id="d_1", reply=Reply(text="listo"), created_at=NOW)
    reply = Outgoing(delivery, "m_1" if to_chat else None, "{}" if to_chat else "")
    turns.commit(client, "p_1", token, Commit(entries, Conversation(), 3600, [reply], consent="{}"))
    turns.postpone(client, "p_1", token, 1000, as_delay=True)
    turns.count_failure(client, "m_1", own=True)
    lane = leases.take("p_1:normal") or ""
    claimed = outbox.claim(client, "p_1", "normal", lane, settle_ms=1000)
    if not to_chat:
        outbox.mark_sent(client, "p_1", "normal", claimed, "wamid.1")
        outbox.note_statuses(client, [StatusUpdate(wamid="wamid.1", status="read", at=NOW)])
    assert faults(client) == []
    assert 0 < client.ttl("conversation:p_1") <= 3600


def test_a_key_that_stays_too_long_or_is_unknown_is_a_fault(client: redis.Redis) -> None:
    client.set("seen:m_1", "1")
    client.set("answer:m_1", "1", ex=100)
    client.set("notes:p_1", "1")
    assert sorted(faults(client)) == [
        "answer:m_1 is a string",
        "notes:p_1 stands in no row",
        "seen:m_1 stays for -1 s",
    ]


def test_the_audit_is_cut_to_the_day(client: redis.Redis) -> None:
    """Exactly: a few records may not be kept just because Redis cuts whole blocks more cheaply."""
    for days in (31, 30.1, 29.9, 1):
        at_ms = round((NOW - days * DAY).timestamp() * 1000)
        client.xadd(audit.KEY, {"e": "accepted", "p": "p_1", "ids": "m_1", "d": ""}, id=f"{at_ms}-0")
    assert audit.trim(client, 30, NOW) == 2
    assert [round((NOW - record.at) / DAY, 1) for record in audit.read(client, "-")] == [29.9, 1.0]


@pytest.mark.parametrize("key", [dead.KEY, dead.UNREADABLE])
def test_letters_and_unreadable_bodies_go_after_ninety_days(client: redis.Redis, key: str) -> None:
    lines = [json.dumps({"n": n, "at": (NOW - days * DAY).isoformat()}) for n, days in enumerate((91, 90.5, 89, 1))]
    lines.insert(1, json.dumps({"n": "a status without a time"}))
    lines.insert(3, json.dumps({"n": "of Lua", "at": round((NOW - 95 * DAY).timestamp() * 1000)}))
    for line in lines:
        client.lpush(key, line)
    assert dead.forget_old(client, NOW) == 3
    assert [json.loads(line)["n"] for line in client.lrange(key, 0, -1)] == [3, 2, "a status without a time"]
    assert dead.forget_old(client, NOW) == 0


def test_more_old_letters_than_are_read_at_once_go_too(client: redis.Redis) -> None:
    old = json.dumps({"at": (NOW - 100 * DAY).isoformat()})
    client.lpush(dead.KEY, *[old] * 1200, json.dumps({"at": NOW.isoformat()}))
    assert dead.forget_old(client, NOW) == 1200
    assert client.llen(dead.KEY) == 1
