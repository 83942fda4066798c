"""A whole call over a real socket, Valkey and PostgreSQL, and what is told of it afterwards: its items and what it used."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.kit.client import SERVER_VAD, Client, calling, until
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.history_client import get, until_closed
from tests.kit.recorder import recording

from agentvoicebox.broker.envelope import unpack_job
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import SystemClock
from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta, WorkerInput
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.gateway.call.verdict_records import VerdictRecords
from agentvoicebox.gateway.state import RecordStores
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.usage import UsageReader

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

    async def write(self, batches: Sequence[TimedBatch]) -> dict[str, int]:
        await super().write(batches)
        return await super().write(batches[::-1])


@pytest.fixture
async def served_and_recorded(
    redis_broker: RedisBroker, workers: Workers, postgres: Postgres
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """A gateway whose calls are recorded twice over, and a client for its REST."""
    workers.writes = looks_up
    async with (
        gateway(redis_broker, records=RecordStores(postgres, History(postgres), UsageReader(postgres))) as made,
        recording(redis_broker, Twice(postgres)),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{made.port}/v1") as client,
    ):
        yield made, client


async def call(served: Gateway, turns: int) -> tuple[str, Client]:
    """Speak a few turns and hang up; gives the session's id, and what the client saw."""
    async with calling(served.url()) as client:
        session_id = client.events[0]["session"]["id"]
        await client.use(audio=SERVER_VAD)
        for _ in range(turns):
            await client.speak()
            await client.until("response.done")
        return session_id, client


@pytest.fixture
async def judged_and_recorded(
    redis_broker: RedisBroker, workers: Workers, postgres: Postgres, tmp_path: Path
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """As `served_and_recorded`, and each call is replayed and judged at its end."""
    workers.writes = looks_up
    verdicts = VerdictRecords(redis_broker, SystemClock())
    judge = InteractionRecorder(tmp_path, on_verdict=verdicts.put)
    judge.start()
    records = RecordStores(postgres, History(postgres), UsageReader(postgres))
    async with (
        recording(redis_broker, Twice(postgres)),
        gateway(redis_broker, records=records, recording=judge) as made,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{made.port}/v1") as client,
    ):
        yield made, client
    await asyncio.to_thread(judge.close)
    await verdicts.close()


async def test_the_ledger_of_each_answer_is_read_back_as_the_client_was_sent_it(
    served_and_recorded: tuple[Gateway, httpx.AsyncClient], postgres: Postgres
) -> None:
    served, rest = served_and_recorded
    async with calling(served.url("model=delivery&trace=1")) as client:
        session_id = client.events[0]["session"]["id"]
        await client.use(audio=SERVER_VAD)
        for _ in range(3):
            await client.speak()
            await client.until("response.done")
            while (await client.until("agentvoicebox.turn"))["turn"]["phase"] != "done":
                pass
    await until_closed(rest, session_id)
    sent = [event["turn"] for event in client.of("agentvoicebox.turn") if event["turn"]["phase"] == "done"]
    page = await get(rest, f"/realtime/sessions/{session_id}/turns", order="asc")
    assert len(sent) == 3
    assert [{name: each[name] for name in sent[0]} for each in page["data"]] == sent
    assert [each["id"] for each in page["data"]] == [each["response_id"] for each in sent]
    assert (await get(rest, f"/realtime/sessions/{session_id}"))["turns"] == 3


async def test_the_ledger_of_an_answer_that_the_end_of_the_call_cut_is_recorded(
    served_and_recorded: tuple[Gateway, httpx.AsyncClient], workers: Workers
) -> None:
    served, rest = served_and_recorded
    workers.chunks, workers.pace_s = 1_000, 0.01
    async with calling(served.url()) as client:
        session_id = client.events[0]["session"]["id"]
        await client.use(audio=SERVER_VAD)
        await client.speak()
        await client.until("response.output_audio.delta")

    async def is_kept() -> bool:
        answer = await rest.get(f"/realtime/sessions/{session_id}")
        return answer.status_code == 200 and answer.json()["turns"] == 1

    await until(is_kept)


async def test_a_ledger_costs_no_job_of_its_own(redis_broker: RedisBroker, workers: Workers) -> None:
    async with gateway(redis_broker) as made, calling(made.url("model=delivery&trace=1")) as client:
        await client.use(audio=SERVER_VAD)
        for _ in range(2):
            await client.speak()
            while (await client.until("agentvoicebox.turn"))["turn"]["phase"] != "done":
                pass
        await client.nothing_but()
        jobs: Any = await redis_broker.connection.commands.xrange("avb:record")
    batches = [msgspec.msgpack.decode(unpack_job(fields[b"j"]).payload, type=RecordBatch) for _, fields in jobs]
    kinds = [[record.kind for record in each.records] for each in batches]
    assert sum(each.count("turn") for each in kinds) == 1  # the second waits for further records
    assert ["turn"] not in kinds


async def test_a_call_has_a_verdict_soon_after_its_end(
    judged_and_recorded: tuple[Gateway, httpx.AsyncClient],
) -> None:
    served, rest = judged_and_recorded
    session_id, _ = await call(served, turns=2)

    async def has_verdict() -> bool:
        answer = await rest.get(f"/realtime/sessions/{session_id}")
        return answer.status_code == 200 and answer.json()["verdict"] is not None

    await until(has_verdict)
    session = await get(rest, f"/realtime/sessions/{session_id}")
    assert (session["verdict"]["replay"], session["verdict"]["invariant_broken"]) == ("same", None)
    assert (session["turns"], session["tool_calls"], session["state"]) == (2, 2, "ended")
    assert session["duration_s"] > 0


async def test_a_call_is_read_back_with_the_servers_own_tool_calls_and_their_arguments(
    served_and_recorded: tuple[Gateway, httpx.AsyncClient],
) -> None:
    served, rest = served_and_recorded
    session_id, _ = await call(served, turns=1)
    await until_closed(rest, session_id)
    page = await get(rest, f"/realtime/sessions/{session_id}/items", order="asc")
    said = [(each["type"], each["is_hidden"]) for each in page["data"]]
    assert said == [("message", False), ("function_call", True), ("function_call_output", True), ("message", False)]
    heard, asked, answered, spoken = page["data"]
    assert heard["content"][0]["transcript"] == "where is my parcel"
    assert (asked["name"], asked["arguments"]) == ("get_delivery_status", ARGUMENTS)
    assert answered["call_id"] == asked["call_id"] and answered["output"] == '{"status":"found"}'
    assert spoken["content"][0]["transcript"] == "It is on its way."
    session = await get(rest, f"/realtime/sessions/{session_id}")
    assert session["agent"] == "delivery" and session["close"]["reason"] == "client_left"
    assert [each["id"] for each in (await get(rest, "/realtime/sessions"))["data"]] == [session_id]


async def test_usage_is_what_the_calls_did_though_every_record_came_twice(
    served_and_recorded: tuple[Gateway, httpx.AsyncClient], postgres: Postgres
) -> None:
    served, rest = served_and_recorded
    before = datetime.now(UTC).date()
    calls = [await call(served, turns) for turns in (1, 2)]
    for session_id, _ in calls:
        await until_closed(rest, session_id)
    report = await get(rest, "/usage", **{"from": before.isoformat()})
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
    stored = (await get(rest, f"/realtime/sessions/{session_id}/items", limit=100, order="asc"))["data"]
    texts = {item["id"]: item["content"][0]["text"] for item in stored}
    assert texts == {item_id: text.replace("\0", "\ufffd") for item_id, text in acknowledged.items()}
    assert len(acknowledged) == len(ODD_TEXTS) + 1
