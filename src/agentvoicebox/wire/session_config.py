"""The session: its settings, their wire form, and the changes that a client may make.

An update is applied as a whole: the first error raises and nothing is changed. The engine decides when an update takes
effect (the next response, the next turn).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from agentvoicebox.wire import checks, legacy
from agentvoicebox.wire.audio_config import (
    AudioFormat,
    NoiseReduction,
    Transcription,
    TurnDetection,
    format_to_wire,
    merge_format,
    merge_noise_reduction,
    merge_transcription,
    merge_turn_detection,
    noise_reduction_to_wire,
    transcription_to_wire,
    turn_detection_to_wire,
)
from agentvoicebox.wire.client_events import ResponseOptions
from agentvoicebox.wire.session_note import SessionNote

__all__ = [
    "AudioFormat",
    "NoiseReduction",
    "SessionConfig",
    "Transcription",
    "TurnDetection",
    "apply_update",
    "resolve_response_options",
    "session_to_wire",
]

# Fields of clients that send the whole session back; they never change.
_READ_ONLY = frozenset({"id", "object", "expires_at", "client_secret", "degraded", "notes"})
# Fields of hosted models, retired or newer: refusing them would break clients that treat any error as fatal.
_HOSTED_ONLY = frozenset({"temperature", "reasoning", "parallel_tool_calls"})
_CLEARABLE = frozenset({"tracing", "prompt", "include"})
_FIELDS: dict[str, Callable[[object, str], object]] = {
    "output_modalities": checks.read_modalities,
    "instructions": checks.read_text,
    "tools": checks.read_tools,
    "tool_choice": checks.read_tool_choice,
    "max_output_tokens": checks.read_token_limit,
    "tracing": checks.read_tracing,
    "truncation": checks.read_truncation,
    "prompt": checks.read_prompt,
    "include": checks.read_include,
}
_TRANSCRIPTION_FIELDS = frozenset({"include"})


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a session, in flat attributes. Immutable: an update creates a new one.

    Attributes:
        type: `realtime` is a conversation; `transcription` only transcribes.
        id: `sess_…`.
        model: as the client asked for it; empty in a transcription session.
        expires_at: unix seconds.
        output_modalities: `("audio",)` (with a transcript) or `("text",)`, never both.
        tools: functions in the wire's spelling, checked.
        tool_choice: `auto`, `none`, `required` or `{"type": "function", "name": …}`.
        max_output_tokens: for one response, calls included.
        tracing, truncation, prompt, include: in the wire's spelling, validated.
        turn_detection: None for manual turns.
        speed: 0.25 to 1.5.
    """

    type: Literal["realtime", "transcription"] = "realtime"
    id: str = ""
    model: str = ""
    expires_at: int = 0
    output_modalities: tuple[Literal["audio", "text"], ...] = ("audio",)
    instructions: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str | dict[str, Any] = "auto"
    max_output_tokens: int | Literal["inf"] = "inf"
    tracing: str | dict[str, Any] | None = None
    truncation: str | dict[str, Any] = "auto"
    prompt: dict[str, Any] | None = None
    include: tuple[str, ...] | None = None
    input_format: AudioFormat = AudioFormat()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = TurnDetection()
    output_format: AudioFormat = AudioFormat()
    voice: str = "alloy"
    speed: float = 1.0


USUAL_MODEL = "whisper-1"  # strict clients know this name, and not "default"


def transcription_session(session_id: str, expires_at: int = 0) -> SessionConfig:
    """A session that only transcribes, before its client says anything about it: transcripts are sent from the start."""
    asked = Transcription(model=USUAL_MODEL)
    return SessionConfig(type="transcription", id=session_id, expires_at=expires_at, transcription=asked)


def session_to_wire(
    config: SessionConfig, degraded: Sequence[str] | None = None, notes: Sequence[SessionNote] = ()
) -> dict[str, Any]:
    """The full effective session, as `session.created` and `session.updated` carry it, every null written out.

    Args:
        config: what holds.
        degraded: what does not work now, by name (`speech_synthesis_unavailable`): ours, an extra key that stock clients
            leave alone, unlike an event of a type that they don't know. None leaves it out.
        notes: what a client set and does not get: another extra key, left out when there are none.
    """
    session = _session_to_wire(config)
    if degraded is not None:
        session["degraded"] = list(degraded)
    if notes:
        session["notes"] = [msgspec.to_builtins(note) for note in notes]
    return session


def _session_to_wire(config: SessionConfig) -> dict[str, Any]:
    answers = config.type == "realtime"
    include = None if config.include is None else list(config.include)
    audio_input = {
        "format": format_to_wire(config.input_format),
        "transcription": transcription_to_wire(config.transcription),
        "noise_reduction": noise_reduction_to_wire(config.noise_reduction),
        "turn_detection": turn_detection_to_wire(config.turn_detection, answers=answers),
    }
    if not answers:
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": config.id,
            "expires_at": config.expires_at,
            "include": include,
            "audio": {"input": audio_input},
        }
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": config.id,
        "model": config.model,
        "expires_at": config.expires_at,
        "output_modalities": list(config.output_modalities),
        "instructions": config.instructions,
        "tools": list(config.tools),
        "tool_choice": config.tool_choice,
        "max_output_tokens": config.max_output_tokens,
        "tracing": config.tracing,
        "truncation": config.truncation,
        "prompt": config.prompt,
        "include": include,
        "audio": {
            "input": audio_input,
            "output": {
                "format": format_to_wire(config.output_format),
                "voice": config.voice,
                "speed": config.speed,
            },
        },
    }


