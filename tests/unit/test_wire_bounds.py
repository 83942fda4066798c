"""How large each field of a client's event may be; what is legal for OpenAI's API is legal here."""

import json
from typing import Any

import pytest

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire import bounds
from agentvoicebox.wire.codec import decode_client
from agentvoicebox.wire.dialect import Dialect

LONG, MANY, WRONG = "string_above_max_length", "array_above_max_length", "invalid_value"


def update(**session: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def respond(**options: Any) -> dict[str, Any]:
    return {"type": "response.create", "response": options}


def create(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": item, **more}


def typed(*texts: str, **more: Any) -> dict[str, Any]:
    parts = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "role": "user", "content": parts, **more}


def tool(name: str = "look_up", **more: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, **more}


def call(**fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}", **fields}


def output(text: str, call_id: str = "c") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


PICTURE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * bounds.MAX_ITEM_IMAGE_BYTES}
HALF = "x" * (bounds.MAX_ITEM_TEXT_BYTES // 2)
TOO_LARGE: list[tuple[dict[str, Any], str, str]] = [
    (update(instructions="ä" * (bounds.MAX_INSTRUCTIONS_BYTES // 2 + 1)), LONG, "session.instructions"),
    (update(tools=[tool()] * (bounds.MAX_TOOLS + 1)), MANY, "session.tools"),
    (update(tools=[tool(description="x" * bounds.MAX_TOOLS_BYTES)]), LONG, "session.tools"),
    (update(tools=[tool("n" * 129)]), LONG, "session.tools[0].name"),
    (update(tool_choice={"type": "function", "name": "n" * 129}), LONG, "session.tool_choice.name"),
    (update(model="m" * 129), LONG, "session.model"),
    (update(prompt={"id": "p", "variables": {"v": "x" * bounds.MAX_PROMPT_BYTES}}), LONG, "session.prompt"),
    (update(tracing={"metadata": {"k": "x" * bounds.MAX_OPTION_BYTES}}), LONG, "session.tracing"),
    (update(audio={"output": {"voice": "v" * 129}}), LONG, "session.audio.output.voice"),
    (update(audio={"output": {"voice": {"id": "v\0"}}}), WRONG, "session.audio.output.voice.id"),
    (update(voice="v" * 129), LONG, "session.audio.output.voice"),
    (
        update(audio={"input": {"transcription": {"language": "x" * 129}}}),
        LONG,
        "session.audio.input.transcription.language",
    ),
    (
        update(audio={"input": {"transcription": {"prompt": "x" * (bounds.MAX_PROMPT_BYTES + 1)}}}),
        LONG,
        "session.audio.input.transcription.prompt",
    ),
    (respond(instructions="x" * (bounds.MAX_INSTRUCTIONS_BYTES + 1)), LONG, "response.instructions"),
    (respond(tools=[tool()] * (bounds.MAX_TOOLS + 1)), MANY, "response.tools"),
    (respond(reasoning={"k": "x" * bounds.MAX_OPTION_BYTES}), LONG, "response.reasoning"),
    (respond(audio={"output": {"voice": "v" * 129}}), LONG, "response.audio.output.voice"),
    (respond(input=[typed("")] * (bounds.MAX_INPUT_ITEMS + 1)), MANY, "response.input"),
    (respond(input=[typed(HALF)] * 5), LONG, "response.input"),
    (respond(input=[typed(HALF, HALF, "x")]), LONG, "response.input[0].content"),
    (respond(input=[{"type": "item_reference", "id": "i" * 65}]), LONG, "response.input[0].id"),
    (create(typed(HALF, HALF, "x")), LONG, "item.content"),
    (create(typed(*[""] * (bounds.MAX_ITEM_PARTS + 1))), MANY, "item.content"),
    (create({"type": "message", "role": "user", "content": [PICTURE]}), LONG, "item.content"),
    (create(typed("hi", id="i" * 65)), LONG, "item.id"),
    (create(typed("hi", id="a\0b")), WRONG, "item.id"),
    (create(typed("hi", id="a b")), WRONG, "item.id"),
    (create(typed("hi"), previous_item_id="i" * 65), LONG, "previous_item_id"),
    (create(typed("hi"), previous_item_id="a\0"), WRONG, "previous_item_id"),
    (create(call(arguments=HALF + HALF + "x")), LONG, "item.arguments"),
    (create(call(name="n" * 129)), LONG, "item.name"),
    (create(call(name="n\0")), WRONG, "item.name"),
    (create(call(call_id="c\0")), WRONG, "item.call_id"),
    (create(output(HALF + HALF + "x")), LONG, "item.output"),
    (create(output("", call_id="c" * 65)), LONG, "item.call_id"),
    ({"type": "conversation.item.delete", "item_id": "i" * 65}, LONG, "item_id"),
    ({"type": "conversation.item.truncate", "item_id": "a\0", "audio_end_ms": 0}, WRONG, "item_id"),
    ({"type": "response.cancel", "response_id": "r" * 65}, LONG, "response_id"),
]


@pytest.mark.parametrize(("event", "code", "param"), TOO_LARGE, ids=[f"{code}-{param}" for _, code, param in TOO_LARGE])
def test_what_is_too_large_is_refused_by_name(event: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode_client(json.dumps({**event, "event_id": "mine"}))
    assert (refused.value.code, refused.value.param, refused.value.event_id) == (code, param, "mine")
    assert len(refused.value.message) < 1_000


LEGAL: list[dict[str, Any]] = [
    {"type": "input_audio_buffer.commit", "event_id": "e" * 512},
    create(typed("hi", id="item_" + "a" * 27)),  # OpenAI's longest
    create(typed("hi", id="msg-0f6b41f7-9f6d-4b0a-a3f5-7f3a9c2d1e5b")),
    create(typed(HALF, HALF), previous_item_id="root"),
    create(typed("a NUL \0 is a character")),
    create(call(call_id="call_" + "a" * 27, name="a" * 64, arguments=HALF)),
    create(output(HALF + HALF)),
    update(instructions="x" * bounds.MAX_INSTRUCTIONS_BYTES),
    update(tools=[tool(f"tool_{n}", description="d" * 700, parameters={"type": "object"}) for n in range(128)]),
    update(prompt={"id": "pmpt_1", "version": "2", "variables": {"city": "x" * 10_000}}),
    respond(input=[{"type": "item_reference", "id": "item_1"}] * 256, metadata={f"k{n}": "v" * 512 for n in range(16)}),
    respond(input=[typed(HALF), typed(HALF)], instructions="x" * bounds.MAX_INSTRUCTIONS_BYTES),
]


@pytest.mark.parametrize("event", LEGAL)
@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_is_legal_at_openai_is_legal_here(event: dict[str, Any], dialect: Dialect) -> None:
    decode_client(json.dumps(event), dialect=dialect)
