"""The trace goes on to the appointments backend, never to Meta; its spans name no number."""

from __future__ import annotations

import contextlib

from shared import tracing
from shared.errors import RetryLater
from shared.messages import Identity, Reply
from shared.settings import Settings
from tests.otlp import Collector
from tests.workers.http_server import Answer, script, serving
from workers.appointments import Appointments
from workers.whatsapp.client import WhatsAppClient
from workers.whatsapp.payloads import build

NUMBER = "59170000001"


def test_the_backend_gets_the_trace_and_meta_does_not() -> None:
    accepted = Answer(body={"messages": [{"id": "wamid.OUT"}]})
    with serving(script(Answer(503), Answer(then="never"), accepted)) as server, Collector() as collector:
        settings = Settings(
            _env_file=None,
            SEGUIMIENTO_SERVICE_URL=server.url,
            SEGUIMIENTO_TIMEOUT=0.3,
            WHATSAPP_API_URL=server.url,
            WHATSAPP_ACCESS_TOKEN="token",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        )
        agenda, graph = Appointments(settings), WhatsAppClient(settings)
        tracing.setup("worker", settings)
        try:
            with tracing.span("turn", "") as turn:
                for _ in range(2):
                    with contextlib.suppress(RetryLater):
                        agenda.of_patient(f"+{NUMBER}")
                graph.send(build(Reply(text="hola"), Identity(number=NUMBER), "d_1"))
        finally:
            tracing.close()
            agenda.close()
            graph.close()
        refused, unanswered, sent = (asked.headers for asked in server.asked)
    spans = {span.id: span for span in collector.spans()}
    for headers, attributes, error in ((refused, {"status": 503}, ""), (unanswered, {}, "OutcomeUnknown")):
        span = spans[headers["traceparent"].split("-")[2]]
        assert (span.name, span.attributes, span.error) == ("backend GET appointments", attributes, error)
        assert (span.trace, span.parent) == tuple(turn.split("-")[1:3])
    assert "traceparent" not in sent
    assert NUMBER.encode() not in b"".join(collector.bodies)
