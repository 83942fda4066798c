"""The console of a real server, in a real browser."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.wav_files import write_wav

MicrophoneOf = Callable[[Sequence[tuple[float, str]]], Path]


@pytest.fixture
def microphone_of(say: Callable[[str], SpokenLine], tmp_path: Path) -> MicrophoneOf:
    """(seconds of silence, line) pairs → the WAV file of a microphone."""

    def record(lines: Sequence[tuple[float, str]]) -> Path:
        sound = [np.zeros(0, np.int16)]
        for pause_s, line in lines:
            sound += [np.zeros(round(pause_s * OUTPUT_RATE_HZ), np.int16), say(line).pcm]
        sound.append(np.zeros(60 * OUTPUT_RATE_HZ, np.int16))
        path = tmp_path / "microphone.wav"
        write_wav(path, np.concatenate(sound), OUTPUT_RATE_HZ)
        return path

    return record
