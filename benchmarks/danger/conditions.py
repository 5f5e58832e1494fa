"""What hangs, loads or queues while danger is told: one function for each, on processes of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.danger.replies import Posted, Result, await_sent, judge, post_danger, waiting
from benchmarks.danger.stage import Stage
from benchmarks.reminders import QUESTIONS
from benchmarks.scaling import drain_rate, stories
from shared.state import audit

HUNG_S = 600  # longer than any condition


@dataclass(frozen=True)
class Amount:
    """How much of each condition."""

    messages: int = 240
    per_second: float = 4.0
    asking_per_second: float = 6.0  # other patients, where the condition names no load of its own
    backlog: int = 150  # to learn the capacity
    queue_s: float = 10.0  # at twice the capacity, before the first danger message
    workers: int = 2


# The conditions. Each gets a stage with its workers ready, and returns what became of its danger messages.


def calm(stage: Stage, amount: Amount) -> Result:
    posted = post_danger(stage, amount.messages, amount.per_second)
    return judge(stage, "nothing else", posted, waiting(stage))


def backend_hangs(stage: Stage, amount: Amount) -> Result:
    """No call of it is answered, also those that tell staff of the danger."""
    stage.control("faults", {"target": "backend", "delay_s": HUNG_S, "times": 0})
    with stage.asking(amount.asking_per_second):
        time.sleep(3)
        posted = post_danger(stage, amount.messages, amount.per_second)
        standing = waiting(stage)
        return judge(stage, "the backend hangs, alerts to staff too", posted, standing)


def model_hangs(stage: Stage, amount: Amount) -> Result:
    stage.model_fault.write_text("hang", encoding="utf-8")
    with stage.asking(amount.asking_per_second):
        time.sleep(3)
        posted = post_danger(stage, amount.messages, amount.per_second)
        return judge(stage, "the model hangs", posted, waiting(stage))


def model_loads(stage: Stage, amount: Amount) -> Result:
    """All workers are killed and started again and again; danger comes while none has its model."""
    posted, standing = Posted(), 0
    with stage.asking(amount.asking_per_second):
        while len(posted.at) < amount.messages:
            stage.kill_workers()
            stage.start_workers(ready=False)
            left = amount.messages - len(posted.at)
            now = post_danger(stage, left, amount.per_second * 2, until=lambda: stage.ready_workers() > 0)
            posted.at.update(now.at)
            await_sent(stage, list(now.at))  # killing a worker in the middle of a send is another matter
            standing = waiting(stage)
        return judge(stage, "the model loads", posted, standing)


def over_the_limit(stage: Stage, amount: Amount) -> Result:
    """One message a minute is allowed: these patients wrote two just before, and five of danger each."""
    patients = [stage.new_patient() for _ in range(max(1, amount.messages // 5))]
    for text in QUESTIONS[:2]:
        for patient in patients:
            stage.post(patient, text)
    posted = post_danger(stage, amount.messages, amount.per_second, patients)
    return judge(stage, "the patient is over the rate limit", posted, waiting(stage))


def capacity(stage: Stage, count: int) -> float:
    """Replies a second of this stage: very many ask at once, and the middle of the draining is looked at."""
    with ThreadPoolExecutor(4) as pool:
        ids = [id_ for id_, _ in pool.map(lambda n: stage.post(stage.new_patient(), QUESTIONS[n % 5]), range(count))]
    stage.wait_for(stage.everything_is_answered, 300)
    return drain_rate(list(stories(list(audit.read(stage.store, "-")), ids).values()))


def queue_stands(stage: Stage, amount: Amount) -> Result:
    """Twice as many ask as can be answered, since some time already."""
    rate = capacity(stage, amount.backlog)
    with stage.asking(2 * rate):
        time.sleep(amount.queue_s)
        posted = post_danger(stage, amount.messages, amount.per_second)
        standing = waiting(stage)
        return judge(stage, f"a queue at 2 x capacity ({rate:.0f} replies a second)", posted, standing)


def all_at_once(stage: Stage, amount: Amount) -> Result:
    """The backend and the model hang, a queue stands, and who writes of danger is over the limit."""
    stage.control("faults", {"target": "backend", "delay_s": HUNG_S, "times": 0})
    stage.model_fault.write_text("hang", encoding="utf-8")
    patients = [stage.new_patient() for _ in range(max(1, amount.messages // 5))]
    with stage.asking(4 * amount.asking_per_second):
        time.sleep(amount.queue_s)
        for text in QUESTIONS[:2]:
            for patient in patients:
                stage.post(patient, text)
        posted = post_danger(stage, amount.messages, amount.per_second, patients)
        return judge(stage, "all at once", posted, waiting(stage))


@dataclass(frozen=True)
class Condition:
    run: Callable[[Stage, Amount], Result]
    settings: dict[str, str] = field(default_factory=dict)


_ONE_A_MINUTE = {"RATE_LIMIT_PER_MINUTE": "1"}
CONDITIONS: dict[str, Condition] = {
    "calm": Condition(calm),
    "backend": Condition(backend_hangs),
    "model": Condition(model_hangs),
    "loading": Condition(model_loads),
    "limit": Condition(over_the_limit, _ONE_A_MINUTE),
    "queue": Condition(queue_stands),
    "all": Condition(all_at_once, _ONE_A_MINUTE),
}


def measure(name: str, amount: Amount, folder: Path) -> Result:
    """One condition on processes of its own."""
    condition = CONDITIONS[name]
    stage = Stage(folder, amount.workers, **condition.settings)
    try:
        stage.start_world()
        stage.control("rules", {"check_wamids": False})
        stage.start_webhook()
        stage.start_workers()
        return condition.run(stage, amount)
    finally:
        stage.stop()
