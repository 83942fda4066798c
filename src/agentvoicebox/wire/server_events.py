"""The server's events. The engine decides when they are sent; `wire/dialect` translates them for old clients.

Nullable protocol fields are always written, as null when empty; keys that don't apply (UNSET) are left out. Left out
altogether: `conversation.created` (the live API does not send it), hosted MCP, diarised segments and DTMF.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from agentvoicebox.wire.items import Item, ResponsePart
from agentvoicebox.wire.response import Response


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Identified by its place, not by a tag."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The common part of all server events."""

    event_id: str


# --- session -------------------------------------------------------------------------------------


class ErrorBody(_Shape, frozen=True, kw_only=True):
    """An error. `param` is a dotted path, `event_id` the client's own id of the invalid event."""

    type: str
    code: str | None = None
    message: str
    param: str | None = None
    event_id: str | None = None


class ErrorEvent(_Event, frozen=True, kw_only=True, tag="error"):
    """An error. The session continues, unless a close follows."""

    error: ErrorBody


class SessionCreated(_Event, frozen=True, kw_only=True, tag="session.created"):
    """The first event of a new session."""

    session: dict[str, Any]  # of `session_config.session_to_wire`
    agentvoicebox: dict[str, str] | UnsetType = UNSET


class SessionUpdated(_Event, frozen=True, kw_only=True, tag="session.updated"):
    """The complete session after a change."""

    session: dict[str, Any]


class RateLimit(_Shape, frozen=True, kw_only=True):
    """One limit. Strict clients know no other names."""

    name: Literal["tokens", "requests"]
    limit: int
    remaining: int
    reset_seconds: float


class RateLimitsUpdated(_Event, frozen=True, kw_only=True, tag="rate_limits.updated"):
    """The remaining limits; the last event of a response."""

    rate_limits: tuple[RateLimit, ...]


class TurnTrace(_Event, frozen=True, kw_only=True, tag="agentvoicebox.turn"):
    """The latency of each step of a turn. An extension, sent only on request, because strict clients fail on it."""

    turn: dict[str, Any]


class SessionResumed(_Event, frozen=True, kw_only=True, tag="agentvoicebox.resumed"):
    """The first event of a connection that resumes a session. An extension, sent only on request.

    Attributes:
        audio_start_ms: where to continue the caller's audio, counted from the first sample that was ever appended.
        is_complete: true: every event after the last one that the client received follows. False: that event was too long
            ago, and nothing is sent again.
        last_client_event_id: the last event of the client that the session received, among those with an id.
    """

    session_id: str
    audio_start_ms: int
    is_complete: bool
    last_client_event_id: str | None = None


# --- caller's audio ------------------------------------------------------------------------------


