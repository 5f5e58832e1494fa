"""`make bench-danger`: how soon a danger message gets its fixed reply while everything else hangs, loads or queues.

Real processes: webhook, two workers with the bundled model, Redis as durable as in compose.yaml, the simulator as Meta
and backend. For each condition danger messages in varied words are posted at a steady rate, each by another patient;
measured from the POST of the webhook until the simulated Graph API accepted the fixed reply. Beside them other
patients ask, so that turns hang and queue. tests/processes/test_danger_in_time.py runs the same, shorter.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.danger.conditions import CONDITIONS, Amount, measure
from benchmarks.danger.replies import Result

GOAL_S = 2.0


def table(results: Sequence[Result]) -> str:
    """In Markdown, as it stands in docs/performance.md."""
    lines = ["| while | danger messages | p50, p95, p99, most, s | missing | doubled | others waiting |"]
    lines += ["|---|---|---|---|---|---|"]
    for it in results:
        p50, p95, p99 = (it.percentile(share) for share in (0.5, 0.95, 0.99))
        lines.append(
            f"| {it.name} | {len(it.seconds) + it.missing} | {p50:.3f}, {p95:.3f}, **{p99:.3f}**, "
            f"{max(it.seconds, default=float('nan')):.3f} | {it.missing} | {it.doubled} | {it.standing} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "only", nargs="*", metavar="CONDITION", help=f"of {', '.join(CONDITIONS)}; all of them unless named"
    )
    parser.add_argument("--messages", type=int, default=Amount.messages, help="danger messages of each condition")
    parser.add_argument("--per-second", type=float, default=Amount.per_second)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    asked = parser.parse_args()
    if unknown := set(asked.only) - set(CONDITIONS):
        parser.error(f"no such condition: {', '.join(sorted(unknown))}")
    results: list[Result] = []
    for name in asked.only or CONDITIONS:
        with tempfile.TemporaryDirectory(prefix="bench-danger-") as folder:
            results.append(measure(name, Amount(asked.messages, asked.per_second), Path(folder)))
        print(table(results[-1:]), file=sys.stderr)
    print(table(results))
    if asked.out:
        rows = [
            {"while": it.name, "missing": it.missing, "doubled": it.doubled, "seconds": it.seconds} for it in results
        ]
        asked.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    late = [it.name for it in results if it.missing or it.percentile(0.99) > GOAL_S]
    print(f"\nover {GOAL_S:g} s at p99, or missing: {', '.join(late) or 'none'}")
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
