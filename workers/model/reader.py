"""The adapter between the dialogue and the engine: a turn in, a Reading out. Called by `answer` and `understand`.

Three kinds of model are read: the bundled one (tagged answer under a grammar, `Estado` in its prompt), a GPT-2 in the
clinic's format (a bare sentence or JSON), and any model with a chat template. Imports no torch.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from shared.conversation import Appointment, PatientRecord, Turn, leaving
from shared.errors import AssistantError, EngineBusy, UnreadablePrediction
from shared.grammar import Grammar
from shared.prediction import Intent, Reason
from shared.prompt import PROMPT_TOKENS, RULES, fit, patient_text, prompt_parts, strip_control, to_chat_messages
from shared.tagged import original_words, parse_answer
from shared.tags import INTENT_TOKENS, REPLY_TOKEN
from shared.weights import Weights
from workers.model.bounded_reply import BoundedReply
from workers.model.calibration import Calibration
from workers.model.generation import Finish, Generation, Request

if TYPE_CHECKING:
    from workers.model.engine_base import EngineBase
    from workers.model.loader import LoadedModel

REPLY_TOKENS = 160
TAG_TOKENS = 64  # intent, danger, secondary, and the words of all slots
MIN_ANSWER_TOKENS = 48  # what a long question must leave free
GRACE_S = 0.5  # the engine looks at deadlines between steps


@dataclass(frozen=True)
class Reading:
    """What the model made of a turn.

    `intent` is None for a model that writes bare replies. `spans` holds the patient's own words by the slot names of
    `shared.tagged.SLOT_TOKENS` ("date", "time", ...). `reply` has its placeholders unfilled and is not reviewed yet.
    """

    intent: Intent | None = None
    confidence: float = 0.0  # calibrated probability of the intent
    chances: Mapping[Intent, float] = field(default_factory=dict)  # calibrated, of all intents; {} if not known
    weights: Weights = field(default_factory=Weights)  # how far this model is believed beside the rules
    danger: bool = False  # its own danger tag
    secondary: tuple[Intent, ...] = ()
    spans: Mapping[str, str] = field(default_factory=dict)
    reason: Reason | None = None
    reply: str | None = None
    mean_logprob: float = 0.0  # per token of the answer
    tokens: int = 0
    model_ms: float = 0.0  # waiting for the engine and computing


class Reader:
    """One per process; `read` is called by many threads at once."""

    def __init__(self, loaded: LoadedModel, engine: EngineBase, calibration: Calibration) -> None:
        self._tokenizer: Any = loaded.tokenizer
        # Fast tokenizers change their own state while encoding: two threads at once raise "Already borrowed".
        self._tokenizer_lock = threading.Lock()
        self._engine = engine
        self._calibration = calibration
        self._tagged, self._chat = loaded.info.tagged, loaded.info.chat_template and not loaded.info.tagged
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        self._intents = {vocabulary[token]: intent for intent, token in INTENT_TOKENS.items() if token in vocabulary}
        self._reply_id = vocabulary.get(REPLY_TOKEN)
        # A model that begins to write the patient's next line has finished its own.
        self._stop_ids = loaded.end_ids | {vocabulary[token] for token in PROMPT_TOKENS if token in vocabulary}
        self._foreign = [t for t in self._tokenizer.all_special_tokens if t.strip()]

    def read(
        self,
        *,
        record: PatientRecord,
        appointments: Sequence[Appointment],
        state: str | None,
        turns: Sequence[Turn],
        question: str,
        tz: ZoneInfo,
        deadline_s: float,
        needs_reply: bool = True,
        max_new_tokens: int = REPLY_TOKENS,
        temperature: float = 0.0,
    ) -> Reading:
        """Let the model read one turn.

        Args:
            state: `Flow.state`, such as "agendar:fecha", or None.
            turns: earlier turns, oldest first, without the question; the oldest are left out when the context is full.
            deadline_s: seconds from now until the answer is of no use.
            needs_reply: False stops before the reply; a model without tags is then not asked at all.
            max_new_tokens: upper bound of the reply; the tags before it are not counted.
            temperature: 0 is greedy. Only the words of the reply are ever sampled, never the tags; where transformers'
                continuous batching serves the model, nothing is.

        Raises:
            EngineBusy: queue full, deadline passed, or the engine hangs.
            PromptTooLong: question and answer do not fit even without earlier turns.
            UnreadablePrediction: the model failed, or its answer is in none of the known forms.
        """
        if not self._tagged and not needs_reply:
            return Reading()
        begun = time.perf_counter()
        turns = [turn.model_copy(update={"text": self._harmless(turn.text)}) for turn in turns]
        question = self._harmless(question)
        wanted = (TAG_TOKENS if self._tagged else 0) + (max_new_tokens if needs_reply else 0)
        limit = self._engine.context_length - wanted
        if self._chat:
            ids = self._chat_prompt(record, appointments, state, turns, question, tz, limit)
        else:
            parts = prompt_parts(RULES, record, appointments, state, turns, question, tz, with_state=self._tagged)
            ids = self._encode(fit(parts, self._count_tokens, limit))
        room = max(self._engine.context_length - len(ids), min(MIN_ANSWER_TOKENS, wanted))
        stop_ids = self._stop_ids
        if not needs_reply and self._reply_id is not None:
            stop_ids = stop_ids | {self._reply_id}
        rules = self._grammar(question, max_new_tokens) if self._tagged else None
        generation = self._generate(
            ids,
            deadline_s,
            max_new_tokens=min(wanted, room),
            stop_ids=frozenset(stop_ids),
            allowed=rules,
            temperature=temperature,
        )
        cut = generation.finish is Finish.LENGTH or (rules is not None and rules.cut)
        return self._understand(generation, cut, question, (time.perf_counter() - begun) * 1000)

    def _generate(self, ids: list[int], deadline_s: float, **others: Any) -> Generation:
        gone = threading.Event()
        request = Request(ids, deadline_s=deadline_s, cancelled=gone.is_set, **others)
        try:
            return self._engine.submit(request).result(deadline_s + GRACE_S)
        except (TimeoutError, CancelledError):
            gone.set()
            raise EngineBusy(f"the model does not answer within {deadline_s:g} s") from None
        except AssistantError:
            raise
        except Exception as error:  # logged by the engine with its traceback; for the turn it is no answer
            raise UnreadablePrediction(f"the model failed ({type(error).__name__})") from error

    def _understand(self, generation: Generation, cut: bool, question: str, model_ms: float) -> Reading:
        text = self._decode(generation.ids)
        if self._tagged and cut and REPLY_TOKEN not in text:
            raise UnreadablePrediction("the tags do not end")
        answer = parse_answer(text)
        mean_logprob = sum(generation.logprobs) / max(1, len(generation.logprobs))
        figures: dict[str, Any] = {"mean_logprob": mean_logprob, "tokens": len(generation.ids), "model_ms": model_ms}
        if isinstance(answer, str):
            return Reading(reply=_sentences(answer) if cut else answer, **figures)
        chances = self._chances(generation)
        return Reading(
            intent=answer.intent,
            confidence=chances.get(answer.intent, math.exp(min(0.0, mean_logprob))),
            chances=chances,
            weights=self._calibration.weights,
            danger=answer.danger,
            secondary=answer.secondary,
            spans={slot: original_words(strip_control(question), span) for slot, span in answer.spans.items()},
            reason=answer.reason,
            reply=_sentences(answer.reply) if cut and answer.reply else answer.reply,
            **figures,
        )

    def _chances(self, generation: Generation) -> dict[Intent, float]:
        """Softmax over the intents at the first step, calibrated; empty for an answer in another form."""
        scored = [(self._intents[id_], logprob) for id_, logprob in generation.first_choices if id_ in self._intents]
        if not self._tagged or not scored:
            return {}
        probabilities = self._calibration.probabilities([logprob for _, logprob in scored])
        return dict(zip([intent for intent, _ in scored], probabilities, strict=True))

    def _grammar(self, question: str, reply_tokens: int) -> BoundedReply:
        grammar = Grammar(lambda text: self._encode(text, bare=True), patient_text(question, folded=True))
        return BoundedReply(grammar.allowed, self._reply_id, reply_tokens)

    def _chat_prompt(
        self,
        record: PatientRecord,
        appointments: Sequence[Appointment],
        state: str | None,
        turns: Sequence[Turn],
        question: str,
        tz: ZoneInfo,
        limit: int,
    ) -> list[int]:
        """Render with the tokenizer's template, leaving out the oldest turns, a few at a time, until it fits."""
        kept = list(turns)
        while True:
            messages = to_chat_messages(RULES, record, appointments, state, kept, question, tz)
            with self._tokenizer_lock:
                text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            ids = self._encode(text, bare=True)
            if len(ids) <= limit or not kept:
                return ids
            del kept[: leaving(len(kept))]

    def _encode(self, text: str, bare: bool = False) -> list[int]:
        """Tokenize; `bare` when the text brings its own begin-of-text, as the bundled format and templates do."""
        bare = bare or self._tagged
        with self._tokenizer_lock:
            ids: list[int] = self._tokenizer(text, add_special_tokens=not bare)["input_ids"]
        # Some tokenizers close every text with end-of-text: the answer would never begin.
        return ids[:-1] if not bare and ids and ids[-1] == self._tokenizer.eos_token_id else ids

    def _count_tokens(self, text: str) -> int:
        return len(self._encode(text))

    def _decode(self, ids: Sequence[int]) -> str:
        with self._tokenizer_lock:
            text: str = self._tokenizer.decode(list(ids), skip_special_tokens=not self._tagged)
        return text

    def _harmless(self, text: str) -> str:
        """Take out what this tokenizer would read as a control token of its own."""
        for token in self._foreign:
            text = text.replace(token, " ")
        return text


def _sentences(text: str) -> str | None:
    """Keep the whole sentences of a reply that was cut by its length; None when there is none."""
    end = max(text.rfind(sign) for sign in ".!?…")
    return text[: end + 1] if end > 0 else None
