"""Traces of messages, one per message: webhook -> turn -> backend -> Graph API. Off unless an endpoint is set.

A doorbell carries only ids, for many patients, and may be repeated; so the trace travels with what it is about, as a
W3C traceparent in `Message.trace` and `Delivery.trace`. Spans carry opaque ids and names of errors, never a text or a
number. A collector that is down costs nothing but its spans. opentelemetry is imported only when tracing is on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Literal

from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, SpanContext, Tracer

EXPORT_TIMEOUT_S = 3.0
CLOSE_S = 3.0  # spans that the collector did not take by then are lost

Kind = Literal["server", "client", "internal"]


class _Off:
    """What `span` gives while tracing is off."""

    def __enter__(self) -> str:
        return ""

    def __exit__(self, *_: object) -> None:
        return None


_OFF = _Off()
_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def setup(service: str, settings: Settings) -> None:
    """Begin to trace if OTEL_EXPORTER_OTLP_ENDPOINT is set. Call it after a fork: it starts the exporting thread.

    Args:
        service: name of this process in the traces, such as `webhook`.
        settings: names the collector, `http://host:4318`; spans go to `/v1/traces` below it.
    """
    global _tracer, _provider
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Its complaints about a collector that is down would fill the log; what matters is said by metrics and audit.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces", timeout=EXPORT_TIMEOUT_S)
    _provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("assistant")


def close() -> None:
    """Send what is left, for at most CLOSE_S seconds, and stop tracing."""
    global _tracer, _provider
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        thread = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        thread.start()
        thread.join(CLOSE_S)


def span(
    name: str,
    parent: str | None = None,
    *,
    kind: Kind = "internal",
    links: Sequence[str] = (),
    **attributes: str | int | float,
) -> AbstractContextManager[str]:
    """Time what happens inside; gives the span's traceparent, or "" when there is none.

    Args:
        name: of few different ones: no ids in it.
        parent: a traceparent to go on from; "" begins a new trace; None is the span around this one, and without one
            around nothing is traced.
        kind: `server` answers somebody, `client` asks somebody.
        links: traceparents of other messages that are dealt with together.
        attributes: opaque ids and figures. An exception leaves its type, not its words.
    """
    if _tracer is None or (parent is None and not traceparent()):
        return _OFF
    return _span(_tracer, name, parent, kind, links, attributes)


@contextmanager
def _span(
    tracer: Tracer,
    name: str,
    parent: str | None,
    kind: Kind,
    links: Sequence[str],
    attributes: dict[str, str | int | float],
) -> Iterator[str]:
    from opentelemetry import trace
    from opentelemetry.context import Context

    context = None if parent is None else Context()
    if parent and (above := _read(parent)):
        context = trace.set_span_in_context(trace.NonRecordingSpan(above), Context())
    with tracer.start_as_current_span(
        name,
        context,
        kind=trace.SpanKind[kind.upper()],
        attributes=attributes,
        links=_links(links),
        record_exception=False,  # its words may be a patient's
        set_status_on_exception=False,
    ) as current:
        try:
            yield traceparent()
        except BaseException as error:
            current.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


def traceparent() -> str:
    """The span around this line as a W3C traceparent, to be carried on; "" when there is none."""
    if _tracer is None:
        return ""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def note(**attributes: str | int | float) -> None:
    """Add to the span around this line what became known inside it."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(attributes)


def headers() -> dict[str, str]:
    """Request headers that carry the trace on to a partner of ours."""
    present = traceparent()
    return {"traceparent": present} if present else {}


def _links(parents: Sequence[str]) -> list[Link]:
    from opentelemetry.trace import Link

    return [Link(context) for parent in parents if (context := _read(parent))]


def _read(parent: str) -> SpanContext | None:
    """A traceparent as the library's context; None when it is none."""
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found = TraceContextTextMapPropagator().extract({"traceparent": parent})
    context = get_current_span(found).get_span_context()
    return context if context.is_valid else None
