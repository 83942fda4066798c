"""Several voice engines as one: the first that works is used, a failed one is skipped for a while.

Engines are created when first needed, so a fallback costs no memory until then. A failure before the first chunk moves on
to the next engine within the same call; after a failure in the middle of a sentence the caller must retry, since another voice
can't continue in the middle of a word.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import NotInstalled, ProviderError, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array, Tts
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech
from agentvoicebox.resilience.breaker import BreakerState

RETRY_AFTER_S = 30.0  # same as the breakers around network providers

_log = structlog.get_logger(__name__)


@dataclass
class _Engine:
    name: str
    make: Callable[[], Tts]
    lock: threading.Lock
    tts: Tts | None = None
    closed_until_s: float = 0.0
    reason: str = ""


class TtsChain:
    """A Tts over an ordered list of engines."""

    def __init__(
        self,
        engines: Sequence[tuple[str, Callable[[], Tts]]],
        *,
        default_voice: str = "",
        default_speed: float = 1.0,
        voice_engines: Mapping[str, str] | None = None,
        retry_after_s: float = RETRY_AFTER_S,
        clock: Clock | None = None,
        on_change: Callable[[str, BreakerState], None] = lambda name, state: None,
    ) -> None:
        """A chain of (name, how to make it), tried from the left.

        Args:
            engines: at least one, with distinct names (the keys of `failures`).
            clock: for the pause of a failed engine.
            default_voice: used when a call's voice belongs to no engine; if no engine has it, each uses its own default.
            default_speed: a call's speed is multiplied by it; engines clamp the product to 0.25 to 2.
            voice_engines: engine name by voice name, so that a voice finds its engine before that is loaded.
            retry_after_s: how long a failed engine is skipped.
            on_change: called, from the thread that speaks, when an engine is skipped from now on (open) or works again (closed).

        Raises:
            ValueError: the list is empty.
        """
        if not engines:
            raise ValueError("a chain needs an engine")
        self._engines = [_Engine(name, make, threading.Lock()) for name, make in engines]
        self._default_voice = default_voice
        self._default_speed = default_speed
        self._voice_engines = dict(voice_engines or {})
        self._retry_after_s = retry_after_s
        self._clock = clock or SystemClock()
        self._on_change = on_change

    def warm_up(self) -> str:
        """Load the first engine that works, test it with a word, and return its name.

        Raises:
            ProviderUnavailable: none works. NotInstalled: none is installed.
        """
        for _ in self.synthesize("Hello.", voice=""):
            pass
        return next(engine.name for engine in self._engines if engine.tts is not None and not engine.reason)

    def failures(self) -> dict[str, str]:
        """Reason of each skipped engine, by engine; empty when all engines work. For health pages."""
        now_s = self._clock.monotonic_s()
        return {engine.name: engine.reason for engine in self._engines if engine.closed_until_s > now_s}

    def breakers(self) -> dict[str, BreakerState]:
        """Each engine as a breaker: open while it is skipped, half open until it has worked again. For any thread."""
        now_s = self._clock.monotonic_s()
        return {engine.name: _state(engine, now_s) for engine in self._engines}

    def voices(self) -> list[Voice]:
        """See ports.providers.Tts: the voices of every engine loaded so far, in order of trial."""
        return [voice for engine in self._engines if engine.tts is not None for voice in engine.tts.voices()]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        """See ports.providers.Tts. Raises ProviderUnavailable, from `next`, when no engine works."""
        speed *= self._default_speed
        return StoppableSpeech(lambda stop: self._chunks(text, voice or self._default_voice, speed, stop))

    def _chunks(self, text: str, voice: str, speed: float, stop: Stop) -> Iterator[Int16Array]:
        failures: list[tuple[str, ProviderError]] = []
        for engine in self._in_order(voice):
            has_spoken = False
            try:
                tts = self._loaded(engine)
                speech = tts.synthesize(text, voice=voice, speed=speed)
                with stop.interrupting(getattr(speech, "close", lambda: None)):
                    for chunk in speech:
                        has_spoken = True
                        yield chunk
            except ProviderError as error:
                if stop.is_set:
                    return
                self._fail(engine, error)
                if has_spoken:
                    raise
                failures.append((engine.name, error))
            else:
                if engine.reason:
                    _log.info("voice engine works again", engine=engine.name)
                    engine.reason, engine.closed_until_s = "", 0.0
                    self._on_change(engine.name, BreakerState.CLOSED)
                return
        is_missing = all(isinstance(error, NotInstalled) for _, error in failures)
        reasons = "; ".join(f"{name}: {error.message}" for name, error in failures)
        raise (NotInstalled if is_missing else ProviderUnavailable)(f"no speech engine works: {reasons}")

    def _in_order(self, voice: str) -> list[_Engine]:
        """Working engines first, the one that owns the voice before the others; failed ones last, rather than silence."""
        now_s = self._clock.monotonic_s()
        return sorted(
            self._engines,
            key=lambda engine: (engine.closed_until_s > now_s, not self._owns(engine, voice)),
        )

    def _owns(self, engine: _Engine, voice: str) -> bool:
        if self._voice_engines.get(voice) == engine.name:
            return True
        return engine.tts is not None and any(own.name == voice for own in engine.tts.voices())

    def _loaded(self, engine: _Engine) -> Tts:
        with engine.lock:
            if engine.tts is None:
                engine.tts = engine.make()
            return engine.tts

    def _fail(self, engine: _Engine, error: ProviderError) -> None:
        engine.reason = error.message
        engine.closed_until_s = self._clock.monotonic_s() + self._retry_after_s
        _log.warning("voice engine failed", engine=engine.name, code=error.code, reason=error.message)
        self._on_change(engine.name, BreakerState.OPEN)


def _state(engine: _Engine, now_s: float) -> BreakerState:
    if engine.closed_until_s > now_s:
        return BreakerState.OPEN
    return BreakerState.HALF_OPEN if engine.reason else BreakerState.CLOSED
