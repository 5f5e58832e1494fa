"""A store in clear is encrypted, keys change, and a wrong key says so and loses nothing."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis

from demo.redis_server import RedisServer
from shared.errors import UnreadableSecret
from shared.messages import Delivery, Identity, Message, Reply
from shared.settings import CONFIG_ERROR, Settings
from shared.state import dead, inbox, outbox, reseal, schema, staff, store, turns
from shared.state.addresses import address_of
from shared.state.at_rest import sent_key, stored_delivery
from shared.state.inbox import Arrival
from shared.state.store import Client
from tests.ops_world import fill
from tests.shared.state.dump import everything, where
from webhook.ops import patients
from workers import migrate, rotate_keys

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
NUMBERS = ("59170000001", "59171234567", "59176543210", "59172220011", "59179990055", "5491155550066")
WORDS = ("pastillas", "tosiendo", "amarillos", "Doctora", "jueves", "AHORA")
Connect = Callable[..., Client]


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


OLD, NEW, OTHER = new_key(), new_key(), new_key()


@pytest.fixture
def connect(settings: Settings, client: redis.Redis) -> Connect:
    """A client with these keys, on an empty store."""

    def with_keys(*keys: str) -> Client:
        return store.connect(Settings(**settings.model_dump() | {"ENCRYPTION_KEYS": ",".join(keys)}, _env_file=None))

    return with_keys


def writes(client: redis.Redis, number: int, text: str = "me duele la espalda") -> None:
    message = Message(id=f"m_{number}", text=text, at=NOW, received_at=NOW, wamid="wamid.x")
    identity = Identity(number="59170000001", user_id="BO.1349120865530274")
    inbox.accept(client, [Arrival(message, identity, ("p_1",))], burst_ms=0, limit_per_minute=99)


def says(client: redis.Redis, number: int, **fields: object) -> None:
    delivery = Delivery(id=f"d_{number}", reply=Reply(text="descanse mucho"), created_at=NOW, **fields)
    box = "outbox:p_1:normal"
    client.rpush(box, stored_delivery(client, delivery))


def test_a_store_in_clear_is_encrypted_once_and_reads_the_same(client: redis.Redis, connect: Connect) -> None:
    world = fill(client, b"test-key")
    says(client, 1)
    before = patients.read_many(client, world.ids.values())
    letters = [(x.kind, x.patient, x.messages) for x in dead.list_letters(client)]
    assert where(client, *WORDS)
    expiry = client.ttl(f"conversation:{world.ids['rosa']}")

    told: list[str] = []
    ours = connect(NEW)
    reseal.begin(ours, told.append)

    assert where(client, *NUMBERS, *WORDS, "descanse") == {}
    assert patients.read_many(ours, world.ids.values()) == before
    assert [(x.kind, x.patient, x.messages) for x in dead.list_letters(ours)] == letters
    assert outbox.head(ours, "p_1", "normal").reply.text == "descanse mucho"  # type: ignore[union-attr]
    assert abs(client.ttl(f"conversation:{world.ids['rosa']}") - expiry) <= 1
    assert "values were encrypted" in told[0]
    after = everything(client)
    reseal.begin(ours, told.append)
    assert everything(client) == after
    assert len(told) == 1


def test_the_newest_key_is_enough_after_a_rotation(connect: Connect, client: redis.Redis) -> None:
    fill(client, b"test-key")
    old = connect(OLD)
    reseal.begin(old, print)
    writes(old, 1)
    says(old, 1)
    both, new = connect(NEW, OLD), connect(NEW)
    with pytest.raises(UnreadableSecret):
        reseal.check(new)
    done = reseal.rotate(both)
    assert done.changed > 10
    assert (done.in_hand, done.unreadable) == (0, 0)
    reseal.check(new)
    assert turns.read_desk(new, "p_1", at_most=9).entries[0].message.text == "me duele la espalda"
    assert address_of(new, "p_1") == Identity(number="59170000001", user_id="BO.1349120865530274")
    assert reseal.rotate(new) == reseal.Resealed()


def test_what_a_worker_has_in_hand_is_left_to_the_next_run(connect: Connect, client: redis.Redis) -> None:
    old, both = connect(OLD), connect(NEW, OLD)
    writes(old, 1)
    client.set("lease:p_1", "a worker's", px=60_000)
    raw = client.lrange("inbox:p_1", 0, -1)
    assert reseal.rotate(both).in_hand == 1
    assert client.lrange("inbox:p_1", 0, -1) == raw
    client.delete("lease:p_1")
    assert reseal.rotate(both).changed == 1


def test_with_a_wrong_key_nothing_is_read_and_nothing_is_lost(connect: Connect, client: redis.Redis) -> None:
    old, other = connect(OLD), connect(OTHER)
    reseal.begin(old, print)
    writes(old, 1)
    says(old, 1)
    before = everything(client)
    with pytest.raises(UnreadableSecret, match="ENCRYPTION_KEYS"):
        turns.read_desk(other, "p_1", at_most=9)
    with pytest.raises(UnreadableSecret):
        inbox.unsearched(other, ["p_1"])
    with pytest.raises(UnreadableSecret, match="Nothing was changed"):
        reseal.begin(other, print)
    assert reseal.rotate(other).unreadable >= 4
    assert everything(client) == before
    assert turns.read_desk(old, "p_1", at_most=9).entries[0].message.text == "me duele la espalda"


def test_a_reply_that_no_key_opens_is_queued_again_not_taken_for_sent(connect: Connect, client: redis.Redis) -> None:
    old, other = connect(OLD), connect(OTHER)
    says(old, 1)
    client.set("lease:p_1:normal", "token")
    with pytest.raises(UnreadableSecret):
        outbox.claim(other, "p_1", "normal", "token", settle_ms=0)
    assert client.hget("delivery:d_1", "state") == "queued"
    assert client.zscore("outgoing", "p_1:normal")
    client.delete("paced:p_1")
    client.set("lease:p_1:normal", "again")
    assert outbox.claim(old, "p_1", "normal", "again", settle_ms=0).delivery is not None


def test_the_scripts_see_what_they_need_beside_the_token(connect: Connect, client: redis.Redis) -> None:
    """Under a hand-off only what was written through it leaves; a letter goes back to its place in time."""
    ours = connect(NEW)
    says(ours, 1)
    says(ours, 2, through_handoff=True)
    client.hset("delivery:d_1", mapping={"kind": "reply", "state": "queued"})
    client.hset("delivery:d_2", mapping={"kind": "reply", "state": "queued"})
    client.set("handoff:p_1", "{}")
    client.set("lease:p_1:normal", "t")
    claimed = outbox.claim(ours, "p_1", "normal", "t", settle_ms=0)
    assert claimed.delivery is not None
    assert claimed.delivery.id == "d_2"
    assert client.hget("delivery:d_1", "state") == "dropped"

    early = Delivery(id="d_0", reply=Reply(text="antes"), created_at=datetime(2026, 11, 22, tzinfo=UTC))
    letter = {"patient": "p_1", "delivery": "d_0", "why": "x", "entry": stored_delivery(ours, early)}
    client.lpush("dead", json.dumps(letter))
    assert dead.replay(ours, dead.list_letters(ours)[0].id, "ana")
    assert [item.partition("|")[0] for item in client.lrange("outbox:p_1:normal", 0, -1)] == ["d_0", "d_2"]


def test_what_staff_wrote_is_encrypted_and_shown(connect: Connect, client: redis.Redis) -> None:
    ours = connect(NEW)
    writes(ours, 1)
    now = datetime.now(UTC)
    client.hset("address:p_1", "wrote_ms", round(now.timestamp() * 1000))
    client.set("handoff:p_1", "{}")
    assert staff.reply(ours, "p_1", "f1", "venga mañana temprano", "ana", now)[0] is staff.Wrote.QUEUED
    assert where(client, "temprano", "espalda") == {}
    texts = [line.text for line in patients.read_one(ours, "p_1").lines]
    assert texts == ["me duele la espalda", "venga mañana temprano"]


def test_the_third_shape_hashes_the_ids_of_meta(client: redis.Redis) -> None:
    client.set("sent:wamid.AAA", "d_1", ex=500)
    client.hset("delivery:d_1", mapping={"state": "sent", "wamid": "wamid.AAA"})
    client.set(schema.KEY, 2)
    schema.migrate(client)
    schema.MIGRATIONS[-1].run(client)
    assert client.get(sent_key("wamid.AAA")) == "d_1"
    assert 0 < client.ttl(sent_key("wamid.AAA")) <= 500
    assert client.hgetall("delivery:d_1") == {"state": "sent"}
    assert where(client, "wamid") == {}


def test_the_tools_say_what_is_wrong_and_what_was_done(
    connect: Connect,
    client: redis.Redis,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    assert rotate_keys.main([]) == CONFIG_ERROR
    fill(client, b"test-key")
    monkeypatch.setenv("ENCRYPTION_KEYS", OLD)
    assert migrate.main([]) == 0
    assert "values were encrypted" in capsys.readouterr().out
    monkeypatch.setenv("ENCRYPTION_KEYS", OTHER)
    assert migrate.main([]) == CONFIG_ERROR
    assert "encrypted with a key that this process does not have" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        schema.refuse_newer(connect(OTHER))
    assert ended.value.code == CONFIG_ERROR
    assert rotate_keys.main([]) == rotate_keys.AGAIN
    assert "open with no key of ENCRYPTION_KEYS" in capsys.readouterr().out
    monkeypatch.setenv("ENCRYPTION_KEYS", f"{NEW},{OLD}")
    assert rotate_keys.main([]) == 0
    monkeypatch.setenv("ENCRYPTION_KEYS", NEW)
    assert migrate.main([]) == 0
