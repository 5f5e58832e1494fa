"""What goes into the engine and what comes out: token ids, log-probabilities, milliseconds. No text, no patients.

Built by `reader`, consumed and answered by `engine`. Imports no torch, so that every module may name these types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.errors import PromptTooLong

# So many alternatives of the first token are reported: enough for a softmax over all intents, which has 22.
FIRST_CHOICES = 32

# Tokens generated so far -> ids that may follow, or None when every token may.
Allowed = Callable[[list[int]], Sequence[int] | None]


class Finish(StrEnum):
    STOP = "stop"  # a stop id was chosen, or nothing may follow
    LENGTH = "length"  # max_new_tokens were written


@dataclass(frozen=True)
class Request:
    """One prompt to continue.

    Attributes:
        ids: the prompt, at least one token.
        max_new_tokens: upper bound, at least 1; prompt and answer must fit the model's context.
        stop_ids: tokens that end the answer; they are not part of it.
        allowed: mask for each step, called in the engine's thread, so it must be quick. An empty list ends the answer.
        deadline_s: seconds from `submit` until nobody wants the answer any more.
        temperature: 0 is greedy. Steps with a mask from `allowed` are greedy always: structure is never gambled.
            `ContinuousEngine` is greedy at any temperature.
        seed: of the sampling, per request, so that the answer does not depend on who shares the batch.
        cancelled: asked before each step; True frees the row at once.
    """

    ids: Sequence[int]
    max_new_tokens: int
    stop_ids: frozenset[int] = frozenset()
    allowed: Allowed | None = None
    deadline_s: float = 60.0
    temperature: float = 0.0
    seed: int = 0
    cancelled: Callable[[], bool] | None = None

    def check(self, vocab_size: int, context_length: int) -> None:
        """Refuse what a model of this size cannot read or has no room for.

        Raises:
            PromptTooLong: if prompt and answer would not fit in the model's context.
            ValueError: if the prompt is empty or names tokens that the model does not have.
        """
        if not self.ids or self.max_new_tokens < 1:
            raise ValueError("a request needs at least one token of prompt and one of answer")
        if min(self.ids) < 0 or max(self.ids) >= vocab_size:
            raise ValueError("the prompt holds a token that the model does not have")
        if len(self.ids) + self.max_new_tokens > context_length:
            wanted = f"{len(self.ids)} tokens and {self.max_new_tokens} of answer"
            raise PromptTooLong(f"{wanted} do not fit in {context_length}")


@dataclass(frozen=True)
class Generation:
    """One answer. Log-probabilities are natural, at temperature 1, of the distribution that the mask left."""

    ids: tuple[int, ...]  # without prompt and stop token
    logprobs: tuple[float, ...]  # one per id
    first_choices: tuple[tuple[int, float], ...]  # (id, log-probability) of the first step, best first
    finish: Finish
    queue_ms: float  # from submit until the row joined the batch
    first_ms: float  # from submit to the first token
    total_ms: float  # from submit to the end
    batch_size: int  # most rows it ever shared a step with, itself included


@dataclass(frozen=True)
class EngineStats:
    """Figures since the start. `last_step_age_s` grows while there is work and no step ends: a wedged model."""

    requests: int = 0  # accepted
    finished: int = 0
    failed: int = 0  # the model or a mask broke
    refused: int = 0  # the queue was full
    expired: int = 0  # deadline passed, waiting or running
    cancelled: int = 0
    prompt_tokens: int = 0
    prefix_tokens: int = 0  # of them, not computed: their keys and values were kept from prompts before
    tokens: int = 0  # generated
    forced: int = 0  # of them, written without asking the model: nothing else was allowed
    drafted: int = 0  # tokens guessed and computed in the hope that they are right
    accepted: int = 0  # of them, those that were
    passes: int = 0  # over the weights, whatever was in them
    steps: int = 0  # of them, those in which answers were written
    prefix_bytes: int = 0  # kept now
    batch_sizes: dict[int, int] = field(default_factory=dict)  # answers in a step -> steps
    waiting: int = 0
    running: int = 0
    last_step_age_s: float = 0.0  # 0 when idle
    alive: bool = True
