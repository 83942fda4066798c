"""The audio settings of a session: formats, transcription, noise reduction, turn detection.

Each comes with two functions: `merge_*` applies a client's request to the present setting, and `*_to_wire` shows the setting.
Defaults are those of OpenAI's live API, seen in `session.created`.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from agentvoicebox.wire.checks import (
    missing,
    not_valid,
    read_choice,
    read_flag,
    read_integer,
    read_number,
    read_object,
    read_text,
    reject_unknown,
    wrong_type,
)

PCM_RATE_HZ = 24_000  # the only PCM rate that strict clients parse, so no other one is shown unasked
PCM_RATES_HZ = (8_000, 16_000, PCM_RATE_HZ)  # the others are an extension of ours, for devices that speak them
G711_RATE_HZ = 8_000

LONGEST_PADDING_MS = 10_000  # far more than a breath; bounds the audio kept before an onset
LONGEST_SILENCE_MS = 60_000  # a minute of silence is not a pause; idle timeouts are for that
IDLE_TIMEOUT_RANGE_MS = (5_000, 30_000)

AudioType = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]

# the last three are the beta spelling
_AUDIO_TYPES: dict[str, AudioType] = {
    "audio/pcm": "audio/pcm",
    "audio/pcmu": "audio/pcmu",
    "audio/pcma": "audio/pcma",
    "pcm16": "audio/pcm",
    "g711_ulaw": "audio/pcmu",
    "g711_alaw": "audio/pcma",
}
_SERVER_VAD_ONLY = ("threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms")
_SEMANTIC_VAD_ONLY = ("eagerness",)
_BOTH_VADS = ("create_response", "interrupt_response")


class AudioFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How samples are written: 16-bit little-endian mono PCM at 8, 16 or 24 kHz, or G.711 at 8 kHz (which has no `rate`)."""

    type: AudioType = "audio/pcm"
    rate: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        """PCM always shows its rate, G.711 never does."""
        if self.type != "audio/pcm":
            msgspec.structs.force_setattr(self, "rate", UNSET)
        elif self.rate not in PCM_RATES_HZ:
            msgspec.structs.force_setattr(self, "rate", PCM_RATE_HZ)

    @property
    def rate_hz(self) -> int:
        """Samples a second: 8 000, 16 000 or 24 000."""
        return self.rate if isinstance(self.rate, int) else G711_RATE_HZ

    @property
    def sample_bytes(self) -> int:
        """Bytes a sample: 2 or 1."""
        return 2 if self.type == "audio/pcm" else 1


