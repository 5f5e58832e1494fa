"""Processes killed, frozen, replaced; the model that hangs or fails; clocks that jump."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tests.chaos.fault import Fault, Heal, Inject, nothing
from tests.chaos.posting import Posting
from tests.chaos.stage import LEASE_S, NAMES, REDIS, WORKERS, Stage


def killed(*names: str) -> Inject:
    def inject(stage: Stage, _: Posting) -> Heal:
        for name in names:
            stage.kill(name)
        return functools.partial(stage.start_again, *names)

    return inject


def frozen(*names: str) -> Inject:
    def inject(stage: Stage, _: Posting) -> Heal:
        for name in names:
            stage.freeze(name)
        return functools.partial(stage.start_again, *names)

    return inject


def rolling_restart(stage: Stage, _: Posting) -> Heal:
    """Worker by worker, then the webhook: SIGTERM, wait, start."""
    stage.beside(functools.partial(stage.replace, (*WORKERS, "webhook", "beat")))
    return nothing


def model_revision(stage: Stage, _: Posting) -> Heal:
    """Workers change to another revision of the model one by one, and the next time back."""
    now = stage.processes[WORKERS[0]].environment
    other = "b" if (now.get("CHAOS_REVISION") == "a" or now["MODEL_NAME"].endswith("model-a")) else "a"
    scripted = stage.model == "scripted"
    change = {"CHAOS_REVISION": other} if scripted else {"MODEL_NAME": str(stage.folder / f"model-{other}")}
    stage.beside(functools.partial(stage.replace, WORKERS, **change))
    return nothing


def model(what: str) -> Inject:
    def inject(stage: Stage, _: Posting) -> Heal:
        stage.model_fault.write_text(what, encoding="ascii")
        return functools.partial(stage.model_fault.unlink, missing_ok=True)

    return inject


def clock(names: Sequence[str], ahead_s: int) -> Inject:
    def inject(stage: Stage, _: Posting) -> Heal:
        stage.set_clocks(names, ahead_s)
        return functools.partial(stage.set_clocks, names, 0)

    return inject


PROCESSES = [
    Fault("webhook killed", "webhook", 2, killed("webhook")),
    Fault("webhook frozen", "webhook", 3, frozen("webhook")),
    Fault("one worker killed", "workers", 2, killed(WORKERS[0])),
    Fault("both workers killed", "workers", 2, killed(*WORKERS)),
    Fault("worker frozen beyond its lease", "workers", LEASE_S + 3, frozen(WORKERS[1])),
    Fault("beat killed", "beat", 4, killed("beat")),
    Fault("beat frozen", "beat", 4, frozen("beat")),
    Fault("rolling restart", "workers", 12, rolling_restart),
    Fault("another revision of the model", "workers", 8, model_revision),
    Fault("model hangs", "model", 6, model("hang")),
    Fault("model crashes", "model", 4, model("crash")),
    Fault("model without memory", "model", 4, model("memory")),
    Fault("worker ended for memory while the model reads", "model", 1, model("die")),
]
CLOCKS = [
    Fault("all clocks but that of Redis 90 s ahead", "clock", 5, clock(NAMES, 90)),
    Fault("all clocks but that of Redis 90 s behind", "clock", 5, clock(NAMES, -90)),
    Fault("clock of Redis 20 s ahead, and back", "clock", 4, clock([REDIS], 20)),
    Fault("clock of Redis 15 s behind", "clock", 4, clock([REDIS], -15)),
    Fault("clock of one worker two hours ahead", "clock", 4, clock(WORKERS[:1], 7200)),
    Fault("clock of the webhook ten minutes behind", "clock", 4, clock(NAMES[:1], -600)),
]
