"""A worker whose model fails when the harness says so. Run: celery -A tests.chaos.worker worker

`CHAOS_MODEL_FAULT` names a file; while it holds `hang`, `crash`, `memory` or `die`, every call of the model does that.
`CHAOS_MODEL=scripted` puts a reader without a network in the model's place, which costs no CPU; else the worker's own
model is loaded and asked after the fault. Only tests import this module.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from pathlib import Path
from typing import Any, Protocol, cast

from shared.errors import EngineBusy, UnreadablePrediction
from workers import services as wiring
from workers.model import holder as model_holder
from workers.model.info import ModelInfo
from workers.model.reader import Reader, Reading

_FAULT = Path(os.environ.get("CHAOS_MODEL_FAULT", "/nonexistent"))
_SCRIPTED = os.environ.get("CHAOS_MODEL") == "scripted"


def fault() -> str:
    try:
        return _FAULT.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def suffer(deadline_s: float) -> None:
    """Hang until it is healed or the deadline is over, fail as a reader fails, or end the process.

    Raises:
        UnreadablePrediction: what `workers.model.reader` makes of whatever the model raised.
        EngineBusy: what it makes of a model that does not answer.
    """
    asked = fault()
    if asked == "die":  # as the kernel does it when memory is short
        os.kill(os.getpid(), signal.SIGKILL)
    if asked in ("crash", "memory"):
        kind = MemoryError if asked == "memory" else RuntimeError
        raise UnreadablePrediction(f"the model failed ({kind.__name__})")
    until = time.monotonic() + deadline_s
    while asked == "hang":
        if time.monotonic() > until:
            raise EngineBusy(f"the model does not answer within {deadline_s:g} s")
        time.sleep(0.1)
        asked = fault()


class Reads(Protocol):
    """What the road needs of a reader."""

    def read(self, *, deadline_s: float, **others: Any) -> Reading: ...


class NoOpinion:
    """Leaves it to the rules."""

    def read(self, *, deadline_s: float, **_: Any) -> Reading:
        return Reading()


class FaultyReader:
    """A reader, and the fault before each of its answers."""

    def __init__(self, reader: Reads) -> None:
        self._reader = reader

    def read(self, *, deadline_s: float, **others: Any) -> Reading:
        suffer(deadline_s)
        return self._reader.read(deadline_s=deadline_s, **others)


class FaultyHolder(model_holder.ModelHolder):
    """The worker's own model, or the scripted one, which is ready at once."""

    def start(self) -> None:
        if not _SCRIPTED:
            super().start()
            return
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
        self._reader = cast(Reader, NoOpinion())
        self._state = "ready"
        self._settled.set()

    def reader_or_none(self) -> Reader | None:
        reader = super().reader_or_none()
        return reader and cast(Reader, FaultyReader(cast(Reads, reader)))


setattr(wiring, "ModelHolder", FaultyHolder)  # noqa: B010 - the name is not exported

from workers.app import app  # noqa: E402 - its services are built at import

__all__ = ["app"]