class Transcription(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and how the caller's speech is transcribed.

    Attributes:
        model: a name the client knows; `default` leaves the choice to the server.
        language: ISO-639-1 code, or None to detect it.
        prompt: words to expect, or None.
    """

    model: str = "default"
    language: str | None = None
    prompt: str | None = None


class NoiseReduction(msgspec.Struct, frozen=True, kw_only=True):
    """The position of the microphone. `strength` is 0 to 1 and only shown when a client set it."""

    type: Literal["near_field", "far_field"]
    strength: float | UnsetType = UNSET


class TurnDetection(msgspec.Struct, frozen=True, kw_only=True):
    """How the end of a turn is detected.

    Attributes:
        threshold: speech probability from which a sound counts as speech, 0 to 1. `server_vad` only, like the next three.
        prefix_padding_ms: how much audio before the onset belongs to the turn.
        silence_duration_ms: how much silence ends the turn.
        idle_timeout_ms: after so long without speech the assistant speaks again, 5000 to 30000; null: never.
        eagerness: how soon a turn counts as over. `semantic_vad` only.
        create_response: whether the end of a turn starts a response.
        interrupt_response: whether speech stops a running response.
    """

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    idle_timeout_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


def merge_format(value: object, current: AudioFormat, path: str) -> AudioFormat:
    """The format a client requests. An object without `type` keeps the present type, and then without `rate` the rate.

    A bare name is accepted, too. PCM that comes without a rate is at 24 kHz.

    Raises:
        InvalidEvent: `invalid_value`, which lists the rates; `unknown_parameter`.
    """
    if isinstance(value, str):
        return AudioFormat(type=_AUDIO_TYPES[read_choice(value, path, _AUDIO_TYPES)])
    body = read_object(value, path)
    reject_unknown(body, ("type", "rate"), path)
    wanted = current
    if body.get("type") is not None:
        wanted = AudioFormat(type=_AUDIO_TYPES[read_choice(body["type"], f"{path}.type", _AUDIO_TYPES)])
    if body.get("rate") is None:
        return wanted
    rates = PCM_RATES_HZ if wanted.type == "audio/pcm" else (G711_RATE_HZ,)
    return AudioFormat(type=wanted.type, rate=_read_rate(body["rate"], f"{path}.rate", rates))


def _read_rate(value: object, path: str, rates: tuple[int, ...]) -> int:
    rate = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(rate, bool) or not isinstance(rate, int):
        raise wrong_type(value, path, "an integer")
    if rate not in rates:
        raise not_valid(path, rate, f"Supported values are: {', '.join(map(str, rates))}.")
    return rate


def merge_transcription(value: object, current: Transcription | None, path: str) -> Transcription | None:
    """None switches it off; an object changes only the keys it has. Newer hosted keys are accepted and ignored."""
    if value is None:
        return None
    body = read_object(value, path)
    reject_unknown(body, ("model", "language", "prompt", "delay", "keywords", "languages"), path)
    changes: dict[str, Any] = {}
    if body.get("model") is not None:
        changes["model"] = read_text(body["model"], f"{path}.model")
    for key in ("language", "prompt"):
        if key in body:
            changes[key] = None if body[key] is None else read_text(body[key], f"{path}.{key}")
    return msgspec.structs.replace(current or Transcription(), **changes)


def merge_noise_reduction(value: object, current: NoiseReduction | None, path: str) -> NoiseReduction | None:
    """None switches it off; an object changes only the keys it has."""
    if value is None:
        return None
    body = read_object(value, path)
    reject_unknown(body, ("type", "strength"), path)
    changes: dict[str, Any] = {}
    if body.get("type") is not None:
        changes["type"] = read_choice(body["type"], f"{path}.type", ("near_field", "far_field"))
    elif current is None:
        raise missing(f"{path}.type")
    if body.get("strength") is not None:
        changes["strength"] = read_number(body["strength"], f"{path}.strength", 0, 1)
    return NoiseReduction(**changes) if current is None else msgspec.structs.replace(current, **changes)


def _read_turn_detection_key(key: str, value: object, path: str) -> object:
    match key:
        case "threshold":
            return read_number(value, path, 0, 1)
        case "prefix_padding_ms":
            return read_integer(value, path, 0, LONGEST_PADDING_MS)
        case "silence_duration_ms":
            return read_integer(value, path, 0, LONGEST_SILENCE_MS)
        case "idle_timeout_ms":
            return read_integer(value, path, *IDLE_TIMEOUT_RANGE_MS)
        case "eagerness":
            return read_choice(value, path, ("low", "medium", "high", "auto"))
        case _:
            return read_flag(value, path)


def merge_turn_detection(value: object, current: TurnDetection | None, path: str) -> TurnDetection | None:
    """None means manual turns. With `type` the object replaces the setting; without, it changes the present one.

    (A server that dropped `type` in a shallow merge switched detection off this way.) A null inside means absent, except
    for `idle_timeout_ms`. A key of the other kind of detection is an unknown parameter unless it is null.
    """
    if value is None:
        return None
    body = read_object(value, path)
    if body.get("type") is not None:
        kind = read_choice(body["type"], f"{path}.type", ("server_vad", "semantic_vad"))
        base = TurnDetection(type="server_vad" if kind == "server_vad" else "semantic_vad")
    else:
        base = current or TurnDetection()
    own = _SERVER_VAD_ONLY if base.type == "server_vad" else _SEMANTIC_VAD_ONLY
    given = {key: field for key, field in body.items() if key != "type" and field is not None}
    reject_unknown(given, own + _BOTH_VADS, path)
    reject_unknown(body, ("type", *_SERVER_VAD_ONLY, *_SEMANTIC_VAD_ONLY, *_BOTH_VADS), path)
    changes = {key: _read_turn_detection_key(key, field, f"{path}.{key}") for key, field in given.items()}
    if "idle_timeout_ms" in body:
        changes.setdefault("idle_timeout_ms", None)
    return msgspec.structs.replace(base, **changes)


def format_to_wire(audio_format: AudioFormat) -> dict[str, Any]:
    """`{type, rate}` for PCM, `{type}` for G.711."""
    body: dict[str, Any] = msgspec.to_builtins(audio_format)
    return body


def transcription_to_wire(transcription: Transcription | None) -> dict[str, Any] | None:
    """Exactly `model`, `language`, `prompt`: a further key breaks some clients."""
    if transcription is None:
        return None
    return {"model": transcription.model, "language": transcription.language, "prompt": transcription.prompt}


def noise_reduction_to_wire(noise_reduction: NoiseReduction | None) -> dict[str, Any] | None:
    """`{type}`, with `strength` when a client set it."""
    body: dict[str, Any] | None = msgspec.to_builtins(noise_reduction)
    return body


def turn_detection_to_wire(turn_detection: TurnDetection | None, *, answers: bool) -> dict[str, Any] | None:
    """The settings of the active kind, always complete.

    Args:
        turn_detection: None for manual turns.
        answers: False in a transcription session, which has nothing to create, interrupt or time out.
    """
    if turn_detection is None:
        return None
    if turn_detection.type == "semantic_vad":
        keys: tuple[str, ...] = _SEMANTIC_VAD_ONLY
    else:
        keys = _SERVER_VAD_ONLY if answers else _SERVER_VAD_ONLY[:3]
    if answers:
        keys += _BOTH_VADS
    return {"type": turn_detection.type} | {key: getattr(turn_detection, key) for key in keys}
