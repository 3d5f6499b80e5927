"""A collector of spans: a real HTTP server that takes OTLP, as Python's exporter sends it and as Node's does."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as it arrived; ids in hex, no parent is an empty text."""

    name: str
    scope: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Collector:
    """Everything that arrived; the raw bodies too, to look for what must not be there."""

    url: str
    spans: list[SeenSpan] = field(default_factory=list[SeenSpan])
    bodies: list[bytes] = field(default_factory=list[bytes])

    def named(self, name: str) -> SeenSpan:
        """The one span of that name."""
        [span] = [span for span in self.spans if span.name == name]
        return span

    def children_of(self, parent: SeenSpan) -> set[str]:
        return {span.name for span in self.spans if span.parent_id == parent.span_id}


def body_of(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request; Node sends it in chunks."""
    length = request.headers["content-length"]
    if length is not None:
        return request.rfile.read(int(length))
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


@contextmanager
def collecting() -> Generator[Collector]:
    """A collector on a free port of 127.0.0.1 for the length of the block."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = body_of(self)
            is_json = self.headers["content-type"] == "application/json"
            collector.bodies.append(body)
            collector.spans.extend(_read_json(body) if is_json else _read_protobuf(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield collector
        finally:
            server.shutdown()


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Attribute(_Camel):
    key: str
    value: dict[str, Any]


class _Span(_Camel):
    name: str
    trace_id: str
    span_id: str
    parent_span_id: str = ""
    attributes: list[_Attribute] = Field(default_factory=list[_Attribute])


class _Scope(_Camel):
    name: str = ""


class _ScopeSpans(_Camel):
    scope: _Scope
    spans: list[_Span]


class _ResourceSpans(_Camel):
    scope_spans: list[_ScopeSpans]


class _Request(_Camel):
    resource_spans: list[_ResourceSpans]


def _read_json(body: bytes) -> list[SeenSpan]:
    return [
        SeenSpan(
            *(span.name, one.scope.name, span.trace_id, span.span_id, span.parent_span_id),
            {attribute.key: str(next(iter(attribute.value.values()))) for attribute in span.attributes},
        )
        for resource in _Request.model_validate_json(body).resource_spans
        for one in resource.scope_spans
        for span in one.spans
    ]


def _read_protobuf(body: bytes) -> list[SeenSpan]:
    return [
        SeenSpan(
            *(span.name, one.scope.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()),
            {attribute.key: str(attribute.value.string_value) for attribute in span.attributes},
        )
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for one in resource.scope_spans
        for span in one.spans
    ]
