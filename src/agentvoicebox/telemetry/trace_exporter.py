"""Sends spans to a collector, OTLP over HTTP, from a thread of its own.

A call never waits for it: what its spans are made from is put into a bounded queue, and dropped where that is full. The thread
makes the spans, encodes them and sends them in batches. A batch that a collector does not take within some seconds is given up.
OpenTelemetry's packages are imported only here, when traces are wanted (the extra `traces`).
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agentvoicebox import __version__
from agentvoicebox.telemetry.call_tracer import CallTracer, MakeSpans
from agentvoicebox.telemetry.logs import get_logger, unbound
from agentvoicebox.telemetry.spans import CallFacts, SpanFacts
from agentvoicebox.telemetry.trace_ids import is_sampled, trace_id_of
from agentvoicebox.telemetry.trace_metrics import TraceMetrics

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MODULE = "opentelemetry.exporter.otlp.proto.http.trace_exporter"  # what the extra `traces` brings
WAITING_MAX = 1_000  # turns: minutes of a busy gateway, some MB
# The thread shares its interpreter with the event loop of all calls: after the spans of one turn (0.6 ms) the loop goes first.
BATCH_MAX = 16
PAUSE_S = 0.001
GATHER_S = 1.0  # how long a batch gathers
SEND_TIMEOUT_S = 5.0  # of a batch, with all its retries
CLOSE_S = 3.0  # for what waits at the end
REASON_CHARACTERS = 300

log = get_logger(__name__)


class _FirstReason(logging.Handler):
    """Keeps the first line of the exporter about a batch: it says why, and later ones only that no try is left."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = self.text or record.getMessage()[:REASON_CHARACTERS]


class TraceExporter:
    """One process's.

    Args:
        address: with its path.
        headers: of each request.
        ratio: share of calls with a trace.
        instance: names this process.

    Raises:
        ImportError: the extra `traces` is not installed.
    """

    def __init__(
        self,
        address: str,
        metrics: TraceMetrics,
        *,
        headers: Mapping[str, str] | None = None,
        ratio: float = 1.0,
        instance: str = "",
        waiting_max: int = WAITING_MAX,
        timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._metrics = metrics
        self._ratio = ratio
        self._resource = Resource.create(
            {"service.name": "agentvoicebox", "service.version": __version__, "service.instance.id": instance}
        )
        self._scope = InstrumentationScope("agentvoicebox", __version__)
        self._reason = _FirstReason()
        library = logging.getLogger("opentelemetry.exporter")
        library.addHandler(self._reason)
        library.propagate = False
        self._library = library
        self._exporter = OTLPSpanExporter(endpoint=address, headers=headers, timeout=timeout_s)
        self._waiting: queue.Queue[MakeSpans | None] = queue.Queue(waiting_max)
        self._is_failing = False
        self._is_closed = False
        with unbound():
            self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
            self._thread.start()

    def tracer(self, call: CallFacts) -> CallTracer | None:
        """The tracer of a call, or None for one that is not sampled."""
        return CallTracer(call, self.put) if is_sampled(trace_id_of(call.session_id), self._ratio) else None

    def put(self, make: MakeSpans) -> None:
        """Have spans made and sent; dropped and counted where too many wait."""
        try:
            self._waiting.put_nowait(make)
        except queue.Full:
            self._metrics.counted("dropped")

    def close(self) -> None:
        """Send what waits, for at most three seconds. Blocks. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        ends_s = time.monotonic() + CLOSE_S
        with contextlib.suppress(queue.Full):  # then the thread is too far behind to send the rest anyway
            self._waiting.put(None, timeout=CLOSE_S)
        self._thread.join(max(0.0, ends_s - time.monotonic()))
        self._exporter.shutdown()  # ends the wait between two tries
        self._library.removeHandler(self._reason)
        self._library.propagate = True

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._gathered()
            if batch:
                self._send(batch)

    def _gathered(self) -> tuple[list[MakeSpans], bool]:
        """The next batch, and whether others may follow."""
        batch: list[MakeSpans] = []
        ends_s = float("inf")
        while len(batch) < BATCH_MAX:
            left_s = ends_s - time.monotonic()
            try:
                # After the end of its time a batch takes along what waits anyway.
                each = self._waiting.get(timeout=None if not batch else max(0.0, left_s))
            except queue.Empty:
                break
            if each is None:
                return batch, False
            if not batch:
                ends_s = time.monotonic() + GATHER_S
            batch.append(each)
        return batch, True

    def _send(self, batch: Sequence[MakeSpans]) -> None:
        try:
            spans: list[ReadableSpan] = []
            for make in batch:
                spans += map(self._span, make())
                time.sleep(PAUSE_S)
            self._reason.text = ""
            is_sent = self._exporter.export(spans).name == "SUCCESS"
        except Exception as error:  # a fault in one batch must not end the traces of all calls
            log.error("spans could not be made", exc_info=error)
            self._metrics.counted("failed", len(batch))
            return
        self._metrics.counted("sent" if is_sent else "failed", len(batch))
        if is_sent and self._is_failing:
            log.info("traces can be sent again")
        elif not is_sent and not self._is_failing:
            log.warning("traces can't be sent", reason=self._reason.text)
        self._is_failing = not is_sent

    def _span(self, facts: SpanFacts) -> "ReadableSpan":
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, TraceFlags
        from opentelemetry.trace.status import Status, StatusCode

        def context(span_id: str) -> SpanContext:
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(int(facts.trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)

        return ReadableSpan(
            facts.name,
            context(facts.span_id),
            parent=context(facts.parent_id) if facts.parent_id else None,
            resource=self._resource,
            attributes=facts.attributes,
            status=Status(StatusCode.ERROR, facts.error) if facts.error else Status(),
            start_time=facts.start_ns,
            end_time=facts.end_ns,
            instrumentation_scope=self._scope,
        )