class InputAudioBufferSpeechStarted(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"):
    """The caller began to speak. `item_id` is the user item to come; times count from the first sample appended."""

    audio_start_ms: int
    item_id: str


class InputAudioBufferSpeechStopped(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"):
    """The turn has ended; `audio_end_ms` includes the silence that ended it."""

    audio_end_ms: int
    item_id: str


class InputAudioBufferCommitted(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.committed"):
    """The buffer became a user item."""

    previous_item_id: str | None
    item_id: str


class InputAudioBufferCleared(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"):
    """The buffer was cleared."""


class InputAudioBufferTimeoutTriggered(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"):
    """The caller was silent for `idle_timeout_ms`."""

    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class OutputAudioBufferStarted(_Event, frozen=True, kw_only=True, tag="output_audio_buffer.started"):
    """Playback began. Only for WebRTC and SIP, as are the next two."""

    response_id: str


class OutputAudioBufferStopped(_Event, frozen=True, kw_only=True, tag="output_audio_buffer.stopped"):
    """Everything was played."""

    response_id: str


class OutputAudioBufferCleared(_Event, frozen=True, kw_only=True, tag="output_audio_buffer.cleared"):
    """Playback was stopped."""

    response_id: str


# --- conversation --------------------------------------------------------------------------------


class ConversationItemAdded(_Event, frozen=True, kw_only=True, tag="conversation.item.added"):
    """An item entered the conversation; `previous_item_id` is null for the first."""

    previous_item_id: str | None
    item: Item


class ConversationItemDone(_Event, frozen=True, kw_only=True, tag="conversation.item.done"):
    """An item is final (except for a user item's transcript)."""

    previous_item_id: str | None
    item: Item


class ConversationItemRetrieved(_Event, frozen=True, kw_only=True, tag="conversation.item.retrieved"):
    """The requested item; one of the caller with its audio, as far as it is kept."""

    item: Item


class ConversationItemTruncated(_Event, frozen=True, kw_only=True, tag="conversation.item.truncated"):
    """The item now ends at `audio_end_ms`."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ConversationItemDeleted(_Event, frozen=True, kw_only=True, tag="conversation.item.deleted"):
    """The item was deleted."""

    item_id: str


class DurationUsage(_Shape, frozen=True, kw_only=True, tag_field="type", tag="duration"):
    """The usage of a transcription in seconds."""

    seconds: float


class TranscriptionInputTokens(_Shape, frozen=True, kw_only=True):
    """The tokens of a transcription by kind."""

    text_tokens: int = 0
    audio_tokens: int = 0


class TokenUsage(_Shape, frozen=True, kw_only=True, tag_field="type", tag="tokens"):
    """The usage of a transcription in tokens."""

    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: TranscriptionInputTokens = TranscriptionInputTokens()


class TranscriptionError(_Shape, frozen=True, kw_only=True):
    """The reason of a failed transcription. Strings only: a null `code` makes strict clients drop the event."""

    type: str
    code: str
    message: str
    param: str | UnsetType = UNSET


class ConversationItemInputAudioTranscriptionDelta(
    _Event, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.delta"
):
    """A delta of a user item's transcript; text is only ever appended."""

    item_id: str
    content_index: int
    delta: str


class ConversationItemInputAudioTranscriptionCompleted(
    _Event, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.completed"
):
    """A user item's transcript, possibly empty. Each committed item gets exactly one of this and `failed`."""

    item_id: str
    content_index: int
    transcript: str
    usage: DurationUsage | TokenUsage


class ConversationItemInputAudioTranscriptionFailed(
    _Event, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.failed"
):
    """A user item has no transcript."""

    item_id: str
    content_index: int
    error: TranscriptionError


# --- response ------------------------------------------------------------------------------------


class ResponseCreated(_Event, frozen=True, kw_only=True, tag="response.created"):
    """A response began."""

    response: Response


class ResponseDone(_Event, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, with any status."""

    response: Response


class ResponseOutputItemAdded(_Event, frozen=True, kw_only=True, tag="response.output_item.added"):
    """A response has a further item, still in progress."""

    response_id: str
    output_index: int
    item: Item


class ResponseOutputItemDone(_Event, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item of a response is final."""

    response_id: str
    output_index: int
    item: Item


class _PartEvent(_Event, frozen=True, kw_only=True):
    """Identifies a content part by item and response."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class ResponseContentPartAdded(_PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A message has a new part, still empty."""

    part: ResponsePart


class ResponseContentPartDone(_PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A part is final."""

    part: ResponsePart


class ResponseOutputTextDelta(_PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """A delta of written text."""

    delta: str


class ResponseOutputTextDone(_PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The complete written text."""

    text: str


class ResponseOutputAudioTranscriptDelta(
    _PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"
):
    """A delta of the spoken text."""

    delta: str


class ResponseOutputAudioTranscriptDone(
    _PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """The complete spoken text; the joined deltas."""

    transcript: str


class ResponseOutputAudioDelta(_PartEvent, frozen=True, kw_only=True, tag="response.output_audio.delta"):
    """A delta of audio in the response's output format; base64 on the wire."""

    delta: bytes


class ResponseOutputAudioDone(_PartEvent, frozen=True, kw_only=True, tag="response.output_audio.done"):
    """The end of this part's audio."""


class _CallEvent(_Event, frozen=True, kw_only=True):
    """Identifies a tool call by response. Calls have no content parts."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str


class ResponseFunctionCallArgumentsDelta(
    _CallEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """A delta of a call's JSON text."""

    delta: str


class ResponseFunctionCallArgumentsDone(
    _CallEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """The complete JSON text of a call."""

    name: str
    arguments: str


ServerEvent = (
    ErrorEvent
    | SessionCreated
    | SessionUpdated
    | RateLimitsUpdated
    | TurnTrace
    | SessionResumed
    | InputAudioBufferSpeechStarted
    | InputAudioBufferSpeechStopped
    | InputAudioBufferCommitted
    | InputAudioBufferCleared
    | InputAudioBufferTimeoutTriggered
    | OutputAudioBufferStarted
    | OutputAudioBufferStopped
    | OutputAudioBufferCleared
    | ConversationItemAdded
    | ConversationItemDone
    | ConversationItemRetrieved
    | ConversationItemTruncated
    | ConversationItemDeleted
    | ConversationItemInputAudioTranscriptionDelta
    | ConversationItemInputAudioTranscriptionCompleted
    | ConversationItemInputAudioTranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | ResponseOutputItemAdded
    | ResponseOutputItemDone
    | ResponseContentPartAdded
    | ResponseContentPartDone
    | ResponseOutputTextDelta
    | ResponseOutputTextDone
    | ResponseOutputAudioTranscriptDelta
    | ResponseOutputAudioTranscriptDone
    | ResponseOutputAudioDelta
    | ResponseOutputAudioDone
    | ResponseFunctionCallArgumentsDelta
    | ResponseFunctionCallArgumentsDone
)
