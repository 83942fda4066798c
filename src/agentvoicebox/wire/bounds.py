"""How large each field of a client's event may be. `docs/limits.md` shows all bounds in one table.

Sizes are bytes of UTF-8 where nothing else is said. The names of the two errors are OpenAI's own.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    Item,
    MessageItem,
    OutputAudio,
)

KIB = 1024

MAX_INSTRUCTIONS_BYTES = 64 * KIB
MAX_TOOLS = 128
MAX_TOOLS_BYTES = 128 * KIB  # of all tools together, as JSON
MAX_ITEM_TEXT_BYTES = 256 * KIB  # all texts of an item together: parts, arguments, output
MAX_ITEM_IMAGE_BYTES = 384 * KIB  # all pictures of an item together, as data URIs
MAX_ITEM_PARTS = 128
MAX_INPUT_ITEMS = 256  # in the input of one response
MAX_INPUT_BYTES = 512 * KIB  # of these, references not counted
MAX_PROMPT_BYTES = 16 * KIB  # a hosted prompt with its variables; words for the recogniser to expect
MAX_OPTION_BYTES = 4 * KIB  # an object that is kept and shown without effect here (`tracing`, `reasoning`)
MAX_ID_CHARS = 64  # OpenAI's own are 32 at most
MAX_NAME_CHARS = 128  # of a tool, a voice, a model, a language
MAX_EVENT_ID_CHARS = 512  # OpenAI's limit; free text of the client

_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID_CHARS}}}")


def text_bytes(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def json_bytes(value: object) -> int:
    """The length of a JSON value, written compactly."""
    return len(msgspec.json.encode(value))


def check_bytes(found: int, most: int, path: str) -> None:
    """Raise `string_above_max_length` for a text, or several together, of more than `most` bytes."""
    if found > most:
        raise InvalidEvent(
            f"Invalid '{path}': too long. Expected at most {most} bytes, but got {found} bytes instead.",
            code="string_above_max_length",
            param=path,
        )


def check_count(found: int, most: int, path: str) -> None:
    """Raise `array_above_max_length` for more than `most` elements."""
    if found > most:
        raise InvalidEvent(
            f"Invalid '{path}': array too long. Expected at most {most} elements, but got {found} instead.",
            code="array_above_max_length",
            param=path,
        )


def check_chars(text: str, most: int, path: str) -> None:
    """Raise `string_above_max_length` for more than `most` characters, `invalid_value` for a NUL."""
    if len(text) > most:
        raise InvalidEvent(
            f"Invalid '{path}': string too long. Expected at most {most} characters, but got {len(text)} instead.",
            code="string_above_max_length",
            param=path,
        )
    if "\0" in text:
        raise InvalidEvent(f"Invalid '{path}': it contains a NUL character.", code="invalid_value", param=path)


def check_id(text: str, path: str) -> None:
    """Raise unless it is 1 to 64 letters, digits, `_` or `-`: an id is a key in PostgreSQL."""
    check_chars(text, MAX_ID_CHARS, path)
    if _ID.fullmatch(text) is None:
        raise InvalidEvent(
            f"Invalid '{path}': expected 1 to {MAX_ID_CHARS} letters, digits, underscores or hyphens.",
            code="invalid_value",
            param=path,
        )


def check_options(body: dict[str, Any], path: str) -> None:
    """The fields of a session's or a response's options, in the present spelling.

    They are checked where an event enters, not where it is applied: the log of a session is applied again by other versions,
    which may have other bounds. A field of the wrong type is left to its reader.

    Raises:
        InvalidEvent: `string_above_max_length`, `array_above_max_length` or `invalid_value`, with the field's path.
    """
    if isinstance(text := body.get("instructions"), str):
        check_bytes(text_bytes(text), MAX_INSTRUCTIONS_BYTES, f"{path}.instructions")
    if isinstance(tools := body.get("tools"), list):
        check_count(len(tools), MAX_TOOLS, f"{path}.tools")
        check_bytes(json_bytes(tools), MAX_TOOLS_BYTES, f"{path}.tools")
        for index, tool in enumerate(tools):
            _check_name(tool, "name", f"{path}.tools[{index}]")
    _check_name(body, "model", path)
    _check_name(body.get("tool_choice"), "name", f"{path}.tool_choice")
    for name, most in (("prompt", MAX_PROMPT_BYTES), ("tracing", MAX_OPTION_BYTES), ("reasoning", MAX_OPTION_BYTES)):
        if body.get(name) is not None:
            check_bytes(json_bytes(body[name]), most, f"{path}.{name}")
    audio = body.get("audio")
    if isinstance(audio, dict):
        _check_audio(audio, f"{path}.audio")


def _check_audio(audio: dict[str, Any], path: str) -> None:
    output, source = audio.get("output"), audio.get("input")
    if isinstance(output, dict):
        _check_name(output, "voice", f"{path}.output")
        _check_name(output.get("voice"), "id", f"{path}.output.voice")
    if isinstance(source, dict) and isinstance(heard := source.get("transcription"), dict):
        for name in ("model", "language"):
            _check_name(heard, name, f"{path}.input.transcription")
        if isinstance(prompt := heard.get("prompt"), str):
            check_bytes(text_bytes(prompt), MAX_PROMPT_BYTES, f"{path}.input.transcription.prompt")


def _check_name(body: object, name: str, path: str) -> None:
    if isinstance(body, dict) and isinstance(text := body.get(name), str):
        check_chars(text, MAX_NAME_CHARS, f"{path}.{name}")


def item_texts(item: Item) -> Iterator[str]:
    """All texts of an item: what its parts say, arguments, output. Audio and pictures are none."""
    match item:
        case MessageItem():
            for part in item.content:
                text = part.transcript if isinstance(part, InputAudio | OutputAudio) else getattr(part, "text", None)
                if isinstance(text, str):
                    yield text
        case FunctionCallItem():
            yield item.arguments
        case FunctionCallOutputItem():
            yield item.output


def item_images(item: Item) -> Iterator[str]:
    """The pictures of an item, as data URIs."""
    if isinstance(item, MessageItem):
        yield from (part.image_url for part in item.content if isinstance(part, InputImage))


def item_bytes(item: Item) -> int:
    """What an item takes: its texts and pictures."""
    return sum(map(text_bytes, item_texts(item))) + sum(map(text_bytes, item_images(item)))


def check_item(item: Item, path: str) -> None:
    """A client's item, read.

    Raises:
        InvalidEvent: `string_above_max_length`, `array_above_max_length` or `invalid_value`, with the field's path.
    """
    if item.id:
        check_id(item.id, f"{path}.id")
    texts = sum(map(text_bytes, item_texts(item)))
    match item:
        case MessageItem():
            check_count(len(item.content), MAX_ITEM_PARTS, f"{path}.content")
            check_bytes(texts, MAX_ITEM_TEXT_BYTES, f"{path}.content")
            check_bytes(sum(map(text_bytes, item_images(item))), MAX_ITEM_IMAGE_BYTES, f"{path}.content")
        case FunctionCallItem():
            check_id(item.call_id, f"{path}.call_id")
            check_chars(item.name, MAX_NAME_CHARS, f"{path}.name")
            check_bytes(texts, MAX_ITEM_TEXT_BYTES, f"{path}.arguments")
        case FunctionCallOutputItem():
            check_id(item.call_id, f"{path}.call_id")
            check_bytes(texts, MAX_ITEM_TEXT_BYTES, f"{path}.output")
