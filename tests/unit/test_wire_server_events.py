"""Every event the server can say, held against the types of the official `openai` package, strictly.

The package lacks one thing: our own `agentvoicebox.turn`. It is opt-in for that reason, and left out here on purpose.
The package's models allow extra keys, so what strict clients beyond it reject (null-valued inapplicable keys, missing
nullable ones) is claimed separately, after the table of mutations that break clients.
"""

import base64
import json
import typing

import msgspec
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

from agentvoicebox.wire import server_events as say
from agentvoicebox.wire.audio_config import AudioFormat, NoiseReduction, Transcription, TurnDetection
from agentvoicebox.wire.codec import encode_server
from agentvoicebox.wire.items import (
    AudioPart,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    MessageItem,
    OutputAudio,
    OutputText,
    TextPart,
)
from agentvoicebox.wire.response import (
    Response,
    ResponseAudio,
    ResponseAudioOutput,
    ResponseError,
    StatusDetails,
    Usage,
)
from agentvoicebox.wire.server_events import ServerEvent
from agentvoicebox.wire.session_config import SessionConfig, session_to_wire

OFFICIAL: TypeAdapter[object] = TypeAdapter(RealtimeServerEvent)
SOUND = base64.b64encode(bytes(480)).decode()

USER = MessageItem(id="item_u", role="user", content=(InputAudio(transcript=None),))
HEARD = MessageItem(id="item_u", role="user", content=(InputAudio(audio=SOUND, transcript="hello"),))
SHOWN = MessageItem(
    id="item_i", role="user", content=(InputText(text="what is it?"), InputImage(image_url="data:image/png;base64,"))
)
RULE = MessageItem(id="item_s", role="system", content=(InputText(text="be brief"),))
BEGUN = MessageItem(id="item_a", status="in_progress", role="assistant", content=())
SPOKEN = MessageItem(id="item_a", role="assistant", content=(OutputAudio(transcript="hi"),))
CUT = MessageItem(id="item_a", status="incomplete", role="assistant", content=(OutputAudio(transcript="h"),))
WRITTEN = MessageItem(id="item_a", role="assistant", content=(OutputText(text="hi"),))
CALL = FunctionCallItem(id="item_c", call_id="call_1", name="get_delivery_status", arguments='{"id":"1"}')
OUTPUT = FunctionCallOutputItem(id="item_o", call_id="call_1", output="on its way")
ITEMS = (USER, HEARD, SHOWN, RULE, BEGUN, SPOKEN, CUT, WRITTEN, CALL, OUTPUT)

TOOL = {"type": "function", "name": "get_delivery_status", "description": "d", "parameters": {"type": "object"}}
SESSIONS = (
    SessionConfig(id="sess_1", model="gpt-realtime", expires_at=1),
    SessionConfig(
        id="sess_1",
        model="gpt-realtime",
        expires_at=1,
        output_modalities=("text",),
        tools=(TOOL,),
        tool_choice={"type": "function", "name": "get_delivery_status"},
        max_output_tokens=200,
        tracing="auto",
        truncation={"type": "retention_ratio", "retention_ratio": 0.8},
        prompt={"id": "pmpt_1"},
        include=("item.input_audio_transcription.logprobs",),
        input_format=AudioFormat(type="audio/pcmu"),
        output_format=AudioFormat(type="audio/pcma"),
        transcription=Transcription(model="whisper-1", language="en"),
        noise_reduction=NoiseReduction(type="near_field", strength=0.5),
        turn_detection=TurnDetection(type="semantic_vad", eagerness="low"),
    ),
    SessionConfig(id="sess_1", model="gpt-realtime", turn_detection=None),
    SessionConfig(type="transcription", id="sess_1", transcription=Transcription()),
)

AUDIO = ResponseAudio(output=ResponseAudioOutput(format=AudioFormat(), voice="alloy"))
RUNNING = Response(id="resp_1", status="in_progress", audio=AUDIO, conversation_id="conv_1", metadata={"topic": "x"})
USAGE = Usage.of(input_text=20, input_audio=10, cached_text=5, output_text=3, output_audio=7)
ENDED = (
    Response(id="resp_1", status="completed", audio=AUDIO, output=(SPOKEN, CALL), usage=USAGE),
    Response(id="resp_1", status="completed", audio=AUDIO, output_modalities=("text",), output=(WRITTEN,), usage=USAGE),
    Response(
        id="resp_1",
        status="cancelled",
        status_details=StatusDetails(type="cancelled", reason="turn_detected"),
        audio=AUDIO,
        output=(CUT,),
        usage=Usage(),
    ),
    Response(
        id="resp_1",
        status="incomplete",
        status_details=StatusDetails(type="incomplete", reason="max_output_tokens"),
        audio=AUDIO,
        max_output_tokens=1,
        usage=Usage(),
    ),
    Response(
        id="resp_1",
        status="failed",
        status_details=StatusDetails(
            type="failed", error=ResponseError(type="server_error", code="provider_timeout", message="too late")
        ),
        audio=AUDIO,
        usage=Usage(),
    ),
)

