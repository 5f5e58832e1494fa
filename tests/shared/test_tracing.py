"""Spans: nothing while off, a tree while on, no words of an exception, and a collector that hangs costs nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator

import pytest

from shared import tracing
from shared.settings import Settings
from tests.otlp import Collector, Span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(settings: Settings) -> Iterator[Collector]:
    """Tracing is on, towards a collector of ours; `spans` waits for what was ended."""
    with Collector() as collector:
        tracing.setup("test", settings.model_copy(update={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}))
        yield collector
        tracing.close()


def ended(collector: Collector) -> dict[str, Span]:
    tracing.close()
    return {span.name: span for span in collector.spans()}


def test_off_it_does_nothing(settings: Settings) -> None:
    tracing.setup("test", settings)
    with tracing.span("accept", "", message="m_1") as trace:
        assert trace == ""
        assert tracing.traceparent() == ""
        assert tracing.headers() == {}


def test_spans_are_a_tree_of_one_trace_with_their_attributes(collector: Collector) -> None:
    with tracing.span("accept", "", kind="server", message="m_1") as trace, tracing.span("inner"):
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", trace)
        assert tracing.headers()["traceparent"] != trace
    with tracing.span("turn", trace, links=[PARENT, "", "no traceparent"], messages=2):
        pass
    spans = ended(collector)
    accept, inner, turn = spans["accept"], spans["inner"], spans["turn"]
    assert accept.parent == ""
    assert inner.parent == turn.parent == accept.id == trace.split("-")[2]
    assert {accept.trace, inner.trace, turn.trace} == {trace.split("-")[1]}
    assert accept.attributes == {"message": "m_1"}
    assert turn.attributes == {"messages": 2}
    assert turn.links == [tuple(PARENT.split("-")[1:3])]
    assert (accept.service, accept.kind) == ("test", "SPAN_KIND_SERVER")


def test_without_a_span_around_and_without_a_parent_nothing_is_traced(collector: Collector) -> None:
    with tracing.span("backend GET patients") as trace:
        assert trace == ""
    assert ended(collector) == {}


def test_an_unreadable_parent_begins_a_new_trace(collector: Collector) -> None:
    with tracing.span("turn", "nonsense") as trace:
        assert trace
    assert ended(collector)["turn"].parent == ""


def test_an_exception_leaves_its_type_and_not_its_words(collector: Collector) -> None:
    with contextlib.suppress(ValueError), tracing.span("turn", ""):
        raise ValueError("me llamo zanahoria")
    turn = ended(collector)["turn"]
    assert turn.error == "ValueError"
    assert b"zanahoria" not in b"".join(collector.bodies)


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "refuses"])
def test_a_collector_that_is_down_holds_nobody(
    settings: Settings, hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if hangs:
            listener.listen()  # takes connections and never answers
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        tracing.setup("test", settings.model_copy(update={"OTEL_EXPORTER_OTLP_ENDPOINT": url}))
        began = time.monotonic()
        for _ in range(600):  # more than one batch
            with tracing.span("accept", ""):
                pass
        assert time.monotonic() - began < 1
        tracing.close()
        assert time.monotonic() - began < tracing.CLOSE_S + 2
    assert caplog.text == ""
