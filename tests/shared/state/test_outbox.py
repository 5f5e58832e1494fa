"""Claim, send, settle: what happens to a reply whose outcome is unknown, by kind."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
import redis

from shared.messages import Delivery, DeliveryKind, DeliveryState, Reply, StatusUpdate
from shared.state import audit, outbox, sweep
from shared.state.leases import Leases
from shared.state.outbox import Claim

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def put(client: redis.Redis, delivery_id: str, kind: DeliveryKind = DeliveryKind.REPLY, lane: str = "normal") -> None:
    delivery = Delivery(id=delivery_id, kind=kind, reply=Reply(text="hola"), created_at=NOW)
    client.rpush(f"outbox:p_1:{lane}", f"{delivery_id}|{delivery.to_json()}")
    fields = {"kind": kind.value, "state": "queued", "since": 0, "box": f"p_1:{lane}"}
    client.hset(f"delivery:{delivery_id}", mapping=fields)


class Sender:
    """One worker that holds the lane."""

    def __init__(self, client: redis.Redis, lane: str = "normal") -> None:
        self.client, self.lane = client, lane
        self.token = Leases(client).take(f"p_1:{lane}") or pytest.fail("the lane is taken")

    def claim(self, settle_ms: int = 0) -> outbox.Claimed:
        return outbox.claim(self.client, "p_1", self.lane, self.token, settle_ms=settle_ms)

    def crash(self) -> None:
        self.client.delete(f"lease:p_1:{self.lane}")


def test_replies_leave_in_order(client: redis.Redis) -> None:
    put(client, "d_1")
    put(client, "d_2")
    sender = Sender(client)
    for expected in ("d_1", "d_2"):
        claimed = sender.claim()
        assert claimed.delivery is not None
        assert claimed.delivery.id == expected
        outbox.mark_sent(client, "p_1", "normal", claimed, f"wamid.{expected}")
    assert sender.claim().kind is Claim.EMPTY
    assert client.zscore("outgoing", "p_1:normal") is None


def test_a_claim_repeated_by_the_client_is_the_same_claim(client: redis.Redis) -> None:
    put(client, "d_1")
    sender = Sender(client)
    first, again = sender.claim(), sender.claim()
    assert first == again
    assert again.attempts == 1


def test_a_sender_without_the_lease_is_refused(client: redis.Redis) -> None:
    put(client, "d_1")
    sender = Sender(client)
    sender.crash()
    assert sender.claim().kind is Claim.LOST


def test_a_crash_while_sending_waits_for_the_status_and_is_not_repeated_when_it_comes(client: redis.Redis) -> None:
    put(client, "d_1")
    first = Sender(client)
    first.claim()
    first.crash()
    second = Sender(client)
    assert second.claim(settle_ms=60_000).kind is Claim.WAIT
    assert client.hget("delivery:d_1", "state") == DeliveryState.UNKNOWN
    status = StatusUpdate(wamid="wamid.1", status="sent", at=NOW, delivery_id="d_1")
    assert outbox.note_statuses(client, [status]) == 1
    assert Sender(client).claim(settle_ms=60_000).kind is Claim.EMPTY
    assert client.hget("metrics", "settled_by_status_total") == "1"


@pytest.mark.parametrize(
    ("kind", "sends"), [(DeliveryKind.REPLY, 6), (DeliveryKind.DANGER, 8), (DeliveryKind.REMINDER, 1)]
)
def test_what_meta_never_takes_is_tried_so_often_by_kind_and_then_goes_on_the_call_list(
    client: redis.Redis, kind: DeliveryKind, sends: int
) -> None:
    put(client, "d_1", kind)
    assert sends_until_given_up(client) == sends


def sends_until_given_up(client: redis.Redis, *, works: bool = False, code: str = "") -> int:
    """Let every send of d_1 end unknown, until a person is asked to call.

    Args:
        works: Meta takes other messages all the while.
        code: Meta answers with this failure; '' is silence.
    """
    made = 0
    for _ in range(20):
        sender = Sender(client)
        claimed = sender.claim(settle_ms=0)
        if claimed.kind is Claim.EMPTY:
            break
        made += 1
        outbox.mark_unsent(client, "p_1", "normal", sender.token, claimed, DeliveryState.UNKNOWN, code=code)
        client.delete("lease:p_1:normal")
        if works:
            meta_takes_another(client)
    assert client.hlen("calls") == 1
    assert client.hget("delivery:d_1", "state") == DeliveryState.FAILED
    return made


def meta_takes_another(client: redis.Redis) -> None:
    put(client, "d_other", lane="other")
    sender = Sender(client, "other")
    time.sleep(0.002)  # later than the send before, by Redis' clock of milliseconds
    outbox.mark_sent(client, "p_1", "other", sender.claim(), "wamid.other")
    sender.crash()


@pytest.mark.parametrize(
    ("kind", "code", "sends"),
    [
        (DeliveryKind.REPLY, "timed_out", 2),
        (DeliveryKind.REPLY, "", 2),
        (DeliveryKind.REPLY, "131000", 6),
        (DeliveryKind.REPLY, "503", 6),
        (DeliveryKind.DANGER, "timed_out", 8),
        (DeliveryKind.REMINDER, "503", 1),
    ],
)
def test_while_meta_takes_others_silence_is_repeated_once_and_a_failure_that_it_tells_more_often(
    client: redis.Redis, kind: DeliveryKind, code: str, sends: int
) -> None:
    put(client, "d_1", kind)
    assert sends_until_given_up(client, works=True, code=code) == sends


def unknown(client: redis.Redis, kind: DeliveryKind, *, resends: int, ago_ms: int) -> None:
    """d_1 was sent `ago_ms` ago, for the `resends`-th time again, and nobody knows what became of it."""
    put(client, "d_1", kind)
    since = now_ms(client) - ago_ms
    client.hset("delivery:d_1", mapping={"state": "unknown", "since": since, "resends": resends, "code": "503"})


def now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


@pytest.mark.parametrize(
    ("kind", "resends", "pause"),
    [(DeliveryKind.REPLY, n, 4**n) for n in range(5)] + [(DeliveryKind.DANGER, n, 2**n) for n in range(7)],
)
def test_while_meta_takes_nothing_the_pauses_grow_and_end_when_it_takes_something(
    client: redis.Redis, kind: DeliveryKind, resends: int, pause: int
) -> None:
    settle_ms = 10_000
    unknown(client, kind, resends=resends, ago_ms=settle_ms * pause - 5_000)
    assert Sender(client).claim(settle_ms).kind is Claim.WAIT
    assert (
        client.zscore("outgoing", "p_1:normal") <= now_ms(client) + settle_ms
    )  # it looks again: Meta may work by then
    unknown(client, kind, resends=resends, ago_ms=settle_ms * pause + 5_000)
    assert Sender(client).claim(settle_ms).kind is Claim.SEND
    client.delete("lease:p_1:normal")
    unknown(client, kind, resends=resends, ago_ms=settle_ms + 5_000)
    meta_takes_another(client)
    assert Sender(client).claim(settle_ms).kind is Claim.SEND


def test_the_canary_that_stops_at_our_door_does_not_say_that_meta_works(client: redis.Redis) -> None:
    put(client, "d_1")
    outbox.mark_sent(client, "p_1", "normal", Sender(client).claim(), "canary.d_1", by_meta=False)
    assert client.exists("meta_took") == 0


@pytest.mark.parametrize(
    ("kind", "found"), [(DeliveryKind.REPLY, Claim.WAIT), (DeliveryKind.DANGER, Claim.SEND)], ids=str
)
@pytest.mark.parametrize("sign", ["nobody swept", "a sweep after a long silence", "a spool is replayed"])
def test_what_is_unknown_waits_anew_for_its_status_when_redis_is_back(
    client: redis.Redis, kind: DeliveryKind, found: Claim, sign: str
) -> None:
    unknown(client, kind, resends=0, ago_ms=60_000)
    client.set("swept", now_ms(client) - (0 if sign == "a spool is replayed" else 50_000))
    if sign == "a sweep after a long silence":
        sweep.take_due(client)
        assert now_ms(client) - int(client.get("swept")) < 10_000
    if sign == "a spool is replayed":
        outbox.note_replayed(client)
    assert Sender(client).claim(30_000).kind is found


def test_while_all_is_swept_nothing_waits_longer(client: redis.Redis) -> None:
    sweep.take_due(client)
    unknown(client, DeliveryKind.REPLY, resends=0, ago_ms=60_000)
    assert Sender(client).claim(30_000).kind is Claim.SEND


def test_a_rate_limit_puts_the_reply_back_and_rings_later(client: redis.Redis) -> None:
    put(client, "d_1")
    sender = Sender(client)
    claimed = sender.claim()
    done = outbox.mark_unsent(client, "p_1", "normal", sender.token, claimed, DeliveryState.QUEUED, wait_ms=4000)
    assert done
    assert client.exists("lease:p_1:normal") == 0
    assert client.zscore("outgoing", "p_1:normal") > client.time()[0] * 1000 + 2000
    again = Sender(client).claim()
    assert again.attempts == 2


def test_refusals_for_the_pair_rate_are_counted_for_themselves(client: redis.Redis) -> None:
    put(client, "d_1")
    counted = []
    for code in ("130429", "4", "131056", "131056", ""):
        sender = Sender(client)
        claimed = sender.claim()
        counted.append(claimed.pair_refusals)
        outbox.mark_unsent(client, "p_1", "normal", sender.token, claimed, DeliveryState.QUEUED, code=code)
    assert counted == [0, 0, 0, 1, 2]


def test_a_refused_reply_becomes_a_dead_letter_and_the_next_one_has_its_turn(client: redis.Redis) -> None:
    put(client, "d_1")
    put(client, "d_2")
    sender = Sender(client)
    claimed = sender.claim()
    outbox.mark_unsent(
        client, "p_1", "normal", sender.token, claimed, DeliveryState.FAILED, code="131026", letter='{"why": "x"}'
    )
    assert client.llen("dead") == 1
    following = sender.claim()
    assert following.delivery is not None
    assert following.delivery.id == "d_2"


def test_a_status_that_settled_meanwhile_wins_over_a_late_timeout(client: redis.Redis) -> None:
    put(client, "d_1")
    sender = Sender(client)
    claimed = sender.claim()
    outbox.note_statuses(client, [StatusUpdate(wamid="w", status="delivered", at=NOW, delivery_id="d_1")])
    assert not outbox.mark_unsent(client, "p_1", "normal", sender.token, claimed, DeliveryState.UNKNOWN)
    assert sender.claim().kind is Claim.EMPTY


def test_a_send_whose_status_overtakes_the_answer_is_counted_once(client: redis.Redis) -> None:
    put(client, "d_1")
    claimed = Sender(client).claim()
    assert outbox.note_statuses(client, [StatusUpdate(wamid="wamid.1", status="sent", at=NOW, delivery_id="d_1")]) == 1
    outbox.mark_sent(client, "p_1", "normal", claimed, "wamid.1")
    assert client.hget("metrics", "sends_total|outcome=sent") == "1"
    assert [r.event for r in audit.read(client, "-")] == ["sending", "sent", "status"]


def test_statuses_only_move_forward_and_are_found_by_wamid_too(client: redis.Redis) -> None:
    put(client, "d_1")
    sender = Sender(client)
    outbox.mark_sent(client, "p_1", "normal", sender.claim(), "wamid.1")
    for status, noted in (("read", 1), ("delivered", 0), ("read", 0), ("failed", 0)):
        assert outbox.note_statuses(client, [StatusUpdate(wamid="wamid.1", status=status, at=NOW)]) == noted
    assert client.hget("delivery:d_1", "status") == "read"
    assert outbox.note_statuses(client, [StatusUpdate(wamid="wamid.other", status="sent", at=NOW)]) == 0


def test_a_failed_status_is_kept_for_staff(client: redis.Redis) -> None:
    put(client, "d_1")
    sender = Sender(client)
    outbox.mark_sent(client, "p_1", "normal", sender.claim(), "wamid.1")
    failed = StatusUpdate(wamid="wamid.1", status="failed", at=NOW, error_code=131026)
    assert outbox.note_statuses(client, [failed, failed]) == 1
    assert client.llen("dead") == 1


def test_the_urgent_lane_does_not_wait_for_an_unsettled_reply(client: redis.Redis) -> None:
    put(client, "d_1")
    Sender(client).claim()  # hangs in the POST, lease held
    put(client, "d_2", DeliveryKind.DANGER, lane="urgent")
    claimed = Sender(client, "urgent").claim()
    assert claimed.delivery is not None
    assert claimed.delivery.id == "d_2"


def test_a_reply_begun_before_a_person_took_over_is_dropped_and_the_hand_off_itself_is_said(
    client: redis.Redis,
) -> None:
    put(client, "d_before")
    put(client, "d_reminder", kind=DeliveryKind.REMINDER)
    through = Delivery(id="d_hand", reply=Reply(text="ya viene"), created_at=NOW, through_handoff=True)
    client.rpush("outbox:p_1:normal", f"{through.id}|{through.to_json()}")
    client.set("handoff:p_1", "{}")
    sender = Sender(client)
    sent = []
    while (claimed := sender.claim()).kind is Claim.SEND and claimed.delivery:
        sent.append(claimed.delivery.id)
        outbox.mark_sent(client, "p_1", "normal", claimed, f"wamid.{claimed.delivery.id}")
    assert sent == ["d_reminder", "d_hand"]
    assert client.hget("delivery:d_before", "state") == DeliveryState.DROPPED
    assert client.hget("metrics", "sends_total|outcome=dropped_under_handoff") == "1"


def test_an_unknown_reply_is_not_repeated_once_a_person_took_over(client: redis.Redis) -> None:
    put(client, "d_1")
    first = Sender(client)
    first.claim()
    first.crash()
    client.set("handoff:p_1", "{}")
    assert Sender(client).claim(settle_ms=0).kind is Claim.EMPTY
    assert client.hget("delivery:d_1", "state") == DeliveryState.DROPPED


def test_reminders_that_piled_up_do_not_leave_in_one_bunch(client: redis.Redis) -> None:
    """A process that stood still finds many doorbells at once: a dozen may go, the others come again a little later."""
    claims = []
    for number in range(30):
        box = f"p_{number}:reminder"
        delivery = Delivery(id=f"r_{number}", kind=DeliveryKind.REMINDER, reply=Reply(text="hola"), created_at=NOW)
        client.rpush(f"outbox:{box}", f"{delivery.id}|{delivery.to_json()}")
        client.hset(f"delivery:{delivery.id}", mapping={"kind": "reminder", "state": "queued", "box": box})
        token = Leases(client).take(box) or pytest.fail("the lane is taken")
        claims.append(outbox.claim(client, f"p_{number}", "reminder", token, settle_ms=0, pace_ms=100).kind)
    assert 10 <= claims.count(Claim.SEND) <= 14
    assert claims.count(Claim.WAIT) == 30 - claims.count(Claim.SEND)
    assert client.zcard("reminders") == claims.count(Claim.WAIT)
