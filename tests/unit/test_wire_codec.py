"""From frames to events, and what each kind of bad frame is called."""

import base64
import json
import typing
from typing import Any

import msgspec
import pytest

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire import client_events as said
from agentvoicebox.wire import server_events as say
from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.bodies import MAX_AUDIO_BYTES
from agentvoicebox.wire.bounds import MAX_EVENT_ID_CHARS
from agentvoicebox.wire.codec import (
    MAX_DEPTH,
    MAX_VALUES,
    decode_audio,
    decode_client,
    encode_for,
    encode_server,
)
from agentvoicebox.wire.dialect import Dialect
from agentvoicebox.wire.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    MessageItem,
    OutputText,
)

SOUND = base64.b64encode(bytes(range(256)) * 4).decode()


def decode(event: dict[str, Any]) -> said.ClientEvent:
    return decode_client(json.dumps(event))


def refused(frame: str | bytes | dict[str, Any], **how: Any) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        decode_client(json.dumps(frame) if isinstance(frame, dict) else frame, **how)
    return caught.value


def make(item: object, **more: object) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": item, **more}


def message(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def respond(**options: object) -> dict[str, Any]:
    return {"type": "response.create", "response": options}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "session.update", "session": {"a": [1]}}, said.SessionUpdate(session={"a": [1]})),
        ({"type": "input_audio_buffer.append", "audio": SOUND}, said.InputAudioBufferAppend(audio=decode_audio(SOUND))),
        ({"audio": "", "type": "input_audio_buffer.append"}, said.InputAudioBufferAppend(audio=b"")),
        ({"type": "input_audio_buffer.commit", "event_id": None}, said.InputAudioBufferCommit()),
        ({"type": "input_audio_buffer.clear", "event_id": "mine"}, said.InputAudioBufferClear(event_id="mine")),
        ({"type": "conversation.item.retrieve", "item_id": "i"}, said.ConversationItemRetrieve(item_id="i")),
        ({"type": "conversation.item.delete", "item_id": "i"}, said.ConversationItemDelete(item_id="i")),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": 0},
            said.ConversationItemTruncate(item_id="i", content_index=0, audio_end_ms=0),
        ),
        ({"type": "response.create"}, said.ResponseCreate()),
        ({"type": "response.create", "response": None}, said.ResponseCreate()),
        (respond(), said.ResponseCreate(response=said.ResponseOptions())),
        ({"type": "response.cancel"}, said.ResponseCancel()),
        ({"type": "response.cancel", "response_id": "r"}, said.ResponseCancel(response_id="r")),
        ({"type": "output_audio_buffer.clear"}, said.OutputAudioBufferClear()),
        (
            make(message("user", {"type": "input_text", "text": "hi"}), previous_item_id="root"),
            said.ConversationItemCreate(
                item=MessageItem(role="user", content=(InputText(text="hi"),)), previous_item_id="root"
            ),
        ),
        (
            make(
                {"type": "function_call_output", "call_id": "c", "output": "", "id": "mine", "object": "realtime.item"}
            ),
            said.ConversationItemCreate(
                item=FunctionCallOutputItem(id="mine", object="realtime.item", call_id="c", output="")
            ),
        ),
        (
            make({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}", "status": "completed"}),
            said.ConversationItemCreate(item=FunctionCallItem(call_id="c", name="n", arguments="{}")),
        ),
    ],
)
def test_a_well_formed_frame_becomes_its_event(event: dict[str, Any], expected: said.ClientEvent) -> None:
    for frame in (json.dumps(event), json.dumps(event).encode(), json.dumps(event, indent=1)):
        assert decode_client(frame) == expected
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(expected), type=said.ClientEvent) == expected


# --- frames that are no event ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        *(
            "",
            "hello",
            "{",
            '{"type":',
            '{"a": NaN}',
            '{"a": Infinity}',
            '{"a": 1e999}',
            "{'a': 1}",
            '{"a": "\\ud800"}',
        ),
        *('{"type":"response.cancel"} x', "\ud800", '{"a": ' + "9" * 5_000 + "}"),
        *(b"\xff", b'{"type": "\xff"}', b'{"type": "response.cancel", "event_id": "\xc3"}', b"\x00"),
    ],
)
def test_what_is_not_json_is_invalid_json(frame: str | bytes) -> None:
    assert refused(frame).code == "invalid_json"


