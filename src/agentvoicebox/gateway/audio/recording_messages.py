"""What the process that reads a recording says to the gateway: pieces of speech, then the end, or a refusal."""

from typing import BinaryIO

import msgspec


class SpeechPiece(msgspec.Struct, frozen=True, tag="piece"):
    """Speech of a recording.

    Attributes:
        start_sample, end_sample: of the speech, counted from the recording's beginning at 16 kHz.
        pcm: int16 mono 16 kHz, with a little silence around the speech; below 25 s.
    """

    start_sample: int
    end_sample: int
    pcm: bytes


class RecordingEnd(msgspec.Struct, frozen=True, tag="end"):
    """Nothing follows. `seconds`: the recording's length."""

    seconds: float


class RecordingRefused(msgspec.Struct, frozen=True, tag="refused"):
    """The file is no recording that can be transcribed; `message` says why. Nothing follows."""

    message: str


RecordingMessage = SpeechPiece | RecordingEnd | RecordingRefused
LENGTH_BYTES = 4  # before each message, big-endian

_decoder: msgspec.msgpack.Decoder[RecordingMessage] = msgspec.msgpack.Decoder(RecordingMessage)


def write_message(out: BinaryIO, message: RecordingMessage) -> None:
    """Its length, then MessagePack."""
    body = msgspec.msgpack.encode(message)
    out.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
    out.flush()


def read_message(body: bytes) -> RecordingMessage:
    """The message behind a length. Raises msgspec.MsgspecError."""
    return _decoder.decode(body)
