"""The exporter of traces against a real HTTP server: what arrives is what was put, and what can't be sent is counted."""

import threading
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from tests.kit.trace_receiver import TraceReceiver, attributes_of, trace_receiver

from agentvoicebox.telemetry.spans import CallFacts, SpanFacts
from agentvoicebox.telemetry.trace_exporter import BATCH_MAX, TraceExporter
from agentvoicebox.telemetry.trace_ids import span_id_of, trace_id_of
from agentvoicebox.telemetry.trace_metrics import OUTCOMES, TraceMetrics

pytestmark = pytest.mark.requirement("A13")

WAITING_MAX = 5
TRACE_ID = trace_id_of("sess_1")

Make = Callable[[], list[SpanFacts]]


def making(number: int, error: str = "") -> Make:
    """One span, numbered."""
    attributes: dict[str, str | int | float | bool] = {"avb.part": "tts", "avb.turn.wait_ms": 1.5, "n": number}
    span_id, parent_id = span_id_of(str(number)), span_id_of("call")
    return lambda: [SpanFacts("turn", TRACE_ID, span_id, parent_id, number, number + 7, attributes, error)]


class Exporting:
    """An exporter, and what it has counted."""

    def __init__(self, receiver: TraceReceiver) -> None:
        self.registry = CollectorRegistry()
        self.exporter = TraceExporter(
            f"{receiver.url}/v1/traces",
            TraceMetrics(self.registry),
            ratio=0.5,
            instance="gateway-1",
            waiting_max=WAITING_MAX,
            timeout_s=1.0,
        )

    def counts(self) -> dict[str, int]:
        found = (self.registry.get_sample_value("avb_traces_total", {"outcome": outcome}) for outcome in OUTCOMES)
        return {outcome: int(count or 0) for outcome, count in zip(OUTCOMES, found, strict=True)}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceReceiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with trace_receiver() as made:
        yield made


@pytest.fixture
def exporting(receiver: TraceReceiver) -> Iterator[Exporting]:
    made = Exporting(receiver)
    yield made
    made.exporter.close()
    assert "traces" not in {thread.name for thread in threading.enumerate()}


def test_what_arrives_is_what_was_put(receiver: TraceReceiver, exporting: Exporting) -> None:
    exporting.exporter.put(making(1))
    exporting.exporter.put(making(2, error="job_timeout"))
    exporting.exporter.close()
    first, second = receiver.spans
    assert (first.name, first.trace_id.hex(), first.span_id.hex()) == ("turn", TRACE_ID, span_id_of("1"))
    assert first.parent_span_id.hex() == span_id_of("call")
    assert (first.start_time_unix_nano, first.end_time_unix_nano) == (1, 8)
    assert attributes_of([*first.attributes]) == {"avb.part": "tts", "avb.turn.wait_ms": 1.5, "n": 1}
    assert first.status.code == Status.STATUS_CODE_UNSET
    assert (second.status.code, second.status.message) == (Status.STATUS_CODE_ERROR, "job_timeout")
    assert exporting.counts() == {"sent": 2, "failed": 0, "dropped": 0}


def test_what_waits_is_bounded_and_the_rest_is_counted(receiver: TraceReceiver, exporting: Exporting) -> None:
    receiver.may_answer.clear()
    exporting.exporter.put(making(0))
    assert receiver.has_request.wait(30)  # the thread is busy now, until it is answered
    for number in range(1, WAITING_MAX + 4):
        exporting.exporter.put(making(number))
    assert exporting.counts()["dropped"] == 3
    receiver.may_answer.set()
    exporting.exporter.close()
    numbers = [attributes_of([*span.attributes])["n"] for span in receiver.spans]
    assert numbers == list(range(WAITING_MAX + 1))  # the oldest are kept
    assert all(len(message.resource_spans) == 1 for _, message in receiver.requests)
    assert WAITING_MAX < BATCH_MAX


def test_a_batch_that_is_refused_is_counted_and_the_reason_is_logged(
    receiver: TraceReceiver, exporting: Exporting
) -> None:
    receiver.status = 400
    with capture_logs() as lines:
        exporting.exporter.put(making(1))
        exporting.exporter.close()
    assert exporting.counts() == {"sent": 0, "failed": 1, "dropped": 0}
    (line,) = lines
    assert line["event"] == "traces can't be sent" and "code: 400" in line["reason"]


def test_a_fault_in_one_batch_does_not_end_the_traces_of_others(receiver: TraceReceiver, exporting: Exporting) -> None:
    def broken() -> list[SpanFacts]:
        raise ValueError("words of a caller")

    receiver.may_answer.clear()
    with capture_logs() as lines:
        exporting.exporter.put(making(1))
        assert receiver.has_request.wait(30)
        exporting.exporter.put(broken)
        receiver.may_answer.set()
        while exporting.counts()["failed"] == 0:
            threading.Event().wait(0.01)
        exporting.exporter.put(making(2))
        exporting.exporter.close()
    assert exporting.counts() == {"sent": 2, "failed": 1, "dropped": 0}
    assert [line["event"] for line in lines] == ["spans could not be made"]


def test_a_call_outside_of_the_sample_has_no_tracer(exporting: Exporting) -> None:
    calls = [CallFacts("acme", f"sess_{number}", "delivery", 0.0) for number in range(200)]
    sampled = sum(exporting.exporter.tracer(call) is not None for call in calls)
    assert 60 < sampled < 140
