"""The retired spelling, both ways, against the beta types that the official `openai` package still has.

Those types lack `transcription_session.created`, `tool_choice` as an object, and every model but OpenAI's own; they demand
a `client_secret` in a transcription session, which a socket has none of. The tests go around these four by hand.
"""

import json
from typing import Any

import msgspec
import openai.types.beta.realtime as beta_types
import pytest
from openai.types.beta.realtime.realtime_response import RealtimeResponse
from openai.types.beta.realtime.session import Session
from openai.types.beta.realtime.transcription_session_updated_event import TranscriptionSessionUpdatedEvent
from pydantic import TypeAdapter

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire import client_events as said
from agentvoicebox.wire import server_events as say
from agentvoicebox.wire.audio_config import AudioFormat, TurnDetection
from agentvoicebox.wire.codec import decode_client, encode_for
from agentvoicebox.wire.dialect import Dialect, session_to_beta
from agentvoicebox.wire.items import (
    AudioPart,
    FunctionCallItem,
    InputText,
    MessageItem,
    OutputAudio,
    OutputText,
    TextPart,
)
from agentvoicebox.wire.response import Response, ResponseAudio, ResponseAudioOutput, Usage
from agentvoicebox.wire.session_config import SessionConfig, apply_update, session_to_wire

OFFICIAL: TypeAdapter[object] = TypeAdapter(beta_types.RealtimeServerEvent)
E: dict[str, Any] = {"event_id": "event_1"}
PART = E | {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
CALL = FunctionCallItem(id="item_c", call_id="call_1", name="n", arguments="{}")
SPOKEN = MessageItem(id="item_a", role="assistant", content=(OutputAudio(transcript="hi"),))
WRITTEN = MessageItem(id="item_a", role="assistant", content=(OutputText(text="hi"),))
TYPED = MessageItem(id="item_u", role="user", content=(InputText(text="hi"),))
RESPONSE = Response(
    id="resp_1",
    status="completed",
    output=(SPOKEN, CALL),
    audio=ResponseAudio(output=ResponseAudioOutput(format=AudioFormat(type="audio/pcmu"), voice="verse")),
    usage=Usage(),
)


def beta(event: say.ServerEvent) -> dict[str, Any]:
    (frame,) = encode_for(Dialect.BETA, event)
    return msgspec.json.decode(frame, type=dict[str, Any])


def heard(event: dict[str, Any]) -> said.ClientEvent:
    return decode_client(json.dumps(event), dialect=Dialect.BETA)


# --- to the client ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (say.ResponseOutputTextDelta(**PART, delta="h"), "response.text.delta"),
        (say.ResponseOutputTextDone(**PART, text="hi"), "response.text.done"),
        (say.ResponseOutputAudioDelta(**PART, delta=bytes(3)), "response.audio.delta"),
        (say.ResponseOutputAudioDone(**PART), "response.audio.done"),
        (say.ResponseOutputAudioTranscriptDelta(**PART, delta="h"), "response.audio_transcript.delta"),
        (say.ResponseOutputAudioTranscriptDone(**PART, transcript="hi"), "response.audio_transcript.done"),
        (say.ConversationItemAdded(**E, previous_item_id=None, item=TYPED), "conversation.item.created"),
        (say.ResponseContentPartAdded(**PART, part=AudioPart(transcript="")), "response.content_part.added"),
        (say.ResponseContentPartDone(**PART, part=TextPart(text="")), "response.content_part.done"),
        (say.ResponseOutputItemAdded(**E, response_id="r", output_index=0, item=CALL), "response.output_item.added"),
        (say.ResponseOutputItemDone(**E, response_id="r", output_index=0, item=SPOKEN), "response.output_item.done"),
        (say.ConversationItemRetrieved(**E, item=WRITTEN), "conversation.item.retrieved"),
        (say.ResponseCreated(**E, response=RESPONSE), "response.created"),
        (say.ResponseDone(**E, response=RESPONSE), "response.done"),
        (say.InputAudioBufferCommitted(**E, previous_item_id="x", item_id="y"), "input_audio_buffer.committed"),
        (say.InputAudioBufferSpeechStarted(**E, audio_start_ms=1, item_id="y"), "input_audio_buffer.speech_started"),
        (say.ErrorEvent(**E, error=say.ErrorBody(type="server_error", message="no")), "error"),
    ],
)
def test_an_event_has_its_retired_name_and_shape(event: say.ServerEvent, name: str) -> None:
    body = beta(event)
    assert body["type"] == name
    assert body["event_id"] == "event_1"
    parsed = OFFICIAL.validate_python(body)
    assert parsed.type == name  # type: ignore[attr-defined]


