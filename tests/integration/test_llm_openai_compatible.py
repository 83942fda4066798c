"""The OpenAI-compatible provider against a real HTTP server that streams, and fails in every usual way."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.kit.chat_server import ChatServer, chat_server
from tests.kit.kits import DELIVERY
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolSpec
from agentvoicebox.errors import BadProviderAnswer, ProviderTimeout, ProviderUnavailable
from agentvoicebox.providers.llm import registry
from agentvoicebox.providers.llm.openai_compatible import Delta, OpenAICompatibleLlm
from agentvoicebox.providers.llm.registry import LanguageModels

pytestmark = pytest.mark.requirement("A9")

TOOL = ToolSpec(
    "get_delivery_status", "Look up.", {"type": "object", "properties": {"tracking_id": {"type": "string"}}}
)


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with chat_server() as made:
        yield made


@pytest.fixture
async def llm(server: ChatServer) -> AsyncIterator[OpenAICompatibleLlm]:
    made = OpenAICompatibleLlm(base_url=server.url, model="m", read_timeout_s=5.0)
    yield made
    await made.close()


def ask(**kwargs: Any) -> Generate:
    return Generate("resp_1", "openai", "Be kind.", (ChatMessage("user", "where is it?"),), **kwargs)


async def written(llm: OpenAICompatibleLlm, request: Generate) -> list[Delta]:
    return [delta async for delta in llm.generate(request, "job_1")]


async def test_text_streams_with_its_usage(server: ChatServer, llm: OpenAICompatibleLlm) -> None:
    assert await written(llm, ask(max_output_tokens=50)) == [
        TextDelta("job_1", "It is "), TextDelta("job_1", "here."), Generated("job_1", "stop", 9, 3),
    ]  # fmt: skip
    asked = server.asked[0]
    assert asked["model"] == "m" and asked["stream"] is True and asked["max_tokens"] == 50
    assert [line["role"] for line in asked["messages"]] == ["system", "user"]
    assert "tools" not in asked and "tool_choice" not in asked


async def test_a_tool_call_streams_in_pieces(server: ChatServer, llm: OpenAICompatibleLlm) -> None:
    got = await written(llm, ask(tools=(TOOL,), tool_choice="function:get_delivery_status"))
    calls = [delta for delta in got if isinstance(delta, ToolCallDelta)]
    assert calls[0].name == "get_delivery_status" and [each.name for each in calls[1:]] == [None, None]
    assert json.loads("".join(each.arguments for each in calls)) == {"tracking_id": "PKG004"}
    end = got[-1]
    assert isinstance(end, Generated) and end.finish_reason == "tool_calls"
    assert end.input_tokens > 10 and end.output_tokens > 5, "estimated: the server counts nothing"
    assert server.asked[0]["tool_choice"]["function"]["name"] == "get_delivery_status"


@pytest.mark.requirement("C8")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", ProviderUnavailable), ("500", ProviderUnavailable), ("503", ProviderUnavailable),
        ("400", BadProviderAnswer), ("401", BadProviderAnswer), ("404", BadProviderAnswer),
        ("cut", ProviderUnavailable), ("ends early", ProviderUnavailable), ("garbage", BadProviderAnswer),
        ("error inside", ProviderUnavailable),
    ],
)  # fmt: skip
async def test_each_failure_has_its_name(
    server: ChatServer, llm: OpenAICompatibleLlm, fault: str, error: type[Exception]
) -> None:
    server.faults.append(fault)
    with pytest.raises(error) as raised:
        await written(llm, ask())
    assert "where is it" not in str(raised.value)


async def test_silence_within_a_stream_is_a_timeout(server: ChatServer) -> None:
    impatient = OpenAICompatibleLlm(base_url=server.url, model="m", read_timeout_s=0.2)
    server.faults.append("silent")
    with pytest.raises(ProviderTimeout):
        await written(impatient, ask())
    await impatient.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    nowhere = OpenAICompatibleLlm(base_url="http://127.0.0.1:1/v1", model="m")
    with pytest.raises(ProviderUnavailable, match="AVB_LLM_BASE_URL"):
        await written(nowhere, ask())
    with pytest.raises(ProviderUnavailable):
        await nowhere.check()
    await nowhere.close()


async def test_a_caller_who_hangs_up_ends_the_request_at_the_server(
    server: ChatServer, llm: OpenAICompatibleLlm
) -> None:
    server.faults.append("silent")
    stream = llm.generate(ask(), "job_1")
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(PATIENCE_S):
        await server.left.wait()


async def test_the_guard_gets_an_answer_through_a_flaky_server(server: ChatServer) -> None:
    models = LanguageModels([registry.Server("openai", server.url, model="m")])
    server.faults += ["503"]
    got = [delta async for delta in models.get("openai").llm.generate(ask(), "job_1")]
    assert got[-1] == Generated("job_1", "stop", 9, 3) and len(server.asked) == 2
    await models.close()


async def test_an_agents_own_model_is_asked_for_by_name(server: ChatServer) -> None:
    models = LanguageModels([registry.Server("openai", server.url, model="m")])
    [_ async for _ in models.get("openai/llama-3").llm.generate(ask(), "job_1")]
    assert server.asked[0]["model"] == "llama-3"
    await models.close()


async def test_the_delivery_agent_stands_in_when_the_server_is_down() -> None:
    server = registry.Server("openai", "http://127.0.0.1:1/v1", model="m")
    models = LanguageModels([server], deterministic=DELIVERY.language_models())
    got = [delta async for delta in models.get("openai,dialogue").llm.generate(ask(tools=(TOOL,)), "job_1")]
    assert isinstance(got[0], TextDelta) and isinstance(got[-1], Generated)
    health = await models.check()
    assert health["dialogue"] == "" and health["openai"] != ""
    await models.close()


async def test_health_asks_the_server(server: ChatServer, llm: OpenAICompatibleLlm) -> None:
    await llm.check()
    server.faults.append("500")
    with pytest.raises(ProviderUnavailable):
        await llm.check()
