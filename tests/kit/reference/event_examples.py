"""An example of each event, in one conversation: the caller asks for a parcel, and the agent for its number.

Pages, the AsyncAPI document and tests read them; a test decodes each with the server's codec and validates it against its schema.
"""

from typing import Any

import msgspec

from agentvoicebox.wire import items as it
from agentvoicebox.wire import response as rs
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.session_config import SessionConfig, session_to_wire
from tests.kit.reference.example_trace import example_trace

Json = dict[str, Any]

SILENCE = "AAAAAAAAAAAAAAAA"  # six samples of PCM; a real append holds 20 to 100 ms
SESSION, RESPONSE, ASKED, SAID, CALL = "sess_7Kd2", "resp_4Qn8", "item_1Va5", "item_2Wb6", "item_3Xc7"
QUESTION, ANSWER = "Where is my parcel?", "What is the tracking number?"
LOOK_UP = {
    "type": "function",
    "name": "find_parcel",
    "description": "Where a parcel is.",
    "parameters": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
}

CLIENT: dict[str, Json] = {
    "session.update": {
        "session": {
            "type": "realtime",
            "instructions": "Answer in one sentence.",
            "tools": [LOOK_UP],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": {"model": "default", "language": "en"},
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
                },
                "output": {"voice": "alloy", "speed": 1.1},
            },
        },
        "event_id": "evt_1",
    },
    "input_audio_buffer.append": {"audio": SILENCE},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "conversation.item.create": {
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        "previous_item_id": "root",
    },
    "conversation.item.retrieve": {"item_id": ASKED},
    "conversation.item.truncate": {"item_id": SAID, "content_index": 0, "audio_end_ms": 1_200},
    "conversation.item.delete": {"item_id": ASKED},
    "response.create": {
        "response": {
            "conversation": "none",
            "input": [{"type": "item_reference", "id": ASKED}],
            "instructions": "Name the topic in one word.",
            "output_modalities": ["text"],
            "metadata": {"purpose": "topic"},
        }
    },
    "response.cancel": {"response_id": RESPONSE},
    "output_audio_buffer.clear": {},
}
"""Each without its `type`, which is its name."""

_SESSION = session_to_wire(SessionConfig(id=SESSION, model="delivery", expires_at=1_790_003_600))
_FORMAT = AudioFormat()
_PLACE: Json = {"response_id": RESPONSE, "item_id": SAID, "output_index": 0, "content_index": 0}
_CALL_PLACE: Json = {"response_id": RESPONSE, "item_id": CALL, "output_index": 1, "call_id": "call_9Ze1"}
_ARGUMENTS = '{"number":"PKG004"}'


def _asked() -> it.MessageItem:
    return it.MessageItem(
        id=ASKED,
        object="realtime.item",
        status="completed",
        role="user",
        content=(it.InputAudio(transcript=QUESTION),),
    )


def _said(status: it.ItemStatus) -> it.MessageItem:
    content = (it.OutputAudio(transcript=ANSWER),) if status == "completed" else ()
    return it.MessageItem(id=SAID, object="realtime.item", status=status, role="assistant", content=content)


def _response(status: rs.ResponseStatus) -> rs.Response:
    is_over = status != "in_progress"
    return rs.Response(
        id=RESPONSE,
        status=status,
        output=(_said("completed"),) if is_over else (),
        conversation_id="conv_6Rt3",
        audio=rs.ResponseAudio(output=rs.ResponseAudioOutput(format=_FORMAT, voice="alloy")),
        usage=rs.Usage.of(input_text=180, input_audio=24, output_text=9, output_audio=41) if is_over else None,
    )


