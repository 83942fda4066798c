"""The retired (beta) spelling of fields, translated to GA.

Old clients are recognised by `wire/dialect`; but flat fields and old part types also arrive on GA connections, and
a server that ignores them silently leaves the client with an unexpected session. So they are always accepted.
Where both spellings are given, GA wins. Errors name the GA path.
"""

from typing import Any

_SESSION_NAMES = {"modalities": "output_modalities", "max_response_output_tokens": "max_output_tokens"}
_SESSION_PLACES = {
    "input_audio_format": ("input", "format"),
    "input_audio_transcription": ("input", "transcription"),
    "input_audio_noise_reduction": ("input", "noise_reduction"),
    "turn_detection": ("input", "turn_detection"),
    "output_audio_format": ("output", "format"),
    "voice": ("output", "voice"),
    "speed": ("output", "speed"),
}
_RESPONSE_PLACES = {key: _SESSION_PLACES[key] for key in ("output_audio_format", "voice")}
_PARTS = {
    "user": {"text": "input_text", "audio": "input_audio"},
    "system": {"text": "input_text"},
    "assistant": {"text": "output_text", "audio": "output_audio"},
}


def _unflatten(body: dict[str, Any], places: dict[str, tuple[str, str]]) -> dict[str, Any]:
    old = [key for key in body if key in places or key in _SESSION_NAMES]
    if not old:
        return body
    new = {key: value for key, value in body.items() if key not in old}
    for key in old:
        if key in _SESSION_NAMES:
            new.setdefault(_SESSION_NAMES[key], body[key])
            continue
        side, name = places[key]
        audio = {} if new.get("audio") is None else new["audio"]
        inner = audio.get(side) if isinstance(audio, dict) else None
        if not isinstance(audio, dict) or not isinstance(inner, dict | None):
            continue  # invalid anyway; the error names it when it is read
        new["audio"] = {**audio, side: {name: body[key], **(inner or {})}}
    return new


def session_to_ga(session: dict[str, Any]) -> dict[str, Any]:
    """A session patch with its flat fields moved to their GA places. The argument is not changed."""
    return _unflatten(session, _SESSION_PLACES)


def response_to_ga(response: dict[str, Any]) -> dict[str, Any]:
    """The body of `response.create` with its flat fields moved to their GA places. The argument is not changed."""
    return _unflatten(response, _RESPONSE_PLACES)


def item_to_ga(item: dict[str, Any]) -> dict[str, Any]:
    """An item whose parts have GA types, without null-valued keys. The argument is not changed.

    Clients that serialise whole objects send `null` for what an item doesn't have; it means absent.
    """
    new = {key: value for key, value in item.items() if value is not None}
    role, content = new.get("role"), new.get("content")
    if not isinstance(role, str) or not isinstance(content, list):
        return new
    names = _PARTS.get(role, {})
    new["content"] = [_part_to_ga(part, names) if isinstance(part, dict) else part for part in content]
    return new


def _part_to_ga(part: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    new = {key: value for key, value in part.items() if value is not None}
    kind = new.get("type")
    if isinstance(kind, str) and kind in names:
        new["type"] = names[kind]
    return new
