"""A live call on a model server that streams otherwise than OpenAI's: every response ends, and says what was meant."""

import json
from typing import Any

import pytest
from tests.kit.chat_server import chat_server, spoken
from tests.kit.client import Client
from tests.kit.language_call import call_over
from tests.kit.odd_stream import TOOLS, OddStream
from tests.kit.odd_streams import NOTHING_SAID, ROWS
from tests.kit.strict_templates import OVERFLOWS, at_most, blind, mistral, openai, qwen, refusing

pytestmark = pytest.mark.requirement("A9")

CLIENT_TOOLS = [
    {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
    for tool in TOOLS
]
ASK = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "good morning"}]}


async def response(client: Client) -> dict[str, Any]:
    await client.send("conversation.item.create", item=ASK)
    await client.send("response.create")
    done: dict[str, Any] = (await client.until("response.done"))["response"]
    return done


def said(done: dict[str, Any]) -> str:
    parts = [part for item in done["output"] if item["type"] == "message" for part in item["content"]]
    return " ".join(part.get("text") or part.get("transcript") or "" for part in parts).strip()


def calls(done: dict[str, Any]) -> list[tuple[str, Any]]:
    found = [item for item in done["output"] if item["type"] == "function_call" and item["status"] == "completed"]
    return [(item["name"], json.loads(item["arguments"])) for item in found]


def is_whole(row: OddStream) -> bool:
    """Whether its calls are whole, and of offered tools: of others the model is told, and goes on."""
    offered = {tool.name for tool in TOOLS}
    return all(isinstance(arguments, dict) and name in offered for name, arguments in row.calls)


@pytest.mark.parametrize("modality", ["text", "audio"])
async def test_a_clients_tools_and_words_come_through_every_odd_stream(redis_url: str, modality: str) -> None:
    async with chat_server() as server, call_over(redis_url, server) as client:
        await client.use(type="realtime", output_modalities=[modality], tools=CLIENT_TOOLS)
        for row in filter(is_whole, ROWS):
            asked = len(server.asked)
            server.scripts = [row.script()]
            done = await response(client)
            assert done["status"] == {"stop": "completed", "tool_calls": "completed"}.get(row.reason, "incomplete"), row
            assert said(done) == row.text and calls(done) == list(row.calls), row
            assert len(server.asked) == asked + 1
            prompt = json.dumps(server.asked[-1]["messages"])
            assert "think" not in prompt and "tool_call>" not in prompt, "no thought is context"


async def test_an_empty_answer_is_asked_for_again_and_then_apologised_for(redis_url: str) -> None:
    async with chat_server() as server, call_over(redis_url, server) as client:
        await client.use(type="realtime", output_modalities=["text"], tools=CLIENT_TOOLS)
        for row in NOTHING_SAID:
            server.scripts = [row.script(), spoken("Hello.")]
            assert said(await response(client)) == "Hello.", row
        server.scripts = [NOTHING_SAID[0].script()] * 2
        done = await response(client)
        assert done["status"] == "failed" and "I'm sorry" in said(done)
        assert done["status_details"]["error"]["code"] == "bad_provider_answer"


async def item(client: Client, role: str, *content: dict[str, str]) -> None:
    await client.send("conversation.item.create", item={"type": "message", "role": role, "content": list(content)})


def typed(text: str) -> dict[str, str]:
    return {"type": "input_text", "text": text}


@pytest.mark.parametrize("overflow", OVERFLOWS)
async def test_a_long_call_on_a_strict_server_goes_on(redis_url: str, overflow: str) -> None:
    async with chat_server("A short answer.") as server, call_over(redis_url, server) as client:
        server.refuses = refusing(mistral, qwen, openai, at_most(700, overflow))
        await client.use(type="realtime", output_modalities=["text"])
        await client.send("response.create")
        assert (await client.until("response.done"))["response"]["status"] == "completed", "a greeting"
        for turn in range(14):
            if turn % 4 == 3:
                await item(client, "system", typed(f"The caller has waited {turn} minutes."))
            await item(client, "user", typed(f"Turn {turn}: " + "and so on, " * 27))
            assert (await response(client))["status"] == "completed"
        assert server.refused <= (14 if overflow == "no reason" else 2), "it is learnt"
        first = server.asked[-1]["messages"][0]
        assert first["role"] == "system" and "voice assistant" in first["content"], "instructions stay"


async def test_truncation_is_done_as_the_session_says(redis_url: str) -> None:
    async with chat_server("A short answer.") as server, call_over(redis_url, server) as client:
        limits = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 200}}
        await client.use(type="realtime", output_modalities=["text"], truncation=limits)
        for turn in range(6):
            await item(client, "user", typed(f"Turn {turn}: " + "and so on, " * 9))
            assert (await response(client))["status"] == "completed"
        assert len(server.asked[-1]["messages"]) < 8 and server.refused == 0
        await client.use(type="realtime", truncation="disabled")
        server.refuses = refusing(at_most(100))
        done = await response(client)
        assert done["status"] == "failed" and done["status_details"]["error"]["code"] == "prompt_too_long"


async def test_an_image_for_a_model_without_eyes_fails_no_turn(redis_url: str) -> None:
    async with chat_server("A short answer.") as server, call_over(redis_url, server) as client:
        server.refuses = refusing(blind)
        await client.use(type="realtime", output_modalities=["text"])
        await item(
            client, "user", typed("What is it?"), {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
        )
        for _ in range(3):
            assert (await response(client))["status"] == "completed"
        assert server.refused == 1
