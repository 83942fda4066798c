"""The audio of callers' lines and its transcripts: voices, simulated lines, the recogniser, and a cache of both.

Defines the voices and simulates the telephone. The same text, voice, line and seed give the same audio. Voices are GPL code,
which is imported only if the audio is not in the cache; only measurements and tests use this module, in their own processes.
"""

import ctypes
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agentvoicebox.audio import g711
from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.ports.providers import Stt, Tts
from agentvoicebox.providers.catalogue import ModelCatalogue

HEARD_RATE_HZ = 16_000
TELEPHONE_RATE_HZ = 8_000
TELEPHONE_BAND_HZ = (300.0, 3_400.0)
TELEPHONE_SNR_DB = 18.0
QUIET_S = 0.3  # silence around the speech, as after turn detection
PAUSE_DB = 30.0  # frames that are quieter than the loudest by this much are pauses
LOUD_RMS = 3_000.0  # about -21 dBFS; all voices are equally loud


@dataclass(frozen=True)
class Speaker:
    """A voice of the corpus.

    Attributes:
        engine: `piper`, `espeak` or `kokoro`.
        voice: the engine's name for it.
        speed: 1 is the engine's own pace.
        pitch: above 1 is higher: the text is spoken slower, and the audio is played faster.
    """

    engine: str
    voice: str = ""
    speed: float = 1.0
    pitch: float = 1.0

    @property
    def name(self) -> str:
        """Name for reports."""
        pitch = f" pitch {self.pitch}" if self.pitch != 1.0 else ""
        return f"{self.engine} {self.voice or 'joe'} x{self.speed}{pitch}"


SPEAKERS = (
    Speaker("piper"), Speaker("piper", speed=0.85), Speaker("piper", speed=1.2), Speaker("piper", pitch=1.2),
    Speaker("piper", speed=1.1, pitch=0.9),
    Speaker("espeak", "en-us"), Speaker("espeak", "en-us+f2"), Speaker("espeak", "en-us+m3"),
    Speaker("espeak", "en-gb-x-rp", 0.9), Speaker("espeak", "en-gb-x-rp+f5"),
    Speaker("kokoro", "jf_alpha"), Speaker("kokoro", "jm_kumo"),
)  # fmt: skip

# The simulated lines between caller and recogniser.
LINES = ("clean", "noise 20 dB", "noise 10 dB", "telephone µ-law", "telephone A-law")


def through_line(line: str, pcm: Int16Array, seed: int) -> Int16Array:
    """Send 24 kHz speech through a simulated line; returns 16 kHz.

    Args:
        line: one of LINES.
        pcm: shape (n,).
        seed: of the noise.
    """
    noise = np.random.default_rng(seed)
    quiet = np.zeros(int(QUIET_S * OUTPUT_RATE_HZ), np.int16)
    pcm = np.concatenate((quiet, pcm, quiet))
    if line.startswith("noise"):
        return _noisy(resample(pcm, OUTPUT_RATE_HZ, HEARD_RATE_HZ), float(line.split()[1]), noise)
    if line.startswith("telephone"):
        narrow = _banded(_noisy(resample(pcm, OUTPUT_RATE_HZ, TELEPHONE_RATE_HZ), TELEPHONE_SNR_DB, noise))
        is_alaw = line.endswith("A-law")
        heard = g711.decode_alaw(g711.encode_alaw(narrow)) if is_alaw else g711.decode_ulaw(g711.encode_ulaw(narrow))
        return resample(heard, TELEPHONE_RATE_HZ, HEARD_RATE_HZ)
    return resample(pcm, OUTPUT_RATE_HZ, HEARD_RATE_HZ)


def _noisy(pcm: Int16Array, snr_db: float, noise: np.random.Generator) -> Int16Array:
    """Add white noise; the ratio is relative to the mean power of the speech without pauses."""
    speech = pcm.astype(np.float64)
    power = np.mean(speech[: speech.size - speech.size % 160].reshape(-1, 160) ** 2, axis=1)
    active = power[power > power.max(initial=0.0) * 10 ** (-PAUSE_DB / 10)]
    rms = float(np.sqrt(np.mean(active))) if active.size else 0.0
    mixed = speech + noise.standard_normal(speech.size) * rms * 10 ** (-snr_db / 20)
    return np.clip(mixed, -32_768, 32_767).astype(np.int16)


def _banded(pcm: Int16Array) -> Int16Array:
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    hertz = np.fft.rfftfreq(pcm.size, 1 / TELEPHONE_RATE_HZ)
    spectrum[(hertz < TELEPHONE_BAND_HZ[0]) | (hertz > TELEPHONE_BAND_HZ[1])] = 0
    narrow = np.fft.irfft(spectrum, pcm.size)
    return np.asarray(np.clip(narrow, -32_768, 32_767), dtype=np.int16)


