"""Measures a trained folder on messages it never saw: `python -m training.evaluate [--folder ...]`.

Fits the temperature of the intent confidence on the validation split and writes it to `calibration.json`; then prints
a table for the test split (template families kept out of training) and for messages written one by one, elsewhere.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 - training is one of the two places for it
from torch.nn import functional  # noqa: TID253
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.conversation import PatientRecord
from shared.errors import UnreadablePrediction
from shared.prediction import Intent
from shared.prompt import RULES, patient_text, prompt_parts
from shared.tagged import REPLY_TOKEN, Grammar, Tagged, parse, write
from training import dataset
from training.context import TZ
from training.encoding import REPLY_WEIGHT, batches, packs, tag_ids
from training.metrics import Decoded, fit_temperature, measure, weakest

# Whole messages that the tests keep, not written by the author of the templates. Per line
# {"text", "intent", "state"?} and {"text", "danger"}.
TESTS = Path(__file__).parent.parent / "tests" / "workers"
WRITTEN, DANGERS = TESTS / "language" / "data" / "messages.jsonl", TESTS / "safety" / "data" / "danger.jsonl"

WRITTEN_FIGURES = (
    *("messages", "intent_macro_f1", "intent_macro_f1_low", "intent_macro_f1_high", "intent_accuracy"),
    *("calibration_error", "danger_messages", "danger_recall", "false_alarms", "valid"),
)
DANGER_FIGURES = ("messages", "danger_messages", "danger_recall", "false_alarms")
MAX_TAG_TOKENS = 64
DECODED_TOGETHER = 32


def evaluate(folder: Path, count: int, seed: int) -> dict[str, float | int]:
    """Calibrate on `count` validation messages, measure on `count` test messages and the typed ones."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.eval()
    validation = decode(model, tokenizer, list(dataset.generate("val", seed, count)))
    temperature = fit_temperature(validation)
    facts = {"temperature": round(temperature, 3), "fitted_on": len(validation)}
    (folder / "calibration.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    test = list(dataset.generate("test", seed, count))
    results = decode(model, tokenizer, test)
    figures = {**facts, **{f"test_{name}": value for name, value in measure(results, temperature).items()}}
    figures |= {f"test_{name}": value for name, value in perplexity(model, tokenizer, test).items()}
    if WRITTEN.exists():
        written = measure(decode(model, tokenizer, written_samples(WRITTEN)), temperature)
        figures |= {f"written_{name}": written[name] for name in WRITTEN_FIGURES}
    if DANGERS.exists():
        dangers = measure(decode(model, tokenizer, written_samples(DANGERS)), temperature)
        figures |= {f"dangers_{name}": dangers[name] for name in DANGER_FIGURES}
    print(table(figures))
    print(weakest(results))
    return figures


def written_samples(path: Path) -> list[dataset.Sample]:
    """Read messages, each as the first of a known patient without visits."""
    samples = []
    for line in path.read_text(encoding="utf-8").splitlines():
        given = json.loads(line)
        intent = Intent(given.get("intent") or (Intent.URGENCIA if given["danger"] else Intent.FUERA_DE_TEMA))
        head, question = prompt_parts(
            RULES, PatientRecord(registered=True), (), given.get("state"), (), given["text"], TZ
        )
        answer = Tagged(intent, danger=intent is Intent.URGENCIA)
        message = patient_text(given["text"], folded=True)
        samples.append(dataset.Sample("written", head, question, write(answer), message, answer))
    return samples


@torch.inference_mode()
def decode(model: Any, tokenizer: Any, samples: Sequence[dataset.Sample]) -> list[Decoded]:
    """Write the tags of every sample greedily under the grammar, up to the reply."""
    reply_id = int(tokenizer.convert_tokens_to_ids(REPLY_TOKEN))
    intent_ids, _ = tag_ids(tokenizer)
    ranked = sorted(samples, key=lambda sample: len(sample.prompt))
    results = []
    for start in range(0, len(ranked), DECODED_TOGETHER):
        group = ranked[start : start + DECODED_TOGETHER]
        inputs = tokenizer([sample.prompt for sample in group], return_tensors="pt", padding=True)
        width = inputs.input_ids.shape[1]
        output = model.generate(
            **inputs,
            max_new_tokens=MAX_TAG_TOKENS,
            do_sample=False,
            eos_token_id=reply_id,
            prefix_allowed_tokens_fn=_masks(tokenizer, group, width),
            output_logits=True,
            return_dict_in_generate=True,
        )
        scores = functional.log_softmax(output.logits[0][:, intent_ids].float(), dim=-1).numpy()  # (B, 22)
        for row, sample in enumerate(group):
            text = tokenizer.decode(output.sequences[row, width:], skip_special_tokens=False)
            results.append(Decoded(sample, _read(text), scores[row]))
    return results


def _masks(tokenizer: Any, group: Sequence[dataset.Sample], width: int) -> Callable[[int, torch.Tensor], list[int]]:
    grammars = [Grammar(lambda text: list(tokenizer(text).input_ids), sample.message) for sample in group]
    padding = [int(tokenizer.pad_token_id)]

    def allowed(row: int, ids: torch.Tensor) -> list[int]:
        following = grammars[row].allowed(ids[width:].tolist())
        return padding if following is None else following  # nothing is wanted behind the tags

    return allowed


def _read(text: str) -> Tagged | None:
    try:
        return parse(text) if REPLY_TOKEN in text else None
    except UnreadablePrediction:
        return None


@torch.inference_mode()
def perplexity(model: Any, tokenizer: Any, samples: Sequence[dataset.Sample]) -> dict[str, float]:
    """Exp of the mean loss per token after the cue, of everything and of the reply alone."""
    context = int(model.config.n_positions)
    every: list[torch.Tensor] = []
    of_reply: list[torch.Tensor] = []
    for batch in batches(list(packs(samples, tokenizer, context, 4, None)), 4, int(tokenizer.pad_token_id), 0):
        logits = model(batch.ids, attention_mask=batch.mask, position_ids=batch.positions).logits
        wanted = batch.weights[:, 1:] > 0
        losses = functional.cross_entropy(logits[:, :-1][wanted], batch.ids[:, 1:][wanted], reduction="none")
        every.append(losses)
        of_reply.append(losses[batch.weights[:, 1:][wanted] == REPLY_WEIGHT])
    return {
        "perplexity": round(torch.cat(every).mean().exp().item(), 3),
        "perplexity_reply": round(torch.cat(of_reply).mean().exp().item(), 3),
    }


def table(figures: dict[str, float | int]) -> str:
    return "\n".join(f"{name:36} {value:>10}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "workers" / "model" / "bundled")
    parser.add_argument("--count", type=int, default=1_500, help="messages per split")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    evaluate(options.folder, options.count, options.seed)


if __name__ == "__main__":
    main()
