"""The figures of `benchmarks.overload` as a table in Markdown and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BELLS = ("triage", "turn", "delivery")


def table(found: dict[str, Any]) -> str:
    """The figures in Markdown, as they stand in docs/reliability.md."""
    fixed = ", ".join(f"{cause} {n}" for cause, n in found["without_model"].items() if n) or "none"
    turns = ", ".join(f"{source} {n}" for source, n in found["turns"].items() if n)
    rows = [
        ("can be answered (a backlog on two workers)", f"{found['rate_per_s']:.1f} a second"),
        (
            f"offered for {found['seconds']:.0f} s",
            f"{found['offered_per_s']:.0f} a second: {found['messages']:,} messages of {found['patients']:,} patients; "
            f"posted in {found['posted_s']:.0f} s; {found['cores_for_others']:.1f} of the cores worked for others"
            + ("" if found["shares_as_in_compose"] else "; all processes had equal shares"),
        ),
        (
            "ack p50 / p95 / p99 / slowest",
            " / ".join(f"{1000 * found[f'ack_{q}_s']:.0f}" for q in ("p50", "p95", "p99", "most"))
            + f" ms; answers {found['statuses']}",
        ),
        ("all answered after the minute", f"{found['calm_s']} s later, by {found['replies']:,} replies"),
        ("wait from acceptance to reply, p50 / longest", f"{found['wait_p50_s']:.0f} / {found['wait_most_s']:.0f} s"),
        (
            f"danger signs ({found['in_danger']}): acceptance to the fixed reply, p50 / p99",
            f"{found['danger_p50_s']:.2f} / {found['danger_p99_s']:.2f} s",
        ),
        (
            "patients told «seguimos aquí»",
            f"{found['told']:,}; {found['notices_overtaken']} more were overtaken by the answer",
        ),
        ("turns by source; without the model", f"{turns}; {fixed}"),
        (
            "most that waited at once: patients; Celery messages for triage, turns, deliveries",
            f"{found['peak']['waiting']:,}; " + ", ".join(str(found["peak"][f"{q}_bells"]) for q in BELLS),
        ),
        (
            "lost / doubled / patients out of order / told twice or late / dead letters",
            " / ".join(str(found[name]) for name in ("lost", "doubled", "disordered", "told_wrongly", "dead")),
        ),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    lines += ["", "| memory, MB | before | peak | after |", "|---|---|---|---|"]
    for name, what in (
        ("webhook", "webhook (three processes), anonymous"),
        ("workers", "two workers, anonymous"),
        ("redis", "Redis, `used_memory`"),
    ):
        key = f"{name}_mb"
        lines.append(f"| {what} | {found['before'][key]:.0f} | {found['peak'][key]:.0f} | {found['after'][key]:.0f} |")
    return "\n".join(lines)


def draw(found: dict[str, Any], path: Path) -> None:
    """Write a PNG: who waits and how long, and memory, over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    samples = found["samples"]
    at = [sample["at_s"] for sample in samples]
    figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(8, 6), sharex=True)
    upper.plot(at, [sample["waiting"] for sample in samples], label="patients waiting")
    upper.plot(at, [sample["told"] for sample in samples], "--", label="told that they wait")
    upper.set_ylabel("patients")
    aged = upper.twinx()
    aged.plot(at, [sample["oldest_s"] for sample in samples], ":", color="tab:red", label="oldest message")
    aged.set_ylabel("age of the oldest message, s", color="tab:red")
    upper.legend(loc="upper right")
    for key, label in (("workers_mb", "two workers"), ("webhook_mb", "webhook"), ("redis_mb", "Redis")):
        lower.plot(at, [sample[key] for sample in samples], label=label)
    lower.set_ylabel("memory, MB")
    lower.set_xlabel(f"seconds; {found['offered_per_s']:.0f} messages a second in the first {found['seconds']:.0f}")
    lower.legend()
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
