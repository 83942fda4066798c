"""WAV files on disk; their format is `audio.wav`."""

from pathlib import Path

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.wav import BadWav, format_wav, parse_wav


def read_wav(path: Path) -> tuple[Int16Array, int]:
    """The samples of a file and its rate. See `audio.wav.parse_wav`.

    Raises:
        BadWav: naming the file and the reason.
        OSError: the file can't be read.
    """
    try:
        return parse_wav(path.read_bytes())
    except BadWav as error:
        raise BadWav(f"{path}: {error}") from error


def write_wav(path: Path, samples: Int16Array, rate_hz: int) -> None:
    """Write samples of shape (n,) or (n, 2) to a file. Raises ValueError (see `audio.wav.format_wav`) or OSError."""
    path.write_bytes(format_wav(samples, rate_hz))