E: dict[str, typing.Any] = {"event_id": "event_1"}
PART = E | {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
CALL_AT = E | {"response_id": "resp_1", "item_id": "item_c", "output_index": 0, "call_id": "call_1"}
HEARING = E | {"item_id": "item_u", "content_index": 0}

EVENTS: list[ServerEvent] = [
    say.ErrorEvent(**E, error=say.ErrorBody(type="invalid_request_error", message="no")),
    say.ErrorEvent(
        **E,
        error=say.ErrorBody(type="server_error", code="broker_lost", message="no", param="a.b", event_id="mine"),
    ),
    *(say.SessionCreated(**E, session=session_to_wire(config)) for config in SESSIONS),
    *(say.SessionUpdated(**E, session=session_to_wire(config)) for config in SESSIONS),
    *(say.SessionUpdated(**E, session=session_to_wire(config, ("records_delayed",))) for config in SESSIONS),
    say.RateLimitsUpdated(**E, rate_limits=(say.RateLimit(name="tokens", limit=10, remaining=9, reset_seconds=0.001),)),
    say.InputAudioBufferSpeechStarted(**E, audio_start_ms=10, item_id="item_u"),
    say.InputAudioBufferSpeechStopped(**E, audio_end_ms=1_000, item_id="item_u"),
    say.InputAudioBufferCommitted(**E, previous_item_id=None, item_id="item_u"),
    say.InputAudioBufferCleared(**E),
    say.InputAudioBufferTimeoutTriggered(**E, audio_start_ms=0, audio_end_ms=5_000, item_id="item_u"),
    say.OutputAudioBufferStarted(**E, response_id="resp_1"),
    say.OutputAudioBufferStopped(**E, response_id="resp_1"),
    say.OutputAudioBufferCleared(**E, response_id="resp_1"),
    *(say.ConversationItemAdded(**E, previous_item_id=None, item=item) for item in ITEMS),
    *(say.ConversationItemDone(**E, previous_item_id="item_0", item=item) for item in ITEMS),
    *(say.ConversationItemRetrieved(**E, item=item) for item in ITEMS),
    say.ConversationItemTruncated(**E, item_id="item_a", content_index=0, audio_end_ms=320),
    say.ConversationItemDeleted(**E, item_id="item_a"),
    say.ConversationItemInputAudioTranscriptionDelta(**HEARING, delta="hel"),
    say.ConversationItemInputAudioTranscriptionCompleted(
        **HEARING, transcript="hello", usage=say.DurationUsage(seconds=1.5)
    ),
    say.ConversationItemInputAudioTranscriptionCompleted(
        **HEARING, transcript="", usage=say.TokenUsage(total_tokens=2, input_tokens=1, output_tokens=1)
    ),
    say.ConversationItemInputAudioTranscriptionFailed(
        **HEARING,
        error=say.TranscriptionError(type="transcription_error", code="audio_unintelligible", message="noise"),
    ),
    say.ResponseCreated(**E, response=RUNNING),
    *(say.ResponseDone(**E, response=response) for response in ENDED),
    *(say.ResponseOutputItemAdded(**E, response_id="resp_1", output_index=0, item=item) for item in (BEGUN, CALL)),
    *(say.ResponseOutputItemDone(**E, response_id="resp_1", output_index=0, item=item) for item in (SPOKEN, CUT, CALL)),
    *(say.ResponseContentPartAdded(**PART, part=part) for part in (TextPart(text=""), AudioPart(transcript=""))),
    *(say.ResponseContentPartDone(**PART, part=part) for part in (TextPart(text="hi"), AudioPart(transcript="hi"))),
    say.ResponseOutputTextDelta(**PART, delta="h"),
    say.ResponseOutputTextDone(**PART, text="hi"),
    say.ResponseOutputAudioTranscriptDelta(**PART, delta="h"),
    say.ResponseOutputAudioTranscriptDone(**PART, transcript="hi"),
    say.ResponseOutputAudioDelta(**PART, delta=bytes(256)),
    say.ResponseOutputAudioDone(**PART),
    say.ResponseFunctionCallArgumentsDelta(**CALL_AT, delta="{"),
    say.ResponseFunctionCallArgumentsDone(**CALL_AT, name="get_delivery_status", arguments="{}"),
]
TRACE = say.TurnTrace(**E, turn={"heard_ms": 12.5})
RESUMED = say.SessionResumed(**E, session_id="sess_1", audio_start_ms=1200, is_complete=True)
OTHER_NAMES = {"Error": "ErrorEvent", "AgentvoiceboxTurn": "TurnTrace", "AgentvoiceboxResumed": "SessionResumed"}


def wire(event: ServerEvent) -> dict[str, typing.Any]:
    return typing.cast(dict[str, typing.Any], json.loads(encode_server(event)))


def name(event: ServerEvent) -> str:
    return typing.cast(str, type(event).__struct_config__.tag)


def test_every_server_event_has_a_sample_here() -> None:
    assert {type(event) for event in (*EVENTS, TRACE, RESUMED)} == set(typing.get_args(ServerEvent))


def test_each_class_is_named_after_its_event() -> None:
    for kind in typing.get_args(ServerEvent):
        words = kind.__struct_config__.tag.replace(".", "_").split("_")
        camel = "".join(word.capitalize() for word in words)
        assert kind.__name__ in (camel, OTHER_NAMES.get(camel))


@pytest.mark.parametrize("event", EVENTS, ids=name)
def test_the_official_types_accept_each_event_strictly(event: ServerEvent) -> None:
    parsed = OFFICIAL.validate_json(encode_server(event), strict=True)
    assert parsed.type == name(event)  # type: ignore[attr-defined]


def broken(event: ServerEvent, path: str, value: object = None) -> str:
    body = wire(event)
    *way, last = path.split(".")
    place = body
    for key in way:
        place = place[key]
    place.pop(last)
    if value is not None:
        place[last] = value
    return json.dumps(body)


@pytest.mark.parametrize(
    "frame",
    [
        '{"type": "session.made", "event_id": "e"}',
        broken(say.ResponseOutputItemDone(**E, response_id="r", output_index=0, item=CUT), "event_id"),
        broken(say.ResponseOutputItemDone(**E, response_id="r", output_index=0, item=CUT), "item.status", "cancelled"),
        broken(say.SessionUpdated(**E, session=session_to_wire(SESSIONS[0])), "session.type"),
        broken(
            say.SessionUpdated(**E, session=session_to_wire(SESSIONS[0])), "session.audio.input.format.rate", 16_000
        ),
        broken(
            say.SessionUpdated(**E, session=session_to_wire(SESSIONS[0])), "session.audio.input.turn_detection.type"
        ),
        broken(say.InputAudioBufferSpeechStarted(**E, audio_start_ms=1, item_id="i"), "audio_start_ms", 10.5),
        broken(say.ResponseFunctionCallArgumentsDone(**CALL_AT, name="n", arguments="{}"), "name"),
    ],
)
def test_the_official_types_reject_what_is_known_to_break_clients(frame: str) -> None:
    with pytest.raises(ValidationError):
        OFFICIAL.validate_json(frame, strict=True)


@pytest.mark.parametrize("event", [*EVENTS, TRACE], ids=name)
def test_each_event_survives_the_log(event: ServerEvent) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=ServerEvent) == event
    assert msgspec.json.decode(encode_server(event), type=ServerEvent) == event