class CallerVoices:
    """The installed voices, each loaded at its first use; audio is cached in `folder`."""

    def __init__(self, catalogue: ModelCatalogue, folder: Path, *, kokoro_voices: Path | None = None) -> None:
        self._catalogue = catalogue
        self._folder = folder
        self._kokoro_voices = kokoro_voices
        self._engines: dict[str, Tts] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def can_speak(self, speaker: Speaker) -> bool:
        """Whether the voice is installed."""
        try:
            self._engine(speaker.engine)
        except ProviderUnavailable:
            return False
        return True

    def say(self, speaker: Speaker, text: str) -> Int16Array:
        """Synthesise a line, 24 kHz. Raises ProviderUnavailable."""
        key = hashlib.sha256(repr((speaker, text)).encode()).hexdigest()[:24]
        kept = self._folder / f"{key}.pcm"
        if kept.exists():
            return samples_of(kept.read_bytes())
        pcm = self._render(speaker, text)
        rms = float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2))) if pcm.size else 0.0
        pcm = np.asarray(np.clip(pcm * (LOUD_RMS / max(rms, 1.0)), -32_768, 32_767), dtype=np.int16)
        half = kept.with_suffix(".part")
        half.write_bytes(bytes_of(pcm))
        half.rename(kept)
        return pcm

    def _render(self, speaker: Speaker, text: str) -> Int16Array:
        engine = self._engine(speaker.engine)
        chunks = list(engine.synthesize(text, voice=speaker.voice, speed=speaker.speed / speaker.pitch))
        pcm = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
        return resample(pcm, round(OUTPUT_RATE_HZ * speaker.pitch), OUTPUT_RATE_HZ)

    def _engine(self, name: str) -> Tts:
        if name not in self._engines:
            match name:
                case "piper":
                    from agentvoicebox.providers.tts.piper import Piper

                    self._engines[name] = Piper(self._catalogue.locate("piper-joe"), self._catalogue.cache_dir)
                case "espeak":
                    self._engines[name] = _EspeakVoices()
                case _:
                    from agentvoicebox.providers.tts.kokoro import Kokoro

                    voices = self._kokoro_voices or self._catalogue.locate("kokoro-voices-ja")
                    model = self._catalogue.locate("kokoro-82m")
                    self._engines[name] = Kokoro(model / "kokoro-v1.0.int8.onnx", voices)
        return self._engines[name]


class _EspeakVoices:
    """eSpeak NG with all its accents and variants, which the server's adapter does not offer."""

    RATE_WORDS = 165  # a minute, at speed 1

    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except (ImportError, OSError, RuntimeError) as error:
            raise ProviderUnavailable(
                "eSpeak NG is not installed: type `pip install 'agentvoicebox[espeak]'`"
            ) from error
        self._rate_hz = self._library.espeak_Initialize(2, 100, data.encode(), 0)  # 2: wait for the sound
        if self._rate_hz <= 0:
            raise ProviderUnavailable(f"eSpeak NG found no data in {data}")

    def voices(self) -> list[Any]:
        """No names: any voice of the library may be used."""
        return []

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> Iterator[Int16Array]:
        """Synthesise the text in one chunk, 24 kHz."""
        parts: list[Int16Array] = []

        def collect(samples: Any, count: int, _events: Any) -> int:
            if samples and count > 0:
                parts.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
            return 0

        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(
            collect
        )
        self._library.espeak_ng_SetRandSeed(1)
        self._library.espeak_SetSynthCallback(callback)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ProviderUnavailable(f"eSpeak NG has no voice {voice}")
        self._library.espeak_SetParameter(1, round(self.RATE_WORDS * speed), 0)  # 1: words a minute
        data = text.encode()
        self._library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, 1, None, None)
        self._library.espeak_Synchronize()
        pcm = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        yield resample(pcm, self._rate_hz, OUTPUT_RATE_HZ)


class LineRecogniser:
    """The recogniser at the end of a line; transcripts are cached in `folder`."""

    def __init__(self, stt: Stt, profile: str, voices: CallerVoices, folder: Path) -> None:
        self._stt = stt
        self._profile = profile
        self._voices = voices
        self._folder = folder
        self.decoded = 0
        folder.mkdir(parents=True, exist_ok=True)

    def transcribe(self, speaker: Speaker, line: str, text: str) -> str:
        """The transcript of `text`, spoken by `speaker` through `line`."""
        key = hashlib.sha256(repr((self._profile, speaker, line, text)).encode()).hexdigest()[:24]
        kept = self._folder / f"{key}.txt"
        if kept.exists():
            return kept.read_text()
        sound = through_line(line, self._voices.say(speaker, text), int(key[:8], 16))
        self.decoded += 1
        written = self._stt.transcribe(sound).text
        half = kept.with_suffix(".part")
        half.write_text(written)
        half.rename(kept)
        return written
