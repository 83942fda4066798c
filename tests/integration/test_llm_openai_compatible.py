"""The OpenAI-compatible provider against a real HTTP server that streams, and fails in every usual way."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from tests.kit.client import until

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolSpec
from agentvoicebox.errors import BadProviderAnswer, ProviderTimeout, ProviderUnavailable
from agentvoicebox.providers.llm import registry
from agentvoicebox.providers.llm.openai_compatible import Delta, OpenAICompatibleLlm
from agentvoicebox.providers.llm.registry import LanguageModels

TOOL = ToolSpec(
    "get_delivery_status", "Look up.", {"type": "object", "properties": {"tracking_id": {"type": "string"}}}
)


def chunk(delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, int] | None = None) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps(head | {'choices': choices, 'usage': usage})}\n\n"


def call_piece(name: str | None, arguments: str, index: int = 0) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"tool_calls": [{"index": index, "function": function} | ({"id": "x", "type": "function"} if name else {})]}


SPOKEN = [chunk({"role": "assistant", "content": ""}), chunk({"content": "It is "}), chunk({"content": "here."}),
          chunk({}, "stop"), chunk(None, usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}),
          "data: [DONE]\n\n"]  # fmt: skip
CALLED = [chunk(call_piece("get_delivery_status", "")), chunk(call_piece(None, '{"tracking_id":')),
          chunk(call_piece(None, '"PKG004"}')), chunk({}, "tool_calls"), "data: [DONE]\n\n"]  # fmt: skip


class Server:
    """A chat completions server whose next answers a test sets; it keeps what it was asked."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.asked: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.left = asyncio.Event()
        self.url = ""
        self.app.post("/v1/chat/completions")(self.complete)
        self.app.get("/v1/models")(self.models)

    async def models(self) -> Any:
        if self.faults:
            return JSONResponse({"error": {"message": "x"}}, int(self.faults.pop(0)))
        return {"object": "list", "data": []}

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        fault = self.faults.pop(0) if self.faults else ""
        if fault.isdigit():
            return JSONResponse({"error": {"message": "no", "type": "x"}}, int(fault))
        parts = CALLED if body.get("tools") else SPOKEN
        return StreamingResponse(self.stream(parts, fault), media_type="text/event-stream")

    async def stream(self, parts: list[str], fault: str) -> AsyncIterator[str]:
        try:
            for place, part in enumerate(parts):
                match fault, place:
                    case "cut", 2:
                        raise ConnectionResetError
                    case "ends early", 2:
                        return
                    case "garbage", 2:
                        yield "data: {not json\n\n"
                    case "error inside", 2:
                        yield 'data: {"error": {"message": "overloaded"}}\n\n'
                    case "silent", 2:
                        await asyncio.Event().wait()
                yield part
        finally:
            self.left.set()


class NoSignals(uvicorn.Server):
    def capture_signals(self) -> Any:  # the test runner keeps its own
        import contextlib

        return contextlib.nullcontext()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    config = uvicorn.Config(
        made.app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    running = NoSignals(config)
    serving = asyncio.create_task(running.serve())

    async def is_started() -> bool:
        return running.started

    await until(is_started)
    made.url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/v1"
    yield made
    running.should_exit = True
    await serving


@pytest.fixture
async def llm(server: Server) -> AsyncIterator[OpenAICompatibleLlm]:
    made = OpenAICompatibleLlm(base_url=server.url, model="m", read_timeout_s=5.0)
    yield made
    await made.close()


def ask(**kwargs: Any) -> Generate:
    return Generate("resp_1", "openai", "Be kind.", (ChatMessage("user", "where is it?"),), **kwargs)


async def written(llm: OpenAICompatibleLlm, request: Generate) -> list[Delta]:
    return [delta async for delta in llm.generate(request, "job_1")]


async def test_text_streams_with_its_usage(server: Server, llm: OpenAICompatibleLlm) -> None:
    assert await written(llm, ask(max_output_tokens=50)) == [
        TextDelta("job_1", "It is "), TextDelta("job_1", "here."), Generated("job_1", "stop", 9, 3),
    ]  # fmt: skip
    asked = server.asked[0]
    assert asked["model"] == "m" and asked["stream"] is True and asked["max_tokens"] == 50
    assert [line["role"] for line in asked["messages"]] == ["system", "user"]
    assert "tools" not in asked and "tool_choice" not in asked


async def test_a_tool_call_streams_in_pieces(server: Server, llm: OpenAICompatibleLlm) -> None:
    got = await written(llm, ask(tools=(TOOL,), tool_choice="function:get_delivery_status"))
    calls = [delta for delta in got if isinstance(delta, ToolCallDelta)]
    assert calls[0].name == "get_delivery_status" and [each.name for each in calls[1:]] == [None, None]
    assert json.loads("".join(each.arguments for each in calls)) == {"tracking_id": "PKG004"}
    assert got[-1] == Generated("job_1", "tool_calls", 0, 3)
    assert server.asked[0]["tool_choice"]["function"]["name"] == "get_delivery_status"


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
    server: Server, llm: OpenAICompatibleLlm, fault: str, error: type[Exception]
) -> None:
    server.faults.append(fault)
    with pytest.raises(error) as raised:
        await written(llm, ask())
    assert "where is it" not in str(raised.value)


async def test_silence_within_a_stream_is_a_timeout(server: Server) -> None:
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


async def test_a_caller_who_hangs_up_ends_the_request_at_the_server(server: Server, llm: OpenAICompatibleLlm) -> None:
    server.faults.append("silent")
    stream = llm.generate(ask(), "job_1")
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(5):
        await server.left.wait()


async def test_the_guard_gets_an_answer_through_a_flaky_server(server: Server) -> None:
    models = LanguageModels([registry.Server("openai", server.url, model="m")])
    server.faults += ["503"]
    got = [delta async for delta in models.get("openai").llm.generate(ask(), "job_1")]
    assert got[-1] == Generated("job_1", "stop", 9, 3) and len(server.asked) == 2
    await models.close()


async def test_an_agents_own_model_is_asked_for_by_name(server: Server) -> None:
    models = LanguageModels([registry.Server("openai", server.url, model="m")])
    [_ async for _ in models.get("openai/llama-3").llm.generate(ask(), "job_1")]
    assert server.asked[0]["model"] == "llama-3"
    await models.close()


async def test_the_delivery_agent_stands_in_when_the_server_is_down() -> None:
    models = LanguageModels([registry.Server("openai", "http://127.0.0.1:1/v1", model="m")])
    got = [delta async for delta in models.get("openai,dialogue").llm.generate(ask(tools=(TOOL,)), "job_1")]
    assert isinstance(got[0], TextDelta) and isinstance(got[-1], Generated)
    health = await models.check()
    assert health["dialogue"] == "" and health["openai"] != ""
    await models.close()


async def test_health_asks_the_server(server: Server, llm: OpenAICompatibleLlm) -> None:
    await llm.check()
    server.faults.append("500")
    with pytest.raises(ProviderUnavailable):
        await llm.check()
