"""`say` over HTTP, from a chat completions server that behaves as servers do: pieces, extra calls, refused functions."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from tests.kit.chat_server import DONE, ChatServer, call_piece, chat_server, chunk
from tests.kit.grounding_corpus import day_of, scenes

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate, ToolSpec
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.providers.llm.openai_compatible import OpenAICompatibleLlm
from agentvoicebox_delivery.language_models.grounded import Delta, GroundedLlm
from agentvoicebox_delivery.parcels import tool_schema

pytestmark = pytest.mark.requirement("C3")

SCENE = "hotline_way_when"


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with chat_server() as made:
        yield made


async def answer(server: ChatServer, *pieces: str) -> list[Delta]:
    if pieces:
        server.scripts.append([*pieces, DONE])
    day = day_of(SCENE)
    now_s = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    model = OpenAICompatibleLlm(base_url=server.url, model="m", read_timeout_s=5.0)
    llm = GroundedLlm(cast(Llm, model), lambda: now_s)  # no script is so long that the server gives signs of life
    look_up = ToolSpec(tool_schema.NAME, tool_schema.DESCRIPTION, tool_schema.PARAMETERS)
    request = Generate("resp_1", "openai/m", "Be true.", scenes()[SCENE], (look_up,))
    try:
        return [delta async for delta in llm.generate(request, "job_1")]
    finally:
        await model.close()


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)).strip()


def say(**arguments: Any) -> list[str]:
    written = json.dumps(arguments)
    return [chunk(call_piece("say", "")), *(chunk(call_piece(None, each)) for each in (written[:9], written[9:]))]


async def test_the_server_is_offered_say_and_its_call_becomes_speech(server: ChatServer) -> None:
    deltas = await answer(server, *say(before="Sure!", acts=[{"act": "arrival"}]), chunk({}, "tool_calls"))
    assert text_of(deltas).endswith("It should arrive on Saturday.")
    assert not any(isinstance(delta, ToolCallDelta) for delta in deltas)
    assert isinstance(deltas[-1], Generated) and deltas[-1].finish_reason == "stop"
    assert {each["function"]["name"] for each in server.asked[0]["tools"]} == {tool_schema.NAME, "say"}


async def test_say_and_a_look_up_in_one_answer(server: ChatServer) -> None:
    look_up = chunk(call_piece(tool_schema.NAME, '{"tracking_id":"PKG004"}', 1))
    deltas = await answer(server, *say(before="I'll check that for you.", acts=[]), look_up, chunk({}, "tool_calls"))
    assert text_of(deltas) == "I'll check that for you."
    assert {delta.name for delta in deltas if isinstance(delta, ToolCallDelta) and delta.name} == {tool_schema.NAME}


async def test_a_call_of_say_that_was_cut_off_is_answered_by_the_builder(server: ChatServer) -> None:
    cut_off = [chunk(call_piece("say", '{"acts":[{"act":"arr')), chunk({}, "length")]
    assert text_of(await answer(server, *cut_off)) == "It should arrive on Saturday."


async def test_text_beside_say_is_judged(server: ChatServer) -> None:
    lie = chunk({"content": "It comes tomorrow. "})
    deltas = await answer(server, lie, *say(acts=[{"act": "carrier"}]), chunk({}, "tool_calls"))
    assert "tomorrow" not in text_of(deltas) and "DHL" in text_of(deltas)


async def test_a_server_without_functions_is_judged_as_text(server: ChatServer) -> None:
    words = [chunk({"content": "It's with DHL. It comes tomorrow."}), chunk({}, "stop")]
    assert text_of(await answer(server, *words)) == "It's with DHL. It should arrive on Saturday."
