"""One person is removed everywhere, the others stay, and never half: a real Redis with a believable day of a clinic."""

from __future__ import annotations

import base64
import io
import json
import secrets
import threading
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from shared.conversation import Conversation
from shared.identity import candidate_ids
from shared.messages import Delivery, DeliveryKind, Identity, Message, ReminderKind, ReminderOf, Reply, StatusUpdate
from shared.settings import CONFIG_ERROR, Settings
from shared.spool import Body, Spool
from shared.state import inbox, outbox, reminders, reseal, staff, store, turns
from shared.state.inbox import Arrival, Outgoing
from shared.state.leases import Leases
from shared.state.store import Client
from shared.state.turns import Commit
from tests.ops_world import World, fill
from tests.shared.state.dump import everything, where
from workers import erase

KEY = b"test-key"
ROSA = "59170000001"
USER = "BO.1349120865530274"
BOTH = Identity(number=ROSA, user_id=USER)
NOW = datetime.now(UTC)


@pytest.fixture
def keys() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def settings_here(settings: Settings, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the tool will find them in its environment."""
    told = {"REDIS_URL": settings.redis_url, "PATIENT_ID_KEY": KEY.decode(), "ENCRYPTION_KEYS": keys}
    told |= {"SPOOL_DIR": str(tmp_path / "spool"), "LEASE_S": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(erase, "WAIT_S", 0.3)
    return Settings(_env_file=None)


@pytest.fixture
def world(client: redis.Redis, settings_here: Settings) -> World:
    """A day on which Rosa left traces of every kind, under her number and her user id."""
    world = fill(client, KEY)
    ours = store.connect(settings_here)
    reseal.begin(ours, print)
    rosa = world.ids["rosa"]
    lived(ours, rosa)
    ours.close()
    return world


def lived(ours: Client, rosa: str) -> None:
    """Two turns, a reply that was sent, one that waits, a reminder, a text of staff, a dead letter, an odd body."""
    ids = candidate_ids(KEY, BOTH)

    def writes(id_: str) -> None:
        message = Message(id=id_, text="otra vez tengo fiebre", at=NOW, received_at=NOW)
        inbox.accept(ours, [Arrival(message, BOTH, ids)], burst_ms=0, limit_per_minute=99)

    leases = Leases(ours)

    def answers(number: int) -> None:
        token = leases.take(rosa) or ""
        entries = turns.read_desk(ours, rosa, at_most=9).entries
        delivery = Delivery(id=f"d_erase_{number}", reply=Reply(text="tome agua"), created_at=NOW, through_handoff=True)
        commit = Commit(entries, Conversation(), 3600, [Outgoing(delivery)], call="{}", consent='{"at": 1}')
        assert turns.commit(ours, rosa, token, commit)[0] is turns.CommitResult.DONE
        turns.release(ours, rosa, token, 0)

    writes("m_erase_first")
    answers(1)
    lane_token = leases.take(f"{rosa}:normal") or ""
    claimed = outbox.claim(ours, rosa, "normal", lane_token, settle_ms=1000)
    outbox.mark_sent(ours, rosa, "normal", claimed, "wamid.out")
    outbox.release(ours, rosa, "normal", lane_token)
    outbox.note_statuses(ours, [StatusUpdate(wamid="wamid.out", status="delivered", at=NOW)])
    writes("m_erase_second")
    answers(2)
    ours.hset(f"address:{rosa}", "wrote_ms", round(NOW.timestamp() * 1000))
    staff.reply(ours, rosa, "f1", "venga mañana", "ana", NOW)
    visit = ReminderOf(
        appointment_id="visit-1",
        start=NOW + timedelta(days=1),
        kind=ReminderKind.AHEAD,
        due=NOW,
        until=NOW + timedelta(hours=9),
    )
    delivery = Delivery(
        id="r_1", kind=DeliveryKind.REMINDER, reply=Reply(text="su cita"), created_at=NOW, reminder_of=visit
    )
    wanted = reminders.Claim(delivery, BOTH, ids, {"why": "x"}, NOW + timedelta(hours=8))
    assert reminders.claim(ours, [wanted]) == 1
    reminders.put_on_call_list(ours, "c_1", {"patient": rosa, "kind": "handoff", "why": "pedido"})
    reminders.may_reach(ours, rosa, 100)
    ours.lpush("dead", json.dumps({"delivery": "d_erase_1", "box": f"{rosa}:normal", "why": "status", "at": 1}))
    body = json.dumps({"odd": {"from": ROSA, "says": "hola"}}).encode()
    packed = store.seal(ours, base64.b64encode(zlib.compress(body)).decode())
    ours.lpush("unreadable", json.dumps({"at": NOW.isoformat(), "why": "odd item", "zlib": packed}))
    writes("m_c")  # waits
    turns.count_failure(ours, "m_c", own=True)
    ours.set("answer:m_c", "x")
    for number, kind in enumerate(("delay", "rung", "paced")):
        ours.set(f"{kind}:{rosa}", number, ex=60)


@pytest.mark.parametrize("name", ["id", "+591 7000-0001", "70000001", USER])
def test_no_key_names_the_person_afterwards_by_whatever_name_they_are_erased(
    name: str,
    world: World,
    client: redis.Redis,
    settings_here: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rosa = world.ids["rosa"]
    names = (rosa, ROSA, *candidate_ids(KEY, BOTH), USER, "m_erase_first", "m_erase_second", "d_erase_1", "d_erase_2")
    assert len(where(client, *names)) > 20
    others = {n: id_ for n, id_ in world.ids.items() if n in ("juan", "elena", "mario", "hugo", "ana")}
    before = {key: text for key, text in everything(client).items() if any(id_ in key for id_ in others.values())}
    sums = client.hgetall("metrics")

    assert erase.main([rosa if name == "id" else name, "--yes"]) == 0

    left = where(client, *names)
    assert set(left) <= {"seen:m_erase_first", "seen:m_erase_second"}, left
    after = {key: text for key, text in everything(client).items() if any(id_ in key for id_ in others.values())}
    assert after == before
    assert client.hgetall("metrics") == sums
    assert client.llen("dead") == 2
    assert client.llen("unreadable") == 0
    receipt = capsys.readouterr().out
    for words in ("COMPROBANTE DE BORRADO", "datos de contacto", "conversación", "alarmas", "registros de envío"):
        assert words in receipt
    assert "lista de bajas" not in receipt
    assert ROSA not in receipt
    assert erase.main([rosa, "--yes"]) == erase.NOT_DONE
    ours = store.connect(settings_here)
    assert outbox.head(ours, rosa, "reminder") is None


def test_who_wrote_baja_gets_no_reminder_afterwards_either(
    world: World, client: redis.Redis, settings_here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    client.set(f"optout:{world.ids['rosa']}", 5)
    client.zadd("optouts", {world.ids["rosa"]: 5})
    assert erase.main([ROSA, "--yes"]) == 0
    assert "la lista de bajas" in capsys.readouterr().out
    by_names = {f"optout:{id_}" for id_ in candidate_ids(KEY, BOTH)}
    assert set(where(client, *candidate_ids(KEY, BOTH), ROSA, USER)) <= by_names | {"optouts"}
    ours = store.connect(settings_here)
    visit = ReminderOf(
        appointment_id="visit-2", start=NOW, kind=ReminderKind.AHEAD, due=NOW, until=NOW + timedelta(hours=1)
    )
    delivery = Delivery(
        id="r_2", kind=DeliveryKind.REMINDER, reply=Reply(text="su cita"), created_at=NOW, reminder_of=visit
    )
    for identity in (BOTH, Identity(number=ROSA), Identity(user_id=USER)):
        wanted = reminders.Claim(delivery, identity, candidate_ids(KEY, identity), {}, NOW)
        assert reminders.claim(ours, [wanted]) == 0


@pytest.mark.parametrize("lease", ["", ":urgent", ":reminder"])
def test_while_a_worker_has_them_in_hand_nothing_is_touched(
    lease: str, world: World, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    client.set(f"lease:{world.ids['rosa']}{lease}", "a worker's", px=60_000)
    before = everything(client)
    assert erase.main([ROSA, "--yes"]) == erase.BUSY
    assert everything(client) == before
    assert "Repita la orden en un minuto" in capsys.readouterr().err


def test_a_turn_that_ends_is_waited_for(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, settings_here: Settings
) -> None:
    monkeypatch.setattr(erase, "WAIT_S", 20)
    rosa = world.ids["rosa"]
    client.set(f"lease:{rosa}", "a worker's")
    timer = threading.Timer(0.5, lambda: client.delete(f"lease:{rosa}"))
    timer.start()
    assert erase.main([rosa, "--yes"]) == 0
    timer.join()
    assert where(client, rosa) == {}


def test_what_came_between_two_looks_is_found_by_the_next(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rosa = world.ids["rosa"]
    late = [1]
    remove = erase.erasure.remove

    def remove_while_she_writes(*arguments: object) -> bool:
        if late:
            late.pop()
            message = Message(id="m_late", text="sigo aquí", at=NOW, received_at=NOW)
            arrival = Arrival(message, Identity(number=ROSA), (rosa,))
            inbox.accept(client, [arrival], burst_ms=0, limit_per_minute=99)
        return remove(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(erase.erasure, "remove", remove_while_she_writes)
    assert erase.main([ROSA, "--yes"]) == 0
    assert where(client, rosa, ROSA) == {}


def test_a_lost_lease_means_that_nothing_was_touched(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rosa = world.ids["rosa"]
    remove = erase.erasure.remove

    def taken_over(*arguments: object) -> bool:
        client.set(f"lease:{rosa}:normal", "another's")
        return remove(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(erase.erasure, "remove", taken_over)
    before = everything(client)
    assert erase.main([ROSA, "--yes"]) == erase.BUSY
    assert everything(client) == before | {f"lease:{rosa}:normal": '"another\'s"'}


def test_it_asks_before_and_takes_only_the_word(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(client)
    for typed in ("", "sí\n", "borrar todo\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert erase.main([ROSA]) == erase.NOT_DONE
    assert everything(client) == before
    assert "No se ha borrado nada." in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("BORRAR\n"))
    assert erase.main([ROSA]) == 0


def test_what_waits_on_disk_goes_too(
    world: World, client: redis.Redis, settings_here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(number: str) -> Body:
        message = {"from": number, "id": f"wamid.{number}", "timestamp": "1", "type": "text", "text": {"body": "hola"}}
        value = {"messaging_product": "whatsapp", "messages": [message]}
        change = {"field": "messages", "value": value}
        return Body(1, json.dumps({"entry": [{"id": "1", "changes": [change]}]}).encode())

    spool = Spool.from_settings(settings_here).open()
    spool.put([body(ROSA), body("59171234567")])
    assert erase.main([ROSA, "--yes"]) == 0
    kept = [one.content for path in spool.paths() for one in spool.read_path(path)]
    spool.close()
    assert len(kept) == 1
    assert b"59171234567" in kept[0]
    assert "mensajes en disco" in capsys.readouterr().out


def test_neither_a_strange_name_nor_a_wrong_key_erases_anything(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(client)
    assert erase.main(["Rosa Mamani", "--yes"]) == erase.NO_PATIENT
    monkeypatch.setenv("ENCRYPTION_KEYS", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    assert erase.main([ROSA, "--yes"]) == CONFIG_ERROR
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert erase.main([ROSA, "--yes"]) == erase.UNAVAILABLE
    assert everything(client) == before
    assert "ENCRYPTION_KEYS" in capsys.readouterr().err