def apply_update(
    config: SessionConfig, patch: dict[str, Any], *, voice_locked: bool = False, speed_locked: bool = False
) -> SessionConfig:
    """The session after a `session.update`; or an error, and no change at all.

    Absent keys stay; null clears `tracing`, `prompt`, `include`, `transcription`, `noise_reduction` and
    `turn_detection` and elsewhere means absent. `tools`, `include` and a `turn_detection` with its `type` replace the
    present value; the rest of `audio` merges. `model` is fixed by the connection: clients always resend it, so another one is
    ignored, and the answer shows the one in use. Flat beta fields are accepted.

    Args:
        config: what holds.
        patch: the `session` of the event.
        voice_locked: the caller has heard the voice already, so it can't change any more.
        speed_locked: a response is running, so the speed can't change now.

    Raises:
        InvalidEvent: with the code and dotted path (`session.audio.input.format.rate`) of the first error.
    """
    _check_type(config, patch)
    patch = legacy.session_to_ga(patch)
    allowed = _FIELDS.keys() if config.type == "realtime" else _TRANSCRIPTION_FIELDS
    changes: dict[str, Any] = {}
    for key, value in patch.items():
        path = f"session.{key}"
        if key == "audio":
            if value is not None:
                changes |= _audio_changes(config, checks.read_object(value, path), voice_locked, speed_locked)
        elif key in allowed:
            if value is not None:
                changes[key] = _FIELDS[key](value, path)
            elif key in _CLEARABLE:
                changes[key] = None
        elif key == "model":
            if value is not None:
                checks.read_text(value, path)
        elif key != "type" and key not in _READ_ONLY and key not in _HOSTED_ONLY:
            raise checks.unknown(path)
    _check_tracing(config, changes)
    return msgspec.structs.replace(config, **changes)


def _check_type(config: SessionConfig, patch: dict[str, Any]) -> None:
    kind = patch.get("type")
    if kind is None or kind == config.type:
        return
    checks.read_choice(kind, "session.type", ("realtime", "transcription"))
    raise checks.fault(
        f"This is a {config.type} session; a {kind} update is not allowed.", "invalid_parameter", "session.type"
    )


def _check_tracing(config: SessionConfig, changes: dict[str, Any]) -> None:
    wanted = changes.get("tracing")
    if wanted is not None and config.tracing is not None and wanted != config.tracing:
        raise checks.fault("Tracing can't be changed once it is on.", "invalid_parameter", "session.tracing")


def _audio_changes(
    config: SessionConfig, audio: dict[str, Any], voice_locked: bool, speed_locked: bool
) -> dict[str, Any]:
    checks.reject_unknown(audio, ("input", "output") if config.type == "realtime" else ("input",), "session.audio")
    changes: dict[str, Any] = {}
    if audio.get("input") is not None:
        path = "session.audio.input"
        body = checks.read_object(audio["input"], path)
        checks.reject_unknown(body, ("format", "transcription", "noise_reduction", "turn_detection"), path)
        if body.get("format") is not None:
            changes["input_format"] = merge_format(body["format"], config.input_format, f"{path}.format")
        if "transcription" in body:
            changes["transcription"] = merge_transcription(
                body["transcription"], config.transcription, f"{path}.transcription"
            )
        if "noise_reduction" in body:
            changes["noise_reduction"] = merge_noise_reduction(
                body["noise_reduction"], config.noise_reduction, f"{path}.noise_reduction"
            )
        if "turn_detection" in body:
            changes["turn_detection"] = merge_turn_detection(
                body["turn_detection"], config.turn_detection, f"{path}.turn_detection"
            )
    if audio.get("output") is not None:
        path = "session.audio.output"
        body = checks.read_object(audio["output"], path)
        checks.reject_unknown(body, ("format", "voice", "speed"), path)
        if body.get("format") is not None:
            changes["output_format"] = merge_format(body["format"], config.output_format, f"{path}.format")
        if body.get("voice") is not None:
            changes["voice"] = checks.read_voice(body["voice"], f"{path}.voice")
            if voice_locked and changes["voice"] != config.voice:
                raise checks.fault(
                    "The voice can't be changed once the assistant has spoken.", "cannot_update_voice", f"{path}.voice"
                )
        if body.get("speed") is not None:
            changes["speed"] = checks.read_speed(body["speed"], f"{path}.speed")
            if speed_locked and changes["speed"] != config.speed:
                raise checks.fault(
                    "The speed can't be changed while a response is active.", "invalid_parameter", f"{path}.speed"
                )
    return changes


def resolve_response_options(config: SessionConfig, options: ResponseOptions | None) -> SessionConfig:
    """The session for one response: its options, completed by the session's values. The session itself is not changed."""
    if options is None:
        return config
    names = ("instructions", "tools", "tool_choice", "output_modalities", "max_output_tokens", "prompt")
    changes = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    output = options.audio.output if options.audio is not None else None
    if output is not None and output.format is not None:
        changes["output_format"] = output.format
    if output is not None and output.voice is not None:
        changes["voice"] = output.voice
    return msgspec.structs.replace(config, **changes)