@pytest.mark.parametrize("frame", ["[]", "1", '"response.cancel"', "null", "true", "[{}]"])
def test_what_is_no_object_is_an_invalid_event(frame: str) -> None:
    assert refused(frame).code == "invalid_event"


def test_a_binary_frame_is_an_invalid_event_even_if_it_holds_json() -> None:
    error = refused(b'{"type": "response.cancel"}', is_text=False)
    assert (error.code, error.param, error.event_id) == ("invalid_event", None, None)


def test_a_missing_type_is_an_invalid_event() -> None:
    for frame in ({"event_id": "mine"}, {"event_id": "mine", "type": None}):
        error = refused(frame)
        assert (error.code, error.event_id) == ("invalid_event", "mine")


@pytest.mark.parametrize("kind", ["response.make", "", "transcription_session.update", 3, [], {}, "x" * 10_000])
def test_an_unknown_type_is_an_invalid_value(kind: object) -> None:
    error = refused({"type": kind, "event_id": "mine"})
    assert (error.code, error.param, error.event_id) == ("invalid_value", "type", "mine")
    assert len(error.message) < 1_000


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    text = refused({"type": "response.make"}).message
    for kind in typing.get_args(said.ClientEvent):
        assert f"'{kind.__struct_config__.tag}'" in text


# --- events with a wrong field ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": None}, "invalid_value", "session"),
        ({"type": "session.update", "session": {}, "sesion": 1}, "unknown_parameter", "sesion"),
        ({"type": "session.update", "session": {"a": 2**64}}, "invalid_value", None),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": [1]}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": None}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "", "rate": 8_000}, "unknown_parameter", "rate"),
        ({"type": "input_audio_buffer.commit", "item": 1}, "unknown_parameter", "item"),
        ({"type": "conversation.item.retrieve"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.truncate", "item_id": "i"}, "missing_required_parameter", "audio_end_ms"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": -11},
            "integer_below_min_value",
            "audio_end_ms",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": 10.5},
            "invalid_value",
            "audio_end_ms",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": 5, "audio_end_ms": 1},
            "invalid_value",
            "item_id",
        ),
        (make(message("user")) | {"previous_item_id": 1}, "invalid_value", "previous_item_id"),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        (make("hello"), "invalid_value", "item"),
        (make({}), "missing_required_parameter", "item.type"),
        (make({"type": "mcp_call"}), "invalid_value", "item.type"),
        (make({"type": "item_reference", "id": "i"}), "invalid_value", "item.type"),
        (make({"type": "message", "role": "user"}), "missing_required_parameter", "item.content"),
        (make({"type": "message", "role": "user", "content": "hi"}), "invalid_value", "item.content"),
        (make({"type": "message", "role": "user", "content": [1]}), "invalid_value", "item.content[0]"),
        (make({"type": "message", "role": ["user"], "content": []}), "invalid_value", "item.role"),
        (make(message("narrator")), "invalid_value", "item.role"),
        (make({**message("user"), "status": "cancelled"}), "invalid_value", "item.status"),
        (make({**message("user"), "call_id": "c"}), "unknown_parameter", "item.call_id"),
        (make(message("user", {"type": "input_text"})), "missing_required_parameter", "item.content[0].text"),
        (make(message("user", {"text": "hi"})), "missing_required_parameter", "item.content[0].type"),
        (
            make(message("user", {"type": "input_text", "text": ""}, {"type": "input_text", "text": 1})),
            "invalid_value",
            "item.content[1].text",
        ),
        (
            make(message("user", {"type": "input_text", "text": "", "bold": True})),
            "unknown_parameter",
            "item.content[0].bold",
        ),
        (make(message("user", {"type": "output_text", "text": ""})), "invalid_value", "item.content[0].type"),
        (make(message("assistant", {"type": "input_text", "text": ""})), "invalid_value", "item.content[0].type"),
        (
            make(message("system", {"type": "input_audio", "audio": ""})),
            "invalid_value",
            "item.content[0].type",
        ),
        (make(message("user", {"type": "input_audio"})), "missing_required_parameter", "item.content[0].audio"),
        (
            make(message("user", {"type": "input_audio", "audio": "not base64"})),
            "invalid_value",
            "item.content[0].audio",
        ),
        (
            make(message("user", {"type": "input_image", "image_url": "picture.png"})),
            "invalid_value",
            "item.content[0].image_url",
        ),
        (
            make(message("assistant", {"type": "output_audio", "audio": SOUND})),
            "missing_required_parameter",
            "item.content[0].text",
        ),
        (make({"type": "function_call_output", "call_id": "c"}), "missing_required_parameter", "item.output"),
        ({"type": "response.create", "response": []}, "invalid_value", "response"),
        ({"type": "response.create", "respons": {}}, "unknown_parameter", "respons"),
        (respond(mood="good"), "unknown_parameter", "response.mood"),
        (respond(conversation="other"), "invalid_value", "response.conversation"),
        (respond(input={}), "invalid_value", "response.input"),
        (respond(input=[{"type": "item_reference"}]), "missing_required_parameter", "response.input[0].id"),
        (
            respond(input=[message("user"), message("user", {"type": "input_text"})]),
            "missing_required_parameter",
            "response.input[1].content[0].text",
        ),
        (respond(max_output_tokens=0), "integer_below_min_value", "response.max_output_tokens"),
        (respond(tools=[{"name": "n", "meta": 1}]), "unknown_parameter", "response.tools[0].meta"),
        (respond(audio={"input": {}}), "unknown_parameter", "response.audio.input"),
        (
            respond(audio={"output": {"format": {"type": "audio/pcm", "rate": 44_100}}}),
            "invalid_value",
            "response.audio.output.format.rate",
        ),
        (respond(metadata={str(n): "" for n in range(17)}), "invalid_value", "response.metadata"),
        (respond(metadata={"k" * 65: ""}), "invalid_value", "response.metadata"),
        (respond(metadata={"key": "v" * 513}), "invalid_value", "response.metadata.key"),
        (respond(metadata={"key": 1}), "invalid_value", "response.metadata.key"),
        ({"type": "response.cancel", "response_id": 1}, "invalid_value", "response_id"),
    ],
)
def test_a_wrong_field_has_its_code_and_path_and_the_clients_event_id(
    event: dict[str, Any], code: str, param: str | None
) -> None:
    error = refused({**event, "event_id": "mine"})
    assert (error.code, error.param, error.event_id) == (code, param, "mine")
    assert error.error_type == "invalid_request_error"


