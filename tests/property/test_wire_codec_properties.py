"""Whatever a client sends, an event or an InvalidEvent comes out; whatever is an event survives the log."""

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire import client_events as said
from agentvoicebox.wire import server_events as say
from agentvoicebox.wire.codec import _decode_any, decode_audio, decode_client, encode_for, encode_server
from agentvoicebox.wire.dialect import Dialect
from agentvoicebox.wire.session_config import SessionConfig, apply_update, session_to_wire

OFFICIAL: TypeAdapter[object] = TypeAdapter(RealtimeServerEvent)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["audio", "text", "message", "function", "server_vad", "audio/pcm", "auto", "inf", "user"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)
sounds = st.binary(max_size=64).map(lambda raw: msgspec.json.decode(msgspec.json.encode(raw), type=str))


def objects(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=optional)


def just(text: str) -> st.SearchStrategy[str]:
    return st.just(text)


user_parts = st.one_of(
    objects({"type": just("input_text"), "text": texts}),
    objects({"type": just("input_audio"), "audio": sounds}, transcript=texts),
    objects({"type": just("input_image"), "image_url": just("data:image/png;base64,AAAA")}, detail=just("low")),
)
messages = st.one_of(
    objects(
        {"type": just("message"), "role": just("user"), "content": st.lists(user_parts, max_size=3)},
        id=names,
        status=st.sampled_from(["completed", "incomplete", "in_progress"]),
    ),
    objects(
        {
            "type": just("message"),
            "role": just("assistant"),
            "content": st.lists(objects({"type": just("output_text"), "text": texts}), max_size=2),
        }
    ),
)
items = st.one_of(
    messages,
    objects({"type": just("function_call"), "call_id": names, "name": names, "arguments": texts}, id=names),
    objects({"type": just("function_call_output"), "call_id": names, "output": texts}, id=names),
)
formats = st.sampled_from([{"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}])
tools = st.lists(objects({"type": just("function"), "name": names}, description=texts), max_size=3)
options = objects(
    {},
    conversation=st.sampled_from(["auto", "none", None]),
    input=st.lists(items | objects({"type": just("item_reference"), "id": names}), max_size=2),
    instructions=st.none() | texts,
    tools=tools,
    tool_choice=st.sampled_from(["auto", "none", "required", {"type": "function", "name": "n"}]),
    output_modalities=st.sampled_from([["audio"], ["text"], ["audio", "text"]]),
    audio=objects({}, output=objects({}, format=formats, voice=names)),
    max_output_tokens=st.integers(1, 4_096) | just("inf"),
    metadata=st.dictionaries(names, texts, max_size=3),
)
turn_detections = st.none() | st.one_of(
    objects(
        {"type": just("server_vad")},
        threshold=st.floats(0, 1),
        prefix_padding_ms=st.integers(0, 1_000),
        silence_duration_ms=st.integers(0, 5_000),
        idle_timeout_ms=st.none() | st.integers(5_000, 30_000),
        create_response=st.booleans(),
    ),
    objects(
        {"type": just("semantic_vad")}, eagerness=st.sampled_from(["low", "auto"]), interrupt_response=st.booleans()
    ),
    objects({}, create_response=st.booleans()),
)
sessions = objects(
    {},
    type=just("realtime"),
    instructions=texts,
    output_modalities=st.sampled_from([["audio"], ["text"], ["text", "audio"]]),
    tools=tools,
    max_output_tokens=st.integers(1, 4_096) | just("inf"),
    audio=objects(
        {},
        input=objects(
            {},
            format=formats,
            transcription=st.none() | objects({}, model=names, language=st.none() | names),
            noise_reduction=st.none() | objects({"type": st.sampled_from(["near_field", "far_field"])}),
            turn_detection=turn_detections,
        ),
        output=objects({}, format=formats, voice=names, speed=st.floats(0.25, 1.5)),
    ),
)


def event(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return objects({"type": just(kind), **fields}, event_id=names)


events = st.one_of(
    event("session.update", session=sessions),
    event("input_audio_buffer.append", audio=sounds),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("conversation.item.create", item=items, previous_item_id=st.none() | names),
    event("conversation.item.retrieve", item_id=names),
    event("conversation.item.truncate", item_id=names, content_index=st.just(0), audio_end_ms=st.integers(0, 10**6)),
    event("conversation.item.delete", item_id=names),
    event("response.create", response=st.none() | options),
    event("response.cancel", response_id=st.none() | names),
    event("output_audio_buffer.clear"),
)


@st.composite
def mangled_events(draw: st.DrawFn) -> dict[str, Any]:
    """A good event in which one place, anywhere, was removed, renamed, or filled with anything."""
    body: dict[str, Any] = copy.deepcopy(draw(events))
    places: list[tuple[Any, Any]] = []
    ahead: list[Any] = [body]
    while ahead:
        holder = ahead.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            places.append((holder, key))
            if isinstance(holder[key], dict | list):
                ahead.append(holder[key])
    holder, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["fill", "remove", "rename"])):
        case "fill":
            holder[key] = draw(json_values)
        case "remove":
            del holder[key]
        case _ if isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = holder.pop(key)
        case _:
            holder.append(draw(json_values))
    return body


def judge(frame: str | bytes, dialect: Dialect) -> said.ClientEvent | InvalidEvent:
    try:
        return decode_client(frame, dialect=dialect)
    except InvalidEvent as error:
        assert error.code
        return error


def survives_the_log(decoded: said.ClientEvent) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(decoded), type=said.ClientEvent) == decoded
    assert msgspec.json.decode(msgspec.json.encode(decoded), type=said.ClientEvent) == decoded


@given(st.binary() | st.text(), st.sampled_from(Dialect))
def test_arbitrary_frames_raise_nothing_but_invalid_event(frame: str | bytes, dialect: Dialect) -> None:
    assert isinstance(judge(frame, dialect), InvalidEvent)


@given(json_values, st.sampled_from(Dialect))
def test_arbitrary_json_raises_nothing_but_invalid_event(value: object, dialect: Dialect) -> None:
    judge(json.dumps(value), dialect)
    for body in ({"type": "session.update", "session": value}, {"type": "conversation.item.create", "item": value}):
        judge(json.dumps(body), dialect)


@settings(max_examples=400)
@given(mangled_events(), st.sampled_from(Dialect))
def test_a_mangled_event_is_an_event_or_an_invalid_event_with_its_id(body: dict[str, Any], dialect: Dialect) -> None:
    result = judge(json.dumps(body), dialect)
    if not isinstance(result, InvalidEvent):
        survives_the_log(result)
    elif result.code not in ("invalid_json",) and isinstance(body.get("event_id"), str):
        assert result.event_id == body["event_id"]


def judgement(read: Callable[[], said.ClientEvent]) -> object:
    try:
        return read()
    except InvalidEvent as error:
        return error.code, error.param, error.event_id, error.message


nearly_base64 = st.text("AQ+/=\\n -_é", max_size=12) | sounds
appends = objects(
    {"type": just("input_audio_buffer.append")}, audio=nearly_base64 | json_values, event_id=names | json_values
)


@settings(max_examples=400)
@given(appends | mangled_events(), st.sampled_from(Dialect), st.booleans())
def test_the_short_way_of_an_append_decides_as_the_long_way(
    body: dict[str, Any], dialect: Dialect, is_ascii: bool
) -> None:
    frame = json.dumps(body, ensure_ascii=is_ascii)
    assert judgement(lambda: decode_client(frame, dialect=dialect)) == judgement(lambda: _decode_any(frame, dialect))


@settings(max_examples=200)
@given(events, st.sampled_from(Dialect))
def test_a_good_event_is_read_and_survives_the_log(body: dict[str, Any], dialect: Dialect) -> None:
    decoded = decode_client(json.dumps(body), dialect=dialect)
    assert type(decoded).__struct_config__.tag == body["type"]
    assert decoded.event_id == body.get("event_id")
    survives_the_log(decoded)
    # what is written as JSON is read as the same event again
    assert decode_client(msgspec.json.encode(decoded), dialect=dialect) == decoded


@given(json_values.filter(lambda value: isinstance(value, dict)), st.booleans())
def test_an_arbitrary_update_is_refused_or_leaves_a_session_that_can_be_shown(patch: Any, locked: bool) -> None:
    try:
        config = apply_update(SessionConfig(), patch, voice_locked=locked)
    except InvalidEvent as error:
        assert error.param is not None and error.param.startswith("session")
    else:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(config), type=SessionConfig) == config


@settings(max_examples=200)
@given(st.lists(sessions, max_size=3))
def test_any_run_of_good_updates_leaves_a_session_that_strict_clients_parse(patches: list[dict[str, Any]]) -> None:
    config = SessionConfig(id="sess_1", model="m", expires_at=1)
    for patch in patches:
        config = apply_update(config, patch)
        assert apply_update(config, patch) == config, "an update is idempotent"
    shown = session_to_wire(config)
    assert apply_update(config, shown) == config
    updated = say.SessionUpdated(event_id="event_1", session=shown)
    OFFICIAL.validate_json(encode_server(updated), strict=True)
    (frame,) = encode_for(Dialect.BETA, updated)
    flat = json.loads(frame)["session"]
    assert apply_update(config, flat) == config, "the flat spelling says the same"


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_arbitrary_audio_text_is_bytes_or_invalid_event(text: str) -> None:
    try:
        decode_audio(text)
    except InvalidEvent as error:
        assert (error.code, error.param) == ("invalid_value", "audio")


@given(st.binary())
def test_audio_comes_back_byte_for_byte(raw: bytes) -> None:
    assert decode_audio(msgspec.json.decode(msgspec.json.encode(raw), type=str)) == raw
