"""The threads in which a process's engines compute, and each role's share of them.

The roles of a process share them, so that recognition and speech of one machine have one order of urgency (`urgent_queue`) and
use no more threads than there are cores. Work that has not begun is dropped when its waiter is gone; work that has begun runs to
its end and its result is discarded.
"""

import asyncio
import contextvars
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from agentvoicebox.processes.cores import usable_cores
from agentvoicebox.workers.urgent_queue import Due, EngineWork, UrgentQueue

__all__ = ["Due", "EngineThreads", "UrgentThreads"]

T = TypeVar("T")


class EngineThreads:
    """Threads for blocking calls, as many as are computed at a time. They are daemons.

    Attributes:
        count: of threads; it grows if a share alone may use more.
    """

    _of_process: "EngineThreads | None" = None

    def __init__(self, threads: int) -> None:
        self.count = threads
        self.queue = UrgentQueue({})
        self.changed = threading.Condition()
        self.is_closed = False
        self._running: Counter[str] = Counter()
        self._threads: list[threading.Thread] = []

    @classmethod
    def of_process(cls) -> "EngineThreads":
        """Those that the roles of this process share: one for each core. Called from one event loop."""
        if cls._of_process is None or cls._of_process.is_closed:
            cls._of_process = cls(usable_cores())
        return cls._of_process

    def join(self, share: str, most: int) -> None:
        """A role begins, which computes `most` pieces of work at a time. Raises ValueError for a share that is there."""
        with self.changed:
            if share in self.queue.limits:
                raise ValueError(f"there is a share {share} already")
            self.queue.limits[share] = most
            self.count = max(self.count, most)
            while len(self._threads) < self.count:
                thread = threading.Thread(target=self._work, name=f"engine-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def leave(self, share: str) -> list[EngineWork]:
        """A role ends; its work that has not begun. With the last role the threads end after their present work."""
        with self.changed:
            dropped = self.queue.drop(share)
            self.queue.limits.pop(share, None)
            self.is_closed = not self.queue.limits
            self.changed.notify_all()
        return dropped

    def add(self, work: EngineWork) -> None:
        """Have a piece of work done."""
        with self.changed:
            self.queue.waiting.append(work)
            self.changed.notify_all()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            try:
                if work.future.set_running_or_notify_cancel():
                    try:
                        result = work.call()
                    except BaseException as error:  # passed to the waiter
                        work.future.set_exception(error)
                    else:
                        work.future.set_result(result)
            finally:
                with self.changed:
                    self._running[work.share] -= 1
                    self.changed.notify_all()
            del work

    def _next(self) -> EngineWork | None:
        with self.changed:
            while not self.is_closed:
                found = self.queue.take(time.monotonic(), self.count, self._running)
                if isinstance(found, EngineWork):
                    self._running[found.share] += 1
                    return found
                self.changed.wait(found)
        return None


class UrgentThreads:
    """A role's share of a process's engine threads: runs blocking calls, earliest due first. Used from one event loop."""

    def __init__(
        self,
        threads: int,
        *,
        name: str,
        on_run: Callable[[float], None] = lambda seconds: None,
        engine_threads: EngineThreads | None = None,
    ) -> None:
        """Join the threads.

        Args:
            threads: how many pieces of work may run at a time.
            name: of the share.
            on_run: called after each piece of work, in its thread, with the seconds that it took.
            engine_threads: shared with others; None: threads of its own.

        Raises:
            ValueError: fewer than one, or another share of these threads has the name.
        """
        if threads < 1:
            raise ValueError(f"{threads} threads are too few")
        self._name = name
        self._on_run = on_run
        self._is_closed = False
        self._engine_threads = engine_threads or EngineThreads(threads)
        self._engine_threads.join(name, threads)

    def run(self, work: Callable[[], T], *, due: Due) -> Awaitable[T]:
        """Queue `work`; the result is awaited on the calling event loop.

        Args:
            work: called in a thread, with the caller's context variables: its log lines have the ids of the job.
            due: when the result is needed. It may be changed until the work begins; call `reconsider` afterwards.

        Raises:
            RuntimeError: the threads were closed.
        """
        if self._is_closed:
            raise RuntimeError("the threads are closed")
        future: Future[T] = Future()
        context = contextvars.copy_context()
        self._engine_threads.add(EngineWork(self._name, due, future, lambda: context.run(self._timed, work)))
        return asyncio.wrap_future(future)

    def reconsider(self) -> None:
        """A deadline of work that waits was changed."""
        with self._engine_threads.changed:
            self._engine_threads.changed.notify_all()

    @property
    def queued(self) -> list[EngineWork]:
        """Work of this share that has not begun, in order of arrival."""
        with self._engine_threads.changed:
            return [work for work in self._engine_threads.queue.waiting if work.share == self._name]

    @property
    def waiting(self) -> int:
        """Number of pieces of work that have not begun."""
        return len(self.queued)

    def close(self) -> None:
        """Drop waiting work; threads of its own end after their present work. Idempotent; does not wait."""
        if self._is_closed:
            return
        self._is_closed = True
        for work in self._engine_threads.leave(self._name):
            work.future.cancel()

    def _timed(self, work: Callable[[], T]) -> T:
        began_s = time.perf_counter()
        try:
            return work()
        finally:
            self._on_run(time.perf_counter() - began_s)