def test_an_item_is_announced_once() -> None:
    assert encode_for(Dialect.BETA, say.ConversationItemDone(**E, previous_item_id=None, item=TYPED)) == []
    body = beta(say.ConversationItemAdded(**E, previous_item_id=None, item=TYPED))
    assert body["previous_item_id"] is None
    assert body["item"]["content"] == [{"type": "input_text", "text": "hi"}]


@pytest.mark.parametrize(
    ("item", "part"),
    [(WRITTEN, {"type": "text", "text": "hi"}), (SPOKEN, {"type": "audio", "transcript": "hi"})],
)
def test_what_the_assistant_said_is_text_and_audio(item: MessageItem, part: dict[str, str]) -> None:
    assert beta(say.ConversationItemRetrieved(**E, item=item))["item"]["content"] == [part]
    done = say.ResponseOutputItemDone(**E, response_id="resp_1", output_index=0, item=item)
    assert beta(done)["item"]["content"] == [part]


def test_a_response_is_flat() -> None:
    body = beta(say.ResponseDone(**E, response=RESPONSE))["response"]
    assert "audio" not in body and "output_modalities" not in body
    assert (body["voice"], body["output_audio_format"]) == ("verse", "g711_ulaw")
    assert body["modalities"] == ["audio", "text"]
    assert body["output"][0]["content"] == [{"type": "audio", "transcript": "hi"}]
    assert body["status_details"] is None and body["metadata"] is None
    RealtimeResponse.model_validate(body, strict=True)


def test_a_session_is_flat_and_has_no_type() -> None:
    config = SessionConfig(
        id="sess_1",
        model="gpt-realtime",  # the package's beta types know OpenAI's own models only
        expires_at=9,
        output_modalities=("text",),
        input_format=AudioFormat(type="audio/pcma"),
        tool_choice={"type": "function", "name": "n"},
        max_output_tokens=7,
        turn_detection=TurnDetection(),
    )
    for event in (
        say.SessionCreated(**E, session=session_to_wire(config)),
        say.SessionUpdated(**E, session=session_to_wire(config)),
    ):
        session = beta(event)["session"]
        assert "type" not in session and "audio" not in session and "output_modalities" not in session
        assert session["modalities"] == ["text"]
        assert (session["input_audio_format"], session["output_audio_format"]) == ("g711_alaw", "pcm16")
        assert session["max_response_output_tokens"] == 7
        assert session["tool_choice"] == {"type": "function", "function": {"name": "n"}}
        assert session["turn_detection"]["type"] == "server_vad"
        for name in ("client_secret", "include", "input_audio_noise_reduction", "input_audio_transcription"):
            assert session[name] is None
        # the package describes `tool_choice` as a string only
        Session.model_validate({**session, "tool_choice": "auto"}, strict=True)


def test_a_transcription_session_has_its_own_events() -> None:
    session = session_to_wire(SessionConfig(type="transcription", id="sess_1"))
    assert beta(say.SessionCreated(**E, session=session))["type"] == "transcription_session.created"
    body = beta(say.SessionUpdated(**E, session=session))
    assert body["type"] == "transcription_session.updated"
    assert body["session"]["input_audio_format"] == "pcm16"
    assert "model" not in body["session"] and "voice" not in body["session"]
    # the package demands a client_secret, which a socket has none of
    body["session"]["client_secret"] = {"value": "ek_1", "expires_at": 1}
    TranscriptionSessionUpdatedEvent.model_validate(body)


def test_the_event_itself_is_not_changed() -> None:
    event = say.SessionCreated(**E, session=session_to_wire(SessionConfig(id="sess_1")))
    before = msgspec.json.encode(event)
    beta(event)
    assert msgspec.json.encode(event) == before


