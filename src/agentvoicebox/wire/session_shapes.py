"""A session on the wire as types, for the schemas of the API's descriptions: as the server shows it, as a client may change it.

The server keeps a flat `SessionConfig` and reads a patch field by field, so that each error has its own path; these types say the
same for readers and validators. Nothing is decoded with them: tests compare them with what is sent, and with what is accepted.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from agentvoicebox.wire import audio_config as ac
from agentvoicebox.wire import bounds, checks
from agentvoicebox.wire.session_note import SessionNote

Modality = Literal["audio", "text"]
Eagerness = Literal["low", "medium", "high", "auto"]
Share = Annotated[float, Meta(ge=0, le=1)]
Padding = Annotated[int, Meta(ge=0, le=ac.LONGEST_PADDING_MS)]
Silence = Annotated[int, Meta(ge=0, le=ac.LONGEST_SILENCE_MS)]
IdleTimeout = Annotated[int, Meta(ge=ac.IDLE_TIMEOUT_RANGE_MS[0], le=ac.IDLE_TIMEOUT_RANGE_MS[1])]
Speed = Annotated[float, Meta(ge=checks.SPEED_RANGE[0], le=checks.SPEED_RANGE[1])]
Tokens = Annotated[int, Meta(ge=1, le=checks.MAX_OUTPUT_TOKENS)]
AudioTypeName = Literal["audio/pcm", "audio/pcmu", "audio/pcma", "pcm16", "g711_ulaw", "g711_alaw"]


class _Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every key is always there."""


class _Changed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An absent key stays as it is."""


class FunctionChoice(_Sent, frozen=True, kw_only=True):
    """The choice of one function."""

    type: Literal["function"] = "function"
    name: str


class FunctionTool(_Changed, frozen=True, kw_only=True):
    """A function of the client. `strict` is ignored."""

    type: Literal["function"] = "function"
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TokenLimits(_Changed, frozen=True, kw_only=True):
    """How many tokens may follow the instructions."""

    post_instructions: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


class RetentionRatio(_Changed, frozen=True, kw_only=True):
    """How much of a long conversation is kept."""

    type: Literal["retention_ratio"]
    retention_ratio: Share
    token_limits: TokenLimits | None = None


class Prompt(_Changed, frozen=True, kw_only=True):
    """A hosted prompt: kept and shown, without effect."""

    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


class Tracing(_Changed, frozen=True, kw_only=True):
    """Hosted tracing: kept and shown, without effect."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: Any = None


