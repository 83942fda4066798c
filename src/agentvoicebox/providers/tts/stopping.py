"""Speech that can be stopped from another thread, even during a model's run.

Closing a plain generator while it runs in another thread raises. Here the engine registers a function that interrupts its model,
and `close()` stops it within a few milliseconds.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

from agentvoicebox.ports.providers import Int16Array


class Stop:
    """A flag that interrupts. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._interrupts: list[Callable[[], None]] = []

    @property
    def is_set(self) -> bool:
        """Whether the speech was stopped."""
        return self._is_set

    def set(self) -> None:
        """Set the flag and call each registered interrupt once. Idempotent."""
        with self._lock:
            self._is_set = True
            interrupts, self._interrupts = self._interrupts, []
        for interrupt in interrupts:
            interrupt()

    @contextlib.contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """While inside, `set()` calls `interrupt`; at once if it was set before."""
        with self._lock:
            was_set = self._is_set
            if not was_set:
                self._interrupts.append(interrupt)
        if was_set:
            interrupt()
        try:
            yield
        finally:
            with self._lock:
                if interrupt in self._interrupts:
                    self._interrupts.remove(interrupt)


class StoppableSpeech:
    """An engine's chunks, in order, with a way to stop them. One thread at a time calls `next`; any may call `close`."""

    def __init__(self, start: Callable[[Stop], Iterator[Int16Array]]) -> None:
        """`start` makes the engine's generator; it ends early, or its model raises, once the Stop is set."""
        self._stop = Stop()
        self._chunks = start(self._stop)

    def __iter__(self) -> Iterator[Int16Array]:
        return self

    def __next__(self) -> Int16Array:
        if self._stop.is_set:
            raise StopIteration
        try:
            chunk = next(self._chunks)
        except StopIteration:
            raise
        except Exception:
            if self._stop.is_set:  # the error of an interrupted model is expected
                raise StopIteration from None
            raise
        if self._stop.is_set:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Stop. The running `next` in another thread, and every later one, raises StopIteration."""
        self._stop.set()
