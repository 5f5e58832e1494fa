"""What a model folder says of itself -> the README.md of its repository on the Hub. Called by `publish`. Pure.

The same folder, repository and tag give the same text: `publish` compares contents by checksum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub import ModelCardData

TAGS = ["tuberculosis", "whatsapp", "health", "intent-classification", "gpt2"]
_TEXT = """
# {name}

Reads the messages that patients of a tuberculosis clinic write on WhatsApp, in Bolivian Spanish: intent, danger sign
and the words of date, time and reason, then a short reply. Revision `{tag}`.

## Use

The assistant loads it by its settings; pin the revision, and a restart never brings another model than the one tried:

```
MODEL_NAME={repo}
MODEL_REVISION={tag}
```

By hand: `AutoModelForCausalLM.from_pretrained("{repo}", revision="{tag}")`. The prompt is
written by the assistant's `shared/prompt.py` and the answer read by its `shared/tagged.py`: text with the special
tokens of the tokenizer.

## What it is

{facts}

## Figures

{metrics}

Release gate, plain messages that every usable model must get: {gate}.

## Intended use

Inside the assistant, where fixed rules search every message for danger signs first, dates are resolved by code, and
replies are checked against reviewed texts before they are sent.

## Limits

- Not a medical device. It does not diagnose, dose or change treatment, and no answer of it may be sent unchecked.
- It misses danger signs and invents some: it may raise an alarm, it must never be what cancels one.
- It knows the words of its training data. Other dialects, languages and subjects are guessed at.
- Its confidence is honest only after the calibration in `calibration.json`, for messages like those it was fitted on.

## Data

{data}
"""


def build_card(repo: str, tag: str, facts: Mapping[str, Any], config: Mapping[str, Any], gate: str, real: bool) -> str:
    """Write the card.

    Args:
        facts: content of `training.json`; whatever keys its `metrics` have are shown.
        config: content of `config.json`.
        gate: what the release gate found.
        real: the training data hold chats of real people.
    """
    plan = facts.get("plan") or {}
    base = plan.get("base") or facts.get("base")
    on_hub = base if isinstance(base, str) and base.count("/") == 1 and not base.startswith((".", "/", "~")) else None
    data = ModelCardData(
        language="es",
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=TAGS,
        base_model=on_hub,
    )
    text = _TEXT.format(
        name=repo.rpartition("/")[2],
        repo=repo,
        tag=tag,
        facts=_bullets(_what_it_is(facts, config, on_hub, base is not None)),
        metrics=metrics_table(facts.get("metrics") or {}),
        gate=gate,
        data=_REAL if real else _NO_REAL,
    )
    return f"---\n{data.to_yaml()}\n---\n{text}"


_NO_REAL = "Made for this purpose: the publisher declares that no chat of a real person is in it."
_REAL = (
    "Holds chats of real people. This repository must stay private: the terms of the WhatsApp Business platform and "
    "the patients' privacy forbid publishing a model trained on them."
)


def _what_it_is(
    facts: Mapping[str, Any], config: Mapping[str, Any], base: str | None, is_tuned: bool
) -> dict[str, object]:
    shape = {
        "layers": "n_layer",
        "width": "n_embd",
        "heads": "n_head",
        "context": "n_positions",
        "vocabulary": "vocab_size",
    }
    sizes = [f"{name} {config[key]}" for name, key in shape.items() if key in config]
    architectures = config.get("architectures") or [config.get("model_type", "unknown")]
    return {
        "Architecture": ", ".join([*map(str, architectures), *sizes]),
        "Base": base or ("a model that is not on the Hub" if is_tuned else "none, trained from scratch"),
        "Parameters": f"{facts['parameters']:,}" if isinstance(facts.get("parameters"), int) else None,
        "Training data": f"fingerprint {facts['data']}" if facts.get("data") else None,
        "Training": f"{facts['seconds']:,} s" if isinstance(facts.get("seconds"), int) else None,
    }


def _bullets(rows: Mapping[str, object]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in rows.items() if value is not None)


def metrics_table(metrics: Mapping[str, Any]) -> str:
    """Write figures as a table: one column per system where they stand in groups, else one column.

    Values may be numbers, texts or lists such as an interval; what is deeper than a group is left out.
    """
    groups = {name: value for name, value in metrics.items() if isinstance(value, Mapping)}
    plain = {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}
    tables = []
    if plain:
        tables.append(_table(["figure", "value"], [[name, _shown(value)] for name, value in plain.items()]))
    if groups:
        names = list(dict.fromkeys(name for group in groups.values() for name in group))
        rows = [[name, *(_shown(group.get(name)) for group in groups.values())] for name in names]
        tables.append(_table(["figure", *groups], [row for row in rows if any(row[1:])]))
    return "\n\n".join(tables) or "None were measured."


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(_shown(one) for one in value)
    if value is None or isinstance(value, Mapping):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