@pytest.mark.parametrize("event_id", [3, {}, "a\0b", "x" * (MAX_EVENT_ID_CHARS + 1)])
@pytest.mark.parametrize("event", [{"type": "response.cancel"}, {"type": "input_audio_buffer.append", "audio": ""}])
def test_an_unusable_event_id_is_a_fault_and_not_echoed(event: dict[str, Any], event_id: object) -> None:
    error = refused({**event, "event_id": event_id})
    code = "string_above_max_length" if isinstance(event_id, str) and len(event_id) > 9 else "invalid_value"
    assert (error.code, error.param, error.event_id) == (code, "event_id", None)


def test_deep_nesting_is_refused_however_deep() -> None:
    for depth in (MAX_DEPTH + 1, 900, 200_000):
        nested = "[" * depth + "]" * depth
        assert refused(f'{{"type": "session.update", "session": {{"a": {nested}}}}}').code == "invalid_event"
    nested = "[" * (MAX_DEPTH - 3) + "]" * (MAX_DEPTH - 3)
    decode_client(f'{{"type": "session.update", "session": {{"a": {nested}}}}}')


def test_an_event_of_very_many_values_is_refused() -> None:
    error = refused({"type": "session.update", "session": {"a": [0] * MAX_VALUES}, "event_id": "mine"})
    assert (error.code, error.event_id) == ("invalid_event", "mine")


# --- audio -----------------------------------------------------------------------------------------


def test_audio_up_to_15_mib_is_taken_and_more_is_refused() -> None:
    whole = "A" * (MAX_AUDIO_BYTES // 3 * 4)
    event = decode_client(f'{{"type":"input_audio_buffer.append","audio":"{whole}"}}')
    assert isinstance(event, said.InputAudioBufferAppend)
    assert len(event.audio) == MAX_AUDIO_BYTES
    error = refused(f'{{"type":"input_audio_buffer.append","audio":"{whole}AAAA","event_id":"mine"}}')
    assert (error.code, error.param, error.event_id) == ("invalid_value", "audio", "mine")
    with pytest.raises(InvalidEvent):
        decode_audio(whole + "AAAA")


def test_audio_comes_back_as_the_bytes_it_was() -> None:
    assert decode_audio(SOUND) == bytes(range(256)) * 4
    assert decode_audio("") == b""
    assert decode_audio("AA==") == b"\x00"


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "A===", "AAAA=", "AAAA====", "AA AA", "AAAA\n", "-_-_", "ä" * 4, "=AAA", "\x00" * 4]
)
def test_rubbish_is_no_audio(text: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode_audio(text)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "audio")


