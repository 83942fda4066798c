"""Speech that can be stopped from another thread, also in the middle of a model's run.

A plain generator can't: closing it while it runs in another thread raises. Here the engine registers what interrupts its model,
and whoever listens calls `close()` and is rid of it within a few milliseconds.
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
        """Whether nobody listens any more."""
        return self._is_set

    def set(self) -> None:
        """Raise the flag and call each registered interrupt once. Idempotent."""
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


class Speech:
    """An engine's chunks, in order, and the means to stop them. One thread at a time calls `next`; any may call `close`."""

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
            if self._stop.is_set:  # the interrupted model's complaint is of no interest
                raise StopIteration from None
            raise
        if self._stop.is_set:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Stop. The `next` that runs now in another thread, and every later one, raises StopIteration."""
        self._stop.set()
