"""The worker's model on a GPU beside the same on the processor. Run: python -m benchmarks.gpu [--device cpu] [--quick]

Each model is loaded as a worker loads it, through `ModelHolder` with its release gate. First, messages of the
development set: how many readings are the same as the processor's in float32, tags alone and with the reply. Then
closed-loop clients: readings per second through the engine, and beside them the baseline of the same weights, the plain
`generate` of transformers under a lock with the same prompts. Both take turns in each round; medians are printed.
The baseline writes without a grammar, so its answers differ at times: tokens per answer stand beside the rates.
`--out` keeps the figures as JSON, written after each model, so that a run that is stopped loses only the rest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import torch  # noqa: TID253
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.conversation import PatientRecord
from shared.errors import AssistantError, ModelUnavailable
from shared.prompt import RULES, prompt_parts
from shared.settings import BUNDLED_MODEL, ProcessRole, load
from workers.model.holder import ModelHolder
from workers.model.reader import Reader, Reading

MESSAGES = Path(__file__).parent.parent / "tests" / "data" / "gold" / "development.jsonl"
STRANGER: dict[str, Any] = {"record": PatientRecord(), "appointments": (), "turns": (), "deadline_s": 60.0}
LOADING_S, TZ = 120.0, ZoneInfo("America/La_Paz")
TAGS = ("intent", "danger", "secondary", "spans", "reason")
AT_ONCE, ANSWER_TOKENS = 8, 200  # messages read at a time for the comparison; upper bound of the baseline's answers
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Figures = dict[str, Any]
Line = dict[str, Any]  # of the message file
Answer = Callable[[Line, float], int | None]  # answers a message, returns the tokens written; None if it is too late


@dataclass(frozen=True)
class Amount:
    messages: int = 200
    rounds: int = 3
    seconds: float = 1.5  # of one side in one round
    clients: tuple[int, ...] = (1, 8, 64)


QUICK = Amount(messages=12, rounds=1, seconds=0.5, clients=(1, 4))


def read(reader: Reader, line: Line) -> Reading | None:
    """Read a message as the first of a stranger; None if the model has no readable answer."""
    try:
        return reader.read(**STRANGER, state=line["state"], question=line["text"], tz=TZ)
    except AssistantError:
        return None


def compare(wanted: Sequence[Reading | None], got: Sequence[Reading | None]) -> Figures:
    """Shares of messages of which both make the same, and the largest difference of a confidence."""
    pairs = list(zip(wanted, got, strict=True))

    def share(*names: str) -> float:
        same = sum(all(getattr(a, name, None) == getattr(b, name, None) for name in names) for a, b in pairs)
        return round(same / len(pairs), 4)

    return {
        "messages": len(pairs),
        "unreadable": sum(reading is None for reading in got),
        "same_intent_and_danger": share("intent", "danger"),
        "same_tags": share(*TAGS),
        "same_with_reply": share(*TAGS, "reply"),
        "largest_confidence_difference": round(max(abs(a.confidence - b.confidence) for a, b in pairs if a and b), 5),
    }


def plain(device: str, precision: str) -> Answer:
    """Return the baseline: one request at a time, everything but prompt and tokenizer left to transformers."""
    tokenizer: Any = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    model: Any = AutoModelForCausalLM.from_pretrained(BUNDLED_MODEL, dtype=DTYPES.get(precision, torch.float32))
    model.to(device).eval()
    lock, context = threading.Lock(), int(model.config.max_position_embeddings)

    def answer(line: Line, until: float) -> int | None:
        parts = prompt_parts(RULES, PatientRecord(), (), line["state"], (), line["text"], TZ)
        with lock, torch.inference_mode():
            if time.perf_counter() > until:
                return None
            inputs = tokenizer("".join(parts), return_tensors="pt").to(device)
            length = int(inputs["input_ids"].shape[1])
            written = model.generate(**inputs, do_sample=False, max_new_tokens=min(ANSWER_TOKENS, context - length))
            tokenizer.decode(written[0, length:])
            return int(written.shape[1]) - length

    return answer


def load_round(answer: Answer, lines: Sequence[Line], clients: int, seconds: float) -> tuple[float, float]:
    """Let closed-loop clients ask for `seconds`; return answers per second and tokens per answer.

    What the model works at by then is finished and counted, with the time it takes.
    """
    numbers, done, began = count(), list[int](), time.perf_counter()

    def client() -> None:
        while time.perf_counter() < began + seconds:
            tokens = answer(lines[next(numbers) % len(lines)], began + seconds)
            done.extend(() if tokens is None else [tokens])

    with ThreadPoolExecutor(clients) as pool:
        for future in [pool.submit(client) for _ in range(clients)]:
            future.result()
    return len(done) / (time.perf_counter() - began), sum(done) / max(1, len(done))


def throughput(ours: Answer, baseline: Answer, lines: Sequence[Line], amount: Amount) -> list[Figures]:
    """Both sides in turn, for each number of clients; medians over the rounds."""
    sides = {"engine": ours, "plain": baseline}
    for side in sides.values():
        load_round(side, lines, 1, 0.1)  # warms up
    found: list[Figures] = []
    for clients in amount.clients:
        rounds: list[dict[str, tuple[float, float]]] = []
        for _ in range(amount.rounds):
            rounds.append({name: load_round(side, lines, clients, amount.seconds) for name, side in sides.items()})
        row: Figures = {"clients": clients}
        for name in sides:
            row[f"{name}_per_s"] = round(statistics.median(each[name][0] for each in rounds), 2)
            row[f"{name}_tokens"] = round(statistics.median(each[name][1] for each in rounds), 1)
        row["ratio"] = round(statistics.median(each["engine"][0] / each["plain"][0] for each in rounds), 2)
        print(f"  {json.dumps(row)}", flush=True)
        found.append(row)
    return found


def measure(device: str, precision: str, lines: list[Line], wanted: list[Reading | None], amount: Amount) -> Figures:
    """Load the bundled model as a worker does and measure it; fills `wanted` if it is empty, else compares with it.

    Raises:
        ModelUnavailable: there is no such device, or the release gate refuses the model.
    """
    given = {"MODEL_NAME": str(BUNDLED_MODEL), "MODEL_DEVICE": device, "MODEL_PRECISION": precision}
    holder = ModelHolder(load(ProcessRole.TOOL, **given))
    holder.start()
    try:
        reader = holder.wait(LOADING_S)
        row: Figures = {"device": device, "asked": precision}
        row |= holder.info.model_dump(include={"precision", "threads", "load_s", "gate"}) if holder.info else {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            got = list(pool.map(lambda line: read(reader, line), lines))
        wanted.extend(() if wanted else got)
        row |= compare(wanted, got)
        print(json.dumps(row, ensure_ascii=False), flush=True)

        def ours(line: Line, _: float) -> int:
            return reading.tokens if (reading := read(reader, line)) else 0

        if precision == "auto":
            row["load"] = throughput(ours, plain(device, row["precision"]), lines, amount)
        return row
    finally:
        holder.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="a few messages, half a second a round")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    asked = parser.parse_args()
    amount = QUICK if asked.quick else Amount()
    lines = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()[: amount.messages]]
    card = torch.cuda.get_device_name() if asked.device == "cuda" and torch.cuda.is_available() else "no GPU"
    print(f"torch {torch.__version__}, {card}", flush=True)
    figures: Figures = {"torch": torch.__version__, "card": card, "models": []}
    wanted: list[Reading | None] = []
    on_gpu = [("cuda", precision) for precision in ("auto", "fp32")] if asked.device == "cuda" else []
    for device, precision in (("cpu", "auto"), *on_gpu):
        try:
            row = measure(device, precision, lines, wanted, amount)
        except ModelUnavailable as error:
            row = {"device": device, "asked": precision, "error": str(error)}
            print(json.dumps(row, ensure_ascii=False), flush=True)
        figures["models"].append(row)
        if asked.out:
            asked.out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all("error" not in row for row in figures["models"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