# --- leniency that real clients need ---------------------------------------------------------------


def test_null_keys_of_an_item_mean_absent() -> None:
    event = decode(
        make(
            {
                **message("user", {"type": "input_text", "text": "hi", "audio": None, "transcript": None}),
                "id": None,
                "status": None,
                "call_id": None,
                "output": None,
            }
        )
    )
    assert event == said.ConversationItemCreate(item=MessageItem(role="user", content=(InputText(text="hi"),)))


@pytest.mark.parametrize("dialect", Dialect)
def test_retired_part_types_are_read_by_role(dialect: Dialect) -> None:
    def parts(role: str, *given: dict[str, Any]) -> object:
        event = decode_client(json.dumps(make(message(role, *given))), dialect=dialect)
        assert isinstance(event, said.ConversationItemCreate) and isinstance(event.item, MessageItem)
        return event.item.content

    text, sound = {"type": "text", "text": "a"}, {"type": "audio", "audio": SOUND}
    assert parts("user", text, sound) == (InputText(text="a"), InputAudio(audio=SOUND))
    assert parts("system", text) == (InputText(text="a"),)
    assert parts("assistant", text, {"type": "audio", "transcript": "b"}) == (
        OutputText(text="a"),
        OutputText(text="b"),
    )


def test_what_an_assistant_said_is_taken_as_text() -> None:
    event = decode(make(message("assistant", {"type": "output_audio", "transcript": "hi", "audio": SOUND})))
    assert event == said.ConversationItemCreate(item=MessageItem(role="assistant", content=(OutputText(text="hi"),)))


def test_a_user_may_show_a_picture() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
    event = decode(make(message("user", picture)))
    assert event == said.ConversationItemCreate(
        item=MessageItem(role="user", content=(InputImage(image_url="data:image/png;base64,AAAA", detail="low"),))
    )


def test_response_options_are_read_in_full() -> None:
    event = decode(
        respond(
            conversation="none",
            input=[{"type": "item_reference", "id": "i"}, message("user", {"type": "input_text", "text": "hi"})],
            instructions="be brief",
            tools=[{"type": "function", "name": "n"}],
            tool_choice={"type": "function", "name": "n"},
            output_modalities=["text"],
            audio={"output": {"voice": "verse", "format": {"type": "audio/pcmu"}}},
            max_output_tokens="inf",
            metadata={"client_event_id": "x"},
            reasoning={"effort": "low"},
            parallel_tool_calls=False,
        )
    )
    assert event == said.ResponseCreate(
        response=said.ResponseOptions(
            conversation="none",
            input=(ItemReference(id="i"), MessageItem(role="user", content=(InputText(text="hi"),))),
            instructions="be brief",
            tools=({"type": "function", "name": "n"},),
            tool_choice={"type": "function", "name": "n"},
            output_modalities=("text",),
            audio=said.AudioOptions(
                output=said.AudioOutputOptions(voice="verse", format=AudioFormat(type="audio/pcmu"))
            ),
            max_output_tokens="inf",
            metadata={"client_event_id": "x"},
            reasoning={"effort": "low"},
            parallel_tool_calls=False,
        )
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=said.ClientEvent) == event


def test_an_empty_input_is_no_context_and_not_the_sessions() -> None:
    event = decode(respond(input=[]))
    assert isinstance(event, said.ResponseCreate) and event.response is not None
    assert event.response.input == ()


def test_retired_response_fields_are_understood_on_any_connection() -> None:
    old = respond(modalities=["audio", "text"], voice="verse", output_audio_format="pcm16", temperature=0.7)
    new = respond(
        output_modalities=["audio"],
        audio={"output": {"voice": "verse", "format": {"type": "audio/pcm", "rate": 24000}}},
    )
    assert decode(old) == decode(new)


# --- to the client ---------------------------------------------------------------------------------


def test_a_server_event_is_one_line_of_utf8_that_starts_with_its_type() -> None:
    event = say.InputAudioBufferCommitted(event_id="event_1", previous_item_id=None, item_id="ä")
    frame = b'{"type":"input_audio_buffer.committed","event_id":"event_1","previous_item_id":null,"item_id":"\xc3\xa4"}'
    assert encode_server(event) == frame
    assert encode_for(Dialect.GA, event) == encode_for(Dialect.BETA, event) == [frame]
