"""An append of megabytes is read in slices, to the same audio and the same errors as a small one."""

import base64
import json
from typing import Any

import pytest

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire.dialect import Dialect
from agentvoicebox.wire.large_append import MAX_EVENT_BYTES, read_large_append

AUDIO = bytes(range(256)) * 3_000


def cut(text: str, size: int = 65_532) -> list[bytes]:
    raw = text.encode()
    return [raw[start : start + size] for start in range(0, len(raw), size)]


def append(**changes: Any) -> dict[str, Any]:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(AUDIO).decode(), **changes}


@pytest.mark.parametrize("size", [65_532, 65_533, 1_000, 7])
@pytest.mark.parametrize("order", [("type", "audio"), ("audio", "type"), ("event_id", "audio", "type")])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_audio_is_what_was_sent(size: int, order: tuple[str, ...], indent: int | None) -> None:
    body = append(event_id="mine")
    text = json.dumps({key: body[key] for key in order}, indent=indent)
    event, slices = read_large_append(cut(text, size))
    assert event.event_id == ("mine" if "event_id" in order else None)
    assert b"".join(slices) == AUDIO


@pytest.mark.parametrize("tail", [b"", b"=", b"=="])
def test_every_padding_is_read(tail: bytes) -> None:
    audio = AUDIO[: len(AUDIO) // 3 * 3 - len(tail)]
    _, slices = read_large_append(cut(json.dumps(append(audio=base64.b64encode(audio).decode()))))
    assert b"".join(slices) == audio


def refusal(text: str, size: int = 65_532) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as refused:
        _, slices = read_large_append(cut(text, size))
        for _ in slices:
            pass
    return refused.value


@pytest.mark.parametrize(
    "body",
    [
        {
            "type": "conversation.item.create",
            "event_id": "mine",
            "item": {"type": "message", "content": "x" * MAX_EVENT_BYTES},
        },
        {"type": "session.update", "event_id": "mine", "session": {"instructions": "x" * MAX_EVENT_BYTES}},
        {"event_id": "mine", "audio": "A" * MAX_EVENT_BYTES},
        {"event_id": "mine", "type": "input_audio_buffer.append", "sound": {"audio": "A" * MAX_EVENT_BYTES}},
        {"event_id": "mine", "type": "input_audio_buffer.append", "audio": "A" * MAX_EVENT_BYTES, "more": 1},
        {"event_id": "mine", "values": [1] * MAX_EVENT_BYTES},
    ],
)
def test_what_is_no_append_is_one_typed_error_with_the_clients_id(body: dict[str, Any]) -> None:
    error = refusal(json.dumps(body))
    assert (error.code, error.event_id) == ("event_too_large", "mine")


@pytest.mark.parametrize(
    "text", ["[" * 600_000, "\x00" * 600_000, '{"audio": "', '{"type": "input_audio_buffer.append", "audio": "AAAA']
)
def test_torn_json_is_one_typed_error(text: str) -> None:
    assert refusal(text + "A" * MAX_EVENT_BYTES).code == "event_too_large"


@pytest.mark.parametrize("place", [0, 100, 70_000, 500_001, -4])
@pytest.mark.parametrize("wrong", ["=", "!", "é", "\n"])
def test_what_is_no_base64_is_refused_wherever_it_stands(place: int, wrong: str) -> None:
    text = append()["audio"]
    text = (
        text[:place] + wrong + text[place + len(wrong.encode()) :]
        if place >= 0
        else text[:place] + wrong + text[place + 1 :]
    )
    error = refusal(json.dumps(append(audio=text, event_id="mine"), ensure_ascii=False))
    assert (error.code, error.param, error.event_id) == ("invalid_value", "audio", "mine")


def test_the_audio_of_one_append_is_bounded() -> None:
    error = refusal(json.dumps(append(audio="A" * (15 * 1024 * 1024 // 3 * 4 + 4), event_id="mine")))
    assert (error.code, error.param, error.event_id) == ("invalid_value", "audio", "mine")


def test_beta_clients_are_read_too() -> None:
    event, slices = read_large_append(cut(json.dumps(append(event_id="mine"))), dialect=Dialect.BETA)
    assert (event.event_id, b"".join(slices)) == ("mine", AUDIO)
