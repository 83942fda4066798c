"""Reads an append of megabytes in slices, so that its reader can do other work between them.

A frame is decoded whole as a rule. That takes 100 ms for 15 MiB of audio, so from a large frame the audio is cut out: what
remains is a small event that is decoded as always, and the audio is decoded slice by slice.
"""

import binascii
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire import checks
from agentvoicebox.wire.bodies import check_audio_length
from agentvoicebox.wire.client_events import InputAudioBufferAppend
from agentvoicebox.wire.codec import decode_client
from agentvoicebox.wire.dialect import Dialect

MAX_EVENT_BYTES = 512 * 1024
"""Of an event that is not an append. A session.update with all that it may hold has some 200 KiB."""
AROUND_BYTES = 4_096  # before and behind the audio: type and event_id
_AUDIO = re.compile(rb'"audio"\s*:\s*"')
_EVENT_ID = re.compile(rb'"event_id"\s*:\s*"([\x20-\x7e]{1,512}?)"')


class NoAppend(InvalidEvent):
    """A frame longer than an event may be that is not an append."""

    code = "event_too_large"

    def __init__(self, *, event_id: str | None) -> None:
        message = f"An event that is not an append has at most {MAX_EVENT_BYTES // 1024} KiB."
        super().__init__(message, event_id=event_id)


def read_large_append(
    fragments: Sequence[bytes], *, dialect: Dialect = Dialect.GA
) -> tuple[InputAudioBufferAppend, Iterator[bytes]]:
    """The append in a long frame, its audio apart.

    Args:
        fragments: the payload, UTF-8, of at least 8 KiB.
        dialect: how the connection spells the protocol.

    Returns:
        (the event with empty audio, its audio in slices as long as the fragments). The second raises InvalidEvent at something
        that is not base64.

    Raises:
        NoAppend: the frame holds another event, or none.
        InvalidEvent: it holds more than 15 MiB of audio.
    """
    head, tail = _first_bytes(fragments), _last_bytes(fragments)
    begins, ends = _AUDIO.search(head), tail.find(b'"')
    event = None
    if begins is not None and ends >= 0:
        with suppress(InvalidEvent, UnicodeDecodeError):
            event = decode_client((head[: begins.end()] + tail[ends:]).decode(), dialect=dialect)
    if begins is None or not isinstance(event, InputAudioBufferAppend):
        raise NoAppend(event_id=_event_id(head))
    length = sum(map(len, fragments)) - begins.end() - (len(tail) - ends)
    try:
        check_audio_length(length)
    except InvalidEvent as error:
        raise _with_id(error, event.event_id) from None
    return event, _slices(fragments, begins.end(), length, event.event_id)


def _event_id(head: bytes) -> str | None:
    found = _EVENT_ID.search(head)
    return None if found is None else found[1].decode()


def _with_id(error: InvalidEvent, event_id: str | None) -> InvalidEvent:
    error.event_id = event_id
    return error


def _first_bytes(fragments: Sequence[bytes]) -> bytes:
    found = b""
    for each in fragments:
        found += each[:AROUND_BYTES]
        if len(found) >= AROUND_BYTES:
            break
    return found


def _last_bytes(fragments: Sequence[bytes]) -> bytes:
    found = b""
    for each in reversed(fragments):
        found = each[-AROUND_BYTES:] + found
        if len(found) >= AROUND_BYTES:
            break
    return found


def _slices(fragments: Sequence[bytes], start: int, length: int, event_id: str | None) -> Iterator[bytes]:
    """Decode `length` bytes of base64 from `start` on."""
    carried = b""  # what does not fill a group of four yet
    for each in fragments:
        text = each[start : start + length]
        start = max(0, start - len(each))
        length -= len(text)
        text = carried + text
        end = len(text) if not length else len(text) - len(text) % 4
        text, carried = text[:end], text[end:]
        try:
            if length and b"=" in text:
                raise binascii.Error("it goes on behind its padding")
            if len(text) % 4:
                raise binascii.Error("its padding is wrong")
            yield binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            fault = checks.fault(f"Invalid 'audio': expected base64, but {error}.", "invalid_value", "audio")
            raise _with_id(fault, event_id) from error
        if not length:
            return
