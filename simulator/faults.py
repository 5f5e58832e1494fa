"""Scripted misfortune: which call fails, how, and how often. Set by the control API, asked by both APIs per call."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Statuses = Literal["normal", "none", "late", "repeated", "reversed", "before_answer", "failed"]


class Fault(BaseModel):
    """One misfortune. Fires on matching calls number `call` to `call + times - 1`, counted from when it was set."""

    model_config = ConfigDict(extra="forbid")

    target: Literal["cloud", "backend"] = "cloud"
    patient: str | None = None  # number, BSUID or simulator id; None = anyone
    # cloud: text, button, list, interactive (any of them), template, image, … or read, or one of the management reads
    # number, subscribed_apps, message_templates (these only when named); backend: schedule, cancel, …
    # None = every call except read marks; "any" = those too.
    kind: str | None = None
    call: int = Field(default=1, ge=1)
    times: int = Field(default=1, ge=0)  # 0 = for ever

    delay_s: float = Field(default=0, ge=0)  # before anything is done
    delay_answer_s: float = Field(default=0, ge=0)  # after it is done, before the answer
    drop: Literal["before", "after"] | None = None  # close the connection without an answer, before or after doing it
    status: int | None = Field(default=None, ge=200, le=599)  # HTTP status of the error
    code: int | None = None  # cloud: Meta's error code
    subcode: int | None = None
    details: str | None = None
    transient: bool = False
    headers: dict[str, str] = {}
    raw_body: str | None = None  # answered as it is (HTML of a proxy, or nothing)
    body: dict[str, Any] | None = None  # answered as JSON
    body_status: int | None = None  # backend: HTTP 200 with {"statusCode": …}
    commit: bool = False  # do it all the same, then answer with the error

    statuses: Statuses = "normal"
    status_delay_s: float = Field(default=30, ge=0)  # for "late"
    failed_code: int = 131026  # for "failed"

    id: int = 0
    seen: int = 0
    used: int = 0

    @property
    def has_error_answer(self) -> bool:
        """True when the answer is an error, False when only time, connection or statuses are touched."""
        return any(x is not None for x in (self.status, self.code, self.raw_body, self.body, self.body_status))

    def matches(self, target: str, patient_keys: set[str], kinds: set[str]) -> bool:
        if self.target != target or (self.patient is not None and self.patient.lstrip("+") not in patient_keys):
            return False
        if self.kind is None:
            return "read" not in kinds
        return self.kind == "any" or self.kind in kinds


class Faults:
    """The faults in force, oldest first. Guarded by `changes`."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._last_id = 0

    def add(self, fault: Fault) -> Fault:
        self._last_id += 1
        fault.id, fault.seen, fault.used = self._last_id, 0, 0
        self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        return list(self._faults)

    def clear(self, fault_id: int | None = None) -> None:
        """Forget one fault, or all of them."""
        self._faults = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]

    def take(self, target: str, patient_keys: set[str], kinds: set[str], *, named_only: bool = False) -> Fault | None:
        """Count this call on every fault that it matches; return a copy of the first one that fires.

        `named_only`: a fault that names no kind does not meet this call.
        """
        fired: Fault | None = None
        for fault in self._faults:
            if not fault.matches(target, patient_keys, kinds) or (named_only and fault.kind is None):
                continue
            fault.seen += 1
            due = fault.seen >= fault.call and (fault.times == 0 or fault.used < fault.times)
            if due and fired is None:
                fault.used += 1
                fired = fault.model_copy()
        return fired
