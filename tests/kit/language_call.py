"""A call to an agent whose language models are real HTTP servers: real but for its voice, which is instant."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.providers.llm.registry import LanguageModels, Server
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy
from agentvoicebox.settings import Settings
from agentvoicebox.workers.health import WorkerHealth
from agentvoicebox.workers.llm import LlmWork
from agentvoicebox.workers.runner import Runner, worker_name
from tests.kit.chat_server import ChatServer
from tests.kit.client import Client, calling
from tests.kit.gateway import Workers, gateway

WORKER = worker_name(JobKind.LLM)


@asynccontextmanager
async def call_over(redis_url: str, *servers: ChatServer, open_s: float = 0.3) -> AsyncIterator[Client]:
    """A call to an agent that names `openai`, with these servers in this order as the settings would give them."""
    first, *others = (f"{server.url}" for server in servers)
    further = ",".join(f"other-{place}={url}#m" for place, url in enumerate(others))
    settings = Settings.load(redis_url=redis_url, llm_base_url=first, llm_model="m", llm_servers=further)
    async with AsyncExitStack() as stack:
        brokers = [RedisBroker(redis_url) for _ in range(3)]
        for broker in brokers:
            stack.push_async_callback(broker.close)
        breaker = Breaker(BreakerPolicy(failures_to_open=5, open_s=open_s))
        models = LanguageModels([Server(*each) for each in settings.language_servers], breaker=breaker)
        stack.push_async_callback(models.close)
        stop = asyncio.Event()
        health = WorkerHealth(
            StoreHealthMonitor(brokers[0].connection), JobKind.LLM, WORKER, models.unavailable, every_s=0.1
        )
        work = LlmWork(models, on_failure=health.suspect)
        await stack.enter_async_context(health.watching())
        served = await stack.enter_async_context(gateway(brokers[2], check_interval_s=0.1))
        working = [
            asyncio.create_task(Runner(brokers[0], JobKind.LLM, WORKER, slots=4, work=work).run(stop)),
            asyncio.create_task(Workers(brokers[1]).run(stop, [JobKind.TTS])),
        ]
        try:
            async with calling(served.url("model=assistant")) as client:
                yield client
        finally:
            stop.set()
            await asyncio.gather(*working)
