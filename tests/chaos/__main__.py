"""Chaos on the command line: faults by a seeded plan while patients write; prints what was survived and three zeros.

Run: python -m tests.chaos --seed 1 --minutes 30 --messages-per-second 12 --model scripted --out var/chaos.json
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.chaos import Run, run


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    arguments.add_argument("--seed", type=int, help="repeats the plan of an earlier run")
    arguments.add_argument("--minutes", type=float, default=30)
    arguments.add_argument("--messages-per-second", type=float, default=12)
    arguments.add_argument("--model", choices=["scripted", "bundled"], default="scripted")
    arguments.add_argument("--pace", type=float, default=1.0, help="faults in the same time, 1 = one in 1.5 s")
    arguments.add_argument("--broker", choices=["redis", "rabbitmq"], default="redis")
    arguments.add_argument("--redis", choices=["single", "sentinel"], default="single")
    arguments.add_argument("--out", type=Path, help="write what was found as JSON")
    arguments.add_argument("--folder", type=Path, help="keep logs and store here")
    given = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    with tempfile.TemporaryDirectory() as temporary:
        done = run(
            given.folder or Path(temporary),
            seed=seed,
            seconds=given.minutes * 60,
            per_second=given.messages_per_second,
            model=given.model,
            pace=given.pace,
            broker=given.broker,
            redis=given.redis,
        )
    print(table(done))
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(_facts(done), indent=1, ensure_ascii=False), encoding="utf-8")
    return 0 if done.verdict.is_clean and not done.failed else 1


def _facts(done: Run) -> dict[str, Any]:
    facts = {name: value for name, value in vars(done).items() if name != "verdict"}
    return facts | {"verdict": asdict(done.verdict), "failovers": [asdict(one) for one in done.failovers]}


def table(done: Run) -> str:
    """What an operator reads at the end."""
    verdict = done.verdict
    lines = [f"{'times':>5}  fault"]
    lines += [f"{done.injected[kind]:5}  {kind}" for kind in done.kinds]
    again = f"--seed {done.seed} --minutes {done.seconds / 60:g} --messages-per-second {done.per_second:g}"
    again += f" --model {done.model}" + (f" --pace {done.pace:g}" if done.pace != 1 else "")
    again += f" --broker {done.broker}" * (done.broker != "redis") + f" --redis {done.redis}" * (done.redis != "single")
    missing = [kind for kind in done.kinds if not done.injected[kind]]
    lines += [
        "",
        f"{len(done.kinds) - len(missing)} kinds, {done.injected.total()} faults in {done.seconds / 60:g} minutes; "
        f"everything was answered {done.recovery_s:g} s after the last was healed",
        f"{verdict.messages} messages ({done.refused} posts refused and repeated, {done.repeated} posted twice), "
        f"{verdict.replies} replies received, {verdict.bookings} bookings confirmed",
        f"lost {len(verdict.lost)}, doubled {len(verdict.doubled)}, out of order {len(verdict.disordered)}, "
        f"dead letters {verdict.dead}",
        f"sent again because answer and status were both withheld: {verdict.withheld}; "
        f"withheld twice, so that staff were asked to call: {len(verdict.called)}",
        f"restarted by the engine unasked: {dict(done.restarts) or 'none'}",
        f"repeat it: python -m tests.chaos {again}",
    ]
    lines += [
        f"failover {n}, master {one.cause}: another one after {one.seconds:g} s; of {one.acknowledged} messages "
        f"acknowledged since the one before, {one.lost} not there"
        for n, one in enumerate(done.failovers, 1)
    ]
    wrong = [*verdict.lost, *verdict.doubled, *verdict.disordered, *done.failed]
    return "\n".join([*lines, *(f"  ! {sentence}" for sentence in wrong[:50])])


if __name__ == "__main__":
    sys.exit(main())
