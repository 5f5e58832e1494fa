"""Patients, appointments, alerts and idempotency keys of the reference backend, in SQLite.

One connection with a lock: each write is one transaction, so two patients never get the same place.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from simulator.appointment_json import appointment_id, booked, listed
from simulator.clock import Clock
from simulator.opening_hours import SLOT, ZONE, is_slot, slots_from, slots_of
from simulator.rules import Rules

Json = dict[str, Any]
Answer = tuple[int, Any]
_NOT_FOUND: Answer = (404, {"error": "not_found"})

_SCHEMA = """
CREATE TABLE IF NOT EXISTS patients (
    phone TEXT PRIMARY KEY, name TEXT NOT NULL, last_visit TEXT, consent_date TEXT, consent_source TEXT);
CREATE TABLE IF NOT EXISTS appointments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, phone TEXT NOT NULL, name TEXT NOT NULL, start INTEGER NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, changed_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS appointments_by_start ON appointments (start);
CREATE INDEX IF NOT EXISTS appointments_by_phone ON appointments (phone, start);
CREATE TABLE IF NOT EXISTS alerts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, received_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL);
"""
_FIRST_NUMBER = 400  # references begin at CC-0401
_TAKING = ("scheduled", "rescheduled", "confirmed")  # states that occupy a place


class AppointmentsStore:
    """All the backend knows. Times go in and out timezone-aware; the clinic's zone in what is told."""

    def __init__(self, path: str, clock: Clock, rules: Callable[[], Rules]) -> None:
        self._clock, self._rules = clock, rules
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    def now(self) -> datetime:
        return self._clock.now().astimezone(ZONE)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def clear(self) -> None:
        with self._lock:
            for table in ("patients", "appointments", "alerts", "idempotency", "sqlite_sequence"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own table names

    def is_empty(self) -> bool:
        with self._lock:
            return self._db.execute("SELECT 1 FROM appointments LIMIT 1").fetchone() is None

    def write(self, route: str, key: str | None, body: Json, action: Callable[[], Answer]) -> tuple[Answer, bool]:
        """Do `action` in one transaction, once per idempotency key.

        Returns:
            The answer, and whether it is an earlier one told again. The same key with another request: 422.
        """
        text = json.dumps([route, body], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            if key is not None:
                row = self._db.execute("SELECT * FROM idempotency WHERE key = ?", (key,)).fetchone()
                if row is not None and row["fingerprint"] != fingerprint:
                    return (422, {"error": "idempotency_key_reused"}), False
                if row is not None:
                    return (row["status"], json.loads(row["answer"])), True
            self._db.execute("BEGIN IMMEDIATE")
            try:
                answer = action()
                if key is not None:
                    row_values = (key, fingerprint, answer[0], json.dumps(answer[1]))
                    self._db.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", row_values)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            return answer, False

    def schedule(self, phone: str, start: datetime, reason: str, name: str) -> Answer:
        """Book a place, or say why not with the three nearest free ones."""
        refusal = self._refusal(start)
        if refusal is not None:
            return refusal
        patient = self.patient(phone)
        number = self.insert(phone, name or (patient["name"] if patient else ""), start, "scheduled", reason)
        return 201, booked(number, start, "scheduled")

    def reschedule(self, number: int, start: datetime) -> Answer:
        row = self._active(number)
        if row is None:
            return _NOT_FOUND
        refusal = self._refusal(start, number)
        if refusal is not None:
            return refusal
        self._change(number, "rescheduled", start)
        return 200, booked(number, start, "rescheduled")

    def cancel(self, number: int) -> Answer:
        """Cancel; what is cancelled already stays so and is no error."""
        row = self._row(number)
        if row is None or row["status"] not in (*_TAKING, "cancelled"):
            return _NOT_FOUND
        if row["status"] != "cancelled":
            self._change(number, "cancelled")
        return 200, {"appointment_id": appointment_id(number), "status": "cancelled"}

    def confirm(self, number: int) -> Answer:
        if self._active(number) is None:
            return _NOT_FOUND
        self._change(number, "confirmed")
        return 200, {"appointment_id": appointment_id(number), "status": "confirmed"}

    def add_alert(self, body: Json) -> Answer:
        with self._lock:
            self._db.execute(
                "INSERT INTO alerts (body, received_at) VALUES (?, ?)", (json.dumps(body), self.now().isoformat())
            )
        return 202, {"accepted": True}

    def alerts(self) -> list[Json]:
        with self._lock:
            rows = self._db.execute("SELECT * FROM alerts ORDER BY number").fetchall()
        return [{"id": row["number"], "received_at": row["received_at"], **json.loads(row["body"])} for row in rows]

    def patient(self, phone: str) -> Json | None:
        with self._lock:
            row = self._db.execute("SELECT * FROM patients WHERE phone = ?", (phone,)).fetchone()
        if row is None:
            return None
        told = {"name": row["name"], "registered": True, "last_visit": row["last_visit"]}
        if row["consent_date"]:
            told["whatsapp_consent"] = {"date": row["consent_date"], "source": row["consent_source"]}
        return told

    def add_patient(self, phone: str, name: str, last_visit: str | None = None, consent: Json | None = None) -> None:
        """Register a patient, or change one. `consent` has `date` and `source`."""
        given = consent or {}
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO patients VALUES (?, ?, ?, ?, ?)",
                (phone, name, last_visit, given.get("date"), given.get("source")),
            )

    def insert(self, phone: str, name: str, start: datetime, status: str = "scheduled", reason: str = "") -> int:
        """Write an appointment without asking hours or places; return its number."""
        with self._lock:
            top = self._db.execute("SELECT COALESCE(MAX(number), ?) FROM appointments", (_FIRST_NUMBER,)).fetchone()[0]
            number = int(top) + 1
            self._db.execute(
                "INSERT INTO appointments VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, phone, name, int(start.timestamp()), status, reason, self.now().isoformat()),
            )
        return number

    def set_status(self, number: int, status: str) -> bool:
        """Set any state (`missed`, `done`, …) as the clinic's staff would; False = no such appointment."""
        with self._lock:
            return self._row(number) is not None and self._change(number, status)

    def upcoming(self, hours: float | None = None, phone: str | None = None) -> list[Json]:
        """Return future appointments that are not cancelled, soonest first."""
        now = self.now()
        end = now + timedelta(hours=hours) if hours is not None else datetime.max.replace(tzinfo=ZONE)
        return [a for a in self.between(now, end, phone) if a["status"] in _TAKING]

    def missed(self, day: date) -> list[Json]:
        begin = datetime.combine(day, datetime.min.time(), ZONE)
        return [
            a for a in self.between(begin - timedelta(seconds=1), begin + timedelta(days=1)) if a["status"] == "missed"
        ]

    def between(self, after: datetime, until: datetime, phone: str | None = None) -> list[Json]:
        """Return appointments with after < start <= until in any state, soonest first."""
        query = "SELECT * FROM appointments WHERE start > ? AND start <= ?"
        values: list[Any] = [after.timestamp(), until.timestamp() if until.year < 9000 else 1 << 60]
        if phone is not None:
            query, values = query + " AND phone = ?", [*values, phone]
        with self._lock:
            rows = self._db.execute(query + " ORDER BY start, number", values).fetchall()
        return [listed(row) for row in rows]

    def free_slots(self, day: date) -> list[datetime]:
        """Return the free places of a day that are still to come."""
        now = self.now()
        taken = self._taken_from(datetime.combine(day, datetime.min.time(), ZONE))
        return [at for at in slots_of(day, self._rules().closed_days) if at > now and not self._full(at, taken)]

    def phone_of(self, number: int) -> str | None:
        row = self._row(number)
        return str(row["phone"]) if row is not None else None

    def _refusal(self, start: datetime, own_number: int | None = None) -> Answer | None:
        rules = self._rules()
        if start <= self.now():
            error = "past"
        elif not is_slot(start, rules.closed_days):
            error = "closed"
        elif self._full(start, self._taken_from(start, own_number)):
            error = "slot_taken"
        else:
            return None
        return 409, {"error": error, "alternatives": [at.isoformat() for at in self._nearest_free(start, own_number)]}

    def _nearest_free(self, wanted: datetime, own_number: int | None) -> list[datetime]:
        """Return the three free places nearest to `wanted`, soonest first; the own present one is not offered."""
        now = self.now()
        wanted = max(wanted.astimezone(ZONE), now)
        first = max(wanted - timedelta(days=10), now)
        taken = self._taken_from(first - SLOT)
        free = (at for at in slots_from(first.date(), 60, self._rules().closed_days) if at > now)
        nearest = sorted((at for at in free if not self._full(at, taken)), key=lambda at: abs(at - wanted))[:3]
        return sorted(nearest)

    def _taken_from(self, first: datetime, own_number: int | None = None) -> dict[int, int]:
        query = "SELECT start, COUNT(*) FROM appointments WHERE start >= ? AND number IS NOT ? AND status IN (?, ?, ?)"
        with self._lock:
            rows = self._db.execute(
                query + " GROUP BY start", (int(first.timestamp()), own_number, *_TAKING)
            ).fetchall()
        return {int(row[0]): int(row[1]) for row in rows}

    def _full(self, at: datetime, taken: dict[int, int]) -> bool:
        return taken.get(int(at.timestamp()), 0) >= self._rules().slot_capacity

    def _row(self, number: int) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._db.execute(
                "SELECT * FROM appointments WHERE number = ?", (number,)
            ).fetchone()
        return row

    def _active(self, number: int) -> sqlite3.Row | None:
        row = self._row(number)
        return row if row is not None and row["status"] in _TAKING else None

    def _change(self, number: int, status: str, start: datetime | None = None) -> bool:
        with self._lock:
            self._db.execute(
                "UPDATE appointments SET status = ?, start = COALESCE(?, start), changed_at = ? WHERE number = ?",
                (status, int(start.timestamp()) if start else None, self.now().isoformat(), number),
            )
        return True
