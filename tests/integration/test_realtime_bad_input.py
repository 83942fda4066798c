"""Whatever a client sends, it gets one typed error with its own event id, and the session lives on."""

import base64
import json
from typing import Any

import pytest
from tests.kit.client import calling
from tests.kit.gateway import Gateway

MIB = 1024 * 1024

BAD: list[tuple[str, str | bytes, str, str | None, str | None]] = [
    # what, frame, code, param, event_id handed back
    ("not JSON", "{nonsense", "invalid_json", None, None),
    ("empty frame", "", "invalid_json", None, None),
    ("no object", "[1, 2]", "invalid_event", None, None),
    ("no type", '{"event_id": "e0"}', "invalid_event", "type", "e0"),
    ("unknown type", '{"type": "response.sing", "event_id": "e1"}', "invalid_value", "type", "e1"),
    (
        "wrong field",
        '{"type": "session.update", "event_id": "e2", "session": {"instructions": 5}}',
        "invalid_value",
        "session.instructions",
        "e2",
    ),
    (
        "unknown field",
        '{"type": "session.update", "event_id": "e3", "session": {"colour": "red"}}',
        "unknown_parameter",
        "session.colour",
        "e3",
    ),
    ("binary frame", b"\x00\x01\x02", "invalid_event", None, None),
    (
        "base64 rubbish",
        '{"type": "input_audio_buffer.append", "event_id": "e4", "audio": "!!!"}',
        "invalid_value",
        "audio",
        "e4",
    ),
    (
        "commit of nothing",
        '{"type": "input_audio_buffer.commit", "event_id": "e5"}',
        "input_audio_buffer_commit_empty",
        None,
        "e5",
    ),
    ("cancel of nothing", '{"type": "response.cancel", "event_id": "e6"}', "response_cancel_not_active", None, "e6"),
    (
        "unknown item",
        '{"type": "conversation.item.delete", "event_id": "e7", "item_id": "item_x"}',
        "item_delete_invalid_item_id",
        "item_id",
        "e7",
    ),
    (
        "negative truncate",
        '{"type": "conversation.item.truncate", "event_id": "e8", "item_id": "x", "content_index": 0, "audio_end_ms": -11}',
        "integer_below_min_value",
        "audio_end_ms",
        "e8",
    ),
]


@pytest.mark.parametrize(("frame", "code", "param", "event_id"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_a_bad_frame_gets_one_error_and_the_session_lives(
    served: Gateway, frame: str | bytes, code: str, param: str | None, event_id: str | None
) -> None:
    async with calling(served.url()) as client:
        await client.ws.send(frame)
        event = await client.next()
        assert event["type"] == "error", event
        error: dict[str, Any] = event["error"]
        assert set(error) == {"type", "code", "message", "param", "event_id"}
        assert (error["code"], error["event_id"]) == (code, event_id)
        if param is not None:
            assert error["param"] == param
        assert error["type"] == "invalid_request_error"
        await client.nothing_but()


async def test_an_append_beyond_15_mib_gets_one_error_and_the_session_lives(served: Gateway) -> None:
    async with calling(served.url()) as client:
        audio = base64.b64encode(bytes(15 * MIB + 3)).decode()
        assert len(audio) > 20_000_000
        await client.send("input_audio_buffer.append", event_id="big", audio=audio)
        error = (await client.next())["error"]
        assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "audio", "big")
        await client.nothing_but()


async def test_an_append_of_15_mib_is_taken(served: Gateway) -> None:
    async with calling(served.url()) as client:
        await client.use(audio={"input": {"turn_detection": None}})
        await client.send("input_audio_buffer.append", audio=base64.b64encode(bytes(15 * MIB)).decode())
        await client.send("input_audio_buffer.clear")
        assert (await client.next())["type"] == "input_audio_buffer.cleared"
        await client.nothing_but()


async def test_many_bad_frames_in_a_row_get_an_error_each_in_order(served: Gateway) -> None:
    async with calling(served.url()) as client:
        for number in range(300):
            await client.ws.send(json.dumps({"type": "nonsense", "event_id": f"e{number}"}))
        got = [(await client.next())["error"]["event_id"] for _ in range(300)]
        assert got == [f"e{number}" for number in range(300)]
        await client.nothing_but()
