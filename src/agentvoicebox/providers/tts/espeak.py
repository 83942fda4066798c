"""eSpeak NG, by ctypes, inside this process: the fallback voice that needs no model.

The library and its data come with the package `espeakng-loader` (GPL-3.0-or-later, so this module is imported in the speech
worker's process alone). A sentence takes about 10 ms, so it is rendered whole and returned in pieces. The same text always
gives the same number of samples at the same times; a few consonants carry over state from earlier speech, so single
samples may differ between two renderings.
"""

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agentvoicebox.audio.resample import Resampler
from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech
from agentvoicebox.providers.tts.text import speakable
from agentvoicebox.providers.tts.voices import clamped_speed

RATE_HZ = 24_000
CHUNK_S = 0.4
BUFFER_MS = 100  # interval of the library's callbacks, and so the delay of a stop
USUAL_WORDS_PER_MINUTE = 165  # eSpeak's 175, a little calmer for the telephone
RANDOM_SEED = 1
VOICE_FILE = Path(__file__).with_name("steady.voice")  # the library's own voices flutter differently in each call
SLOWEST_WORDS_PER_MINUTE, FASTEST_WORDS_PER_MINUTE = 80, 450  # the library's own range

# Names and values of speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
PARAMETER_RATE = 1
CHARACTERS_UTF8 = 1
POSITION_CHARACTER = 1
EE_OK = 0

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_lock = threading.Lock()  # the library keeps its state in globals: one call at a time in the whole process
_loaded: tuple[Any, int] | None = None


def _library() -> tuple[Any, int]:
    """(the initialised library, its sample rate). Call with the lock held."""
    global _loaded
    if _loaded is None:
        try:
            import espeakng_loader

            library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except ImportError as error:
            raise NotInstalled("eSpeak NG is not installed: type `pip install 'agentvoicebox[espeak]'`") from error
        except (OSError, RuntimeError) as error:
            raise ProviderUnavailable(f"eSpeak NG can't be loaded: {error}") from error
        rate_hz = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MS, data.encode(), 0)
        if rate_hz <= 0:
            raise ProviderUnavailable(f"eSpeak NG found no data in {data}")
        _loaded = (library, rate_hz)
    return _loaded


def _select_voice(library: Any) -> int:
    """Select VOICE_FILE; the library's status. Call with the lock held.

    Through the file's descriptor: the library cuts a path at 59 bytes and reads a variant's name behind a `+` in it.
    """
    with VOICE_FILE.open("rb") as voice:
        return int(library.espeak_SetVoiceByFile(f"/dev/fd/{voice.fileno()}".encode()))


class Espeak:
    """A Tts. Calls from several threads take turns."""

    def __init__(self) -> None:
        """Load the library (a few ms). Raises NotInstalled when it is missing."""
        with _lock:
            library, self._rate_hz = _library()
            if _select_voice(library) != EE_OK:
                raise ProviderUnavailable(f"eSpeak NG can't read {VOICE_FILE}")

    def voices(self) -> list[Voice]:
        """See ports.providers.Tts."""
        return [Voice("espeak-en-us", "espeak", "en-US", "formant synthesis, the last resort")]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        """See ports.providers.Tts."""
        return StoppableSpeech(lambda stop: self._chunks(text, clamped_speed(speed), stop))

    def _chunks(self, text: str, speed: float, stop: Stop) -> Iterator[Int16Array]:
        spoken = speakable(text)
        if not spoken:
            return
        resampler = Resampler(self._rate_hz, RATE_HZ)
        pcm = self._render(spoken, speed, stop)
        sound = np.concatenate((resampler.feed(pcm), resampler.flush()))
        width = int(CHUNK_S * RATE_HZ)
        for start in range(0, sound.size, width):
            yield sound[start : start + width]

    def _render(self, text: str, speed: float, stop: Stop) -> Int16Array:
        """The whole text, at the library's rate."""
        parts: list[Int16Array] = []

        def collect(samples: Any, count: int, _events: Any) -> int:
            if samples and count > 0:
                parts.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
            return 1 if stop.is_set else 0

        wanted = round(USUAL_WORDS_PER_MINUTE * speed)
        rate = min(FASTEST_WORDS_PER_MINUTE, max(SLOWEST_WORDS_PER_MINUTE, wanted))
        data = text.encode()
        callback = _CALLBACK(collect)
        with _lock:
            library, _ = _library()
            library.espeak_ng_SetRandSeed(RANDOM_SEED)  # its noise is random
            library.espeak_SetSynthCallback(callback)
            _select_voice(library)
            library.espeak_SetParameter(PARAMETER_RATE, rate, 0)
            size = ctypes.c_size_t(len(data) + 1)
            status = library.espeak_Synth(data, size, 0, POSITION_CHARACTER, 0, CHARACTERS_UTF8, None, None)
            library.espeak_Synchronize()
        if status != EE_OK:
            raise BadProviderAnswer(f"eSpeak NG failed with status {status}")
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)
