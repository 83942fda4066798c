"""A call gets as much speech as can be heard, and no more; one tenant's REST requests wait for each other (C11)."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from tests.kit.client import Client, calling, until
from tests.kit.gateway import Gateway, Workers, gateway, says

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.gateway.admission.tenant_pace import TenantPace
from agentvoicebox.gateway.pace import ServingPace
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.telemetry.metrics_page import metrics_page

pytestmark = pytest.mark.requirement("C11")


def is_waiting(served: Gateway) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return b'avb_jobs_open{kind="tts"} 1.0' in metrics_page(served.state.metrics.registry)[0]

    return holds


async def answer(client: Client) -> str:
    await client.send("response.create")
    status: str = (await client.until("response.done"))["response"]["status"]
    return status


async def test_answers_without_pause_wait_for_each_other_and_all_are_spoken(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    workers.writes = says("x" * 149 + ".")  # ten seconds of speech
    async with gateway(redis_broker, pace=ServingPace(speech_per_s=20.0)) as served, calling(served.url()) as client:
        for _ in range(20):  # 160 s at once, then 20 a second
            assert await answer(client) == "completed"
    assert len(await workers.wait_for(JobKind.TTS, 20)) == 20


async def test_a_text_that_is_cancelled_before_its_turn_reaches_no_worker_and_costs_nothing(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    async with gateway(redis_broker, pace=ServingPace(speech_per_s=0.1)) as served, calling(served.url()) as client:
        workers.writes = says("x" * 38 + ".")  # 2.6 s: it would wait for 18, and the next one for longer than any may
        await client.send("response.create")
        await until(is_waiting(served))
        await client.send("response.cancel")
        assert (await client.until("response.done"))["response"]["status"] == "cancelled"
        workers.writes = says("Yes.")
        assert await answer(client) == "completed"
    (spoken,) = await workers.wait_for(JobKind.TTS)
    assert isinstance(spoken, Synthesise) and spoken.text == "Yes."


async def test_more_speech_than_any_caller_waits_for_comes_as_words_alone(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    workers.writes = says("x" * 149 + ".")
    async with gateway(redis_broker, pace=ServingPace(speech_per_s=0.1)) as served, calling(served.url()) as client:
        assert await answer(client) == "completed"
        assert client.of("response.output_audio_transcript.done") and not client.of("response.output_audio.delta")
        workers.writes = says("Yes.")
        assert await answer(client) == "completed" and client.of("response.output_audio.delta")


async def test_rest_requests_of_a_tenant_wait_and_are_answered(redis_broker: RedisBroker) -> None:
    async with (
        gateway(redis_broker, tenant_pace=TenantPace(20)) as served,
        httpx.AsyncClient(base_url=f"http://localhost:{served.port}") as client,
    ):
        answers = [await client.get("/v1/models") for _ in range(50)]  # 40 at once
    assert [each.status_code for each in answers] == [200] * 50
