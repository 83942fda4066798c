"""Reads the two larger structures of client events: an item, and the options of a response."""

import binascii
from collections.abc import Callable
from typing import Any

import msgspec

from agentvoicebox.wire import bounds, checks, legacy
from agentvoicebox.wire.audio_config import AudioFormat, merge_format
from agentvoicebox.wire.client_events import AudioOptions, AudioOutputOptions, ResponseOptions
from agentvoicebox.wire.items import (
    InputAudio,
    InputImage,
    InputText,
    Item,
    ItemReference,
    MessageItem,
    OutputAudio,
    OutputText,
    Part,
)

MAX_AUDIO_BYTES = 15 * 1024 * 1024  # decoded; OpenAI's limit for one append
_MAX_AUDIO_TEXT = (MAX_AUDIO_BYTES + 2) // 3 * 4

_PARTS_OF_ROLE: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "user": (InputText, InputAudio, InputImage),
    "system": (InputText,),
    "assistant": (OutputText, OutputAudio),
}
# Fields of hosted models, retired or newer than this server.
_HOSTED_ONLY = frozenset({"temperature"})


def check_audio_length(length: int, param: str = "audio") -> None:
    """Raise InvalidEvent if so many characters of base64 hold more than 15 MiB."""
    if length > _MAX_AUDIO_TEXT:
        message = f"Invalid '{param}': more than {MAX_AUDIO_BYTES // 1024**2} MiB of audio in one event."
        raise checks.fault(message, "invalid_value", param)


def decode_audio(text: str, param: str = "audio") -> bytes:
    """The decoded base64 audio, as raw bytes of the session's input format.

    Args:
        text: standard alphabet, padded, no white space; empty is no audio.
        param: the field that an error names.

    Raises:
        InvalidEvent: `invalid_value` when it is not base64 or holds more than 15 MiB.
    """
    check_audio_length(len(text), param)
    try:
        if len(text) % 4 or text.endswith("==="):  # the parser itself accepts too much padding
            raise binascii.Error("its padding is wrong")
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # binascii.Error, or text beyond ASCII
        raise checks.fault(f"Invalid '{param}': expected base64, but {error}.", "invalid_value", param) from error


def _convert(body: dict[str, Any], kind: Any, path: str) -> Any:
    try:
        return msgspec.convert(body, type=kind)
    except msgspec.ValidationError as error:
        raise checks.from_validation(error, path) from error


def read_item(value: object, path: str) -> Item:
    """A client's item, with the parts that its role allows. `id` stays empty when the client gave none.

    Assistant audio becomes assistant text: only the server creates assistant audio.

    Raises:
        InvalidEvent: `missing_required_parameter`, `unknown_parameter`, `invalid_value`, `string_above_max_length` or
            `array_above_max_length`, with the path of the field.
    """
    body = legacy.item_to_ga(checks.read_object(value, path))
    item: Item = _convert(body, Item, path)
    bounds.check_item(item, path)
    if not isinstance(item, MessageItem):
        return item
    parts = tuple(_read_part(part, item.role, f"{path}.content[{index}]") for index, part in enumerate(item.content))
    return msgspec.structs.replace(item, content=parts)


def _read_part(part: Part, role: str, path: str) -> Part:
    if not isinstance(part, _PARTS_OF_ROLE[role]):
        allowed = ", ".join(f"'{kind.__struct_config__.tag}'" for kind in _PARTS_OF_ROLE[role])
        kind = type(part).__struct_config__.tag
        raise checks.not_valid(f"{path}.type", kind, f"Supported values for role '{role}' are: {allowed}.")
    match part:
        case OutputAudio():
            if not isinstance(part.transcript, str):
                raise checks.missing(f"{path}.text")
            return OutputText(text=part.transcript)
        case InputAudio():
            if isinstance(part.audio, str):
                decode_audio(part.audio, f"{path}.audio")
            elif not isinstance(part.transcript, str):
                raise checks.missing(f"{path}.audio")
        case InputImage():
            if not part.image_url.startswith("data:image/"):
                raise checks.not_valid(f"{path}.image_url", part.image_url, "Send the picture itself, as a data URI.")
        case _:
            pass
    return part


def _read_input(value: object, path: str) -> tuple[Item | ItemReference, ...]:
    if not isinstance(value, list):
        raise checks.wrong_type(value, path, "an array")
    bounds.check_count(len(value), bounds.MAX_INPUT_ITEMS, path)
    items = tuple(_read_input_item(entry, f"{path}[{index}]") for index, entry in enumerate(value))
    own = sum(bounds.item_bytes(item) for item in items if not isinstance(item, ItemReference))
    bounds.check_bytes(own, bounds.MAX_INPUT_BYTES, path)
    return items


def _read_input_item(value: object, path: str) -> Item | ItemReference:
    if isinstance(value, dict) and value.get("type") == "item_reference":
        reference: ItemReference = _convert(value, ItemReference, path)
        bounds.check_chars(reference.id, bounds.MAX_ID_CHARS, f"{path}.id")
        return reference
    return read_item(value, path)


def _read_audio_options(value: object, path: str) -> AudioOptions:
    body = checks.read_object(value, path)
    checks.reject_unknown(body, ("output",), path)
    if body.get("output") is None:
        return AudioOptions()
    path = f"{path}.output"
    output = checks.read_object(body["output"], path)
    checks.reject_unknown(output, ("format", "voice"), path)
    audio_format, voice = output.get("format"), output.get("voice")
    return AudioOptions(
        output=AudioOutputOptions(
            format=None if audio_format is None else merge_format(audio_format, AudioFormat(), f"{path}.format"),
            voice=None if voice is None else checks.read_voice(voice, f"{path}.voice"),
        )
    )


_OPTIONS: dict[str, Callable[[object, str], object]] = {
    "conversation": lambda value, path: checks.read_choice(value, path, ("auto", "none")),
    "input": _read_input,
    "instructions": checks.read_text,
    "tools": checks.read_tools,
    "tool_choice": checks.read_tool_choice,
    "output_modalities": checks.read_modalities,
    "audio": _read_audio_options,
    "max_output_tokens": checks.read_token_limit,
    "metadata": checks.read_metadata,
    "prompt": checks.read_prompt,
    "reasoning": checks.read_object,
    "parallel_tool_calls": checks.read_flag,
}


def read_response_options(value: object, path: str = "response") -> ResponseOptions:
    """The options of a response; null anywhere means the session's value.

    Raises:
        InvalidEvent: with the code and dotted path of the first error.
    """
    body = legacy.response_to_ga(checks.read_object(value, path))
    bounds.check_options(body, path)
    options: dict[str, Any] = {}
    for key, field in body.items():
        reader = _OPTIONS.get(key)
        if reader is not None:
            if field is not None:
                options[key] = reader(field, f"{path}.{key}")
        elif key not in _HOSTED_ONLY:
            raise checks.unknown(f"{path}.{key}")
    return ResponseOptions(**options)
