"""Log lines are JSON, carry the bound ids, and mask what looks like a number or a WhatsApp id."""

from __future__ import annotations

import json
import logging

import pytest

from shared.logs import JsonFormatter, bind, mask
from shared.messages import Message


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("sent to +59170123456", "sent to ***"),
        ("59170123456", "***"),
        ("wamid.HBgLNTkxNzAx+/=", "wamid.***"),
        ("took 1234567 ms", "took 1234567 ms"),
        ("p_acccd3c5e760a2198fb082a0", "p_acccd3c5e760a2198fb082a0"),
    ],
)
def test_numbers_and_whatsapp_ids_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def line(message: str, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("x", logging.INFO, "f", 1, message, (), None)
    record.__dict__.update(extra)
    return dict(json.loads(JsonFormatter().format(record)))


def test_a_line_carries_what_was_bound_and_given() -> None:
    with bind(patient="p_1"), bind(message="m_1"):
        written = line("reply sent", kind="reply", to="+59170123456")
    assert (written["event"], written["patient"], written["message"]) == ("reply sent", "p_1", "m_1")
    assert (written["kind"], written["to"]) == ("reply", "***")
    assert "patient" not in line("later")


def test_a_traceback_does_not_quote_what_the_patient_wrote() -> None:
    try:
        Message.model_validate({"id": 5, "text": {"body": "mi " + "oterces"[::-1]}})
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    written = JsonFormatter().format(record)
    assert "ValidationError" in written
    assert "secreto" not in written
