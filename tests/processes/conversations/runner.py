"""Plays a script against the running system and judges it: what was said, and exactly what was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from shared.settings import BUNDLED_MODEL
from tests.processes.conversations.script import Alert, Row, Script, Step, Write, holds, names
from tests.processes.system import NO_MODEL, System, started, texts

NOW = datetime.fromisoformat("2026-11-23T09:00:00-04:00")
STEP_S = 30  # a patient writes every half minute
STRANGER = "+59178999999"


@dataclass
class Outcome:
    """What came of one conversation. `wrong` are writes that the script does not allow: the worst there is."""

    name: str
    problems: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    transcript: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return not self.problems and not self.wrong

    def __str__(self) -> str:
        verdict = "done" if self.done else "WRONG CALL" if self.wrong else "failed"
        lines = [f"{self.name}: {verdict}", *self.transcript, *(f"  ! {p}" for p in (*self.wrong, *self.problems))]
        return "\n".join(lines)


@contextmanager
def conversing(folder: Path, *, model: bool = True) -> Iterator[System]:
    """A system whose messages carry the scripts' time."""
    settings = {"LATE_MESSAGE_HOURS": "0", "MODEL_NAME": str(BUNDLED_MODEL) if model else NO_MODEL}
    with started(folder, **settings) as system:
        system.start_worker()
        if model:
            system.wait_for(lambda: requests.get(f"{system.url}/model", timeout=5).ok, 120)
        yield system


def play(system: System, name: str, script: Script) -> Outcome:
    """Have the conversation from an empty agenda, and judge it to its end even when something is wrong."""
    return _Player(system, name, script).play()