_SERVER: tuple[ev.ServerEvent, ...] = (
    ev.ErrorEvent(
        event_id="event_1",
        error=ev.ErrorBody(
            type="invalid_request_error",
            code="unknown_parameter",
            message="Unknown parameter: 'session.vioce'.",
            param="session.vioce",
            event_id="evt_1",
        ),
    ),
    ev.SessionCreated(event_id="event_2", session=_SESSION),
    ev.SessionUpdated(event_id="event_3", session={**_SESSION, "degraded": ["speech_synthesis_unavailable"]}),
    ev.RateLimitsUpdated(
        event_id="event_4",
        rate_limits=(
            ev.RateLimit(name="requests", limit=600, remaining=598, reset_seconds=41.5),
            ev.RateLimit(name="tokens", limit=200_000, remaining=199_746, reset_seconds=41.5),
        ),
    ),
    ev.TurnTrace(event_id="event_done_resp_1", turn=example_trace()),
    ev.SessionResumed(
        event_id="event_6", session_id=SESSION, audio_start_ms=80_310, is_complete=True, last_client_event_id="evt_7"
    ),
    ev.InputAudioBufferSpeechStarted(event_id="event_7", audio_start_ms=480, item_id=ASKED),
    ev.InputAudioBufferSpeechStopped(event_id="event_8", audio_end_ms=1_980, item_id=ASKED),
    ev.InputAudioBufferCommitted(event_id="event_9", previous_item_id=None, item_id=ASKED),
    ev.InputAudioBufferCleared(event_id="event_10"),
    ev.InputAudioBufferTimeoutTriggered(event_id="event_11", audio_start_ms=9_000, audio_end_ms=15_000, item_id=ASKED),
    ev.OutputAudioBufferStarted(event_id="event_12", response_id=RESPONSE),
    ev.OutputAudioBufferStopped(event_id="event_13", response_id=RESPONSE),
    ev.OutputAudioBufferCleared(event_id="event_14", response_id=RESPONSE),
    ev.ConversationItemAdded(event_id="event_15", previous_item_id=None, item=_asked()),
    ev.ConversationItemDone(event_id="event_16", previous_item_id=None, item=_asked()),
    ev.ConversationItemRetrieved(
        event_id="event_17",
        item=msgspec.structs.replace(_asked(), content=(it.InputAudio(audio=SILENCE, transcript=QUESTION),)),
    ),
    ev.ConversationItemTruncated(event_id="event_18", item_id=SAID, content_index=0, audio_end_ms=1_200),
    ev.ConversationItemDeleted(event_id="event_19", item_id=ASKED),
    ev.ConversationItemInputAudioTranscriptionDelta(
        event_id="event_20", item_id=ASKED, content_index=0, delta="Where is"
    ),
    ev.ConversationItemInputAudioTranscriptionCompleted(
        event_id="event_21",
        item_id=ASKED,
        content_index=0,
        transcript=QUESTION,
        usage=ev.DurationUsage(seconds=1.5),
    ),
    ev.ConversationItemInputAudioTranscriptionFailed(
        event_id="event_22",
        item_id=ASKED,
        content_index=0,
        error=ev.TranscriptionError(
            type="server_error",
            code="speech_recognition_unavailable",
            message="No speech-to-text worker is available.",
        ),
    ),
    ev.ResponseCreated(event_id="event_23", response=_response("in_progress")),
    ev.ResponseDone(event_id="event_24", response=_response("completed")),
    ev.ResponseOutputItemAdded(event_id="event_25", response_id=RESPONSE, output_index=0, item=_said("in_progress")),
    ev.ResponseOutputItemDone(event_id="event_26", response_id=RESPONSE, output_index=0, item=_said("completed")),
    ev.ResponseContentPartAdded(event_id="event_27", part=it.AudioPart(transcript=""), **_PLACE),
    ev.ResponseContentPartDone(event_id="event_28", part=it.AudioPart(transcript=ANSWER), **_PLACE),
    ev.ResponseOutputTextDelta(event_id="event_29", delta="What is ", **_PLACE),
    ev.ResponseOutputTextDone(event_id="event_30", text=ANSWER, **_PLACE),
    ev.ResponseOutputAudioTranscriptDelta(event_id="event_31", delta="What is ", **_PLACE),
    ev.ResponseOutputAudioTranscriptDone(event_id="event_32", transcript=ANSWER, **_PLACE),
    ev.ResponseOutputAudioDelta(event_id="event_33", delta=bytes(12), **_PLACE),
    ev.ResponseOutputAudioDone(event_id="event_34", **_PLACE),
    ev.ResponseFunctionCallArgumentsDelta(event_id="event_35", delta=_ARGUMENTS, **_CALL_PLACE),
    ev.ResponseFunctionCallArgumentsDone(event_id="event_36", name="find_parcel", arguments=_ARGUMENTS, **_CALL_PLACE),
)


def client_example(kind: str) -> Json:
    """What a client sends. Raises KeyError: the event has no example."""
    return {"type": kind, **CLIENT[kind]}


def server_examples() -> dict[str, Json]:
    """What the server sends, by type."""
    bodies = (msgspec.json.decode(msgspec.json.encode(each), type=dict[str, Any]) for each in _SERVER)
    return {body["type"]: body for body in bodies}
