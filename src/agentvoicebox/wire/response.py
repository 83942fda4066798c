"""The response object of `response.created` and `response.done`. The engine decides its state."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.items import Item

ResponseStatus = Literal["in_progress", "completed", "cancelled", "incomplete", "failed"]
StatusReason = Literal["turn_detected", "client_cancelled", "max_output_tokens", "content_filter"]


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Identified by its place, not by a tag."""


class ResponseError(_Shape, frozen=True, kw_only=True):
    """The reason of a failed response. All three are strings: a null `code` makes strict clients drop the event."""

    type: str
    code: str
    message: str


class StatusDetails(_Shape, frozen=True, kw_only=True):
    """Details of a response that did not complete.

    Attributes:
        type: the response's status again.
        reason: for `cancelled` and `incomplete`.
        error: for `failed`.
    """

    type: Literal["completed", "cancelled", "incomplete", "failed"]
    reason: StatusReason | UnsetType = UNSET
    error: ResponseError | UnsetType = UNSET


class CachedTokens(_Shape, frozen=True, kw_only=True):
    """The cached part of the input tokens."""

    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0


class InputTokens(_Shape, frozen=True, kw_only=True):
    """The input tokens by kind."""

    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0
    cached_tokens_details: CachedTokens = CachedTokens()


class OutputTokens(_Shape, frozen=True, kw_only=True):
    """The output tokens by kind."""

    text_tokens: int = 0
    audio_tokens: int = 0


class Usage(_Shape, frozen=True, kw_only=True):
    """The tokens of a response. Every number is always present; a null crashes clients that add them up."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: InputTokens = InputTokens()
    output_token_details: OutputTokens = OutputTokens()

    @classmethod
    def of(
        cls,
        *,
        input_text: int = 0,
        input_audio: int = 0,
        input_image: int = 0,
        cached_text: int = 0,
        cached_audio: int = 0,
        output_text: int = 0,
        output_audio: int = 0,
    ) -> "Usage":
        """The usage with sums for these token counts. Cached tokens are part of the input, not in addition to it."""
        input_tokens = input_text + input_audio + input_image
        output_tokens = output_text + output_audio
        return cls(
            total_tokens=input_tokens + output_tokens,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            input_token_details=InputTokens(
                text_tokens=input_text,
                audio_tokens=input_audio,
                image_tokens=input_image,
                cached_tokens=cached_text + cached_audio,
                cached_tokens_details=CachedTokens(text_tokens=cached_text, audio_tokens=cached_audio),
            ),
            output_token_details=OutputTokens(text_tokens=output_text, audio_tokens=output_audio),
        )


class ResponseAudioOutput(_Shape, frozen=True, kw_only=True):
    """The output audio of a response."""

    format: AudioFormat
    voice: str


class ResponseAudio(_Shape, frozen=True, kw_only=True):
    """The `audio` of a response; it only has an output side."""

    output: ResponseAudioOutput


class Response(_Shape, frozen=True, kw_only=True):
    """One response.

    Attributes:
        status_details: null while in progress and when completed.
        output: the items so far, without their audio.
        conversation_id: null for an out-of-band response.
        usage: null in `response.created` only.
        metadata: the client's own, given back unchanged.
    """

    object: Literal["realtime.response"] = "realtime.response"
    id: str
    status: ResponseStatus
    status_details: StatusDetails | None = None
    output: tuple[Item, ...] = ()
    conversation_id: str | None = None
    output_modalities: tuple[Literal["audio", "text"], ...] = ("audio",)
    max_output_tokens: int | Literal["inf"] = "inf"
    audio: ResponseAudio
    usage: Usage | None = None
    metadata: dict[str, str] | None = None
