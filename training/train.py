"""Trains the bundled model from scratch on two processor cores: `python -m training.train` (`make train`).

Writes the tokenizer, the weights and `training.json` into `workers/model/bundled/`, a picture of the loss, then runs
the evaluation, which adds its figures and `calibration.json`. Stopped half way it goes on from its last checkpoint.
`--base user/gpt2-in-spanish` fine-tunes a GPT-2 of the Hub (or a folder) in the same format instead; a GPU is used
where there is one, in mixed precision. `--quick` trains a toy in seconds, to prove that the path works.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 - training is one of the two places for it
from tqdm import tqdm
from transformers import (  # noqa: TID253
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
)

from shared.tagged import SPECIAL_TOKENS
from training import dataset, evaluate
from training.encoding import train_tokenizer
from training.families import fingerprint
from training.fitting import fit
from training.pictures import draw_curve
from training.plan import QUICK, Plan

ROOT = Path(__file__).parent.parent
BUNDLED = ROOT / "workers" / "model" / "bundled"
CHECKPOINT = ROOT / "var" / "training" / "checkpoint.pt"
CURVE = ROOT / "docs" / "training-curve.png"


FINE_TUNING_RATE = 2e-4  # a trained model is nudged, not taught anew


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUNDLED, help="folder of the result")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="file to go on from")
    parser.add_argument("--base", help="GPT-2 to fine-tune: a Hub id or a folder (default: train from scratch)")
    parser.add_argument("--samples", type=int, help="training messages; default of the plan otherwise")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--quick", action="store_true", help="a toy, in seconds")
    options = parser.parse_args()
    plan = replace(QUICK if options.quick else Plan(), seed=options.seed, base=options.base)
    if options.base:
        plan = replace(plan, peak_rate=FINE_TUNING_RATE, matrix_rate=10 * FINE_TUNING_RATE)
    if options.samples:
        plan = replace(plan, samples=options.samples)
    in_docs = (CURVE, evaluate.PICTURE) if options.out == BUNDLED else (None, None)
    run(plan, options.out, options.checkpoint, *in_docs)


def run(
    plan: Plan, out: Path, checkpoint: Path, curve: Path | None = None, picture: Path | None = None
) -> dict[str, Any]:
    """Train, save, evaluate. Returns what stands in `training.json`.

    Args:
        out: folder of the result.
        checkpoint: where to go on from, and what is removed at the end.
        curve: PNG of the loss; beside the checkpoint if None.
        picture: PNG of the confusion matrix; not drawn if None.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    samples = list(tqdm(dataset.generate("train", plan.seed, plan.samples), total=plan.samples, desc="messages"))
    if plan.base:
        model, tokenizer = load_base(plan.base)
    else:
        tokenizer = train_tokenizer(samples[:20_000], plan.vocab, plan.context)
        model = build_model(plan, tokenizer)
    history = fit(model, tokenizer, samples, plan, checkpoint)
    facts = {
        "plan": asdict(plan),
        "data": fingerprint(),
        "real_chats": False,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(history.seconds),
        "tokens": history.tokens,
        "metrics": {},
    }
    save(model.cpu(), tokenizer, out, facts)
    draw_curve(history.losses, history.hits, curve or checkpoint.with_suffix(".png"))
    facts["metrics"] = evaluate.evaluate(out, plan.evaluated, plan.seed, picture)
    evaluate.note(out, facts["metrics"])
    checkpoint.unlink(missing_ok=True)
    return facts


def load_base(name: str) -> tuple[Any, Any]:
    """Load a causal model of the Hub or a folder and teach its tokenizer the tags of our format."""
    tokenizer: Any = AutoTokenizer.from_pretrained(name)
    model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    known = tokenizer.get_vocab()
    tokenizer.add_special_tokens({"additional_special_tokens": [t for t in SPECIAL_TOKENS if t not in known]})
    tokenizer.eos_token = tokenizer.pad_token = SPECIAL_TOKENS[0]
    tokenizer.padding_side = "left"
    model.resize_token_embeddings(len(tokenizer))
    model.config.eos_token_id = model.config.pad_token_id = tokenizer.eos_token_id
    return model, tokenizer


def build_model(plan: Plan, tokenizer: Any) -> Any:
    """Return a GPT-2 with random weights, sized by the plan."""
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=plan.context,
        n_embd=plan.width,
        n_layer=plan.layers,
        n_head=plan.heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own function, in one fused step
        resid_pdrop=plan.dropout,
        embd_pdrop=plan.dropout,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    build: Any = GPT2LMHeadModel  # transformers' classes carry few types
    return build(config)


def save(model: Any, tokenizer: Any, out: Path, facts: dict[str, Any]) -> None:
    """Write a folder that plain `from_pretrained` loads: half-precision weights, read back as float32."""
    out.mkdir(parents=True, exist_ok=True)
    build: Any = GenerationConfig
    model.generation_config = build(
        do_sample=False,
        max_new_tokens=200,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.half().save_pretrained(out)
    model.float()
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "float32"  # half precision halves the file, but is slow to compute with on a processor
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tokenizer.save_pretrained(out)
    write_facts(out, facts)


def write_facts(out: Path, facts: dict[str, Any]) -> None:
    (out / "training.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
