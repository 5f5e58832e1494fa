"""A worker whose model fails when the harness says so. Run: celery -A tests.chaos.worker worker

`CHAOS_MODEL_FAULT` names a file; while it holds `hang`, `crash`, `memory` or `die`, every call of the model does that.
`CHAOS_MODEL=scripted` puts a reader without a network in the model's place, which costs no CPU; else the worker's own
model is loaded and the fault is put into its arithmetic. Only tests import this module.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from shared.errors import EngineBusy, ModelUnavailable, UnreadablePrediction
from workers import services as wiring
from workers.model import holder as model_holder
from workers.model.info import ModelInfo
from workers.model.reader import Reading

HANG_S = 600.0
_FAULT = Path(os.environ.get("CHAOS_MODEL_FAULT", "/nonexistent"))


class _ModelFault(RuntimeError):
    """What a library raises when its native code fails."""


def fault() -> str:
    try:
        return _FAULT.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def suffer(deadline_s: float) -> None:
    """Do what the harness asks for: hang (until it is healed, at most `deadline_s`), raise, or end the process."""
    asked = fault()
    if asked == "die":  # as the kernel does it when memory is short
        os.kill(os.getpid(), signal.SIGKILL)
    if asked == "memory":
        raise MemoryError("no memory left for the model")
    if asked == "crash":
        raise _ModelFault("the model failed")
    until = time.monotonic() + deadline_s
    while asked == "hang" and time.monotonic() < until:
        time.sleep(0.1)
        asked = fault()


class ScriptedReader:
    """Has no opinion, so that the rules decide; fails as a real reader does (`workers.model.reader.Reader.read`)."""

    def read(self, *, deadline_s: float, **_: Any) -> Reading:
        begun = time.monotonic()
        try:
            suffer(deadline_s)
        except Exception as error:
            raise UnreadablePrediction(f"the model failed ({type(error).__name__})") from error
        if time.monotonic() - begun >= deadline_s:
            raise EngineBusy(f"the model does not answer within {deadline_s:g} s")
        return Reading()


class ScriptedHolder(model_holder.ModelHolder):
    """Ready at once."""

    def start(self) -> None:
        self._info = ModelInfo(
            name="scripted",
            revision=os.environ.get("CHAOS_REVISION"),
            device="cpu",
            precision="fp32",
            threads=0,
            parameters=0,
            context_length=1024,
            load_s=0,
            memory_mb=0,
            tagged=True,
            chat_template=False,
            since=dt.datetime.now(dt.UTC),
        )
        self._reader = ScriptedReader()  # type: ignore[assignment]
        self._state = "ready"
        self._settled.set()

    def wait(self, timeout_s: float) -> Any:
        if self._reader is None:
            raise ModelUnavailable("closed")
        return self._reader


class FaultyForward:
    """The arithmetic of a loaded model, and the fault before each step of it."""

    def __init__(self, forward: Any) -> None:
        self._forward = forward
        self.context_length, self.vocab_size = forward.context_length, forward.vocab_size

    def prefill(self, ids: Sequence[int]) -> Any:
        suffer(HANG_S)
        return self._forward.prefill(ids)

    def step(self, last_ids: Sequence[int]) -> Any:
        suffer(HANG_S)
        return self._forward.step(last_ids)

    def keep(self, rows: Sequence[int]) -> None:
        self._forward.keep(rows)


def _with_faults() -> None:
    if os.environ.get("CHAOS_MODEL") == "scripted":
        setattr(wiring, "ModelHolder", ScriptedHolder)  # noqa: B010 - the name is not exported
        return
    from workers.model import loader

    load = loader.load

    def faulty(*given: Any, **named: Any) -> Any:
        loaded = load(*given, **named)
        return dataclasses.replace(loaded, forward=cast(Any, FaultyForward(loaded.forward)))

    loader.load = faulty


_with_faults()

from workers.app import app  # noqa: E402 - its services are built at import

__all__ = ["app"]
