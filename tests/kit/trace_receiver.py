"""A collector for tests: takes OTLP over HTTP, as the real ones do, and decodes it with OpenTelemetry's own protobuf."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.kit.waiting import PATIENCE_S


class TraceReceiver:
    """What was received.

    Attributes:
        status: what every request is answered.
        may_answer: cleared: requests wait.
        requests: so far; each as its headers and its message.
        has_request: set once one has begun.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.has_request = threading.Event()
        self.requests: list[tuple[dict[str, str], ExportTraceServiceRequest]] = []

    @property
    def url(self) -> str:
        """For AVB_TRACES_URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        """All spans of requests that were answered with 200."""
        return [
            span
            for _, message in list(self.requests)
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def attributes_of(pairs: Iterator[KeyValue] | list[KeyValue]) -> dict[str, object]:
    """Attributes by name."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


@contextmanager
def trace_receiver() -> Iterator[TraceReceiver]:
    """A collector on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.has_request.set()
            receiver.may_answer.wait(PATIENCE_S)
            if receiver.status == 200:
                message = ExportTraceServiceRequest.FromString(body)
                receiver.requests.append(({**self.headers, "path": self.path}, message))
            try:
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                pass  # it waited for too long, and its client has left

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = TraceReceiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="collector")
    thread.start()
    try:
        yield receiver
    finally:
        receiver.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
