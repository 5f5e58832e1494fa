"""The road's understanding on lines of JSON, without network: rules, model, resolver, dialogue.

Run: python -m workers.understand < messages.jsonl > predictions.jsonl

Reads {"id", "text", "now"?, "state"?}: `now` is ISO 8601 (the present if missing; without offset it is clinic time),
`state` is like "agendar:fecha". Writes {"id", "intent", "secondary", "confidence", "danger", "danger_category",
"slots", "reply", "source"} in the same order; `reply` is null where the appointments backend would have to be asked. A
line that cannot be read gives {"id", "error"} and the others are answered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError
from tqdm import tqdm

from shared import logs
from shared.conversation import Conversation, Expects, Flow, FlowKind, PatientRecord
from shared.errors import AssistantError
from shared.messages import Message
from shared.prediction import Danger, Prediction, Slots, Source
from shared.settings import ProcessRole, Settings, load
from shared.texts import Texts
from workers.dialogue.decide import decide
from workers.dialogue.decision import Known, TurnInput
from workers.known import build_known
from workers.language.other_language import is_other_language
from workers.model.holder import ModelHolder
from workers.safety.danger import find_danger
from workers.safety.guardrails import strip_control_tokens
from workers.understanding import beside_danger, understand

AT_ONCE = 8  # the engine batches what is asked at the same time


class Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str | int
    text: str
    now: datetime | None = None
    state: str | dict[str, Any] | None = None


@dataclass(frozen=True)
class Reader:
    """Everything that stays the same from line to line."""

    settings: Settings
    texts: Texts
    known: Known
    model: ModelHolder

    def read(self, raw: str) -> dict[str, Any]:
        """Answer one line; never raises for what stands in it."""
        try:
            line = Line.model_validate_json(raw)
            flow = flow_of(line.state)
        except (ValidationError, ValueError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            return {"id": _id_of(raw), "error": reason}
        now = line.now or datetime.now(self.settings.timezone)
        now = now.replace(tzinfo=self.settings.timezone) if now.tzinfo is None else now
        return self._predict(line, now.astimezone(self.settings.timezone), flow)

    def _predict(self, line: Line, now: datetime, flow: Flow | None) -> dict[str, Any]:
        text = strip_control_tokens(line.text)
        state = flow.state if flow else None
        if danger := find_danger(line.text):
            return self._alarm(line.id, beside_danger(text, now, state), danger, Source.SAFETY)

        def ask_model(needs_reply: bool) -> Any:
            reader = self.model.reader_or_none()
            if reader is None or not text.strip():
                return None
            try:
                return reader.read(
                    record=PatientRecord(),
                    appointments=(),
                    state=state,
                    turns=(),
                    question=text,
                    tz=self.settings.timezone,
                    needs_reply=needs_reply,
                    deadline_s=120.0,
                )
            except AssistantError:
                return None

        prediction = understand(text, now, state, ask_model)
        if prediction.danger is not None:
            return self._alarm(line.id, beside_danger(text, now, state), prediction.danger, Source.MODEL)
        message = Message(id=f"m_{line.id}", text=text, at=now, received_at=now)
        turn = TurnInput(
            messages=(message,),
            text=text,
            prediction=prediction,
            now=now,
            new_number="0" * 12,
            other_language=is_other_language(text),
        )
        conclusion = decide(turn, Conversation(flow=flow, introduced=True), self.known).conclusion
        reply = conclusion.reply.text if conclusion and conclusion.reply else None
        return _row(line.id, prediction, reply)

    def _alarm(self, line_id: str | int, beside: Prediction, danger: Danger, source: Source) -> dict[str, Any]:
        prediction = beside.model_copy(update={"danger": danger, "source": source})
        return _row(line_id, prediction, self.texts.escalation(danger, staff_told=False))


def flow_of(state: str | dict[str, Any] | None) -> Flow | None:
    """Read `agendar:fecha`, or an object {"flow", "expects", "slots"?}, into a pending flow.

    Raises:
        ValueError: naming what is not a state.
    """
    slots = Slots()
    if isinstance(state, dict):
        slots = Slots.model_validate(state.get("slots") or {})
        state = f"{state.get('flow') or state.get('kind')}:{state.get('expects')}"
    if not state or state.lower() in ("none", "null", "none:none"):
        return None
    kind, _, expects = state.partition(":")
    try:
        return Flow(kind=FlowKind(kind), expects=Expects(expects), number="0" * 12, slots=slots)
    except ValueError:
        raise ValueError(f"state {state!r} is not like 'agendar:fecha'") from None


def _row(line_id: str | int, prediction: Prediction, reply: str | None) -> dict[str, Any]:
    return {
        "id": line_id,
        "intent": prediction.intent.value,
        "secondary": [intent.value for intent in prediction.secondary],
        "confidence": prediction.confidence,
        "danger": prediction.danger is not None,
        "danger_category": prediction.danger.category.value if prediction.danger else None,
        "slots": prediction.slots.model_dump(mode="json"),
        "reply": reply,
        "source": prediction.source.value,
    }


def _id_of(raw: str) -> Any:
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body.get("id") if isinstance(body, dict) else None


def predictions(reader: Reader, lines: TextIO) -> Iterator[dict[str, Any]]:
    """Answer each line that is not blank, in order, several at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(reader.read, (line for line in lines if line.strip()))


def main() -> int:
    settings = load(ProcessRole.TOOL)
    logs.setup("WARNING")
    model = ModelHolder(settings)
    model.start()
    try:
        try:
            model.wait(settings.MODEL_WAIT_S)
        except AssistantError as error:
            print(f"No model: {error}. Rules and cards answer.", file=sys.stderr)
        texts = Texts.load(settings)
        reader = Reader(settings, texts, build_known(settings, texts), model)
        refused = 0
        for row in tqdm(predictions(reader, sys.stdin), unit=" messages", disable=not sys.stderr.isatty()):
            refused += "error" in row
            print(json.dumps(row, ensure_ascii=False), flush=True)
        if refused:
            print(f"{refused} lines could not be read; each says why in 'error'.", file=sys.stderr)
        return 0
    finally:
        model.close()


if __name__ == "__main__":
    raise SystemExit(main())
