"""The callers' lines: synthesised once by the project's own voice, kept as 24 kHz WAV files."""

import hashlib
from pathlib import Path

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.line import SpokenLine, line_from_wav
from agentvoicebox.client.wav_files import write_wav

QUESTION = "Hi, can you tell me where my parcel is?"
CONFIRMATION = "Yes, that's right."
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARCELS = range(1, 21)  # PKG001 to PKG020 of the demo data, one in every state


def number_line(parcel: int) -> str:
    """The words that spell a parcel's number."""
    return f"It's P, K, G, {', '.join(DIGITS[int(digit)] for digit in f'{parcel:03}')}."


TEXTS = (QUESTION, CONFIRMATION, *(number_line(parcel) for parcel in PARCELS))


def path_of(folder: Path, text: str) -> Path:
    """The file of a line: other words, other file."""
    return folder / f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.wav"


def make_speech(folder: Path, *, cache_dir: Path) -> int:
    """Synthesise the lines that the folder lacks; returns how many. Blocks for seconds.

    Raises:
        ProviderUnavailable: no voice is installed.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    missing = [text for text in TEXTS if not path_of(folder, text).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        for line in speak_lines(missing, cache_dir=cache_dir):
            part = path_of(folder, line.text).with_suffix(".part")  # an interruption leaves no half line
            write_wav(part, line.pcm, OUTPUT_RATE_HZ)
            part.rename(path_of(folder, line.text))
    return len(missing)


class Speech:
    """The lines, read from their files."""

    def __init__(self, folder: Path) -> None:
        """Raises ClientError when a file is missing."""
        self._lines = {text: line_from_wav(path_of(folder, text), text) for text in TEXTS}

    def line(self, text: str) -> SpokenLine:
        """One of TEXTS."""
        return self._lines[text]
