"""Models that we did not train: by MODEL_NAME alone they load, answer, and leave the intent to the rules."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import torch  # noqa: TID253
from safetensors.torch import load_file

from shared.conversation import PatientRecord
from shared.errors import ModelUnavailable
from shared.prediction import Intent
from shared.prompt import END_OF_TEXT, PROMPT_TOKENS, RULES, prompt_parts, to_chat_messages
from shared.settings import Settings
from tests.workers.model.conftest import NAME, build_model, build_tokenizer, save_model
from tests.workers.model.hub_server import HubServer
from tests.workers.model.test_loader import _Evil
from workers.model import loader, snapshots
from workers.model.backend import Piece
from workers.model.holder import ModelHolder
from workers.model.reader import Reader
from workers.understanding import understand

WAIT_S = 60
TZ = ZoneInfo("America/La_Paz")
NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=TZ)
REPLY = " Atendemos de lunes a sábado."
QUESTION = "¿a qué hora atienden?"
CHAT_TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def teach(model: Any, tokenizer: Any, prompt: str, reply: str) -> None:
    """Overfit a tiny model on one answer; the prompt is frozen noise to it, so a few steps are enough."""
    ids = torch.tensor([tokenizer(prompt + reply + END_OF_TEXT, add_special_tokens=False)["input_ids"]])
    length = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    labels = ids.clone()
    labels[:, :length] = -100
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(300):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.02:
            break
    model.eval()


def speaking(folder: Path, chat: bool) -> Path:
    """A tiny GPT-2 that answers QUESTION with REPLY, in the clinic's format or behind a chat template."""
    tokenizer = build_tokenizer((END_OF_TEXT,) if chat else (END_OF_TEXT, *PROMPT_TOKENS))
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
        messages = to_chat_messages(RULES, PatientRecord(), (), None, (), QUESTION, TZ)
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    else:
        prompt = "".join(prompt_parts(RULES, PatientRecord(), (), None, (), QUESTION, TZ, with_state=False))
    model = build_model(len(tokenizer))
    teach(model, tokenizer, prompt, REPLY)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


Open = Callable[..., Reader]


@pytest.fixture
def open_model(hub: HubServer, settings_for: Callable[..., Settings]) -> Iterator[Open]:
    """Start what a worker starts for MODEL_NAME on the Hub, release gate included."""
    holders: list[ModelHolder] = []

    def run(**others: Any) -> Reader:
        holders.append(ModelHolder(settings_for(NAME, HF_ENDPOINT=hub.address, **others)))
        holders[-1].start()
        return holders[-1].wait(WAIT_S)

    yield run
    for holder in holders:
        holder.close()


def read(reader: Reader, text: str, needs_reply: bool = True) -> Any:
    return reader.read(
        record=PatientRecord(),
        appointments=(),
        state=None,
        turns=(),
        question=text,
        tz=TZ,
        deadline_s=30,
        needs_reply=needs_reply,
    )


@pytest.mark.parametrize("chat", [False, True], ids=["clinic format", "chat template"])
def test_it_answers_in_its_words_and_the_rules_know_the_intent(
    hub: HubServer, open_model: Open, tmp_path: Path, chat: bool
) -> None:
    hub.repos[NAME].commit_folder(speaking(tmp_path / "model", chat), "v1")
    reader = open_model(MODEL_REVISION="v1")
    reading = read(reader, QUESTION)
    assert (reading.intent, reading.danger, reading.reply) == (None, False, REPLY.strip())
    prediction = understand(QUESTION, NOW, None, lambda needs_reply: read(reader, QUESTION, needs_reply))
    assert prediction.intent is Intent.HORARIOS_UBICACION_COSTOS
    assert prediction.reply == REPLY.strip()
    booking = "quiero una cita mañana a las 10"
    prediction = understand(booking, NOW, None, lambda needs_reply: read(reader, booking, needs_reply))
    assert prediction.intent is Intent.AGENDAR_CITA
    assert (prediction.slots.date, prediction.slots.time) == (dt.date(2026, 11, 24), "10:00")


def as_bin(folder: Path, parts: int = 1) -> dict[str, torch.Tensor]:
    """Keep the weights in the old form only, in one file or several; returns them."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for part in range(parts):
        name = "pytorch_model.bin" if parts == 1 else f"pytorch_model-{part + 1:05}-of-{parts:05}.bin"
        torch.save(dict(list(weights.items())[part::parts]), folder / name)
    return weights


@pytest.mark.parametrize("parts", [1, 3])
def test_old_weights_are_converted_once_and_kept(
    hub: HubServer, settings_for: Callable[..., Settings], tmp_path: Path, parts: int, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_model(tmp_path / "model")
    weights = as_bin(folder, parts)
    commit = hub.repos[NAME].commit_folder(folder)
    settings = settings_for(NAME, HF_ENDPOINT=hub.address)
    with caplog.at_level(logging.INFO):
        loaded = loader.load(settings)
        hub.requests.clear()
        again = loader.load(settings)
    assert [record.message for record in caplog.records].count("weights converted to safetensors") == 1
    assert hub.fetched() == []
    assert loaded.info.parameters == again.info.parameters == sum(part.numel() for part in weights.values())
    snapshot = snapshots.repository(settings.MODEL_CACHE_DIR, NAME) / "snapshots" / commit
    assert load_file(snapshot / "model.safetensors").keys() == weights.keys()
    assert snapshots.damaged(snapshot) == []
    assert not list(snapshot.parent.parent.glob(".converting-*"))


def test_a_damaged_conversion_is_made_again(
    hub: HubServer, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    folder = save_model(tmp_path / "model")
    weights = as_bin(folder)
    commit = hub.repos[NAME].commit_folder(folder)
    settings = settings_for(NAME, HF_ENDPOINT=hub.address, MODEL_REVISION=commit)
    loader.load(settings)
    converted = snapshots.repository(settings.MODEL_CACHE_DIR, NAME) / "snapshots" / commit / "model.safetensors"
    content = bytearray(converted.read_bytes())
    content[-10] ^= 1
    converted.write_bytes(content)
    assert snapshots.damaged(converted.parent) == [converted]
    loader.load(settings)
    assert snapshots.damaged(converted.parent) == []
    assert torch.equal(load_file(converted)["transformer.wte.weight"], weights["transformer.wte.weight"])


def test_weights_of_the_hub_that_would_run_code_are_refused(
    hub: HubServer, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    folder = save_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save({"x": _Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    hub.repos[NAME].commit_folder(folder)
    with pytest.raises(ModelUnavailable, match="hold something else than numbers: refused, and nothing of it was run"):
        loader.load(settings_for(NAME, HF_ENDPOINT=hub.address))
    assert not (tmp_path / "ran").exists()


def test_tied_weights_survive_the_conversion(
    hub: HubServer, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    """A GPT-2 saved by torch names its table twice; safetensors keeps it once."""
    tokenizer = build_tokenizer()
    model = build_model(len(tokenizer))
    folder = tmp_path / "model"
    tokenizer.save_pretrained(folder)
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    hub.repos[NAME].commit_folder(folder)
    backend = loader.load(settings_for(NAME, HF_ENDPOINT=hub.address, MODEL_PRECISION="fp32")).backend
    slot = backend.reserve(3)
    assert slot is not None
    with torch.inference_mode():
        expected = model(torch.tensor([[1, 2, 3]])).logits[0]
    torch.testing.assert_close(backend.advance([Piece(slot, 0, [1, 2, 3], 3, prompt=True)]), expected)