class _Player:
    def __init__(self, system: System, name: str, script: Script) -> None:
        self.system, self.script = system, script
        self.outcome = Outcome(name)
        self.phone = f"+5917801{names().index(name) if name in names() else 999:04d}"
        self.starts: dict[str, str] = {}  # appointment id -> start as it stands now
        self.replies: list[dict[str, Any]] = []
        self.seen = 0  # sequence number of the last message of ours that was answered
        self.judged = 0  # backend writes looked at so far
        self.calls: list[Write] = []

    def play(self) -> Outcome:
        self._seed()
        for number, step in enumerate(self.script.steps):
            self._take(number, step)
        self._judge_end()
        return self.outcome

    def _seed(self) -> None:
        self.system.control("reset", {"seed": False})
        self.system.control("clock", {"which": "backend", "at": NOW.isoformat()})
        patient = self.script.patient
        if patient is not None:
            self.system.control("agenda/patients", {"phone": self.phone, "name": patient.name})
            for at in patient.appointments:
                self.starts[self._book(self.phone, patient.name, at)] = at
        for at in self.script.others:
            self._book(STRANGER, "Lucía Ticona", at)

    def _book(self, phone: str, name: str, at: str) -> str:
        body = {"phone": phone, "name": name, "datetime": f"{at.replace(' ', 'T')}:00-04:00"}
        return str(self.system.control("agenda", body)["appointment_id"])

    # One step: do it, wait until all is answered, compare.

    def _take(self, number: int, step: Step) -> None:
        wishes = self._wishes(step)
        said = " / ".join(str(w.get("text") or w.get("title") or w["kind"]) for w in wishes)
        self.outcome.transcript.append(f"  > {said}")
        if not wishes:
            return
        at = int(NOW.timestamp()) + number * STEP_S
        wishes = [{"patient": self.phone, "timestamp": at, **wish} for wish in wishes]
        sent = self.system.control("messages", {"messages": wishes})["messages"]
        self.seen = sent[-1]["seq"]
        self.system.wait_for(lambda: all(self._accepted(m["wamid"]) for m in sent) and self._is_quiet())
        shown = self.system.control("messages", patient=self.phone, direction="to_patient", after=self.seen)["messages"]
        self.outcome.transcript += [f"  < {visible(reply)}" for reply in shown]
        self._judge_writes(number, step)
        self._judge_reply(number, step, shown)
        self.replies += shown[-1:]

    def _accepted(self, wamid: str) -> bool:
        return bool(self.system.control(f"messages/{wamid}")["webhook"]["state"] == "accepted")

    def _is_quiet(self) -> bool:
        return self.system.everything_is_answered()

    def _wishes(self, step: Step) -> list[dict[str, Any]]:
        if step.patient:
            return [{"kind": "text", "text": text} for text in step.patient]
        if step.media:
            return [{"kind": step.media}]
        if step.reminder:
            action = {"Asistiré": "asistire", "Cambiar fecha": "cambiar", "Cancelar cita": "cancelar"}[step.reminder]
            payload = f"rem:{action}:{next(iter(self.starts))}"
            return [{"kind": "button", "id": payload, "title": step.reminder}]
        return self._taps(step)

    def _taps(self, step: Step) -> list[dict[str, Any]]:
        replies = self.replies[step.of - 1 : step.of] if step.of else list(reversed(self.replies))
        for reply in replies:
            kind, shown = options(reply)
            found = [o for o in shown if o["title"] == step.tap] or [
                o for o in shown if holds(o["title"], step.tap or "")
            ]
            if len(found) == 1:
                choice = {"id": found[0]["id"], "title": found[0]["title"], "context": reply["wamid"]}
                return [{"kind": f"{kind}_reply", **choice}] * step.times
        self.outcome.problems.append(f"no button {step.tap!r} to tap")
        return []

    def _judge_reply(self, number: int, step: Step, shown: list[dict[str, Any]]) -> None:
        problems, where = self.outcome.problems, f"step {number + 1}"
        # A repeated tap is answered with the present state, on its own or together with the first.
        expected = range(1) if step.silence else range(1, step.times + 1)
        if len(shown) not in expected:
            problems.append(f"{where}: {len(shown)} replies")
        if not shown:
            return
        whole = " ".join(visible(reply) for reply in shown)
        titles = [option["title"] for reply in shown for option in options(reply)[1]]
        problems += [f"{where}: does not show {word!r}" for word in step.sees if not holds(whole, word)]
        problems += [f"{where}: shows {word!r}" for word in step.missing if holds(whole, word)]
        problems += [f"{where}: no button {title!r}" for title in step.buttons if title not in titles]

    # The backend.

    def _judge_writes(self, number: int, step: Step) -> None:
        writes = self.system.control("writes")["writes"]
        fresh, self.judged = writes[self.judged :], len(writes)
        kinds = []
        for write in fresh:
            if write["kind"] == "alerts":
                if not write["replayed"]:  # an alarm may be raised again; told twice it is heard once
                    kinds.append("alert")
                continue
            kinds.append(write["kind"])
            self.calls.append(call := self._read(write))
            self.outcome.transcript.append(f"  = {call.model_dump(exclude_none=True)}")
        if kinds != step.does:
            unasked = list(kinds)
            for kind in step.does:
                if kind in unasked:
                    unasked.remove(kind)
            into = self.outcome.wrong if set(unasked) - {"alert"} else self.outcome.problems
            into.append(f"step {number + 1}: wrote {kinds}, not {step.does}")

    def _read(self, write: dict[str, Any]) -> Write:
        """A write in the script's words; appointments by their start before it."""
        body, answer = write["body"], write["answer"]
        new = minute(body["datetime"]) if "datetime" in body else None
        refused = answer.get("error") if write["status"] >= 400 else None
        if write["kind"] == "schedule":
            if body["phone"] != self.phone:
                self.outcome.wrong.append(f"booked for another number: {body['phone']}")
            if refused is None:
                self.starts[answer["appointment_id"]] = str(new)
            return Write(
                schedule=new, reason=body.get("reason") or None, name=body.get("name") or None, refused=refused
            )
        if body["appointment_id"] not in self.starts:
            self.outcome.wrong.append("somebody else's appointment")
            return Write(refused="foreign")
        old = self.starts[body["appointment_id"]]
        if write["kind"] == "reschedule":
            if refused is None:
                self.starts[body["appointment_id"]] = str(new)
            return Write(reschedule=old, to=new, refused=refused)
        return Write.model_validate({write["kind"]: old, "refused": refused})

    def _judge_end(self) -> None:
        allowed = list(self.script.calls)
        for call in self.calls:
            if call in allowed:
                allowed.remove(call)
            else:
                self.outcome.wrong.append(f"call {call.model_dump(exclude_none=True)} is not in the script")
        if self.calls != self.script.calls:
            self.outcome.problems.append(f"calls were {[c.model_dump(exclude_none=True) for c in self.calls]}")
        told = self.system.control("alerts")["alerts"]
        alerts = [Alert(category=alert["category"], level=alert["level"]) for alert in told]
        if alerts != self.script.alerts or any(alert.get("phone") != self.phone for alert in told):
            self.outcome.problems.append(f"alerts were {alerts}")
        self._judge_agenda()

    def _judge_agenda(self) -> None:
        named = {row.at: row.name for row in self.script.agenda}
        stands = []
        for row in self.system.appointments(self.phone):
            at = minute(row["datetime"])
            name = row["name"] if named.get(at) else None
            stands.append(Row(at=at, status=row["status"], name=name))
        if stands != self.script.agenda:
            self.outcome.problems.append(f"agenda is {stands}")


def options(reply: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """`button` or `list`, and what can be tapped."""
    action = reply["body"].get("interactive", {}).get("action", {})
    if "buttons" in action:
        return "button", [button["reply"] for button in action["buttons"]]
    return "list", [row for section in action.get("sections", []) for row in section["rows"]]


def visible(reply: dict[str, Any]) -> str:
    """Text and buttons as the patient sees them."""
    titles = "".join(f" [{option['title']}]" for option in options(reply)[1])
    return texts(reply) + titles


def minute(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M")
