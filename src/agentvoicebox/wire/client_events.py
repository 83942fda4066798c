"""The client's events. Only shapes: `wire/codec` parses them from frames, the engine executes them."""

from typing import Annotated, Any, Literal

import msgspec

from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.checks import MAX_OUTPUT_TOKENS
from agentvoicebox.wire.items import Item, ItemReference

NonNegative = Annotated[int, msgspec.Meta(ge=0)]
OutputTokenLimit = Annotated[int, msgspec.Meta(ge=1, le=MAX_OUTPUT_TOKENS)]


class _Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Identified by its place, not by a tag."""


class AudioOutputOptions(_Shape, frozen=True, kw_only=True):
    """The audio of one response. Absent or null: the session's value."""

    format: AudioFormat | None = None
    voice: str | None = None


class AudioOptions(_Shape, frozen=True, kw_only=True):
    """The `audio` of `response.create`."""

    output: AudioOutputOptions | None = None


class ResponseOptions(_Shape, frozen=True, kw_only=True):
    """Overrides for one response. Absent or null means the session's value.

    Attributes:
        conversation: `none` makes the response out-of-band: it reads the conversation but adds nothing to it.
        input: items to answer instead of the conversation; empty for no context at all.
        instructions: replace the session's, not add to them.
        tools: checked as `session.tools` are.
        metadata: at most 16 pairs, keys up to 64 and values up to 512 characters; given back in the response.
        prompt, reasoning, parallel_tool_calls: belong to hosted models; accepted and without effect.
    """

    conversation: Literal["auto", "none"] | None = None
    input: tuple[Item | ItemReference, ...] | None = None
    instructions: str | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    output_modalities: tuple[Literal["audio", "text"], ...] | None = None
    audio: AudioOptions | None = None
    max_output_tokens: OutputTokenLimit | Literal["inf"] | None = None
    metadata: dict[str, str] | None = None
    prompt: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """The common part of all client events. `event_id` is the client's own; it is returned in `error.event_id` only."""

    event_id: str | None = None


class SessionUpdate(_Event, frozen=True, kw_only=True, tag="session.update"):
    """Change the session."""

    session: dict[str, Any]  # a patch, for `session_config.apply_update`


class InputAudioBufferAppend(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """Append the caller's audio, in the session's input format, at most 15 MiB."""

    audio: bytes


class InputAudioBufferCommit(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """Make the buffer a user message."""


class InputAudioBufferClear(_Event, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Clear the buffer."""


class ConversationItemCreate(_Event, frozen=True, kw_only=True, tag="conversation.item.create"):
    """Add an item to the conversation: at the end, at the front (`root`), or after the named item."""

    item: Item
    previous_item_id: str | None = None


class ConversationItemRetrieve(_Event, frozen=True, kw_only=True, tag="conversation.item.retrieve"):
    """Get an item, with the audio of what the caller said."""

    item_id: str


class ConversationItemTruncate(_Event, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    """Shorten the assistant's item to the part that the caller heard."""

    item_id: str
    content_index: NonNegative = 0
    audio_end_ms: NonNegative


class ConversationItemDelete(_Event, frozen=True, kw_only=True, tag="conversation.item.delete"):
    """Delete an item of the conversation."""

    item_id: str


class ResponseCreate(_Event, frozen=True, kw_only=True, tag="response.create"):
    """Start a response."""

    response: ResponseOptions | None = None


class ResponseCancel(_Event, frozen=True, kw_only=True, tag="response.cancel"):
    """Cancel the named response, or the conversation's own."""

    response_id: str | None = None


class OutputAudioBufferClear(_Event, frozen=True, kw_only=True, tag="output_audio_buffer.clear"):
    """Stop playback. Only for WebRTC and SIP, where the server controls playback."""


ClientEvent = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemRetrieve
    | ConversationItemTruncate
    | ConversationItemDelete
    | ResponseCreate
    | ResponseCancel
    | OutputAudioBufferClear
)
