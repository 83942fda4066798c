"""A recorder in the process of a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.workers.recorder import PATIENT, RecorderWork
from agentvoicebox.workers.runner import Runner


@asynccontextmanager
async def recording(
    broker: RedisBroker,
    conversations: Conversations,
    *,
    slots: int = 64,
    backoff: Backoff = PATIENT,
    name: str = "w1",
) -> AsyncIterator[None]:
    """Have records written for the duration of the block."""
    stop, work = asyncio.Event(), RecorderWork(conversations, broker, backoff=backoff)
    runner = Runner(broker, JobKind.RECORD, name, slots=slots, work=work, drain_s=0.1)
    running = asyncio.create_task(runner.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await work.close()
