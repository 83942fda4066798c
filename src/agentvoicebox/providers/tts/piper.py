"""Piper voices, streamed inside the sentence: the first third of a second of audio is ready after some 40 ms.

Decides how much to render at a time. The graph's two halves come from `piper_split`; phonemes from the eSpeak that is part of
`piper-tts` (GPL-3.0-or-later, so this module is imported in the speech worker's process alone). The same text, voice and speed
always give the same samples.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentvoicebox.audio.resample import Resampler
from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.onnx_options import one_thread
from agentvoicebox.providers.tts.piper_split import LATENT, split_voice
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech
from agentvoicebox.providers.tts.text import speakable
from agentvoicebox.providers.tts.voices import clamped_speed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RATE_HZ = 24_000
HOP_SAMPLES = 256  # samples a latent frame makes (11.6 ms at 22.05 kHz)
FIRST_FRAMES = 30  # 0.35 s: what the caller waits for
MOST_FRAMES = 120  # doubling up to here keeps the margins' overhead low without making an interrupt late
LEFT_FRAMES, RIGHT_FRAMES = 28, 20  # what a sample depends on; with these, pieces equal the whole to 1e-6
GAIN = 1.3  # raw peaks are 0.5-0.75; the usual scaling to the loudest sample would need the whole sentence
AUDIBLE = 0.01  # below this the voice only breathes in
LEAD_IN_S = 0.01  # kept before the first sound; the voice's own 40-60 ms would only delay it

_phonemizer_lock = threading.Lock()  # eSpeak keeps its state in globals


class Piper:
    """A Tts with one voice. Calls from several threads run side by side, one core each."""

    def __init__(self, folder: Path, cache: Path, *, name: str = "en_US-joe-medium") -> None:
        """Load the voice (about 1 s, and 1 s more the first time ever).

        Args:
            folder: holds `<name>.onnx` and `<name>.onnx.json`.
            cache: where the split graph is kept.
            name: the voice's file name, and its name in the catalogue.

        Raises:
            NotInstalled: a package or a file is missing.
            BadProviderAnswer: the file is not such a voice.
        """
        try:
            import onnxruntime
            from piper.config import PiperConfig
            from piper.phonemize_espeak import EspeakPhonemizer
        except ImportError as error:
            raise NotInstalled("Piper is not installed: type `pip install 'agentvoicebox[piper]'`") from error
        self._name = name
        front, decoder = split_voice(folder / f"{name}.onnx", cache)
        self._runtime = onnxruntime
        options = one_thread(onnxruntime)
        try:
            self._config = PiperConfig.from_dict(json.loads((folder / f"{name}.onnx.json").read_text(encoding="utf-8")))
            self._front: InferenceSession = onnxruntime.InferenceSession(str(front), options)
            self._decoder: InferenceSession = onnxruntime.InferenceSession(str(decoder), options)
        except (OSError, KeyError, ValueError) as error:
            raise ProviderUnavailable(f"the Piper voice in {folder} can't be loaded: {error}") from error
        except Exception as error:  # onnxruntime has a separate exception type for each kind of invalid file
            raise BadProviderAnswer(f"the Piper voice in {folder} is damaged: {error}") from error
        with _phonemizer_lock:
            self._phonemizer = EspeakPhonemizer()

    def voices(self) -> list[Voice]:
        """See ports.providers.Tts."""
        return [Voice(self._name, "piper", "en-US", "male, medium quality")]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        """See ports.providers.Tts. `close()` of the result interrupts the model."""
        return StoppableSpeech(lambda stop: self._chunks(text, clamped_speed(speed), stop))

    def _chunks(self, text: str, speed: float, stop: Stop) -> Iterator[Int16Array]:
        resampler = Resampler(self._config.sample_rate, RATE_HZ)
        is_first = True
        for phonemes in self._phonemes(speakable(text)):
            for wave in self._waves(phonemes, speed, stop):
                if is_first:
                    sounding = np.flatnonzero(np.abs(wave) > AUDIBLE)
                    lead_in = int(LEAD_IN_S * self._config.sample_rate)
                    wave = wave[max(0, int(sounding[0]) - lead_in) :] if sounding.size else wave[:0]
                    is_first = sounding.size == 0
                pcm = (np.clip(wave * GAIN, -1.0, 1.0) * 32767.0).astype(np.int16)
                chunk = resampler.feed(pcm)
                if chunk.size:
                    yield chunk
        rest = resampler.flush()
        if rest.size:
            yield rest

    def _phonemes(self, text: str) -> list[list[int]]:
        """Phoneme numbers, one list a sentence."""
        if not text:
            return []
        from piper.phoneme_ids import phonemes_to_ids

        with _phonemizer_lock:
            sentences = self._phonemizer.phonemize(self._config.espeak_voice, text)
        return [phonemes_to_ids(phonemes, self._config.phoneme_id_map) for phonemes in sentences if phonemes]

    def _waves(self, phonemes: list[int], speed: float, stop: Stop) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        """One sentence in pieces, -1 to 1, at the voice's own rate."""
        config = self._config
        scales = np.array([config.noise_scale, config.length_scale / speed, config.noise_w_scale], np.float32)
        inputs = {
            "input": np.array([phonemes], np.int64),
            "input_lengths": np.array([len(phonemes)], np.int64),
            "scales": scales,
        }
        latent = self._run(self._front, inputs, stop)
        frames = latent.shape[2]
        start, count = 0, FIRST_FRAMES
        while start < frames:
            end = min(frames, start + count)
            left, right = max(0, start - LEFT_FRAMES), min(frames, end + RIGHT_FRAMES)
            piece = self._run(self._decoder, {LATENT: latent[:, :, left:right]}, stop).ravel()
            yield piece[(start - left) * HOP_SAMPLES : (end - left) * HOP_SAMPLES]
            start, count = end, min(2 * count, MOST_FRAMES)

    def _run(self, session: "InferenceSession", inputs: dict[str, Any], stop: Stop) -> Any:
        options = self._runtime.RunOptions()
        with stop.interrupting(lambda: setattr(options, "terminate", True)):
            try:
                return session.run(None, inputs, options)[0]
            except Exception as error:  # onnxruntime's errors share no base
                raise BadProviderAnswer(f"Piper failed ({type(error).__name__})") from error
