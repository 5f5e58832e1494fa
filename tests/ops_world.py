"""Fills Redis with a believable day of a clinic, for the operators' page: python -m tests.ops_world redis://… key.

All of it goes through the code that writes it in earnest, where a time does not have to lie in the past.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from zoneinfo import ZoneInfo

import redis

from shared.celery_app import QueueName
from shared.conversation import Conversation, Role, Turn
from shared.identity import candidate_ids, message_id
from shared.messages import Delivery, Identity, Message, Reply
from shared.state import alarms, audit, health, inbox, schema
from shared.state.alarms import NewAlarm
from shared.state.inbox import Arrival, Outgoing
from shared.state.incidents import RedisIncidents

MINUTE_MS = 60_000
CENTER = ZoneInfo("America/La_Paz")


class World:
    """The patients of the day, by a short name."""

    def __init__(self, client: redis.Redis, key: bytes, now: dt.datetime | None = None) -> None:
        self.client, self.key = client, key
        self.now = now or dt.datetime.now(dt.UTC)
        self.now_ms = round(self.now.timestamp() * 1000)
        self.ids: dict[str, str] = {}
        self._count = 0

    def patient(self, name: str, number: str) -> str:
        """Somebody with an address; returns the opaque id."""
        self.ids[name] = candidate_ids(self.key, Identity(number=number))[0]
        self.client.hset(f"address:{self.ids[name]}", "number", number)
        return self.ids[name]

    def writes(self, name: str, text: str, minutes_ago: float, number: str) -> str:
        """A message that lies in the inbox; returns its id."""
        self._count += 1
        at = self.now - dt.timedelta(minutes=minutes_ago)
        message = Message(id=message_id(self.key, f"w{self._count}"), text=text, at=at, received_at=at)
        identity = Identity(number=number)
        arrival = Arrival(message, identity, candidate_ids(self.key, identity))
        [(_, patient)] = inbox.accept(self.client, [arrival], burst_ms=0, limit_per_minute=100)
        self.ids[name] = patient
        return message.id

    def said(self, name: str, *turns: tuple[Role, str, float]) -> None:
        """What was said before, and is answered."""
        told = [Turn(role=role, text=text, at=self.now - dt.timedelta(minutes=ago)) for role, text, ago in turns]
        patient = self.ids[name]
        self.client.set(f"conversation:{patient}", Conversation(turns=tuple(told)).to_json(), ex=86400)
        wrote_ms = self.now_ms - round(turns[-1][2] * MINUTE_MS)
        self.client.hset(f"address:{patient}", "wrote_ms", wrote_ms)
        self.client.delete(f"inbox:{patient}")
        for clock in ("waiting", "fresh"):
            self.client.zrem(clock, patient)

    def alarm(self, name: str, message: str, category: str, level: str, minutes_ago: float) -> str:
        """A danger sign as the triage raises it; returns the alarm's id."""
        patient, at = self.ids[name], self.now - dt.timedelta(minutes=minutes_ago)
        id_ = alarms.alarm_id(message)
        delivery = Delivery(id="d_" + message[2:], reply=Reply(text="⚠️ Vaya AHORA a emergencias."), created_at=at)
        handoff = {"reason": "alarm", "level": level, "category": category, "told": True, "at": at.isoformat()}
        inbox.raise_alarm(
            self.client,
            patient,
            message,
            Outgoing(delivery),
            handoff=json.dumps(handoff | {"alarm": id_}),
            alarm=NewAlarm(id_, category, level, at.isoformat(), 1, 10 * MINUTE_MS),
        )
        raised_ms = self.now_ms - round(minutes_ago * MINUTE_MS)
        self.client.hset(f"alarm:{id_}", "raised_ms", raised_ms)
        self.client.zadd("raised", {id_: raised_ms})
        self.client.delete(f"outbox:{patient}:urgent")
        self.client.zrem("outgoing", f"{patient}:urgent")
        return id_

    def asks_for_a_person(self, name: str, minutes_ago: float) -> None:
        patient, at = self.ids[name], self.now - dt.timedelta(minutes=minutes_ago)
        handoff = {"reason": "person", "at": at.isoformat(), "told_at": at.isoformat()}
        self.client.set(f"handoff:{patient}", json.dumps(handoff), ex=86400)
        self.client.zadd("handoffs", {patient: self.now_ms - minutes_ago * MINUTE_MS + 86_400_000})
        self.call(f"h:{patient}", name, "pedido", minutes_ago, kind="handoff")

    def call(self, id_: str, name: str, why: str, minutes_ago: float, **more: str) -> None:
        at = self.now_ms - round(minutes_ago * MINUTE_MS)
        line = {"patient": self.ids[name], "kind": "reminder", "why": why, "at": at, **more}
        self.client.hset("calls", id_, json.dumps(line))

    def opts_out(self, name: str, days_ago: float) -> None:
        since = self.now_ms - round(days_ago * 86_400_000)
        self.client.set(f"optout:{self.ids[name]}", since)
        self.client.zadd("optouts", {self.ids[name]: since})

    def dead_message(self, name: str, text: str, minutes_ago: float) -> None:
        at = self.now - dt.timedelta(minutes=minutes_ago)
        message = Message(id=message_id(self.key, f"dead{name}"), text=text, at=at, received_at=at)
        raw = f"{round(at.timestamp() * 1000)}|{message.to_json()}"
        letter = {"patient": self.ids[name], "why": "PartnerRefused", "at": at.isoformat(), "entries": [raw]}
        self.client.lpush("dead", json.dumps(letter))

    def dead_status(self, name: str) -> None:
        letter = {"delivery": "d_" + "5" * 24, "box": f"{self.ids[name]}:normal", "kind": "reply"}
        self.client.lpush("dead", json.dumps(letter | {"code": "131026", "why": "status"}))

    def beats(self) -> None:
        """One worker that works, and a canary that came home."""
        model = {"name": "bundled", "revision": "5f1c2ab"}
        facts = {"name": "worker@a", "consuming": True, "model_state": "ready", "model": model, "danger_rules": "ok"}
        health.publish_heartbeat(self.client, "worker@a", facts)
        self.client.expire("worker:worker@a", 3600)
        for queue in QueueName:
            self.client.hset("pulse", queue, str(time.time() + 3600))
        self.client.hset("canary", mapping={"good_ms": self.now_ms - 2 * MINUTE_MS, "period_s": 300})


