"""Holds the model of this process: loads it in a thread, so that the worker answers from its first second.

Built by `services`, asked by `answer`; the heartbeat publishes `state`, `info` and `error`. This module imports neither
torch nor transformers; the loading thread does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from shared.errors import ModelUnavailable
from shared.settings import Settings
from workers.model.errors import ModelConfigError
from workers.model.generation import EngineStats
from workers.model.hub import check_name
from workers.model.info import ModelInfo

if TYPE_CHECKING:
    from workers.model.engine_base import EngineBase
    from workers.model.loader import LoadedModel
    from workers.model.reader import Reader

log = logging.getLogger(__name__)

State = Literal["loading", "ready", "failed"]
RETRY_S = (15.0, 60.0, 300.0)  # pauses when the Hub cannot be reached; the last one repeats


class ModelHolder:
    """`start()` once; then ask `state`, `reader_or_none()` or `wait()` from any thread; `close()` at the end."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Settings], LoadedModel] | None = None,
        check: Callable[[Reader, bool], object] | None = None,
        on_change: Callable[[ModelHolder], None] | None = None,
        retry_s: tuple[float, ...] = RETRY_S,
    ) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            load: `loader.load` unless a test brings its own.
            check: the release gate, `gate.check`, unless a test brings its own.
            on_change: called in the loading thread after each change of `state`, for instance to end the process
                when `failure` is a ModelConfigError.
            retry_s: seconds between tries when the failure says `retry`.
        """
        self._settings = settings
        self._load = load
        self._check = check
        self._on_change = on_change
        self._retry_s = retry_s
        self._state: State = "loading"
        self._failure: ModelUnavailable | None = None
        self._reader: Reader | None = None
        self._engine: EngineBase | None = None
        self._info: ModelInfo | None = None
        self._settled = threading.Event()  # ready or failed
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_trying, name="model-loader", daemon=True)

    @property
    def state(self) -> State:
        """`failed` may still become `ready`: an unreachable Hub is tried again."""
        return self._state

    @property
    def info(self) -> ModelInfo | None:
        return self._info

    @property
    def failure(self) -> ModelUnavailable | None:
        return self._failure

    @property
    def error(self) -> str | None:
        """Why there is no model, in one sentence."""
        return str(self._failure) if self._failure else None

    def start(self) -> None:
        self._thread.start()

    def reader_or_none(self) -> Reader | None:
        return self._reader

    def wait(self, timeout_s: float) -> Reader:
        """Wait until the model is loaded.

        Raises:
            ModelUnavailable: if loading failed, or still goes on after `timeout_s` seconds.
        """
        self._settled.wait(timeout_s)
        if self._reader is not None:
            return self._reader
        raise ModelUnavailable(self.error or f"the model is still loading after {timeout_s:g} s")

    def stats(self) -> EngineStats | None:
        """Return the engine's figures, or None while there is no engine."""
        return self._engine.stats() if self._engine else None

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what the engine has in hand and stop; a download under way is left to its daemon thread."""
        self._closing.set()
        self._reader = None
        if self._engine:
            self._engine.close(drain=True, timeout_s=timeout_s)

    def _keep_trying(self) -> None:
        pauses = iter(self._retry_s)
        pause = 0.0
        while not self._closing.wait(pause):
            self._try()
            if self._failure is None or not self._failure.retry:
                return
            pause = next(pauses, self._retry_s[-1])
            log.warning("the model is tried again later", extra={"after_s": pause})

    def _try(self) -> None:
        begun = time.monotonic()
        try:
            self._become_ready()
        except ModelUnavailable as error:
            # Kept for good: what it remembers of the stack would keep a refused model in memory.
            error.__cause__ = error.__context__ = None
            self._failure = error.with_traceback(None)
        except Exception as error:  # a library's surprise must not leave the state at "loading" for ever
            log.exception("loading the model failed")
            self._failure = ModelUnavailable(f"loading the model failed ({type(error).__name__})")
        self._state = "failed" if self._failure else "ready"
        self._settled.set()
        if self._failure:
            kind = "setting" if isinstance(self._failure, ModelConfigError) else "model"
            took_s = round(time.monotonic() - begun, 1)
            log.error(f"no model: {self._failure}", extra={"kind": kind, "took_s": took_s})
        if self._on_change:
            self._on_change(self)

    def _become_ready(self) -> None:
        if self._load is None:
            check_name(self._settings.MODEL_NAME)
        # Imported here: these bring torch, which takes seconds, and belong to this thread.
        from workers.model import gate, loader
        from workers.model.engines import engine_for
        from workers.model.reader import Reader

        loaded = (self._load or loader.load)(self._settings)
        if self._closing.is_set():
            return
        engine = engine_for(loaded).start()
        reader = Reader(loaded, engine, loaded.calibration)
        try:
            verdict = (self._check or gate.check)(reader, loaded.info.tagged)
        except BaseException:
            engine.close(drain=False)
            raise
        if self._closing.is_set():
            engine.close(drain=False)
            return
        log.info(f"release gate passed: {verdict}")
        self._engine, self._failure = engine, None
        self._info = loaded.info.model_copy(update={"gate": str(verdict)})
        self._reader = reader
