"""Everything that decides the result of a training, written to `training.json`. Used by `train` and `fitting`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Everything that decides the result, written to `training.json`."""

    base: str | None = None  # Hub id or folder of a model to fine-tune; None: from scratch
    samples: int = 170_000
    branches: int = 16  # messages that share one head
    batch: int = 4  # heads per step
    width: int = 256
    layers: int = 4
    heads: int = 4
    context: int = 512
    vocab: int = 3_072
    peak_rate: float = 2e-3  # of AdamW: embeddings, biases, norms
    matrix_rate: float = 0.02  # of Muon: the matrices between them
    warmup_steps: int = 100
    weight_decay: float = 0.05
    dropout: float = 0.1  # of embeddings and of each layer's output
    seed: int = 2026
    threads: int = 2
    evaluated: int = 1_500  # messages per evaluation split
    checkpoint_steps: int = 100


QUICK = Plan(
    samples=192,
    branches=4,
    batch=4,
    width=32,
    layers=1,
    heads=2,
    vocab=700,
    warmup_steps=2,
    evaluated=24,
    checkpoint_steps=4,
)
