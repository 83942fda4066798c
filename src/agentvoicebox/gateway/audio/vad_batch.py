"""Speech probabilities for every session of this gateway, in as few model calls as the load allows.

A batch takes one window of every session that has one. It starts when a window waits, no batch is running, and the last batch
began some milliseconds ago: a single session does not wait for others; many sessions share a batch, because each model call has
a fixed cost. The model runs in a thread of its own, never on the loop. Windows of a line on which nothing changes need no call
(`turns/quiet_line`).

Invariant: a session's windows are judged in order, each with the state that the one before left; sessions never mix.
"""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from agentvoicebox.audio.pcm import Float32Array
from agentvoicebox.errors import BadProviderAnswer, ProviderError
from agentvoicebox.ports.providers import Vad
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.turns.quiet_line import QuietLine

# From the start of one batch to the next, unless one is urgent: the fixed cost of a model call is that of three windows, and a
# delay of 8 ms is short against the 32 ms of a window.
PACE_S = 0.008

log = get_logger(__name__)

OnWindow = Callable[[float, int], None]
"""Takes (probability, window_end_sample)."""


@dataclass(slots=True)
class _Window:
    samples: Float32Array
    end_sample: int
    is_first: bool  # the model's state starts anew with it
    before: list[Float32Array] = field(
        default_factory=list
    )  # windows that were skipped, which the model must have seen first


class VadSlot:
    """One session's place in the batches. Used on the event loop only."""

    def __init__(self, batcher: "VadBatcher", on_window: OnWindow, line: QuietLine | None = None) -> None:
        self._batcher = batcher
        self._line = line
        self._windows: list[_Window] = []
        self._submitted = 0
        self._answered = 0
        self._settling: list[tuple[int, asyncio.Future[None]]] = []
        self._is_fresh = False
        self._failure: ProviderError | None = None
        self._is_closed = False
        self.state: Float32Array | None = None  # before the first window
        self.on_window = on_window

    @property
    def waiting(self) -> int:
        """Windows submitted and not yet judged."""
        return self._submitted - self._answered

    def submit(self, samples: Float32Array, end_sample: int) -> None:
        """Put a window of shape (512,), 16 kHz, -1 to 1, in the queue. `on_window` gets its probability, on the loop.

        A window that sounds as the quiet ones before has their probability, at once.

        Raises:
            ProviderError: the model failed before; this slot is unusable.
        """
        if self._failure is not None:
            raise self._failure
        line, before = self._line, []
        if line is not None:
            if not self.waiting and not self._is_fresh and line.skips(samples):
                self.on_window(line.probability, end_sample)
                return
            before = line.take_skipped()
        self._windows.append(_Window(samples, end_sample, self._is_fresh, before))
        self._is_fresh = False
        self._submitted += 1
        self._batcher.wake(self)
        if len(self._windows) > 1:
            self._batcher.hurry()

    def restart(self) -> None:
        """The model's state starts anew with the next window."""
        self._is_fresh = True
        if self._line is not None:
            self._line.reset()

    async def settled(self) -> None:
        """Return once every window submitted so far was judged.

        Raises:
            ProviderError: the model failed.
        """
        if self._failure is not None:
            raise self._failure
        if self.waiting and not self._is_closed:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settling.append((self._submitted, done))
            self._batcher.hurry()
            await done

    def close(self) -> None:
        """Leave. Queued windows are dropped, and the result of one in the running batch is ignored. Idempotent."""
        self._is_closed = True
        self._windows.clear()
        self._batcher.leave(self)
        self._settle(self._submitted)

    def take(self) -> _Window:
        """For the batcher: the next window; only valid while `has_window`."""
        return self._windows.pop(0)

    @property
    def is_urgent(self) -> bool:
        """For the batcher: whether a caller of `settled` waits, or the session is behind."""
        return bool(self._settling) or len(self._windows) > 1

    @property
    def has_window(self) -> bool:
        """For the batcher: whether a window is queued."""
        return bool(self._windows)

    def answer(self, probability: float, window: _Window, state: Float32Array) -> None:
        """For the batcher: the window taken last was judged."""
        if self._is_closed:
            return
        self.state = state
        if self._line is not None:
            self._line.judged(window.samples, probability)
        self.on_window(probability, window.end_sample)
        self._settle(self._answered + 1)

    def fail(self, failure: ProviderError) -> None:
        """For the batcher: the window taken last could not be judged. Callers of `settled` and `submit` get the error."""
        self._failure = failure
        self._windows.clear()
        for _, done in self._settling:
            if not done.done():
                done.set_exception(failure)
        self._settling.clear()
        self._answered = self._submitted

    def _settle(self, answered: int) -> None:
        self._answered = answered
        while self._settling and self._settling[0][0] <= answered:
            _, done = self._settling.pop(0)
            if not done.done():
                done.set_result(None)