def test_a_current_connection_gets_current_words() -> None:
    event = say.ConversationItemDone(**E, previous_item_id=None, item=SPOKEN)
    assert Dialect.GA.from_ga(event) == [msgspec.to_builtins(event)]


# --- from the client -------------------------------------------------------------------------------


def test_a_flat_session_update_means_what_the_nested_one_means() -> None:
    event = heard(
        {
            "type": "session.update",
            "event_id": "mine",
            "session": {
                "modalities": ["text", "audio"],
                "voice": "verse",
                "input_audio_format": "pcm16",
                "input_audio_transcription": {"model": "whisper-1"},
                "turn_detection": None,
                "temperature": 0.8,
                "max_response_output_tokens": "inf",
            },
        }
    )
    assert isinstance(event, said.SessionUpdate) and event.event_id == "mine"
    config = apply_update(SessionConfig(), event.session)
    assert (config.output_modalities, config.voice, config.turn_detection) == (("audio",), "verse", None)
    assert config.transcription is not None and config.transcription.model == "whisper-1"


def test_a_flat_session_comes_back_to_the_same_session() -> None:
    config = SessionConfig(id="sess_1", model="m", voice="verse", turn_detection=TurnDetection(type="semantic_vad"))
    shown = beta(say.SessionUpdated(**E, session=session_to_wire(config)))["session"]
    event = heard({"type": "session.update", "session": shown})
    assert isinstance(event, said.SessionUpdate)
    assert apply_update(config, event.session) == config


def test_a_transcription_update_reaches_a_transcription_session_only() -> None:
    event = heard(
        {
            "type": "transcription_session.update",
            "session": {"input_audio_format": "g711_ulaw", "input_audio_transcription": {"model": "m"}},
        }
    )
    assert isinstance(event, said.SessionUpdate)
    config = apply_update(SessionConfig(type="transcription"), event.session)
    assert config.input_format == AudioFormat(type="audio/pcmu")
    with pytest.raises(InvalidEvent) as caught:
        apply_update(SessionConfig(), event.session)
    assert caught.value.code == "invalid_parameter"


def test_a_flat_response_means_what_the_nested_one_means() -> None:
    event = heard(
        {
            "type": "response.create",
            "response": {
                "modalities": ["text"],
                "voice": "verse",
                "output_audio_format": "g711_alaw",
                "max_response_output_tokens": 5,
                "temperature": 0.6,
                "tool_choice": {"type": "function", "function": {"name": "n"}},
            },
        }
    )
    assert event == said.ResponseCreate(
        response=said.ResponseOptions(
            output_modalities=("text",),
            max_output_tokens=5,
            tool_choice={"type": "function", "name": "n"},
            audio=said.AudioOptions(
                output=said.AudioOutputOptions(voice="verse", format=AudioFormat(type="audio/pcma"))
            ),
        )
    )


def test_an_old_assistant_item_becomes_a_current_one() -> None:
    event = heard(
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}]},
        }
    )
    assert event == said.ConversationItemCreate(item=MessageItem(role="assistant", content=(OutputText(text="hi"),)))


@pytest.mark.parametrize("kind", ["session.update", "transcription_session.update", "response.create"])
@pytest.mark.parametrize("body", [None, [], 1, {"audio": []}, {"audio": {"input": 1, "output": 1}, "voice": "x"}])
def test_what_cannot_be_translated_is_passed_on(kind: str, body: object) -> None:
    key = "response" if kind == "response.create" else "session"
    translated = Dialect.BETA.to_ga({"type": kind, key: body})
    assert key in translated


def test_translation_leaves_its_argument_alone() -> None:
    event = {"type": "session.update", "session": {"voice": "x", "audio": {"output": {"speed": 1}}}}
    before = json.dumps(event)
    Dialect.BETA.to_ga(event)
    assert json.dumps(event) == before


def test_beta_names_pcm_at_24_khz_alone() -> None:
    usual = session_to_beta(session_to_wire(SessionConfig()))
    assert (usual["input_audio_format"], usual["output_audio_format"]) == ("pcm16", "pcm16")
    slow = AudioFormat(rate=16_000)
    shown = session_to_beta(session_to_wire(SessionConfig(input_format=slow, output_format=slow)))
    assert shown["input_audio_format"] == shown["output_audio_format"] == {"type": "audio/pcm", "rate": 16_000}
