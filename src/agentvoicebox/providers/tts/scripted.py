"""A voice for tests and benchmarks: a tone as long as the text would take to say, at once."""

from collections.abc import Iterator

import numpy as np

from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech
from agentvoicebox.providers.tts.voices import clamped_speed

RATE_HZ = 24_000
SECONDS_PER_CHARACTER = 0.065  # 15 characters a second, an easy speaking rate
TONE_HZ = 220.0
AMPLITUDE = 6000.0


class ScriptedTts:
    """A Tts whose samples are a known function of the text: sample n is the same for every call and every chunk size."""

    def __init__(self, *, chunk_ms: int = 200, fails_after_chunks: int | None = None) -> None:
        """Raise ProviderUnavailable after `fails_after_chunks` chunks of each call, if given."""
        self._chunk_samples = RATE_HZ * chunk_ms // 1000
        self._fails_after_chunks = fails_after_chunks

    def voices(self) -> list[Voice]:
        """See ports.providers.Tts."""
        return [Voice("tone", "scripted", "en-US", "a tone as long as the text")]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        """See ports.providers.Tts."""
        return StoppableSpeech(lambda stop: self._chunks(text, clamped_speed(speed), stop))

    def _chunks(self, text: str, speed: float, stop: Stop) -> Iterator[Int16Array]:
        count = int(len(text.strip()) * SECONDS_PER_CHARACTER / speed * RATE_HZ)
        for number, start in enumerate(range(0, count, self._chunk_samples)):
            if stop.is_set:
                return
            if number == self._fails_after_chunks:
                raise ProviderUnavailable("the scripted voice fails as configured")
            places = np.arange(start, min(count, start + self._chunk_samples))
            yield (AMPLITUDE * np.sin(places * (2 * np.pi * TONE_HZ / RATE_HZ))).astype(np.int16)
        if count and self._fails_after_chunks == -(-count // self._chunk_samples):
            raise ProviderUnavailable("the scripted voice fails as configured")
