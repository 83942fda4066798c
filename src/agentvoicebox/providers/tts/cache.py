"""Rendered phrases, kept in memory: a greeting or "one moment" is rendered once.

Least recently used phrases are dropped first. One cache serves several engines; each entry names its engine.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agentvoicebox.ports.providers import Int16Array, Tts
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech

MOST_BYTES = 32 * 1024 * 1024  # 11 minutes of speech
LONGEST_SHARE = 8  # one phrase takes at most 1/8 of the cache

PhraseKey = tuple[str, str, str, float]


@dataclass
class CacheCounts:
    """Results of look-ups, and the size of the cache. For metrics."""

    hits: int = 0
    misses: int = 0
    phrases: int = 0
    size_bytes: int = 0


class PhraseCache:
    """Finished phrases by (engine, text, voice, speed). Thread-safe."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        """An empty cache that never holds more than `most_bytes` of audio."""
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._phrases: OrderedDict[PhraseKey, tuple[Int16Array, ...]] = OrderedDict()
        self.counts = CacheCounts()

    def get(self, key: PhraseKey) -> tuple[Int16Array, ...] | None:
        """A phrase's chunks as they were rendered, or None."""
        with self._lock:
            chunks = self._phrases.get(key)
            if chunks is None:
                self.counts.misses += 1
                return None
            self._phrases.move_to_end(key)
            self.counts.hits += 1
            return chunks

    def put(self, key: PhraseKey, chunks: Iterable[Int16Array]) -> None:
        """Store a finished phrase, unless it is too large."""
        kept = tuple(chunks)
        size = sum(chunk.nbytes for chunk in kept)
        if size > self._most_bytes // LONGEST_SHARE:
            return
        with self._lock:
            self._drop(key)
            self._phrases[key] = kept
            self.counts.size_bytes += size
            while self.counts.size_bytes > self._most_bytes:
                self._drop(next(iter(self._phrases)))
            self.counts.phrases = len(self._phrases)

    def _drop(self, key: PhraseKey) -> None:
        old = self._phrases.pop(key, None)
        if old is not None:
            self.counts.size_bytes -= sum(chunk.nbytes for chunk in old)


class CachedTts:
    """An engine with a cache. Only phrases that were rendered to their end are stored."""

    def __init__(self, engine_name: str, tts: Tts, cache: PhraseCache) -> None:
        """`engine_name` keeps the engines of one cache apart."""
        self._engine_name = engine_name
        self._tts = tts
        self._cache = cache

    def voices(self) -> list[Voice]:
        """See ports.providers.Tts."""
        return self._tts.voices()

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        """See ports.providers.Tts."""
        return StoppableSpeech(lambda stop: self._chunks(text, voice, speed, stop))

    def _chunks(self, text: str, voice: str, speed: float, stop: Stop) -> Iterator[Int16Array]:
        known = {own.name for own in self._tts.voices()}
        key = (self._engine_name, text, voice if voice in known else "", speed)
        kept = self._cache.get(key)
        if kept is not None:
            yield from kept
            return
        speech = self._tts.synthesize(text, voice=voice, speed=speed)
        close = getattr(speech, "close", lambda: None)
        chunks = []
        with stop.interrupting(close):
            for chunk in speech:
                chunk.flags.writeable = False
                chunks.append(chunk)
                yield chunk
        if not stop.is_set:
            self._cache.put(key, chunks)
