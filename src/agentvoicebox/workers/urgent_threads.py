"""A few threads for blocking models, and a queue before them in which the most urgent waits least.

Decides the order of work by when it is due, not by when it came: a caller who just stopped speaking goes before one whose
speech is well ahead of playout. Work that has not begun is dropped when nobody awaits it any more; work that has begun runs to
its end and its result is thrown away.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Due:
    """When a piece of work is wanted (monotonic seconds; only the order counts). It may be set earlier while the work waits."""

    at_s: float


class UrgentThreads:
    """Runs blocking calls, earliest due first. Used from one event loop; the threads are daemons."""

    def __init__(self, threads: int, *, name: str) -> None:
        """Start `threads` threads. Raises ValueError for fewer than one."""
        if threads < 1:
            raise ValueError(f"{threads} threads can do nothing")
        self._ready = threading.Condition()
        self._queue: list[
            tuple[Due, Future[Any], Callable[[], Any]]
        ] = []  # in order of coming; short, so it is searched
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[], T], *, due: Due) -> Awaitable[T]:
        """Queue `work`; the result is awaited on the calling event loop.

        Args:
            work: called in a thread.
            due: when the result is wanted.

        Raises:
            RuntimeError: the threads were closed.
        """
        future: Future[T] = Future()
        with self._ready:
            if self._is_closed:
                raise RuntimeError("the threads are closed")
            self._queue.append((due, future, work))
            self._ready.notify()
        return asyncio.wrap_future(future)

    @property
    def waiting(self) -> int:
        """Pieces of work that no thread has begun."""
        return len(self._queue)

    def close(self) -> None:
        """Drop what waits and let the threads end after what they are doing. Idempotent; does not wait."""
        with self._ready:
            self._is_closed = True
            dropped, self._queue = self._queue, []
            self._ready.notify_all()
        for _, future, _ in dropped:
            future.cancel()

    def _work(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._is_closed:
                    self._ready.wait()
                if self._is_closed:
                    return
                most_urgent = min(range(len(self._queue)), key=lambda place: self._queue[place][0].at_s)
                _, future, work = self._queue.pop(most_urgent)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # handed to whoever awaits
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, work
