"""A few threads for blocking models, with a queue in which the most urgent work waits least.

Work is ordered by its deadline, not by arrival: a caller who just stopped speaking comes before one whose
speech is well ahead of playout. Work that has not begun is dropped when its waiter is gone; work that has begun runs to
its end and its result is discarded.
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
    """The deadline of a piece of work (monotonic seconds; only the order counts); it may be moved earlier."""

    at_s: float


class UrgentThreads:
    """Runs blocking calls, earliest due first. Used from one event loop; the threads are daemons."""

    def __init__(self, threads: int, *, name: str) -> None:
        """Start `threads` threads. Raises ValueError for fewer than one."""
        if threads < 1:
            raise ValueError(f"{threads} threads are too few")
        self._ready = threading.Condition()
        # in order of arrival; short enough for linear search
        self._queue: list[tuple[Due, Future[Any], Callable[[], Any]]] = []
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[], T], *, due: Due) -> Awaitable[T]:
        """Queue `work`; the result is awaited on the calling event loop.

        Args:
            work: called in a thread.
            due: when the result is needed.

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
        """Number of pieces of work that have not begun."""
        return len(self._queue)

    def close(self) -> None:
        """Drop waiting work and let the threads end after their present work. Idempotent; does not wait."""
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
            except BaseException as error:  # passed to the waiter
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, work
