"""A collector of traces: a real HTTP server that takes OTLP protobuf and shows the spans it was sent."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True)
class Span:
    """One span; ids in hexadecimal, "" for none."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]  # trace, span
    error: str
    start_ns: int = 0  # since 1970
    end_ns: int = 0


class Collector:
    """Listens on `port` (0: any) while inside `with`."""

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spans(self) -> list[Span]:
        """All spans so far."""
        return [span for body in list(self.bodies) for span in _read(body)]


def _read(body: bytes) -> list[Span]:
    found = []
    for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = next(a.value.string_value for a in sent.resource.attributes if a.key == "service.name")
        for span in (span for scope in sent.scope_spans for span in scope.spans):
            found.append(
                Span(
                    service=service,
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    kind=trace_pb2.Span.SpanKind.Name(span.kind),
                    attributes={a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes},
                    links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    error=span.status.message if span.status.code == trace_pb2.Status.STATUS_CODE_ERROR else "",
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                )
            )
    return found
