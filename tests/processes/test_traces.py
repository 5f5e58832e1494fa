"""One WhatsApp message through real processes: one trace, and log lines that share its id."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from demo.redis_server import free_port
from shared.identity import message_id
from tests.otlp import Collector, Span
from tests.processes.system import PATIENT_ID_KEY, System, started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

ROSA = "+59170000001"
MARIO = "+59170000005"
NAME_AND_NUMBER = ("Rosa", "59170000001", "70000001", "cita")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[System]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",  # ms; five seconds otherwise
    }
    with started(tmp_path_factory.mktemp("traces"), **settings) as system:
        system.start_worker()
        yield system


def trace_of(collector: Collector, message: str) -> list[Span]:
    """The spans of the trace that began with this message."""
    spans = collector.spans()
    trace = next((s.trace for s in spans if s.name == "accept" and s.attributes["message"] == message), None)
    return [span for span in spans if span.trace == trace]


def test_a_message_is_one_trace_from_the_webhook_to_the_graph_api(system: System, port: int) -> None:
    with Collector(port) as collector:
        message = message_id(PATIENT_ID_KEY.encode(), system.says(ROSA, "¿cuándo es mi cita?"))
        system.reply(ROSA)
        wanted = {"accept", "turn", "understand", "commit", "send"}
        system.wait_for(lambda: wanted <= {span.name for span in trace_of(collector, message)}, 20)
        spans = {span.name: span for span in trace_of(collector, message)}
    assert (spans["accept"].service, spans["turn"].service, spans["send"].service) == ("webhook", "worker", "worker")
    assert spans["accept"].parent == ""
    assert spans["turn"].parent == spans["accept"].id
    backend = [span for name, span in spans.items() if name.startswith("backend GET ")]
    assert {span.name for span in backend} == {"backend GET patients", "backend GET appointments"}
    for child in (*backend, spans["understand"], spans["commit"], spans["send"]):
        assert child.parent == spans["turn"].id
    assert spans["send"].attributes["delivery"] == system.sent_deliveries()[-1]
    sent = b"".join(collector.bodies)
    assert not [word for word in NAME_AND_NUMBER if word.encode() in sent]


def test_an_alarm_goes_on_with_the_trace_of_its_message(system: System, port: int) -> None:
    with Collector(port) as collector:
        message = message_id(PATIENT_ID_KEY.encode(), system.says(MARIO, "estoy tosiendo con sangre"))
        system.reply(MARIO)
        system.wait_for(lambda: {"alarm", "send"} <= {span.name for span in trace_of(collector, message)}, 20)
        spans = trace_of(collector, message)
    above = {span.id for span in spans if span.name in ("accept", "turn")}
    alarms = [span for span in spans if span.name == "alarm"]  # of the triage, and of a turn that came as soon
    assert {span.parent for span in alarms} <= above
    assert next(span for span in spans if span.name == "send").parent in {span.id for span in alarms}


def test_with_the_collector_down_a_reply_comes_as_soon_and_no_log_complains(system: System) -> None:
    patient = "+59171112225"
    began = time.monotonic()
    system.says(patient, "hola buenos dias")
    system.reply(patient)
    assert time.monotonic() - began < 5
    system.wait_for(system.everything_is_answered)
    assert requests.get(f"{system.url}/health", timeout=5).json()["redis"] == "ok"
    for process in system.running:
        assert "opentelemetry" not in process.log()
        assert "OTLP" not in process.log()


def test_the_log_lines_of_a_message_share_its_id(system: System) -> None:
    patient = "+59171112226"
    message = message_id(PATIENT_ID_KEY.encode(), system.says(patient, "¿qué es la tuberculosis?"))
    system.reply(patient)

    def read() -> dict[str, dict[str, Any]]:
        lines = [
            json.loads(line) for process in system.running for line in process.log().splitlines() if line[:1] == "{"
        ]
        return {line["event"]: line for line in lines if line.get("message") == message}

    steps = {"message accepted", "turn drained", "turn understood", "turn committed", "reply sent", "status noted"}
    lines = system.wait_for(lambda: steps <= set(read()) and read(), 20)
    assert lines["message accepted"]["logger"] == "webhook.intake"
    assert lines["turn understood"]["intent"] == "consultar_info"
    patients = {line["patient"] for line in lines.values() if "patient" in line}
    assert len(patients) == 1
    assert lines["reply sent"]["delivery"] == lines["status noted"]["delivery"]
