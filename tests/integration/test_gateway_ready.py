"""When a gateway says that calls may be sent to it."""

import httpx
import pytest
from tests.kit.gateway import gateway
from tests.kit.kits import DELIVERY
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.agents import Agents
from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.http.app import create_app
from agentvoicebox.gateway.http.internal import create_internal_app
from agentvoicebox.ports.broker import JobKind

pytestmark = pytest.mark.requirement("A17")

NEEDED = (JobKind.STT, JobKind.TTS)


async def test_a_gateway_is_ready_once_somebody_can_answer_and_degraded_when_they_are_gone(
    redis_broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "ALIVE_FOR_S", PATIENCE_S)  # a busy machine must not look like a dead worker
    async with (
        gateway(redis_broker, needed=NEEDED) as served,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(create_internal_app(served.state, create_app(served.state))),
            base_url="http://localhost",
        ) as http,
    ):

        async def told() -> tuple[int, str, str]:
            answer = await http.get("/ready")
            return answer.status_code, answer.json()["status"], answer.json()["dependencies"]["tts"]["status"]

        assert await told() == (503, "not ready", "down")
        for kind in NEEDED:
            assert (await told())[0] == 503
            await redis_broker.claim(kind, "w", slots=1, wait_s=0)
        assert await told() == (200, "ready", "ok")
        await redis_broker.release_consumer(JobKind.TTS, "w")
        assert await told() == (200, "degraded", "down")
        await redis_broker.claim(JobKind.TTS, "w", slots=1, wait_s=0)
        assert await told() == (200, "ready", "ok")


async def test_an_agent_without_a_language_model_is_listed_nowhere_and_readiness_says_what_to_set(
    redis_broker: RedisBroker,
) -> None:
    agents = Agents(kits=DELIVERY, servers={})
    async with gateway(redis_broker, agents=agents) as served:
        internal = httpx.ASGITransport(create_internal_app(served.state, create_app(served.state)))
        async with (
            httpx.AsyncClient(transport=internal, base_url="http://localhost") as operator,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as client,
        ):
            listed = (await client.get("/v1/models")).json()["data"]
            assert [model["id"] for model in listed] == ["delivery"]
            missing = await client.get("/v1/models/assistant")
            assert missing.status_code == 404 and missing.json()["error"]["code"] == "model_not_found"
            assert "set AVB_LLM" in missing.json()["error"]["message"]
            unavailable = (await operator.get("/ready")).json()["unavailable_agents"]
            assert list(unavailable) == ["assistant"] and "set AVB_LLM" in unavailable["assistant"]
            assert (await client.get("/ready")).json() == {"status": "ready"}  # the public port says no more