class ServerVad(_Sent, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """A turn ends after a fixed silence. A transcription session has the first three alone."""

    threshold: Share
    prefix_padding_ms: Padding
    silence_duration_ms: Silence
    idle_timeout_ms: IdleTimeout | UnsetType | None = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class SemanticVad(_Sent, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """A turn ends after a silence that depends on how finished the sentence sounds."""

    eagerness: Eagerness
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class InputSettings(_Sent, frozen=True, kw_only=True):
    """The caller's audio."""

    format: ac.AudioFormat
    transcription: ac.Transcription | None
    noise_reduction: ac.NoiseReduction | None
    turn_detection: ServerVad | SemanticVad | None


class OutputSettings(_Sent, frozen=True, kw_only=True):
    """The agent's audio."""

    format: ac.AudioFormat
    voice: str
    speed: Speed


class AudioSettings(_Sent, frozen=True, kw_only=True):
    """Both directions."""

    input: InputSettings
    output: OutputSettings


class ListeningSettings(_Sent, frozen=True, kw_only=True):
    """The only direction of a transcription session."""

    input: InputSettings


class RealtimeSession(_Sent, frozen=True, kw_only=True, tag_field="type", tag="realtime"):
    """A conversation, with all settings in force.

    Attributes:
        degraded: an extension: what does not work at the moment.
        notes: an extension: what the client set and does not get.
    """

    object: Literal["realtime.session"]
    id: str
    model: str
    expires_at: int
    output_modalities: list[Modality]
    instructions: str
    tools: list[FunctionTool]
    tool_choice: Literal["auto", "none", "required"] | FunctionChoice
    max_output_tokens: Tokens | Literal["inf"]
    tracing: Literal["auto"] | Tracing | None
    truncation: Literal["auto", "disabled"] | RetentionRatio
    prompt: Prompt | None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None
    audio: AudioSettings
    degraded: list[str] | UnsetType = UNSET
    notes: list[SessionNote] | UnsetType = UNSET


class TranscriptionSession(_Sent, frozen=True, kw_only=True, tag_field="type", tag="transcription"):
    """A session that only transcribes. Attributes as in a conversation."""

    object: Literal["realtime.transcription_session"]
    id: str
    expires_at: int
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None
    audio: ListeningSettings
    degraded: list[str] | UnsetType = UNSET
    notes: list[SessionNote] | UnsetType = UNSET


class FormatChange(_Changed, frozen=True, kw_only=True):
    """An audio format; without `type` the present one."""

    type: AudioTypeName | None = None
    rate: int | None = None


class TranscriptionChange(_Changed, frozen=True, kw_only=True):
    """How the caller's speech is written down. The last three are ignored."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    delay: Any = None
    keywords: Any = None
    languages: Any = None


class NoiseReductionChange(_Changed, frozen=True, kw_only=True):
    """Where the microphone is."""

    type: Literal["near_field", "far_field"] | None = None
    strength: Share | None = None


class TurnDetectionChange(_Changed, frozen=True, kw_only=True):
    """How turns end. With `type` it replaces the setting, without it changes the present one."""

    type: Literal["server_vad", "semantic_vad"] | None = None
    threshold: Share | None = None
    prefix_padding_ms: Padding | None = None
    silence_duration_ms: Silence | None = None
    idle_timeout_ms: IdleTimeout | None = None
    eagerness: Eagerness | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class InputChange(_Changed, frozen=True, kw_only=True):
    """The caller's audio."""

    format: AudioTypeName | FormatChange | None = None
    transcription: TranscriptionChange | None = None
    noise_reduction: NoiseReductionChange | None = None
    turn_detection: TurnDetectionChange | None = None


class VoiceName(_Sent, frozen=True, kw_only=True):
    """A voice by its name."""

    id: str


class OutputChange(_Changed, frozen=True, kw_only=True):
    """The agent's audio."""

    format: AudioTypeName | FormatChange | None = None
    voice: str | VoiceName | None = None
    speed: Speed | None = None


class AudioChange(_Changed, frozen=True, kw_only=True):
    """Either direction."""

    input: InputChange | None = None
    output: OutputChange | None = None


class SessionChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may change. Further keys that are accepted and ignored: those that a session shows."""

    type: Literal["realtime", "transcription"] | None = None
    model: str | None = None
    output_modalities: Annotated[list[Modality], Meta(min_length=1, max_length=2)] | None = None
    instructions: str | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=bounds.MAX_TOOLS)] | None = None
    tool_choice: Literal["auto", "none", "required"] | FunctionChoice | None = None
    max_output_tokens: Tokens | Literal["inf"] | None = None
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = None
    prompt: Prompt | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    audio: AudioChange | None = None


REFERENCE = "#/components/schemas/{name}"


def session_schemas() -> dict[str, dict[str, Any]]:
    """JSON schemas of all that is here, by name, as parts of a document's `components`."""
    kinds = [RealtimeSession, TranscriptionSession, SessionChange]
    schemas = msgspec.json.schema_components(kinds, ref_template=REFERENCE)[1]
    for schema in schemas.values():
        explain(schema)
    return schemas


def explain(schema: dict[str, Any]) -> None:
    """Move what the docstring says of attributes to the properties."""
    about, _, entries = _dedented(schema.get("description", "")).partition("\nAttributes:\n")
    schema["description"] = about.strip()
    for entry in re.split(r"\n {4}(?=[a-z])", f"\n{entries}"):
        names, _, sentence = " ".join(entry.split()).partition(": ")
        for name in names.split(", "):
            field = schema["properties"].get(name)
            if field is not None and sentence and "$ref" not in field:
                field["description"] = sentence


def _dedented(docstring: str) -> str:
    """Without the margin that Python before 3.13 leaves in docstrings."""
    first, *rest = docstring.split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join([first, *(line[margin:] for line in rest)])
