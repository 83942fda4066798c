"""A caller who interrupts a booking, over a real socket, gateway, Valkey and tool worker: it is made once, and known."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kit.client import calling, until
from tests.kit.gateway import Workers, gateway
from tests.kit.kits import DELIVERY
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta, WorkerInput
from agentvoicebox.engine.jobs import CallTool, Generate
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.tools.definition import Definition, Outcome, Tool, ToolContext
from agentvoicebox.tools.ledger import RedisLedger
from agentvoicebox.tools.registry import Registry
from agentvoicebox.workers.runner import Task
from agentvoicebox.workers.tool import ToolWork

SERVER_VAD = {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}
WAITER = """
instructions = "You take bookings."
[[tools]]
name = "book"
description = "Book a table."
url = "https://tables.example"
"""


class Bookings:
    """The one tool: it ends when the test says so."""

    def __init__(self) -> None:
        self.made = 0
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def book(self, arguments: dict[str, Any], context: ToolContext) -> Outcome:
        self.made += 1
        self.has_begun.set()
        await self.may_end.wait()
        return Outcome("OK", '{"booked":true}')


def books_once(request: Generate, job_id: str) -> Iterator[WorkerInput]:
    """A model that books unless it knows of a booking."""
    if any(message.tool_calls for message in request.messages):
        yield TextDelta(job_id, "It is on its way.")
        yield Generated(job_id)
    else:
        yield ToolCallDelta(job_id, 0, "book", "{}")
        yield Generated(job_id, "tool_calls")


class WithRealTools(Workers):
    """Scripted workers, but for tools."""

    def __init__(self, broker: RedisBroker, bookings: Bookings) -> None:
        super().__init__(broker, writes=books_once)
        book = Definition(name="book", description="Book.", arguments={}, timeout_s=PATIENCE_S)
        registry = Registry([Tool(book, bookings.book)])
        self.tools = ToolWork(registry, RedisLedger(broker.connection), of_agents={"waiter": registry})

    async def _work(self, task: Task) -> None:
        if isinstance(task.request, CallTool):
            await self.tools(task)
        else:
            await super()._work(task)

    def results_read(self) -> list[list[str]]:
        """What each generation read of tools."""
        requests = [request for kind, request in self.taken if kind is JobKind.LLM and isinstance(request, Generate)]
        return [[message.text for message in request.messages if message.role == "tool"] for request in requests]


@pytest.fixture
async def bookings() -> Bookings:
    return Bookings()


@pytest.fixture
async def with_tools(redis_url: str, bookings: Bookings) -> AsyncIterator[WithRealTools]:
    broker = RedisBroker(redis_url)
    made = WithRealTools(broker, bookings)
    stop = asyncio.Event()
    running = asyncio.create_task(made.run(stop), name="test workers")
    yield made
    stop.set()
    await running
    await made.tools.drain()
    await broker.close()


async def test_a_barge_in_leaves_one_booking_that_the_next_answer_knows(
    redis_broker: RedisBroker, with_tools: WithRealTools, bookings: Bookings, tmp_path: Path
) -> None:
    (tmp_path / "waiter.toml").write_text(WAITER)
    async with (
        gateway(redis_broker, agents=Agents(kits=DELIVERY, folder=str(tmp_path))) as served,
        calling(served.url("model=waiter")) as client,
    ):
        await client.use(audio=SERVER_VAD)
        await client.speak()
        async with asyncio.timeout(PATIENCE_S):
            await bookings.has_begun.wait()
        await client.speak()
        cancelled = await client.until("response.done")
        assert cancelled["response"]["status"] == "cancelled"
        answered = await client.until("response.done")
        assert answered["response"]["status"] == "completed"
        bookings.may_end.set()

        async def the_model_knows() -> bool:
            await client.speak()
            await client.until("response.done")
            return with_tools.results_read()[-1] == ['{"booked":true}']

        await until(the_model_knows)
        assert with_tools.results_read()[1] == ['{"status":"pending"}']
        assert bookings.made == 1
        assert not any("function_call" in event["type"] for event in client.events)


async def test_a_caller_who_hangs_up_leaves_one_whole_booking(
    redis_broker: RedisBroker, with_tools: WithRealTools, bookings: Bookings, tmp_path: Path
) -> None:
    (tmp_path / "waiter.toml").write_text(WAITER)
    async with gateway(redis_broker, agents=Agents(kits=DELIVERY, folder=str(tmp_path))) as served:
        async with calling(served.url("model=waiter")) as client:
            await client.use(audio=SERVER_VAD)
            await client.speak()
            async with asyncio.timeout(PATIENCE_S):
                await bookings.has_begun.wait()
        async with asyncio.timeout(PATIENCE_S):
            await served.state.sessions.drain(PATIENCE_S)
        assert with_tools.tools._once.running == 1
        bookings.may_end.set()
        await with_tools.tools.drain()
        assert (with_tools.tools._once.running, bookings.made) == (0, 1)
