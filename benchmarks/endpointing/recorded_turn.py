"""What was recorded of the turns, once: speech probabilities, and what the recogniser heard at each pause with its time."""

import gzip
from pathlib import Path

import msgspec

KEPT = Path(__file__).with_name("recorded.jsonl.gz")


class Decode(msgspec.Struct, frozen=True):
    """The recogniser's answer to one probe.

    Attributes:
        speech_end_sample: of the pause, at 16 kHz.
        text: what it heard.
        ms: its time on one thread of the machine that recorded it.
    """

    speech_end_sample: int
    text: str
    ms: float


class RecordedTurn(msgspec.Struct, frozen=True):
    """One turn of the corpus.

    Attributes:
        number, kind, split, voice, line, asked, pauses_ms, tracking_id: see `CorpusTurn`.
        last_piece_sample: where its last piece begins, at 16 kHz.
        end_sample: just after its last sound.
        probabilities: of speech, a byte a window of 512 samples, 255 for 1.
        decodes: by pause, in order.
    """

    number: int
    kind: str
    split: str
    voice: str
    line: str
    asked: str
    pauses_ms: tuple[int, ...]
    tracking_id: str
    last_piece_sample: int
    end_sample: int
    probabilities: bytes
    decodes: tuple[Decode, ...]


class Recording(msgspec.Struct, frozen=True):
    """The turns, and on what they were recorded.

    Attributes:
        machine: name → value, for people.
        recogniser: profile.
        first_chunk_ms: time of a voice to the first chunk of audio, of several answers.
        turns: in the order of the corpus.
    """

    machine: dict[str, str]
    recogniser: str
    first_chunk_ms: tuple[float, ...]
    turns: tuple[RecordedTurn, ...]


def read_recording(file: Path = KEPT) -> Recording:
    """Read a recording. Raises OSError, msgspec.ValidationError."""
    return msgspec.json.decode(gzip.decompress(file.read_bytes()), type=Recording)


def write_recording(recording: Recording, file: Path = KEPT) -> None:
    """Write a recording; the same recording gives the same bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(msgspec.json.encode(recording), mtime=0))
