"""The holder: the worker never waits for it unless it wants to, and always knows why there is no model."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ModelUnavailable
from shared.settings import Settings
from workers.model import loader
from workers.model.errors import HubUnreachable, ModelConfigError, ModelRefused
from workers.model.holder import ModelHolder

WAIT_S = 60


def any_will_do(*_: Any) -> str:
    """No release gate: random models do not pass it."""
    return "not examined"


def test_a_worker_goes_on_while_the_model_loads(model_folder: Path, settings_for: Callable[..., Settings]) -> None:
    gate = threading.Event()

    def slowly(settings: Settings) -> Any:
        assert gate.wait(WAIT_S)
        return loader.load(settings)

    states: list[str] = []
    holder = ModelHolder(
        settings_for(model_folder), load=slowly, check=any_will_do, on_change=lambda h: states.append(h.state)
    )
    holder.start()
    assert (holder.state, holder.reader_or_none(), holder.info, holder.error) == ("loading", None, None, None)
    with pytest.raises(ModelUnavailable, match="still loading"):
        holder.wait(0)
    gate.set()
    reader = holder.wait(WAIT_S)
    assert reader is holder.reader_or_none()
    assert holder.info is not None
    assert (holder.info.gate, holder.error) == ("not examined", None)
    stats = holder.stats()
    assert stats is not None
    assert stats.alive
    holder.close()
    assert holder.reader_or_none() is None
    assert states == ["ready"]


def test_a_wrong_setting_is_told_apart_and_said_in_a_sentence(settings_for: Callable[..., Settings]) -> None:
    changed = threading.Event()
    holder = ModelHolder(settings_for("/nowhere/model"), on_change=lambda _: changed.set())
    holder.start()
    with pytest.raises(ModelUnavailable, match="there is no folder /nowhere/model"):
        holder.wait(WAIT_S)
    assert changed.wait(WAIT_S)
    assert holder.state == "failed"
    assert isinstance(holder.failure, ModelConfigError)
    assert "/nowhere/model" in (holder.error or "")
    holder.close()


def test_an_unreachable_hub_is_tried_again(model_folder: Path, settings_for: Callable[..., Settings]) -> None:
    tries: list[str] = []
    ready = threading.Event()

    def flaky(settings: Settings) -> Any:
        tries.append("x")
        if len(tries) < 3:
            raise HubUnreachable("the Hub cannot be reached")
        return loader.load(settings)

    def noted(holder: ModelHolder) -> None:
        if holder.state == "ready":
            ready.set()

    holder = ModelHolder(settings_for(model_folder), load=flaky, check=any_will_do, on_change=noted, retry_s=(0.0,))
    holder.start()
    assert ready.wait(WAIT_S)
    assert (len(tries), holder.state, holder.error) == (3, "ready", None)
    holder.close()


def test_a_surprise_of_a_library_does_not_leave_it_loading(settings_for: Callable[..., Settings]) -> None:
    def broken(settings: Settings) -> Any:
        raise RecursionError("secret path")

    holder = ModelHolder(settings_for("any/model"), load=broken)
    holder.start()
    with pytest.raises(ModelUnavailable, match=r"loading the model failed \(RecursionError\)"):
        holder.wait(WAIT_S)
    holder.close()


def test_a_model_that_fails_the_gate_is_refused_and_leaves_the_memory(
    model_folder: Path, settings_for: Callable[..., Settings]
) -> None:
    kept: list[Any] = []

    def remembered(settings: Settings) -> Any:
        loaded = loader.load(settings)
        kept.append(weakref.ref(loaded.backend))
        return loaded

    changed = threading.Event()
    holder = ModelHolder(settings_for(model_folder), load=remembered, on_change=lambda _: changed.set())
    holder.start()
    with pytest.raises(ModelRefused, match=r"refused by the release gate: \d of 25 right, at least 80% must be"):
        raise holder_failure(holder)
    assert changed.wait(WAIT_S)  # told just after those who wait are woken
    assert (holder.state, holder.reader_or_none(), holder.info) == ("failed", None, None)
    gc.collect()
    assert kept[0]() is None


def holder_failure(holder: ModelHolder) -> Exception:
    with pytest.raises(ModelUnavailable):
        holder.wait(WAIT_S)
    holder.close()
    assert holder.failure is not None
    return holder.failure


def test_the_holder_brings_no_torch_until_it_loads() -> None:
    code = "import sys, workers.model.holder; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
