"""How many patients on what hardware. Run: python -m benchmarks.capacity plan|day|measure

    python -m benchmarks.capacity plan --patients 100000             the arithmetic
    python -m benchmarks.capacity day --patients 1000000 --cores 40  a simulated day: how long patients wait
    python -m benchmarks.capacity measure                            new figures of real runs, and a check (8 minutes)

Options are named like the inputs (--messages-per-day 0.5, --model-share 1); prices are yours (--core-month 20).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.capacity import fit, measure
from benchmarks.capacity.model import Clinic, Figures, Plan, Prices, monthly_cost, plan
from benchmarks.capacity.simulation import simulate

FIGURES = Path(__file__).with_name("figures.json")
# workers, messages a second, seconds, share with the model. The first two are fitted, the checks foretold; the flood
# is more than one worker can do at once, so that the model works on many turns in one step.
POINTS = {
    "by the model": (1, 1.0, 40, 1.0),
    "by rules": (1, 3.0, 40, 0.0),
    "check: mixed": (1, 1.5, 40, 0.6),
    "check: two workers": (2, 3.0, 40, 0.8),
    "flood": (1, 12.0, 15, 1.0),
}
REMINDERS = 300


def load_figures(file: Path = FIGURES) -> Figures:
    """The figures that are kept beside this file, or others of the same form."""
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Figures(**known["figures"])


def options(kind: type[Clinic] | type[Prices], parser: argparse.ArgumentParser) -> None:
    """An option for each field, with its default."""
    for field in fields(kind):
        required = field.default is MISSING
        number = int if isinstance(field.default, int) or required else float
        default = None if required else field.default
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=number, default=default, required=required)


def chosen(kind: type[Any], asked: argparse.Namespace) -> Any:
    return kind(**{field.name: getattr(asked, field.name) for field in fields(kind)})


def show(found: Plan) -> None:
    """Print a plan, a line for each figure."""
    for name, value in asdict(found).items():
        text = "unlimited / several" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")
        print(f"{name:<28} {text:>16}")


def show_day(asked: argparse.Namespace, clinic: Clinic, figures: Figures) -> None:
    day = simulate(clinic, figures, asked.cores, asked.meta, asked.seed, slowdown=asked.slowdown)
    print(
        f"{day.messages:,} turns in a day, {len(day.waits):,} in the busiest hour; {asked.cores} cores, {asked.meta}/s"
    )
    for share in (0.5, 0.95, 0.99):
        wait, total = day.percentile(share), day.percentile(share, "totals")
        print(f"p{share * 100:.0f} of the busiest hour: waits {wait:.2f} s, answered after {total:.2f} s")
    print(f"longest wait {day.longest_wait:.1f} s, longest queue {day.longest_queue}")


def take_figures(file: Path) -> bool:
    """Measure, fit, foretell the other runs, write `file`; True when they agree within a fifth."""
    os.environ["MODEL_THREADS"] = "1"
    points = {name: measure.run_point(*arguments) for name, arguments in POINTS.items()}
    worker_s, _ = measure.reminder_cost(REMINDERS)
    by_model, by_rules, _, two, flood = points.values()
    figures = fit.fit(by_model, by_rules, two, flood, worker_s)
    whole = {"figures": asdict(figures), "points": {name: asdict(point) for name, point in points.items()}}
    file.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    good = True
    for name, point in points.items():
        print(f"\n{name}: {point.messages} messages in {point.seconds:.0f} s, p50 {point.wait_p50_s:.2f} s")
        for what, (said, seen, off) in fit.compare(point, figures).items():
            close = fit.is_close(what, said, seen)
            good &= close or not name.startswith("check")
            print(f"  {what:<16} model {said:>12,.2f}  run {seen:>12,.2f}  {off:+.0%} {'' if close else ' TOO FAR'}")
    return good


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, default=FIGURES, help="measured figures to use, or to write")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("plan", "day"):
        one = commands.add_parser(command)
        options(Clinic, one)
        if command == "plan":
            options(Prices, one)
        else:
            one.add_argument("--cores", type=int, required=True, help="of all workers")
            one.add_argument("--meta", type=int, default=80, help="messages a second of our number, in and out")
            one.add_argument("--seed", type=int, default=1)
            one.add_argument("--slowdown", type=float, default=1.0, help="of your cores against those measured")
    commands.add_parser("measure")
    asked = parser.parse_args(arguments)
    if asked.command == "measure":
        return 0 if take_figures(asked.figures) else 1
    figures, clinic = load_figures(asked.figures), chosen(Clinic, asked)
    if asked.command == "day":
        show_day(asked, clinic, figures)
        return 0
    found = plan(clinic, figures)
    show(found)
    cost = monthly_cost(found, chosen(Prices, asked))
    if any(cost.values()):
        for name, price in cost.items():
            print(f"{'a month: ' + name:<28} {price:>16,.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
