"""A transcript in the response formats of OpenAI's audio API, and the events of a streamed one."""

from collections.abc import Sequence
from typing import Any

import msgspec

from agentvoicebox.wire.transcription_request import TranscriptFormat

CONTENT_TYPES: dict[TranscriptFormat, str] = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "verbose_json": "application/json",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


class TranscriptSegment(msgspec.Struct, frozen=True):
    """A piece of a recording with its words.

    Attributes:
        start_s, end_s: seconds from the beginning of the recording.
    """

    start_s: float
    end_s: float
    text: str


class RecordingTranscript(msgspec.Struct, frozen=True):
    """All words of a recording.

    Attributes:
        duration_s: of the recording, silence included.
        language: as the request named it; empty when it named none.
    """

    segments: Sequence[TranscriptSegment]
    duration_s: float
    language: str = ""

    @property
    def text(self) -> str:
        """The words without times."""
        return " ".join(segment.text for segment in self.segments)

    @property
    def usage(self) -> dict[str, Any]:
        """What the recording counts for, as OpenAI reports it for Whisper."""
        return {"type": "duration", "seconds": round(self.duration_s)}


def body_of(transcript: RecordingTranscript, format: TranscriptFormat) -> bytes:
    """The body of the answer."""
    match format:
        case "json":
            return msgspec.json.encode({"text": transcript.text, "usage": transcript.usage})
        case "verbose_json":
            return msgspec.json.encode(_verbose(transcript))
        case "text":
            return f"{transcript.text}\n".encode()
        case "srt":
            return _subtitles(transcript.segments, ",").encode()
        case "vtt":
            return ("WEBVTT\n\n" + _subtitles(transcript.segments, ".", is_numbered=False)).encode()


def delta_event(text: str, *, is_first: bool) -> dict[str, Any]:
    """`transcript.text.delta`: the words of the next piece. All deltas together are the text of the `done` event."""
    return {"type": "transcript.text.delta", "delta": text if is_first else f" {text}"}


def done_event(transcript: RecordingTranscript) -> dict[str, Any]:
    """`transcript.text.done`."""
    return {"type": "transcript.text.done", "text": transcript.text, "usage": transcript.usage}


def _verbose(transcript: RecordingTranscript) -> dict[str, Any]:
    """Figures that our recognisers don't give are what Whisper reports for a certain piece."""
    segments = [
        {
            "id": number,
            "seek": 0,
            "start": round(segment.start_s, 3),
            "end": round(segment.end_s, 3),
            "text": segment.text,
            "tokens": [],
            "temperature": 0.0,
            "avg_logprob": 0.0,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.0,
        }
        for number, segment in enumerate(transcript.segments)
    ]
    return {
        "task": "transcribe",
        "language": transcript.language,
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
        "segments": segments,
        "usage": transcript.usage,
    }


def _subtitles(segments: Sequence[TranscriptSegment], mark: str, *, is_numbered: bool = True) -> str:
    blocks = []
    for number, segment in enumerate(segments, start=1):
        times = f"{_clock_time(segment.start_s, mark)} --> {_clock_time(segment.end_s, mark)}"
        blocks.append((f"{number}\n" if is_numbered else "") + f"{times}\n{segment.text}\n\n")
    return "".join(blocks)


def _clock_time(seconds: float, mark: str) -> str:
    """`00:01:02,345`; `mark` separates the milliseconds."""
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{ms:03}"