class VadBatcher:
    """The one model of this gateway, shared by its sessions."""

    def __init__(self, vad: Vad, *, pace_s: float = PACE_S, skips_quiet: bool = False) -> None:
        """The thread starts with the first window. Call `close` at the end.

        Args:
            vad: the model.
            pace_s: see PACE_S.
            skips_quiet: the model does not judge a line on which nothing changes.
        """
        self._vad = vad
        self._skips_quiet = skips_quiet
        self._pace_s = pace_s
        self._ready: dict[VadSlot, None] = {}  # in order of arrival
        self._running: asyncio.Task[None] | None = None
        self._may_begin = asyncio.Event()
        self._began_s = -math.inf
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vad")

    def open(self, on_window: OnWindow) -> VadSlot:
        """A slot for one session; `on_window(probability, window_end_sample)` is called on the loop, in order."""
        return VadSlot(self, on_window, QuietLine() if self._skips_quiet else None)

    def wake(self, slot: VadSlot) -> None:
        """For slots: a window waits."""
        self._ready[slot] = None
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run(), name="vad-batches")

    def hurry(self) -> None:
        """For slots: a window has become urgent; the next batch begins at once."""
        self._may_begin.set()

    def leave(self, slot: VadSlot) -> None:
        """For slots: drop this slot from the next batch."""
        self._ready.pop(slot, None)

    async def close(self) -> None:
        """Wait for the running batch, then end the thread. Idempotent."""
        self._ready.clear()
        self.hurry()
        if self._running is not None:
            await self._running
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._ready:
                await self._gather(loop)
                slots, self._ready = list(self._ready), {}
                if not slots:
                    break  # they were closed in the meantime
                windows = [slot.take() for slot in slots]
                states = [
                    self._vad.new_state() if window.is_first or slot.state is None else slot.state
                    for slot, window in zip(slots, windows, strict=True)
                ]
                # Queued again before the answers come: a callback may submit or close.
                self._ready = {slot: None for slot in slots if slot.has_window}
                try:
                    probabilities, new_states = await loop.run_in_executor(self._thread, self._judge, windows, states)
                except ProviderError as error:
                    self._fail(slots, error)
                    continue
                except Exception as error:  # a provider's bug must end these calls with a reason, not hang them
                    self._fail(slots, BadProviderAnswer(f"voice activity detection failed: {error!r}"))
                    continue
                for slot, window, probability, state in zip(slots, windows, probabilities, new_states, strict=True):
                    try:
                        slot.answer(float(probability), window, state)
                    except Exception as error:  # an error of one session must not stop the others' detection
                        log.exception("a session failed on a speech probability")
                        self._fail([slot], BadProviderAnswer(f"voice activity could not be handled: {error!r}"))
        finally:
            self._running = None

    async def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let more windows arrive, if the last batch began very recently and no window is urgent."""
        wait_s = self._began_s + self._pace_s - loop.time()
        if wait_s > 0 and not any(slot.is_urgent for slot in self._ready):
            self._may_begin.clear()
            timer = loop.call_later(wait_s, self._may_begin.set)
            await self._may_begin.wait()
            timer.cancel()
        self._began_s = loop.time()

    def _judge(self, windows: list[_Window], states: list[Float32Array]) -> tuple[Float32Array, Float32Array]:
        stacked = np.stack(states)
        for step in range(max(len(window.before) for window in windows)):
            rows = [row for row, window in enumerate(windows) if step < len(window.before)]
            missed = np.stack([windows[row].before[step] for row in rows])
            stacked[rows] = self._vad.probabilities(missed, stacked[rows])[1]
        return self._vad.probabilities(np.stack([window.samples for window in windows]), stacked)

    def _fail(self, slots: list[VadSlot], failure: ProviderError) -> None:
        for slot in slots:
            slot.fail(failure)
            self._ready.pop(slot, None)
