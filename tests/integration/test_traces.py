"""Traces of live calls, as a collector decodes them; and a collector that is away, slow or broken, which no call notices."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from structlog.testing import capture_logs
from tests.kit.client import Client, calling
from tests.kit.gateway import Gateway, Workers, calls_tool, gateway
from tests.kit.resuming_client import reconnected, return_query
from tests.kit.trace_receiver import TraceReceiver, attributes_of, trace_receiver
from tests.kit.waiting import until

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.cli.local_server import free_port
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.telemetry.trace_exporter import TraceExporter
from agentvoicebox.telemetry.trace_ids import trace_id_of

pytestmark = pytest.mark.requirement("A13")

SERVER_VAD = {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}
WORDS = "where is my parcel"
SAID = "It was delivered."
WAITING_MAX = 4


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceReceiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with trace_receiver() as made:
        yield made


async def exporting(served: Gateway, url: str, *, ratio: float = 1.0) -> AsyncIterator[TraceExporter]:
    headers = {"authorization": "Basic collector"}
    made = TraceExporter(
        f"{url}/v1/traces",
        served.state.metrics.traces,
        headers=headers,
        ratio=ratio,
        instance="gateway-1",
        waiting_max=WAITING_MAX,
        timeout_s=2.0,  # one more try, after about a second
    )
    served.state.traces = made
    yield made
    await asyncio.to_thread(made.close)


@pytest.fixture
async def traces(served: Gateway, receiver: TraceReceiver) -> AsyncIterator[TraceExporter]:
    """The gateway sends its traces to the receiver."""
    async for made in exporting(served, receiver.url):
        yield made


async def speak(client: Client) -> str:
    """One spoken turn; the id of its response."""
    await client.speak()
    done = await client.until("response.done")
    response_id: str = done["response"]["id"]
    return response_id


def session_of(client: Client) -> str:
    session_id: str = client.of("session.created")[0]["session"]["id"]
    return session_id


async def turns_ended(served: Gateway, count: int) -> None:
    """Until as many turns and calls were sent, failed or dropped."""

    def missing() -> list[str]:
        found = counts(served)
        return [] if sum(found.values()) >= count else [f"{count} turns; {found}"]

    await until(missing, "not exported")


def counts(served: Gateway) -> dict[str, int]:
    page = metrics_page(served.state.metrics.registry)[0].decode()
    lines = [line for line in page.splitlines() if line.startswith("avb_traces_total{")]
    return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}


def children(spans: list[Span], parent: Span) -> list[Span]:
    return sorted(
        (span for span in spans if span.parent_span_id == parent.span_id), key=lambda span: span.start_time_unix_nano
    )


def one(spans: list[Span], name: str) -> Span:
    (found,) = [span for span in spans if span.name == name]
    return found


async def test_a_call_is_one_trace_with_its_turn_its_parts_and_its_tool(
    served: Gateway, workers: Workers, receiver: TraceReceiver, traces: TraceExporter
) -> None:
    workers.hears = WORDS
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"AB123456"}', then=SAID)
    async with calling(served.url("model=delivery&trace=1")) as client:
        session_id = session_of(client)
        await client.use(audio=SERVER_VAD)
        response_id = await speak(client)
        ledger = next(e["turn"] for e in client.of("agentvoicebox.turn") if e["turn"]["phase"] == "first_output")
    await turns_ended(served, 2)
    spans = receiver.spans
    assert {span.trace_id.hex() for span in spans} == {trace_id_of(session_id)}
    call, turn, wait = one(spans, "call"), one(spans, "turn"), one(spans, "wait")
    assert call.parent_span_id == b"" and turn.parent_span_id == call.span_id and wait.parent_span_id == turn.span_id
    assert call.start_time_unix_nano <= turn.start_time_unix_nano <= turn.end_time_unix_nano <= call.end_time_unix_nano
    parts = children(spans, wait)
    assert sum(part.end_time_unix_nano - part.start_time_unix_nano for part in parts) == round(ledger["total_ms"] * 1e6)
    assert {part.name for part in parts} == {part for part, ms in ledger["parts_ms"].items() if ms}
    jobs = {span.name for span in children(spans, turn)}
    assert {"wait", "chat dialogue", "execute_tool get_delivery_status", "speech"} <= jobs
    described = attributes_of([*turn.attributes])
    assert (described["gen_ai.conversation.id"], described["gen_ai.response.id"]) == (session_id, response_id)
    assert (described["gen_ai.agent.name"], described["avb.tenant.id"]) == ("delivery", "default")
    assert attributes_of([*call.attributes])["avb.call.turns"] == 1
    headers, message = receiver.requests[0]
    assert headers["path"] == "/v1/traces" and headers["authorization"] == "Basic collector"
    resource = attributes_of([*message.resource_spans[0].resource.attributes])
    assert (resource["service.name"], resource["service.instance.id"]) == ("agentvoicebox", "gateway-1")
    everything = str(receiver.requests)
    assert WORDS not in everything and SAID not in everything and "AB123456" not in everything


async def test_a_caller_who_interrupts_is_seen_in_the_turn(
    served: Gateway, workers: Workers, receiver: TraceReceiver, traces: TraceExporter
) -> None:
    workers.chunks, workers.pace_s = 50, 0.02
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await client.speak()
        await client.until("response.output_audio.delta")
        await client.speak()
        cut = (await client.until("response.done"))["response"]
        assert (cut["status"], cut["status_details"]["reason"]) == ("cancelled", "turn_detected")
    await turns_ended(served, 2)
    turns = [attributes_of([*span.attributes]) for span in receiver.spans if span.name == "turn"]
    interrupted = next(turn for turn in turns if turn["gen_ai.response.id"] == cut["id"])
    assert interrupted["avb.turn.is_interrupted"] is True
    cut_jobs = [attributes_of([*span.attributes]) for span in receiver.spans if span.name == "speech"]
    assert [job.get("avb.job.is_cancelled", False) for job in cut_jobs].count(True) == 1
    assert all(span.status.code == Status.STATUS_CODE_UNSET for span in receiver.spans)


async def test_a_call_that_goes_on_at_another_gateway_stays_one_trace(
    served: Gateway, redis_url: str, receiver: TraceReceiver, traces: TraceExporter
) -> None:
    broker = RedisBroker(redis_url)
    async with gateway(broker) as other:
        async for _ in exporting(other, receiver.url):
            async with calling(served.url("model=delivery&resume=1")) as client:
                await client.use(audio=SERVER_VAD)
                await speak(client)
                client.ws.transport.abort()
            async with reconnected(other.url(return_query(client)), client) as client:
                await speak(client)
                session_id = session_of(client)
            await turns_ended(other, 2)
    await turns_ended(served, 1)
    await broker.close()
    spans = receiver.spans
    assert {span.trace_id.hex() for span in spans} == {trace_id_of(session_id)}
    call = one(spans, "call")
    turns = [span for span in spans if span.name == "turn"]
    assert len(turns) == 2 and {turn.parent_span_id for turn in turns} == {call.span_id}
    assert call.start_time_unix_nano <= min(turn.start_time_unix_nano for turn in turns)
    assert attributes_of([*call.attributes])["avb.call.is_resumed"] is True


async def test_a_call_outside_of_the_sample_sends_nothing(served: Gateway, receiver: TraceReceiver) -> None:
    async for _ in exporting(served, receiver.url, ratio=0.0):
        async with calling(served.url()) as client:
            await client.use(audio=SERVER_VAD)
            await speak(client)
    assert receiver.requests == [] and not any(counts(served).values())


@pytest.mark.parametrize(("trouble", "reason"), [("away", "Connection refused"), ("answers 500", "code: 500")])
async def test_a_collector_that_takes_nothing_costs_the_call_nothing_and_is_logged_once(
    served: Gateway, receiver: TraceReceiver, trouble: str, reason: str
) -> None:
    receiver.status = 500
    url = receiver.url if trouble == "answers 500" else f"http://127.0.0.1:{free_port()}"
    with capture_logs() as lines:
        async for _ in exporting(served, url):
            async with calling(served.url()) as client:
                await client.use(audio=SERVER_VAD)
                for count in (1, 2):
                    await speak(client)
                    await turns_ended(served, count)
            await turns_ended(served, 3)
    assert counts(served) == {"sent": 0, "failed": 3, "dropped": 0}
    (line,) = [line for line in lines if line["event"] == "traces can't be sent"]
    assert reason in line["reason"] and line["log_level"] == "warning"


async def test_a_collector_that_comes_back_gets_the_next_turns(
    served: Gateway, receiver: TraceReceiver, traces: TraceExporter
) -> None:
    receiver.status = 500
    with capture_logs() as lines:
        async with calling(served.url()) as client:
            await client.use(audio=SERVER_VAD)
            await speak(client)
            await turns_ended(served, 1)
            receiver.status = 200
            await speak(client)
            await turns_ended(served, 2)
    assert [span.name for span in receiver.spans].count("turn") == 1
    assert "traces can be sent again" in {line["event"] for line in lines}


async def test_a_slow_collector_holds_no_call_up_and_what_waits_is_bounded(
    served: Gateway, receiver: TraceReceiver, traces: TraceExporter
) -> None:
    receiver.may_answer.clear()
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD, output_modalities=["text"])
        for _ in range(2):
            await client.send("response.create")
            await client.until("response.done")
        await asyncio.to_thread(receiver.has_request.wait)
        for _ in range(WAITING_MAX + 3):
            await client.send("response.create")
            assert (await client.until("response.done"))["response"]["status"] == "completed"
        assert traces._waiting.qsize() <= WAITING_MAX
        assert counts(served)["dropped"] >= 1
    receiver.may_answer.set()


async def test_the_end_of_a_process_sends_what_waits(
    served: Gateway, receiver: TraceReceiver, traces: TraceExporter
) -> None:
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await speak(client)
    await asyncio.to_thread(traces.close)
    assert "turn" in {span.name for span in receiver.spans}
    assert "traces" not in {thread.name for thread in threading.enumerate()}
