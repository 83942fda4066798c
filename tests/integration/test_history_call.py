"""A whole call over a real socket, Valkey and PostgreSQL, and what is told of it afterwards: its items and what it used."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.kit.client import SERVER_VAD, Client, calling, until
from tests.kit.gateway import Gateway, Workers, gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta, WorkerInput
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.gateway.state import RecordStores
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import TimedBatch
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner

ARGUMENTS = '{"tracking_id":"AB123456"}'
SPOKEN_MS = 1300  # what Client.speak sends


def looks_up(request: Generate, job_id: str) -> Iterator[WorkerInput]:
    """A model that calls the look-up once a turn, and tells what that cost."""
    if request.messages[-1].role == "tool":
        yield TextDelta(job_id, "It is on its way.")
        yield Generated(job_id, "stop", 40, 6)
    else:
        yield ToolCallDelta(job_id, 0, "get_delivery_status", ARGUMENTS)
        yield Generated(job_id, "tool_calls", 30, 9)


class Twice(Conversations):
    """Writes everything as a stream may deliver it: twice, and the second time the other way round."""

    async def write(self, batches: Sequence[TimedBatch]) -> None:
        await super().write(batches)
        await super().write(batches[::-1])


@pytest.fixture
async def served_and_recorded(
    redis_broker: RedisBroker, workers: Workers, postgres: Postgres
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """A gateway whose calls are recorded twice over, and a client for its REST."""
    workers.writes = looks_up
    async with (
        gateway(redis_broker, records=RecordStores(postgres, History(postgres), UsageReader(postgres))) as made,
        recording(redis_broker, postgres),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{made.port}/v1") as client,
    ):
        yield made, client


@asynccontextmanager
async def recording(broker: RedisBroker, postgres: Postgres) -> AsyncIterator[None]:
    stop, work = asyncio.Event(), RecorderWork(Twice(postgres), broker)
    running = asyncio.create_task(Runner(broker, JobKind.RECORD, "w1", slots=64, work=work, drain_s=0.1).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await work.close()


async def call(served: Gateway, turns: int) -> tuple[str, Client]:
    """Speak a few turns and hang up; gives the session's id, and what the client saw."""
    async with calling(served.url()) as client:
        session_id = client.events[0]["session"]["id"]
        await client.use(audio=SERVER_VAD)
        for _ in range(turns):
            await client.speak()
            await client.until("response.done")
        return session_id, client


async def told(rest: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await rest.get(path, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def until_closed(rest: httpx.AsyncClient, session_id: str) -> None:
    async def is_closed() -> bool:
        answer = await rest.get(f"/realtime/sessions/{session_id}")
        return answer.status_code == 200 and answer.json()["closed_at"] is not None

    await until(is_closed)


async def test_a_call_is_read_back_with_the_servers_own_tool_calls_and_their_arguments(
    served_and_recorded: tuple[Gateway, httpx.AsyncClient],
) -> None:
    served, rest = served_and_recorded
    session_id, _ = await call(served, turns=1)
    await until_closed(rest, session_id)
    page = await told(rest, f"/realtime/sessions/{session_id}/items", order="asc")
    said = [(each["type"], each["is_hidden"]) for each in page["data"]]
    assert said == [("message", False), ("function_call", True), ("function_call_output", True), ("message", False)]
    heard, asked, answered, spoken = page["data"]
    assert heard["content"][0]["transcript"] == "where is my parcel"
    assert (asked["name"], asked["arguments"]) == ("get_delivery_status", ARGUMENTS)
    assert answered["call_id"] == asked["call_id"] and answered["output"] == '{"status":"found"}'
    assert spoken["content"][0]["transcript"] == "It is on its way."
    session = await told(rest, f"/realtime/sessions/{session_id}")
    assert session["agent"] == "delivery" and session["close"]["reason"] == "client_left"
    assert [each["id"] for each in (await told(rest, "/realtime/sessions"))["data"]] == [session_id]


async def test_usage_is_what_the_calls_did_though_every_record_came_twice(
    served_and_recorded: tuple[Gateway, httpx.AsyncClient], postgres: Postgres
) -> None:
    served, rest = served_and_recorded
    before = datetime.now(UTC).date()
    calls = [await call(served, turns) for turns in (1, 2)]
    for session_id, _ in calls:
        await until_closed(rest, session_id)
    report = await told(rest, "/usage", **{"from": before.isoformat()})
    usages = [e["response"]["usage"] for _, client in calls for e in client.of("response.done")]
    assert len(usages) == 3
    total = report["total"]
    assert total["sessions"] == 2
    assert total["input_tokens"] == sum(usage["input_tokens"] for usage in usages) == 3 * 70
    assert total["output_tokens"] == sum(usage["output_tokens"] for usage in usages)
    assert total["audio_in_seconds"] == pytest.approx(3 * SPOKEN_MS / 1000, abs=0.02)
    sent_ms = sum(usage["output_token_details"]["audio_tokens"] * 50 for usage in usages)
    assert total["audio_out_seconds"] == sent_ms / 1000 == 0.6
    async with postgres.tenant_transaction(DEFAULT_TENANT) as connection:
        lengths = await connection.fetch("SELECT extract(epoch FROM closed_at - opened_at)::float8 AS s FROM sessions")
    assert total["connection_minutes"] == pytest.approx(sum(row["s"] for row in lengths) / 60, abs=0.001)
    assert total == {name: sum(day[name] for day in report["data"]) for name in total}


ODD_TEXTS = ("a NUL \0 within", "\0", "\\u0000 is no NUL", "\ufffe \U0001f600 \u202e", "x" * 256 * 1024)


@pytest.mark.requirement("A10")
async def test_what_the_agent_was_told_is_in_the_history_whatever_characters_it_has(
    served_and_recorded: tuple[Gateway, httpx.AsyncClient],
) -> None:
    served, rest = served_and_recorded
    acknowledged: dict[str, str] = {}
    async with calling(served.url()) as client:
        session_id = client.events[0]["session"]["id"]
        for number, text in enumerate(ODD_TEXTS):
            for item_id in (f"own-{number}", f"own\0{number}", f"own {number}", "x" * (64 + number)):
                part = {"type": "input_text", "text": text}
                item = {"type": "message", "role": "user", "id": item_id, "content": [part]}
                await client.send("conversation.item.create", item=item)
                while (answer := await client.next())["type"] not in ("conversation.item.done", "error"):
                    pass
                if answer["type"] != "error":
                    acknowledged[answer["item"]["id"]] = text
    await until_closed(rest, session_id)
    stored = (await told(rest, f"/realtime/sessions/{session_id}/items", limit=100, order="asc"))["data"]
    texts = {item["id"]: item["content"][0]["text"] for item in stored}
    assert texts == {item_id: text.replace("\0", "\ufffd") for item_id, text in acknowledged.items()}
    assert len(acknowledged) == len(ODD_TEXTS) + 1
