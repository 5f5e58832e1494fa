"""Dead letters: listed without text, put back once and at their place, dropped."""

from __future__ import annotations

import datetime as dt
import json

import redis

from shared.messages import Channel, Delivery, DeliveryKind, Message, Reply
from shared.state import audit, dead
from shared.state.dead import Letter, LetterKind, Refusal

P = "p_1"
LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SECRET = "palabras de la paciente"


def entry(number: int, channel: Channel = Channel.WHATSAPP) -> str:
    at = LONG_AGO + dt.timedelta(minutes=number)
    message = Message(id=f"m_{number}", text=SECRET, at=at, received_at=at, channel=channel)
    return f"{round(at.timestamp() * 1000)}|{message.to_json()}"


def message_letter(*entries: str) -> str:
    return json.dumps({"patient": P, "why": "PartnerRefused", "at": LONG_AGO.isoformat(), "entries": list(entries)})


def outgoing(delivery_id: str, minutes: int = 0, kind: DeliveryKind = DeliveryKind.REPLY) -> str:
    at = LONG_AGO + dt.timedelta(minutes=minutes)
    delivery = Delivery(id=delivery_id, kind=kind, reply=Reply(text=SECRET), created_at=at, covers=("m_1",))
    return f"{delivery_id}|{delivery.to_json()}"


def delivery_letter(delivery_id: str = "d_1", kind: DeliveryKind = DeliveryKind.REPLY, minutes: int = 0) -> str:
    return json.dumps(
        {"patient": P, "delivery": delivery_id, "kind": kind, "why": "PartnerRefused", "code": 131047}
        | {"at": LONG_AGO.isoformat(), "entry": outgoing(delivery_id, minutes, kind)}
    )


def kept(client: redis.Redis, *lines: str) -> list[Letter]:
    for line in lines:
        client.lpush("dead", line)
    return dead.list_letters(client)


def test_the_list_is_newest_first_says_what_happened_and_shows_no_text(client: redis.Redis) -> None:
    status = json.dumps({"delivery": "d_9", "box": f"{P}:normal", "kind": "reply", "code": "131026", "why": "status"})
    letters = kept(client, message_letter(entry(1), entry(2)), delivery_letter(), status, "{broken")
    assert [x.kind for x in letters] == [
        LetterKind.MESSAGE,
        LetterKind.STATUS,
        LetterKind.DELIVERY,
        LetterKind.MESSAGE,
    ]
    assert [x.refusal for x in letters] == [Refusal.UNREADABLE, Refusal.STATUS, None, None]
    assert letters[3].messages == ("m_1", "m_2")
    assert (letters[2].code, letters[2].messages, letters[2].delivery) == ("131047", ("m_1",), "d_1")
    assert (letters[1].patient, letters[1].delivery) == (P, "d_9")
    assert len({x.id for x in letters}) == 4
    assert SECRET not in repr(letters)
    assert dead.list_letters(client, limit=2) == letters[:2]


def test_messages_return_to_their_place_with_fresh_tries_once(client: redis.Redis) -> None:
    newer = entry(9)
    client.rpush(f"inbox:{P}", newer)
    client.zadd("waiting", {P: 4e12})
    client.hset("tries:m_1", "own", 3)
    [letter] = kept(client, message_letter(entry(1), entry(2)))
    assert dead.replay(client, letter.id, by="ana")
    assert not dead.replay(client, letter.id, by="ana")
    assert client.lrange(f"inbox:{P}", 0, -1) == [entry(1), entry(2), newer]
    assert client.zscore("waiting", P) < 4e12
    assert not client.exists("tries:m_1")
    assert dead.list_letters(client) == []
    [told] = audit.read(client, "-")
    assert (told.event, told.ids, told.detail["by"]) == ("replayed", ("m_1", "m_2"), "ana")


def test_letters_put_back_in_any_order_stand_in_the_order_of_writing(client: redis.Redis) -> None:
    letters = kept(client, message_letter(entry(1)), message_letter(entry(5)), message_letter(entry(3)))
    for letter in letters:
        assert dead.replay(client, letter.id, by="ana")
    assert client.lrange(f"inbox:{P}", 0, -1) == [entry(1), entry(3), entry(5)]


def test_a_reply_returns_to_its_place_in_its_lane_as_if_never_tried(client: redis.Redis) -> None:
    client.rpush(f"outbox:{P}:urgent", outgoing("d_2", 5))
    client.hset("delivery:d_1", mapping={"state": "failed", "attempts": 3, "code": "131047", "reason": "x"})
    [letter] = kept(client, delivery_letter(kind=DeliveryKind.DANGER))
    assert dead.replay(client, letter.id, by="ana")
    assert [raw.partition("|")[0] for raw in client.lrange(f"outbox:{P}:urgent", 0, -1)] == ["d_1", "d_2"]
    fields = client.hgetall("delivery:d_1")
    assert (fields["state"], fields["box"], fields["covers"]) == ("queued", f"{P}:urgent", "m_1")
    assert "attempts" not in fields
    assert client.zscore("outgoing", f"{P}:urgent") is not None
    assert not dead.replay(client, letter.id, by="ana")
    assert client.llen(f"outbox:{P}:urgent") == 2


def test_replies_put_back_in_any_order_stand_in_the_order_of_writing(client: redis.Redis) -> None:
    client.rpush(f"outbox:{P}:normal", outgoing("d_4", 4))
    letters = kept(client, *(delivery_letter(f"d_{n}", minutes=n) for n in (5, 1, 3)))
    assert all(dead.replay(client, letter.id, by="ana") for letter in letters)
    assert [raw.partition("|")[0] for raw in client.lrange(f"outbox:{P}:normal", 0, -1)] == ["d_1", "d_3", "d_4", "d_5"]


def test_a_reply_that_arrived_after_all_is_not_sent_again(client: redis.Redis) -> None:
    client.hset("delivery:d_1", mapping={"state": "failed", "status": "delivered"})
    [letter] = kept(client, delivery_letter())
    assert not dead.replay(client, letter.id, by="ana")
    assert dead.list_letters(client) == [letter]  # it stays to be seen and dropped
    assert not client.exists(f"outbox:{P}:normal")


def test_what_cannot_be_put_back_stays(client: redis.Redis) -> None:
    status = json.dumps({"delivery": "d_9", "box": f"{P}:normal", "kind": "reply", "why": "status"})
    letters = kept(client, status, message_letter(entry(1, Channel.CHAT)), message_letter("12|{}"))
    assert [x.refusal for x in letters] == [Refusal.UNREADABLE, Refusal.CHAT, Refusal.STATUS]
    assert not any(dead.replay(client, x.id, by="ana") for x in letters)
    assert client.llen("dead") == 3


def test_a_letter_is_dropped_for_good_and_the_audit_knows_by_whom(client: redis.Redis) -> None:
    [letter] = kept(client, delivery_letter())
    assert dead.drop(client, letter.id, by="ana")
    assert not dead.drop(client, letter.id, by="ana")
    [told] = audit.read(client, "-")
    assert (told.event, told.detail["by"]) == ("dropped", "ana")
    assert not client.exists(f"outbox:{P}:normal")