@pytest.mark.parametrize("event", EVENTS, ids=name)
def test_each_event_has_an_id_and_its_type(event: ServerEvent) -> None:
    body = wire(event)
    assert body["event_id"] == "event_1"
    assert body["type"] == name(event)


# --- the table of mutations that break clients, rule by rule ---------------------------------------


def test_an_item_is_never_cancelled() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(CUT), "status": "cancelled"}, type=MessageItem)


@pytest.mark.parametrize("config", SESSIONS)
def test_a_session_says_its_type_and_so_does_its_turn_detection(config: SessionConfig) -> None:
    session = session_to_wire(config)
    assert session["type"] == config.type
    detection = session["audio"]["input"]["turn_detection"]
    assert detection is None or detection["type"] in ("server_vad", "semantic_vad")


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (say.ConversationItemInputAudioTranscriptionCompleted, "usage"),
        (say.ResponseFunctionCallArgumentsDone, "name"),
        (FunctionCallItem, "arguments"),
        (say.InputAudioBufferCommitted, "previous_item_id"),
        (say.ConversationItemAdded, "previous_item_id"),
        (say.ConversationItemDone, "previous_item_id"),
    ],
)
def test_a_field_that_clients_need_cannot_be_forgotten(kind: type[msgspec.Struct], field: str) -> None:
    assert next(entry for entry in msgspec.structs.fields(kind) if entry.name == field).required