def fill(client: redis.Redis, key: bytes, zone: ZoneInfo = CENTER) -> World:
    """A working day with everything that can wait for a person; `zone` is the clinic's."""
    world = World(client, key)
    client.set(schema.KEY, schema.CURRENT)  # of today's code: nothing to migrate
    world.beats()
    me, it = Role.PATIENT, Role.ASSISTANT
    visit = (world.now.astimezone(zone) + dt.timedelta(days=1)).replace(hour=10, minute=30, second=0, microsecond=0)

    first = world.writes("rosa", "Doctora, desde la mañana estoy tosiendo sangre y me falta el aire", 6, "59170000001")
    open_alarm = world.alarm("rosa", first, "hemoptisis", "emergencia", 6)
    world.said(
        "rosa",
        (me, "Hola, tomé mis pastillas hoy", 64),
        (it, "¡Muy bien! ¿En qué le ayudo?", 64),
        (me, "Doctora, desde la mañana estoy tosiendo sangre y me falta el aire", 6),
    )
    second = world.writes("juan", "tengo los ojos amarillos y me pica todo el cuerpo", 190, "59171234567")
    taken = world.alarm("juan", second, "higado", "mismo_dia", 190)
    alarms.acknowledge(client, taken, "enf.quispe", world.now_ms - 181 * MINUTE_MS)
    world.said("juan", (me, "tengo los ojos amarillos y me pica todo el cuerpo", 190))

    world.patient("elena", "59176543210")
    world.said(
        "elena",
        (me, "quiero hablar con alguien por favor, es sobre mi hijo", 35),
        (it, "Le paso con una persona del centro. Le escribirán por aquí o le llamarán.", 35),
    )
    world.asks_for_a_person("elena", 35)
    world.writes("elena", "¿me pueden llamar después de las 4? estoy trabajando", 12, "59176543210")
    for clock in ("waiting", "fresh"):
        client.zrem(clock, world.ids["elena"])

    for name, number, why, ago in (
        ("mario", "59172220011", "not_delivered", 95),
        ("lucia", "59173330022", "not_delivered", 90),
        ("pedro", "59174440033", "failed", 140),
    ):
        world.patient(name, number)
        world.call(f"r_{name}", name, why, ago, start=visit.isoformat(), ref=f"CC-{ago:04}", appointment=name)
    world.patient("ana", "59178880044")
    world.call(f"h:{world.ids['ana']}", "ana", "resultado_desconocido", 20, kind="handoff")

    for name, number, days in (("hugo", "59179990055", 3.2), ("sara", "5491155550066", 21.0)):
        world.patient(name, number)
        world.opts_out(name, days)
    world.dead_message("mario", "puedo cambiar mi cita al jueves", 130)
    world.dead_status("lucia")
    incidents = RedisIncidents(client)
    incidents.open("backend_refused", "409", world.now_ms - 14 * MINUTE_MS, settle_ms=0, unsteady_ms=0)
    audit.note(client, audit.Event.DRAINED, world.ids["rosa"], [first], worker="worker@a", messages=1)
    world.ids["open_alarm"], world.ids["taken_alarm"], world.ids["first_message"] = open_alarm, taken, first
    return world


if __name__ == "__main__":
    fill(redis.Redis.from_url(sys.argv[1], decode_responses=True), sys.argv[2].encode())
