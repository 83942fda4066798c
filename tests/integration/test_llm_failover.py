"""Two language model servers behind a live call: the first fails in every way, the second answers, and the first is asked again.

Everything is real but the voice: a gateway, the store, the language worker, HTTP servers that stream.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.kit.chat_server import ChatServer, chat_server
from tests.kit.client import Client, calling
from tests.kit.gateway import Workers, gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.providers.llm.registry import LanguageModels, Server
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy
from agentvoicebox.settings import Settings
from agentvoicebox.workers.health import WorkerHealth
from agentvoicebox.workers.llm import LlmWork
from agentvoicebox.workers.runner import Runner, worker_name

pytestmark = pytest.mark.requirement("A9")

FIRST, SECOND = "Good morning from the first.", "Good morning from the second."
ASK = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "good morning"}]}
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


async def answer(client: Client) -> tuple[str, str]:
    """Of a typed turn: how it ended, and what was said."""
    await client.send("conversation.item.create", item=ASK)
    await client.send("response.create")
    response = (await client.until("response.done"))["response"]
    return response["status"], response["output"][0]["content"][0]["transcript"]


async def heard(client: Client, *degraded: str) -> None:
    """Wait until the client has been told that exactly this does not work."""
    updates = client.of("session.updated")
    while not updates or updates[-1]["session"]["degraded"] != list(degraded):
        updates = [await client.until("session.updated")]


@pytest.mark.parametrize("trouble", ["hang", "503", "429", "ends at once", "refused"])
async def test_the_second_server_answers_while_the_first_fails_and_the_first_once_it_is_back(
    redis_url: str, trouble: str
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(chat_server(FIRST))
        second = await stack.enter_async_context(chat_server(SECOND))
        client = await stack.enter_async_context(call_over(redis_url, first, second))
        assert await answer(client) == ("completed", FIRST)
        if trouble == "refused":
            asked, port = len(first.asked), first.port
            await first.close()
        else:
            first.trouble, asked, port = trouble, len(first.asked), 0
        for _ in range(1 if trouble == "hang" else 3):
            assert await answer(client) == ("completed", SECOND)
        assert not client.of("session.updated"), "a language model was there all the time"
        if trouble == "refused":
            first = await stack.enter_async_context(chat_server(FIRST, port=port))
        else:
            assert len(first.asked) > asked
            first.trouble = ""
        said = ""
        while said != FIRST:  # as soon as its breaker lets one request try
            status, said = await answer(client)
            assert status == "completed"
        assert await answer(client) == ("completed", FIRST)


@pytest.mark.requirement("C8")
async def test_an_answer_that_breaks_in_the_middle_goes_on_where_the_caller_stopped_hearing(redis_url: str) -> None:
    async with chat_server("Good morning. And ", "so on.") as first, chat_server("a good day.") as second:
        async with call_over(redis_url, first, second) as client:
            first.faults, first.trouble = ["cut"], "503"
            status, said = await answer(client)
        assert (status, said) == ("completed", "Good morning. And a good day.")
        assert second.asked[0]["messages"][-2]["content"].startswith("Good morning.")


@pytest.mark.requirement("C8")
async def test_with_every_server_away_the_client_is_told_and_hears_an_apology_until_one_is_back(redis_url: str) -> None:
    async with (
        chat_server(FIRST) as first,
        chat_server(SECOND) as second,
        call_over(redis_url, first, second) as client,
    ):
        first.trouble = second.trouble = "503"
        status, said = await answer(client)
        assert status == "failed" and "I'm sorry" in said
        assert client.of("response.output_audio.delta"), "it is spoken"
        await heard(client, "language_model_unavailable")
        second.trouble = ""
        await heard(client)
        assert await answer(client) == ("completed", SECOND)
