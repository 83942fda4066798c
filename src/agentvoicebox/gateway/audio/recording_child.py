"""A program: an audio file on its standard input → pieces of speech on its standard output, each a length and a MessagePack.

A process of its own, because it runs C code on files of strangers and takes seconds: what a file breaks here is one request. It
is nice to the calls of this machine, and its memory and processor time are limited. Writes no word and no sample anywhere else.
"""

import contextlib
import io
import os
import resource
import sys
from collections.abc import Iterator

import numpy as np
from soundfile import LibsndfileError, SoundFile

from agentvoicebox.audio.pcm import Int16Array, to_float
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.resample import Resampler
from agentvoicebox.gateway.audio.piece_cutter import PieceCutter
from agentvoicebox.gateway.audio.recording_messages import (
    RecordingEnd,
    RecordingMessage,
    RecordingRefused,
    write_message,
)
from agentvoicebox.providers.vad.silero import WINDOW_SAMPLES, SileroVad

READABLE = ("FLAC", "MP3", "OGG", "WAV", "WAVEX", "RF64", "AIFF")  # as libsndfile names them
NAMES = "WAV, FLAC, MP3, Ogg (Opus or Vorbis) and AIFF"
LONGEST_S = 3_600
MOST_CHANNELS = 8
LEAST_HZ, MOST_HZ = 4_000, 192_000
BLOCK_FRAMES = 16_384
UNKNOWN_FRAMES = 1 << 62  # libsndfile's length of a file that does not state it
MEMORY_BYTES = 2 << 30  # of address space, most of it the libraries'
PROCESSOR_S = 300  # an hour of speech takes about thirty
NICE = 10


class _Refusal(Exception):
    """Its text says what is wrong with the file."""


class _Sequential(SoundFile):  # type: ignore[misc]  # the library has no types
    """A file that is read once, from its beginning: seeking fails where a file does not state its length."""

    def seekable(self) -> bool:
        return False


def main() -> None:
    """Read all of the file, then write the pieces."""
    os.nice(NICE)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, PROCESSOR_S)
    out = sys.stdout.buffer
    try:
        for message in pieces_of(sys.stdin.buffer.read()):
            write_message(out, message)
    except BrokenPipeError:  # the gateway has ended the request
        os._exit(0)


def pieces_of(data: bytes) -> Iterator[RecordingMessage]:
    """The pieces of a file, and its end; or why it is refused, possibly after some pieces."""
    vad, cutter = SileroVad(), PieceCutter()
    state, window, count = vad.new_state()[None], np.zeros(0, np.int16), 0
    try:
        for samples in _samples_of(data):
            count += samples.size
            window = np.concatenate((window, samples))
            while window.size >= WINDOW_SAMPLES:
                head, window = window[:WINDOW_SAMPLES], window[WINDOW_SAMPLES:]
                probabilities, state = vad.probabilities(to_float(head)[None], state)
                yield from cutter.feed(head, float(probabilities[0]))
    except _Refusal as refusal:
        yield RecordingRefused(str(refusal))
        return
    yield from cutter.flush()
    yield RecordingEnd(count / INPUT_RATE_HZ) if count else RecordingRefused("There is no audio in the file.")


def _samples_of(data: bytes) -> Iterator[Int16Array]:
    """The recording as int16 mono 16 kHz. Raises _Refusal."""
    try:
        with _Sequential(io.BytesIO(data)) as file:
            _check(file)
            resampler = Resampler(file.samplerate, INPUT_RATE_HZ)
            left = LONGEST_S * file.samplerate
            while (block := file.read(BLOCK_FRAMES, dtype="int16", always_2d=True)).size:
                left -= len(block)
                if left < 0:
                    raise _Refusal(_too_long())
                mono = block[:, 0] if file.channels == 1 else np.rint(block.mean(axis=1)).astype(np.int16)
                yield resampler.feed(np.ascontiguousarray(mono))
            if resampler.from_hz != resampler.to_hz:
                yield resampler.flush()
    except LibsndfileError as error:
        raise _Refusal(f"The file can't be read as audio. Readable are {NAMES}.") from error
    except ValueError as error:  # a rate that has no small ratio to ours
        raise _Refusal(f"The recording's sample rate, {file.samplerate} Hz, is not supported.") from error


def _check(file: SoundFile) -> None:
    if file.format not in READABLE:
        raise _Refusal(f"The file can't be read as audio. Readable are {NAMES}.")
    if not 1 <= file.channels <= MOST_CHANNELS:
        raise _Refusal(f"The recording has {file.channels} channels; {MOST_CHANNELS} are allowed.")
    if not LEAST_HZ <= file.samplerate <= MOST_HZ:
        raise _Refusal(f"The recording's sample rate is {file.samplerate} Hz; {LEAST_HZ} to {MOST_HZ} are allowed.")
    if LONGEST_S * file.samplerate < file.frames < UNKNOWN_FRAMES:
        raise _Refusal(_too_long())


def _too_long() -> str:
    return f"The recording is longer than {LONGEST_S // 60} minutes. Send it in parts."


def _limit(what: int, most: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # the system's own limit is lower, or it has none of this kind
        resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    main()