def test_times_are_whole_milliseconds() -> None:
    for kind in (say.InputAudioBufferSpeechStarted, say.InputAudioBufferSpeechStopped, say.ConversationItemTruncated):
        for field in msgspec.structs.fields(kind):
            if field.name.endswith("_ms"):
                assert field.type is int


def test_pcm_always_shows_its_rate_and_g711_none() -> None:
    assert msgspec.to_builtins(AudioFormat()) == {"type": "audio/pcm", "rate": 24_000}
    assert msgspec.to_builtins(AudioFormat(type="audio/pcm", rate=8_000))["rate"] == 8_000
    assert msgspec.to_builtins(AudioFormat(type="audio/pcm", rate=44_100))["rate"] == 24_000
    assert msgspec.to_builtins(AudioFormat(type="audio/pcmu", rate=24_000)) == {"type": "audio/pcmu"}
    assert (AudioFormat().rate_hz, AudioFormat(type="audio/pcma").rate_hz) == (24_000, 8_000)


def test_a_rate_limit_is_of_tokens_or_requests() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "sound", "limit": 1, "remaining": 1, "reset_seconds": 0}, type=say.RateLimit)


@pytest.mark.parametrize("item", ITEMS)
def test_an_item_has_no_key_that_does_not_apply(item: MessageItem) -> None:
    body = msgspec.to_builtins(item)
    own = {"message": {"role", "content"}, "function_call": {"call_id", "name", "arguments"}}
    own["function_call_output"] = {"call_id", "output"}
    assert body.keys() == {"type", "id", "status"} | own[body["type"]]
    for part in body.get("content", ()):
        assert part.keys() <= {"type", "text", "audio", "transcript", "image_url", "detail"}
        assert all(value is not None for key, value in part.items() if key != "transcript")


def test_a_content_part_has_only_its_own_key() -> None:
    assert msgspec.to_builtins(TextPart(text="")) == {"type": "text", "text": ""}
    assert msgspec.to_builtins(AudioPart(transcript="")) == {"type": "audio", "transcript": ""}


def test_a_failed_transcription_has_a_code_and_no_null() -> None:
    event = next(event for event in EVENTS if isinstance(event, say.ConversationItemInputAudioTranscriptionFailed))
    assert None not in wire(event)["error"].values()
    assert wire(event)["error"]["code"]


def test_a_current_item_says_output_text_and_output_audio() -> None:
    assert msgspec.to_builtins(WRITTEN)["content"][0]["type"] == "output_text"
    assert msgspec.to_builtins(SPOKEN)["content"][0]["type"] == "output_audio"


def test_the_echo_of_a_transcription_is_exactly_three_keys_and_the_voice_a_plain_string() -> None:
    session = session_to_wire(SESSIONS[1])
    assert session["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": "en", "prompt": None}
    assert session["audio"]["output"]["voice"] == "alloy"


@pytest.mark.parametrize("response", [RUNNING, *ENDED])
def test_a_response_has_every_key_always(response: Response) -> None:
    body = wire(say.ResponseDone(**E, response=response))["response"]
    assert list(body) == [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "conversation_id",
        "output_modalities",
        "max_output_tokens",
        "audio",
        "usage",
        "metadata",
    ]
    assert body["object"] == "realtime.response"
    assert isinstance(body["output"], list)


def test_usage_adds_up_and_has_no_null() -> None:
    assert msgspec.to_builtins(USAGE) == {
        "total_tokens": 40,
        "input_tokens": 30,
        "output_tokens": 10,
        "input_token_details": {
            "text_tokens": 20,
            "audio_tokens": 10,
            "image_tokens": 0,
            "cached_tokens": 5,
            "cached_tokens_details": {"text_tokens": 5, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 3, "audio_tokens": 7},
    }
    assert "null" not in msgspec.json.encode(Usage()).decode()


def test_an_error_has_all_five_keys_even_when_nothing_is_known() -> None:
    assert wire(EVENTS[0])["error"] == {
        "type": "invalid_request_error",
        "code": None,
        "message": "no",
        "param": None,
        "event_id": None,
    }


def test_the_first_item_says_that_nothing_came_before() -> None:
    assert wire(say.ConversationItemAdded(**E, previous_item_id=None, item=USER))["previous_item_id"] is None
    assert wire(say.InputAudioBufferCommitted(**E, previous_item_id=None, item_id="i"))["previous_item_id"] is None
