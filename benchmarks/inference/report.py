"""Figures of `benchmarks.engine` -> tables in markdown and a picture. Pure but for the file of the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

SIDES = {"naive": "naive loop", "batches": "transformers batches", "ctranslate2": "CTranslate2 int8", "ours": "ours"}
CASES = {"one": "one request", "eight": "eight clients"}
Figures = dict[str, Any]


def tables(found: Figures) -> str:
    """Return every row that was measured as markdown for docs/performance.md."""
    writers: dict[str, Callable[[Any], str]] = {
        "a": _compared,
        "b": _compared,
        "c": _passes,
        "d": _first_tokens,
        "e": _exact,
        "f": _small_server,
    }
    parts = [f"### {row}\n\n{write(found[row])}" for row, write in writers.items() if row in found]
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join("" if cell is None else str(cell) for cell in line) + " |" for line in lines)


def _compared(row: Figures) -> str:
    head = [row["model"], "", "CPU-s a reply", "CPU gain", "wall gain", "p50 s", "p95 s", "replies"]
    keys = ("cpu_s_per_reply", "cpu_gain", "wall_gain", "p50_s", "p95_s", "replies_measured")
    rows = [[CASES[case], SIDES[side], *map(each.get, keys)] for case in CASES for side, each in row[case].items()]
    text = _table(head, rows)
    if limit := row.get("limit"):
        text += (
            f"\n\nDecoding alone: {limit['tokens_per_s']} tokens per CPU-second of at most"
            f" {limit['limit_tokens_per_s']} that reading {limit['weight_bytes'] / 1e6:.0f} MB a token"
            f" at {limit['read_gb_per_s']} GB/s allows:"
            f" {limit['share']:.0%} (medians of {limit['turns']} turns)."
        )
    return text + (f"\n\n{row['left_out']}." if "left_out" in row else "")


def _passes(row: Figures) -> str:
    head = ["", "passes a reply", "tokens a reply", "tokens a pass", "drafts right", "CPU-ms a reply", "CPU gain"]
    keys = "variant passes_per_reply tokens_per_reply tokens_per_pass drafts_accepted cpu_ms_per_reply cpu_gain".split()
    naive = ["naive loop", "", "", "", "", row["naive_cpu_ms_per_reply"], 1.0]
    rows = [[each[key] for key in (*keys, "same_ids", "same_logprobs")] for each in row["variants"]]
    text = _table([*head, f"same ids of {row['replies']}", "same log-probabilities"], [[*naive, "", ""], *rows])
    drafts = [[each["draft_rows"], each["cpu_ms_one"], each["cpu_ms_eight"]] for each in row["draft_rows"]]
    return text + "\n\n" + _table(["rows for drafts", "CPU-ms a reply, one", "CPU-ms a reply, eight clients"], drafts)


def _first_tokens(rows: Sequence[Figures]) -> str:
    head = ["model", "tokens of the prompt", "of them reused", "CPU-ms whole", "CPU-ms with reuse", "gain"]
    keys = ("model", "prompt_tokens", "reused_tokens")
    costs = ("whole_cpu_s", "known_cpu_s")
    return _table(head, [[*map(r.get, keys), *(round(r[cost] * 1000, 2) for cost in costs), r["gain"]] for r in rows])


def _exact(row: Figures) -> str:
    batch = row["batch"]
    text = (
        f"Batch of {batch['mean_batch']} rows on average = single: ids {batch['same_ids']}, log-probabilities to the"
        f" last bit {batch['same_logprobs']}, alternatives of the first token {batch['same_first_choices']} of"
        f" {batch['dialogues']}. Greedy answers equal to float32's: {row['float32']['same_greedy_ids']}."
    )
    head = [
        f"{row.get('precision', 'int8')} against float32",
        "places",
        "mean nats",
        "largest",
        "sure places",
        "another best token",
    ]
    keys = ("places", "mean", "largest", "sure", "sure_changed")
    kinds = [[kind, *map(row["float32"][kind].get, keys)] for kind in ("masked", "unmasked")]
    return text + "\n\n" + _table(head, kinds)


def _small_server(row: Figures) -> str:
    head = [
        "start",
        "ready s",
        "of it loading",
        "most MB while loading",
        "idle",
        "serving",
        "after it",
        "CPU-s a reply",
        "p95 s",
    ]
    keys = (
        "ready_s",
        "load_s",
        "loading_most_mb",
        "idle_mb",
        "serving_most_mb",
        "after_mb",
        "cpu_s_per_reply",
        "p95_s",
    )
    rows = [[name, each.get("error", ""), *map(each.get, keys[1:])] for name, each in row["starts"].items()]
    rows = [[r[0], row["starts"][r[0]].get("ready_s", r[1]), *r[2:]] for r in rows]
    return f"{row['model']}; limit: {row['limit']}.\n\n" + _table(head, rows)


def draw(found: Figures, path: Path) -> None:
    """Write a PNG: CPU gain over the naive loop, and what saves passes on the bundled model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    compared = [found[row] for row in "ab" if row in found]
    groups = [(f"{row['model']}\n{name}", row[case]) for row in compared for case, name in CASES.items()]
    for place, (side, name) in enumerate(SIDES.items()):
        bars = [(x + 0.2 * place, sides[side]["cpu_gain"]) for x, (_, sides) in enumerate(groups) if side in sides]
        drawn = left.bar([x for x, _ in bars], [gain for _, gain in bars], 0.19, label=name)
        left.bar_label(drawn, fmt="%.1f", fontsize=7)
    left.set_xticks([x + 0.3 for x in range(len(groups))], [name for name, _ in groups])
    left.set_ylabel("times the naive loop, in CPU-seconds")
    left.legend(fontsize=8)
    if row := found.get("c"):
        names = [each["variant"].replace(" and ", "\nand ") for each in row["variants"]]
        for key, shift, name in (("tokens_per_reply", 0.0, "tokens"), ("passes_per_reply", 0.4, "passes")):
            places = [x + shift for x in range(len(names))]
            drawn = right.bar(places, [each[key] for each in row["variants"]], 0.38, label=name)
            right.bar_label(drawn, fmt="%.1f", fontsize=7)
        right.set_xticks([x + 0.2 for x in range(len(names))], names, fontsize=8)
        right.set_ylabel("a reply of the bundled model")
        right.margins(y=0.2)
        right.legend(fontsize=8, ncols=2, loc="upper right")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
