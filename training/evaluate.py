"""Measures a model folder beside simpler systems: `python -m training.evaluate [--file gold.jsonl]` (`make evaluate`).

Without a file: fits `calibration.json` on the validation split, then measures the test split (template families kept
out of training). With `--file`: lines in the format of `training.gold`, nothing is fitted. Always for a keyword
baseline, n-grams, rules and model each alone, and the whole without and with the model; each figure with its count and
a bootstrap interval.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from shared.knowledge import Knowledge
from shared.texts import center_facts
from training.calibrate import calibrate
from training.gold import Gold, generated, read_gold
from training.language_model import perplexity, reply_scores
from training.latency import latency
from training.metrics import Figures, confusion, measure, weakest
from training.pictures import draw_confusion
from training.systems import Bench, Row, answers, keywords, letters, open_bench, rules
from workers.dialogue.wording import load_wording, say_date
from workers.safety.guardrails import Facts, review

ROOT = Path(__file__).parent.parent
BUNDLED = ROOT / "workers" / "model" / "bundled"
PICTURE = ROOT / "docs" / "confusion.png"
REPLIES, TIMED = 300, 60


def evaluate(folder: Path, count: int, seed: int, picture: Path | None = None) -> dict[str, Figures]:
    """Calibrate on `count` validation messages and measure on `count` test messages. Returns figures by system."""
    fitted = calibrate(folder, seed, count)
    golds = list(generated("test", seed, count))
    figures = compare(folder, golds, picture, "Test split: the whole system")
    samples = [gold.sample for gold in golds if gold.sample]
    figures["model"] |= perplexity(folder, samples)
    with open_bench(folder) as bench:
        figures["model"] |= reply_scores(bench, golds[:REPLIES])
        figures["full"] |= latency(bench, golds[:TIMED])
    figures["calibration"] = {"temperature": fitted.temperature, **fitted.weights.model_dump(), "fitted_on": count}
    print(table(figures))
    return figures


def compare(folder: Path, golds: Sequence[Gold], picture: Path | None, title: str) -> dict[str, Figures]:
    """Let every system answer the same messages."""
    figures: dict[str, Figures] = {}
    with open_bench(folder) as bench:
        for name, system in (
            ("keywords", keywords),
            ("ngrams", letters),
            ("rules", rules),
            ("model", bench.model()),
            ("no model", bench.without_model()),
            ("full", bench.full()),
        ):
            rows = answers(system, golds, name)
            figures[name] = measure(golds, rows)
            if name in ("no model", "full"):
                figures[name]["guardrail_violations"] = len(violations(bench, rows))
        print(weakest(golds, rows))
    if picture is not None:
        draw_confusion(confusion(golds, rows), title, picture)
    return figures


def violations(bench: Bench, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The replies that the guardrails object to, with the rule: what code put together is looked at too."""
    facts = center_facts(bench.settings)
    cards = tuple(card.text.format_map(facts) for card in Knowledge.load().cards.values())
    texts = (*cards, *bench.texts.sentences())
    found = []
    for row in rows:
        slots = row.slots
        stated = [v for v in (slots.time, slots.old_time, slots.name, slots.appointment_ref) if v]
        stated += [load_wording().windows[slots.time_window]] if slots.time_window else []
        stated += [say_date(day) for day in (slots.date, slots.old_date) if day]
        values = (*facts.values(), *stated)
        if row.reply and (rule := review(row.reply, Facts(values=values, texts=texts))) not in (None, "too_long"):
            found.append((rule or "", row.reply))
    return found


def table(figures: dict[str, Figures]) -> str:
    """All figures, one line each, a column per system."""
    names = list(dict.fromkeys(name for column in figures.values() for name in column))
    lines = [f"{'':28}" + "".join(f"{system:>14}" for system in figures)]
    for name in names:
        if name.endswith(("_low", "_high", "_of")):
            continue
        cells = "".join(f"{_cell(column, name):>14}" for column in figures.values())
        lines.append(f"{name:28}{cells}")
    return "\n".join(lines)


def _cell(column: Figures, name: str) -> str:
    if name not in column:
        return ""
    low, high = column.get(f"{name}_low"), column.get(f"{name}_high")
    value = f"{column[name]:.3f}" if isinstance(column[name], float) else str(column[name])
    return f"{value} ±{(high - low) / 2:.3f}" if low is not None and high is not None else value


def note(folder: Path, figures: dict[str, Figures]) -> None:
    """Keep the figures in `training.json` beside the model, from where the model card takes them."""
    path = folder / "training.json"
    facts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(facts | {"metrics": figures}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=BUNDLED)
    parser.add_argument("--file", type=Path, help="labelled lines instead of the generated test split")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--picture", type=Path, help="PNG of the confusion matrix")
    parser.add_argument("--count", type=int, default=1_500, help="messages per generated split")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    if options.file:
        golds = list(read_gold(options.file))
        figures = compare(options.folder, golds, options.picture, options.file.stem)
        print(table(figures))
    else:
        figures = evaluate(options.folder, options.count, options.seed, options.picture or PICTURE)
        note(options.folder, figures)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
