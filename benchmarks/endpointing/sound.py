"""The sound of a turn: its pieces with exact pauses between them, through a simulated line, with silence after it."""

import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from benchmarks.endpointing.corpus import CorpusTurn

from agentvoicebox.audio.pcm import Int16Array, samples_of
from agentvoicebox.audio.rates import INPUT_RATE_HZ, OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox_delivery.evals.id_voices import LOUD_RMS, QUIET_S, CallerVoices, Speaker, through_line

AFTER_S = 4.6  # silence after the turn: more than the longest wait that is measured
LINE_NOISE_RMS = 8.0  # about -72 dBFS, on a clean line, too
EDGE_SHARE = 0.02  # quieter than this share of the loudest 10 ms is silence at the edge of a piece
COUGH_MS = (120, 260)


class TurnSounds:
    """Renders turns. Voices are those of `CallerVoices`, and flite's where that program is installed."""

    def __init__(self, voices: CallerVoices) -> None:
        self._voices = voices

    def render(self, turn: CorpusTurn) -> tuple[Int16Array, int, int]:
        """16 kHz samples; where the last piece begins; and just after the last sound.

        Raises:
            ProviderUnavailable: the voice is not installed.
        """
        chance = np.random.default_rng(turn.number)
        pieces = [self._piece(turn.speaker, text) for text in turn.pieces] or [_cough(chance)]
        parts: list[Int16Array] = []
        for index, piece in enumerate(pieces):
            parts.append(piece)
            if index < len(turn.pauses_ms):
                parts.append(np.zeros(turn.pauses_ms[index] * OUTPUT_RATE_HZ // 1000, np.int16))
        lengths = [part.size * INPUT_RATE_HZ // OUTPUT_RATE_HZ for part in parts]
        quiet = int(QUIET_S * INPUT_RATE_HZ)
        after = np.zeros(int(AFTER_S * OUTPUT_RATE_HZ), np.int16)
        heard = through_line(turn.line, np.concatenate([*parts, after]), turn.number).astype(np.float64)
        heard += chance.standard_normal(heard.size) * LINE_NOISE_RMS
        samples = np.clip(heard, -32_768, 32_767).astype(np.int16)
        return samples, quiet + sum(lengths[:-1]), quiet + sum(lengths)

    def _piece(self, speaker: Speaker, text: str) -> Int16Array:
        pcm = _flite(speaker.voice, text) if speaker.engine == "flite" else self._voices.say(speaker, text)
        frame = OUTPUT_RATE_HZ // 100
        whole = pcm[: pcm.size - pcm.size % frame].astype(np.float64).reshape(-1, frame)
        loud = np.sqrt(np.mean(whole**2, axis=1))
        voiced = np.flatnonzero(loud > loud.max(initial=1.0) * EDGE_SHARE)
        trimmed = pcm[voiced[0] * frame : (voiced[-1] + 1) * frame] if voiced.size else pcm
        rms = float(np.sqrt(np.mean(trimmed.astype(np.float64) ** 2))) or 1.0
        return np.asarray(np.clip(trimmed * (LOUD_RMS / rms), -32_768, 32_767), np.int16)


def _flite(voice: str, text: str) -> Int16Array:
    program = shutil.which("flite")
    if program is None:
        raise ProviderUnavailable("the program flite is not installed: type `apt-get install flite`")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "said.wav")
        subprocess.run([program, "-voice", voice, "-t", text, "-o", str(file)], check=True, capture_output=True)
        with wave.open(str(file)) as sound:
            return resample(samples_of(sound.readframes(sound.getnframes())), sound.getframerate(), OUTPUT_RATE_HZ)


def _cough(chance: np.random.Generator) -> Int16Array:
    """Two bursts of noise that fall off: no word is in them."""
    bursts = []
    for length_ms in COUGH_MS:
        count = length_ms * OUTPUT_RATE_HZ // 1000
        smooth = np.convolve(chance.standard_normal(count), np.ones(6) / 6, "same")
        bursts += [smooth * np.exp(-np.arange(count) / (count / 4)), np.zeros(OUTPUT_RATE_HZ // 20)]
    cough = np.concatenate(bursts[:-1])
    return np.asarray(np.clip(cough * (12_000 / np.abs(cough).max()), -32_768, 32_767), np.int16)
