"""Real servers that refuse prompts: no conversation that the protocol allows is refused twice."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.kit.chat_server import ChatServer, chat_server
from tests.kit.conversations import IMAGE, TOOLS, conversations
from tests.kit.strict_templates import OVERFLOWS, TEMPLATES, at_most, blind, refusing, without

from agentvoicebox.engine.inputs import Generated
from agentvoicebox.engine.jobs import ChatMessage, ChatPart, Generate, ToolCall
from agentvoicebox.errors import PromptTooLong
from agentvoicebox.providers.llm.openai_compatible import OpenAICompatibleLlm
from agentvoicebox.providers.llm.token_estimate import message_tokens
from agentvoicebox.providers.llm.truncation import MARK

pytestmark = pytest.mark.requirement("A9")

# Over HTTP: each example starts a server, so a failing one is not made smaller.
some = settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)


async def asked(server: ChatServer, request: Generate, llm: OpenAICompatibleLlm) -> Generated:
    *_, end = [delta async for delta in llm.generate(request, "job_1")]
    assert isinstance(end, Generated)
    return end


def over(
    server_rules: Any, requests: list[Generate], model: str = "m", **kwargs: Any
) -> tuple[int, list[Generated], ChatServer]:
    """How often the same model refused in all, and what it answered at the end of each."""

    async def run() -> tuple[int, list[Generated], ChatServer]:
        async with chat_server() as server:
            server.refuses = server_rules
            llm = OpenAICompatibleLlm(base_url=server.url, model=model, **kwargs)
            try:
                ends = [await asked(server, request, llm) for request in requests]
            finally:
                await llm.close()
            return server.refused, ends, server

    return asyncio.run(run())


@pytest.mark.parametrize("name", TEMPLATES)
@some
@given(st.lists(conversations, min_size=3, max_size=5))
def test_no_template_refuses_a_model_twice(name: str, requests: list[Generate]) -> None:
    requests = [msgspec.structs.replace(request, tools=()) for request in requests]
    refused, ends, _ = over(refusing(TEMPLATES[name]), requests)
    assert refused <= (2 if name == "gemma" else 1), "each rule is learnt once: Gemma has two"
    assert len(ends) == len(requests)


@pytest.mark.parametrize("overflow", OVERFLOWS)
@some
@given(conversations, st.integers(900, 3_000))
def test_no_conversation_is_refused_twice_for_its_length(overflow: str, request: Generate, limit: int) -> None:
    request = without_images(request)
    again = msgspec.structs.replace(request, messages=(*request.messages, ChatMessage("user", "And now?")))
    refused, _, _ = over(refusing(at_most(limit, overflow)), [request, again])
    assert refused <= (2 if overflow in ("no figures", "no reason") else 1)


def without_images(request: Generate) -> Generate:
    plain = [msgspec.structs.replace(each, images=(), parts=msgspec.UNSET) for each in request.messages]
    return msgspec.structs.replace(request, messages=tuple(plain))


TURNS = tuple(
    ChatMessage(role, f"{role} {turn} says {'something long ' * 20}")
    for turn in range(14)
    for role in ("user", "assistant")
)
LONG = Generate("resp_1", "openai", "Be kind.", (*TURNS, ChatMessage("user", "Where is it?")))


@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_a_long_call_goes_on_after_a_refusal_and_says_what_was_left_out(overflow: str) -> None:
    refused, ends, server = over(refusing(at_most(1_200, overflow)), [LONG, LONG])
    assert refused <= 2
    first = ends[0].left_out
    assert isinstance(first, int) and 0 < first < len(LONG.messages) and first % 2 == 0, "whole turns"
    prompt = server.asked[-1]["messages"]
    assert prompt[0]["content"] == "Be kind." and prompt[-1]["content"] == "Where is it?"
    assert prompt[1]["role"] == "user"


def test_the_context_of_the_settings_is_kept_without_a_refusal() -> None:
    refused, ends, _ = over(refusing(at_most(1_200)), [LONG], context_tokens=1_200)
    assert refused == 0 and ends[0].left_out


def test_a_sessions_own_limit_and_ratio_hold() -> None:
    truncation = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 800}}
    request = msgspec.structs.replace(LONG, truncation=truncation)
    refused, ends, server = over(refusing(), [request])
    kept = request.messages[ends[0].left_out or 0 :]
    assert refused == 0 and 200 < sum(map(message_tokens, kept)) <= 400
    assert len(server.asked[0]["messages"]) == len(kept) + 1


def test_with_truncation_disabled_the_refusal_is_the_answer() -> None:
    request = msgspec.structs.replace(LONG, truncation="disabled")
    with pytest.raises(PromptTooLong, match="truncation is disabled"):
        over(refusing(at_most(1_200)), [request])


def test_instructions_that_are_too_long_alone_are_named() -> None:
    request = msgspec.structs.replace(LONG, instructions="Be kind. " * 900)
    with pytest.raises(PromptTooLong, match="instructions and tools alone"):
        over(refusing(at_most(1_200)), [request])


def test_one_text_that_is_too_long_is_cut_in_its_middle() -> None:
    request = Generate("resp_1", "openai", "", (ChatMessage("user", "Begin. " + "word " * 4_000 + "End."),))
    refused, _, server = over(refusing(at_most(1_200)), [request])
    text = server.asked[-1]["messages"][-1]["content"]
    assert refused == 1 and text.startswith("Begin.") and text.endswith("End.") and MARK in text


def test_a_model_without_eyes_is_asked_without_images_from_then_on() -> None:
    line = ChatMessage("user", "What is it?", images=(IMAGE,), parts=(ChatPart("What is it?"), ChatPart(image=0)))
    request = Generate("resp_1", "openai", "", (line,))
    refused, _, server = over(refusing(blind), [request, request, request])
    assert refused == 1 and "What is it?" in server.asked[-1]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("parameter", "kwargs"),
    [
        ("stream_options", {}), ("max_tokens", {}), ("max_completion_tokens", {"preset": "groq"}),
        ("tool_choice", {}), ("tool_choice", {"preset": "ollama"}),
    ],
)  # fmt: skip
def test_a_parameter_that_a_server_does_not_know_is_left_out_from_then_on(
    parameter: str, kwargs: dict[str, Any]
) -> None:
    tools = TOOLS
    request = msgspec.structs.replace(LONG, max_output_tokens=50, tools=tools, tool_choice="function:look_up")
    refused, ends, server = over(refusing(without(parameter), status=422), [request, request], **kwargs)
    assert refused <= 2 and len(ends) == 2 and parameter not in server.asked[-1]


def test_a_step_of_many_calls_without_a_user_is_shortened_from_its_beginning() -> None:
    steps = [
        each
        for number in range(30)
        for each in (
            ChatMessage("assistant", tool_calls=(ToolCall(f"c{number}", "look_up", "{}"),)),
            ChatMessage("tool", f"result {number} " + "x " * 200, call_id=f"c{number}"),
        )
    ]
    request = Generate("resp_1", "openai", "Be kind.", (ChatMessage("user", "Look."), *steps))
    refused, _, server = over(refusing(at_most(1_500), TEMPLATES["mistral"]), [request])
    prompt = server.asked[-1]["messages"]
    assert refused == 1 and prompt[1]["content"] == "Look." and "result 29" in prompt[-1]["content"]
    assert "result 0 " not in json.dumps(prompt)


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500])
def test_a_refusal_is_read_whatever_its_status(status: int) -> None:
    refused, ends, _ = over(refusing(at_most(1_200), status=status), [LONG, LONG])
    assert refused == 1 and len(ends) == 2


def test_a_refusal_in_the_stream_is_read_too() -> None:
    async def run() -> list[int]:
        async with chat_server() as server:
            words = OVERFLOWS["llama.cpp"].format(tokens=1_900, limit=1_000)
            server.scripts = [[f"data: {json.dumps({'error': {'message': words}})}\n\n"]]
            llm = OpenAICompatibleLlm(base_url=server.url, model="m")
            await asked(server, LONG, llm)
            await llm.close()
            return [len(body["messages"]) for body in server.asked]

    first, second = asyncio.run(run())
    assert second < first


def test_an_image_that_is_broken_is_left_out_of_its_request_alone() -> None:
    def broken(body: dict[str, Any]) -> str:
        return "Failed to decode image" if IMAGE in json.dumps(body["messages"]) else ""

    bad = Generate("resp_1", "openai", "", (ChatMessage("user", "What is it?", images=(IMAGE,)),))
    good = Generate("resp_1", "openai", "", (ChatMessage("user", "And this?", images=(IMAGE.replace("AA", "BB"),)),))
    refused, _, server = over(refusing(broken), [bad, good])
    assert refused == 1 and isinstance(server.asked[-1]["messages"][0]["content"], list)


def test_a_body_that_is_too_large_is_sent_without_its_images() -> None:
    def large(body: dict[str, Any]) -> str:
        return "Request Entity Too Large" if len(json.dumps(body)) > 10_000 else ""

    image = "data:image/png;base64," + "A" * 20_000
    request = Generate("resp_1", "openai", "", (ChatMessage("user", "What is it?", images=(image,)),))
    refused, _, _ = over(refusing(large, status=413), [request])
    assert refused == 1


def test_options_of_the_agent_come_before_those_of_the_server() -> None:
    request = msgspec.structs.replace(LONG, options={"temperature": 0.2})
    _, _, server = over(refusing(), [request], extra={"temperature": 0.9, "top_p": 0.5})
    assert (server.asked[0]["temperature"], server.asked[0]["top_p"]) == (0.2, 0.5)
