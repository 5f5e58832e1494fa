"""Accept, lease, commit and release against a real Redis; every script is run twice, as the client may do."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
import redis

from shared.conversation import Conversation, Role, Turn
from shared.messages import Channel, Delivery, DeliveryKind, Identity, Message, Reply
from shared.state import inbox, sweep, turns
from shared.state.alarms import NewAlarm
from shared.state.inbox import Accepted, Arrival, Outgoing
from shared.state.leases import Leases
from shared.state.turns import Commit, CommitResult

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def arrival(number: int, patient: str = "p_1", **fields: object) -> Arrival:
    message = Message(id=f"m_{number}", text=f"hola {number}", at=NOW, received_at=NOW, **fields)
    return Arrival(message, Identity(number="59170000001"), (patient,))


def accept(client: redis.Redis, *arrivals: Arrival, burst_ms: int = 0, limit: int = 20) -> list[tuple[Accepted, str]]:
    return inbox.accept(client, arrivals, burst_ms=burst_ms, limit_per_minute=limit)


def a_commit(entries: list[inbox.Entry], reply: str = "listo") -> Commit:
    delivery = Delivery(id=f"d_{entries[0].message.id}", reply=Reply(text=reply), created_at=NOW)
    conversation = Conversation(turns=(Turn(role=Role.PATIENT, text="hola", at=NOW),))
    return Commit(entries, conversation, 3600, [Outgoing(delivery)], counters=("turns_total|source=rules",))


def test_a_message_is_accepted_once_however_often_it_comes(client: redis.Redis) -> None:
    assert accept(client, arrival(1)) == [(Accepted.NEW, "p_1")]
    assert accept(client, arrival(1)) == [(Accepted.DUPLICATE, "p_1")]
    assert client.llen("inbox:p_1") == 1
    assert client.hget("metrics", "messages_total|outcome=duplicate") == "1"


def test_a_batch_keeps_its_order_and_names_each_patient(client: redis.Redis) -> None:
    results = accept(client, arrival(1), arrival(2, "p_2"), arrival(3))
    assert [patient for _, patient in results] == ["p_1", "p_2", "p_1"]
    desk = turns.read_desk(client, "p_1", at_most=10)
    assert [entry.message.id for entry in desk.entries] == ["m_1", "m_3"]


def test_scripts_are_loaded_again_when_redis_forgot_them(client: redis.Redis) -> None:
    client.script_flush()
    assert [r for r, _ in accept(client, arrival(1), arrival(2))] == [Accepted.NEW, Accepted.NEW]


def test_who_writes_again_while_many_wait_keeps_the_place(client: redis.Redis) -> None:
    accept(client, arrival(1), burst_ms=100)
    client.lset("inbox:p_1", 0, "1000|{}")  # long ago
    accept(client, arrival(2), burst_ms=100)
    assert client.zscore("waiting", "p_1") == 1000 + 8 * 100


def test_over_the_limit_a_message_is_kept_and_waits(client: redis.Redis) -> None:
    results = accept(client, *(arrival(n) for n in range(4)), limit=3)
    assert [r for r, _ in results] == [Accepted.NEW] * 3 + [Accepted.OVER_LIMIT]
    assert client.llen("inbox:p_1") == 4
    assert client.zscore("waiting", "p_1") > client.time()[0] * 1000 + 30_000
    assert client.zscore("fresh", "p_1") is not None  # still searched for danger at once


def test_a_limiter_that_cannot_count_lets_the_message_pass_and_says_so(client: redis.Redis) -> None:
    client.set("rate:p_1", "not a sorted set")
    assert accept(client, arrival(1), limit=1)[0][0] is Accepted.NEW
    assert client.hget("metrics", "rate_limit_failures_total") == "1"


def test_a_person_keeps_one_inbox_when_the_number_disappears(client: redis.Redis) -> None:
    both = Arrival(arrival(1).message, Identity(number="59170000001", user_id="BO.1"), ("p_user", "p_number"))
    hidden = Arrival(arrival(2).message, Identity(user_id="BO.1"), ("p_user",))
    number_only = Arrival(arrival(3).message, Identity(number="59170000001"), ("p_number",))
    patients = {patient for _, patient in accept(client, both, hidden, number_only)}
    assert len(patients) == 1
    assert client.llen(f"inbox:{patients.pop()}") == 3


def test_a_new_message_does_not_jump_a_delay(client: redis.Redis) -> None:
    client.set("delay:p_1", "1", px=60_000)
    accept(client, arrival(1))
    assert client.zscore("waiting", "p_1") > client.time()[0] * 1000 + 50_000


def test_somebody_who_never_pauses_is_answered_after_eight_quiet_times(client: redis.Redis) -> None:
    accept(client, arrival(1), burst_ms=1000)
    first = float(client.lindex("inbox:p_1", 0).split("|")[0])
    client.lset("inbox:p_1", 0, f"{int(first) - 7_900}|{arrival(1).message.to_json()}")
    accept(client, arrival(2), burst_ms=1000)
    assert client.zscore("waiting", "p_1") <= first + 200


def test_only_one_of_two_workers_gets_the_lease(client: redis.Redis) -> None:
    leases = Leases(client)
    tokens: list[str | None] = []
    threads = [threading.Thread(target=lambda: tokens.append(leases.take("p_1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(token is not None for token in tokens) == 1


def test_a_held_lease_is_renewed_and_a_forgotten_one_is_not(client: redis.Redis) -> None:
    leases = Leases(client)
    leases.take("p_1")
    leases.take("p_2")
    leases.forget("p_2")
    client.pexpire("lease:p_1", 1000)
    client.pexpire("lease:p_2", 1000)
    leases.renew()
    assert client.pttl("lease:p_1") > 9000
    assert client.pttl("lease:p_2") <= 1000


def test_a_commit_moves_all_at_once_and_a_repeated_one_changes_nothing(client: redis.Redis) -> None:
    accept(client, arrival(1), arrival(2))
    token = Leases(client).take("p_1") or ""
    entries = turns.read_desk(client, "p_1", at_most=10).entries
    assert turns.commit(client, "p_1", token, a_commit(entries)) == (CommitResult.DONE, 0)
    assert turns.commit(client, "p_1", token, a_commit(entries)) == (CommitResult.DONE_BEFORE, 0)
    assert client.llen("outbox:p_1:normal") == 1
    assert client.zscore("waiting", "p_1") is None
    assert client.zscore("outgoing", "p_1:normal") is not None
    assert client.hget("metrics", "turns_total|source=rules") == "1"
    assert 3500 < client.ttl("conversation:p_1") <= 3600


def test_a_commit_without_the_lease_changes_nothing(client: redis.Redis) -> None:
    accept(client, arrival(1))
    entries = turns.read_desk(client, "p_1", at_most=10).entries
    Leases(client).take("p_1")
    assert turns.commit(client, "p_1", "stale-token", a_commit(entries)) == (CommitResult.LEASE_LOST, 1)
    assert client.llen("outbox:p_1:normal") == 0
    assert client.exists("conversation:p_1") == 0


def test_a_message_that_arrives_during_the_turn_stays(client: redis.Redis) -> None:
    accept(client, arrival(1))
    token = Leases(client).take("p_1") or ""
    entries = turns.read_desk(client, "p_1", at_most=10).entries
    accept(client, arrival(2))
    assert turns.commit(client, "p_1", token, a_commit(entries)) == (CommitResult.DONE, 1)
    assert [e.message.id for e in turns.read_desk(client, "p_1", at_most=10).entries] == ["m_2"]
    assert client.zscore("waiting", "p_1") is not None


def test_a_call_for_staff_is_written_with_the_turn(client: redis.Redis) -> None:
    accept(client, arrival(1))
    token = Leases(client).take("p_1") or ""
    entries = turns.read_desk(client, "p_1", at_most=10).entries
    turn = Commit(entries, Conversation(), 60, call='{"why": "pedido"}', call_id="h:p_1")
    turns.commit(client, "p_1", token, turn)
    turns.commit(client, "p_1", token, turn)
    assert client.hgetall("calls") == {"h:p_1": '{"why":"pedido"}'}


def test_release_and_look_again_are_one_step(client: redis.Redis) -> None:
    token = Leases(client).take("p_1") or ""
    accept(client, arrival(1))
    assert turns.release(client, "p_1", token, 0) == 1
    assert client.exists("lease:p_1") == 0
    assert client.zscore("waiting", "p_1") is not None
    assert turns.release(client, "p_1", token, 0) == -1


def test_a_reply_for_a_caller_of_chat_waits_for_him_and_not_in_the_outbox(client: redis.Redis) -> None:
    accept(client, arrival(1, channel=Channel.CHAT), burst_ms=5000)
    assert client.zscore("waiting", "p_1") <= client.time()[0] * 1000 + 1000  # nobody who waits waits for silence
    token = Leases(client).take("p_1") or ""
    entries = turns.read_desk(client, "p_1", at_most=10).entries
    out = Outgoing(
        Delivery(id="d_1", reply=Reply(text="x"), created_at=NOW), answer_to="m_1", answer='{"response": "x"}'
    )
    turns.commit(client, "p_1", token, Commit(entries, Conversation(), 60, [out]))
    assert client.lpop("answer:m_1") == '{"response": "x"}'
    assert client.exists("outbox:p_1:normal") == 0


def test_an_alarm_is_queued_once_and_ahead(client: redis.Redis) -> None:
    delivery = Delivery(id="d_9", kind=DeliveryKind.DANGER, reply=Reply(text="vaya"), created_at=NOW)
    alarm = NewAlarm("a_1", "hemoptisis", "emergencia", "2026-11-23T14:05:00+00:00", rung=1, wait_ms=600_000)
    first = inbox.raise_alarm(client, "p_1", "m_1", Outgoing(delivery), handoff="{}", alarm=alarm)
    again = inbox.raise_alarm(client, "p_1", "m_1", Outgoing(delivery), handoff="{}", alarm=alarm)
    assert (first, again) == (True, False)
    assert client.llen("outbox:p_1:urgent") == 1
    assert client.exists("handoff:p_1") == 1
    assert inbox.already_alarmed(client, ["m_1", "m_2"]) == {"m_1"}


def test_searched_messages_leave_fresh_but_a_newer_one_stays(client: redis.Redis) -> None:
    accept(client, arrival(1))
    entries = inbox.unsearched(client, ["p_1"])["p_1"]
    inbox.mark_searched(client, {"p_1": entries[-1].received_at})
    assert client.zscore("fresh", "p_1") is None
    accept(client, arrival(2))
    client.zadd("fresh", {"p_1": entries[-1].received_at.timestamp() * 1000 + 5})
    inbox.mark_searched(client, {"p_1": entries[-1].received_at})
    assert client.zscore("fresh", "p_1") is not None


def test_a_patient_who_was_answered_before_the_search_leaves_fresh(client: redis.Redis) -> None:
    accept(client, arrival(1))
    client.delete("inbox:p_1")
    inbox.mark_searched(client, {"p_1": None})
    assert client.zscore("fresh", "p_1") is None


def test_giving_up_sets_the_messages_aside_and_apologises_once(client: redis.Redis) -> None:
    accept(client, arrival(1), arrival(2))
    token = Leases(client).take("p_1") or ""
    entries = turns.read_desk(client, "p_1", at_most=1).entries
    apology = Outgoing(Delivery(id="d_a", reply=Reply(text="perdón"), created_at=NOW, apology=True))
    assert turns.give_up(client, "p_1", token, entries, '{"why": "x"}', apology) == (CommitResult.DONE, 1)
    assert turns.give_up(client, "p_1", token, entries, '{"why": "x"}', apology) == (CommitResult.DONE_BEFORE, 1)
    assert client.llen("dead") == 1
    assert client.llen("outbox:p_1:normal") == 1


def test_an_item_that_cannot_be_read_goes_to_the_dead_letters_and_not_in_the_way(client: redis.Redis) -> None:
    client.rpush("inbox:p_1", "1763900000000|{not json")
    accept(client, arrival(1))
    assert [e.message.id for e in turns.read_desk(client, "p_1", at_most=10).entries] == ["m_1"]
    assert client.llen("dead") == 1
    assert client.llen("inbox:p_1") == 1


def test_what_is_due_is_taken_by_one_sweeper_only(client: redis.Redis) -> None:
    accept(client, arrival(1), arrival(2, "p_2"))
    first, second = sweep.take_due(client), sweep.take_due(client)
    assert sorted(first.waiting) == ["p_1", "p_2"]
    assert second.waiting == []


@pytest.mark.parametrize("age_ms", [0, 5000])
def test_who_was_not_searched_is_taken_after_a_while_and_by_one_only(client: redis.Redis, age_ms: int) -> None:
    seconds, micros = client.time()
    client.zadd("fresh", {"p_1": seconds * 1000 + micros // 1000 - age_ms})
    assert sweep.take_fresh(client) == (["p_1"] if age_ms else [])
    assert sweep.take_fresh(client) == []
