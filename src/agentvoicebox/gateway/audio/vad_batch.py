"""Speech probabilities for every session of this gateway, in as few model calls as the load allows.

A call takes one window of every session that has one. It starts as soon as one waits, none is running, and the last one began
some milliseconds ago: alone, a session waits for nobody; many sessions gather, because each call has a price of its own. The
model runs in a thread of its own, never on the loop.

Law: a session's windows are judged in order, each against the state that the one before left; sessions never mix.
"""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from agentvoicebox.audio.pcm import Float32Array
from agentvoicebox.errors import BadProviderAnswer, ProviderError
from agentvoicebox.ports.providers import Vad
from agentvoicebox.telemetry.logs import get_logger

# From one call's start to the next one's, unless that is urgent: a call costs as much as three windows by itself, and what is
# heard 8 ms later (of the 32 that a window lasts) is still heard in time.
PACE_S = 0.008

log = get_logger(__name__)

Heard = Callable[[float, int], None]  # (probability, window_end_sample)


@dataclass(slots=True)
class _Window:
    samples: Float32Array
    end_sample: int
    is_first: bool  # the session's memory starts afresh with it


class VadSlot:
    """One session's place in the batches. Used on the event loop only."""

    def __init__(self, batcher: "VadBatcher", heard: Heard) -> None:
        self._batcher = batcher
        self._windows: list[_Window] = []
        self._submitted = 0
        self._answered = 0
        self._settling: list[tuple[int, asyncio.Future[None]]] = []
        self._is_fresh = False
        self._failure: ProviderError | None = None
        self._is_closed = False
        self.state: Float32Array | None = None  # before the first window
        self.heard = heard

    @property
    def waiting(self) -> int:
        """Windows submitted and not yet judged."""
        return self._submitted - self._answered

    def submit(self, samples: Float32Array, end_sample: int) -> None:
        """Put a window of shape (512,), 16 kHz, -1 to 1, in line. `heard` is called with its probability, on the loop.

        Raises:
            ProviderError: the model failed before; this slot is of no more use.
        """
        if self._failure is not None:
            raise self._failure
        self._windows.append(_Window(samples, end_sample, self._is_fresh))
        self._is_fresh = False
        self._submitted += 1
        self._batcher.wake(self)
        if len(self._windows) > 1:
            self._batcher.hurry()

    def restart(self) -> None:
        """From the next window on, nothing was heard before."""
        self._is_fresh = True

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
        """Leave. Windows in line are forgotten, an answer under way is not passed on. Idempotent."""
        self._is_closed = True
        self._windows.clear()
        self._batcher.leave(self)
        self._settle(self._submitted)

    def take(self) -> _Window:
        """For the batcher: the next window; the caller saw that there is one."""
        return self._windows.pop(0)

    @property
    def is_urgent(self) -> bool:
        """For the batcher: whether somebody waits for the answers, or the session is behind."""
        return bool(self._settling) or len(self._windows) > 1

    @property
    def has_window(self) -> bool:
        """For the batcher: whether a window waits in line."""
        return bool(self._windows)

    def answer(self, probability: float, end_sample: int, state: Float32Array) -> None:
        """For the batcher: the window taken last was judged."""
        if self._is_closed:
            return
        self.state = state
        self.heard(probability, end_sample)
        self._settle(self._answered + 1)

    def fail(self, failure: ProviderError) -> None:
        """For the batcher: the window taken last could not be judged. Whoever waits or submits learns it."""
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

    def __init__(self, vad: Vad, *, pace_s: float = PACE_S) -> None:
        """No thread is started before the first window. Call `close` in the end."""
        self._vad = vad
        self._pace_s = pace_s
        self._ready: dict[VadSlot, None] = {}  # in the order in which they came
        self._running: asyncio.Task[None] | None = None
        self._may_begin = asyncio.Event()
        self._began_s = -math.inf
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vad")

    def open(self, heard: Heard) -> VadSlot:
        """A place for one session; `heard(probability, window_end_sample)` is called on the loop, in order."""
        return VadSlot(self, heard)

    def wake(self, slot: VadSlot) -> None:
        """For slots: a window waits."""
        self._ready[slot] = None
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run(), name="vad-batches")

    def hurry(self) -> None:
        """For slots: it has become urgent; the next call begins at once."""
        self._may_begin.set()

    def leave(self, slot: VadSlot) -> None:
        """For slots: nothing of it is wanted any more."""
        self._ready.pop(slot, None)

    async def close(self) -> None:
        """End the batch under way and the thread. Idempotent."""
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
                    break  # they left meanwhile
                windows = [slot.take() for slot in slots]
                states = [
                    self._vad.new_state() if window.is_first or slot.state is None else slot.state
                    for slot, window in zip(slots, windows, strict=True)
                ]
                # In line again before the answers come: whoever is called back may submit or leave.
                self._ready = {slot: None for slot in slots if slot.has_window}
                samples = [window.samples for window in windows]
                try:
                    probabilities, new_states = await loop.run_in_executor(self._thread, self._judge, samples, states)
                except ProviderError as error:
                    self._fail(slots, error)
                    continue
                except Exception as error:  # a provider's bug must end these calls with a reason, not hang them
                    self._fail(slots, BadProviderAnswer(f"voice activity detection failed: {error!r}"))
                    continue
                for slot, window, probability, state in zip(slots, windows, probabilities, new_states, strict=True):
                    try:
                        slot.answer(float(probability), window.end_sample, state)
                    except Exception as error:  # one session's fault must not stop the others' detection
                        log.exception("a session could not take a probability")
                        self._fail([slot], BadProviderAnswer(f"voice activity can't be followed: {error!r}"))
        finally:
            self._running = None

    async def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let more windows come, if the last call began only just now and nothing is urgent."""
        wait_s = self._began_s + self._pace_s - loop.time()
        if wait_s > 0 and not any(slot.is_urgent for slot in self._ready):
            self._may_begin.clear()
            timer = loop.call_later(wait_s, self._may_begin.set)
            await self._may_begin.wait()
            timer.cancel()
        self._began_s = loop.time()

    def _judge(self, samples: list[Float32Array], states: list[Float32Array]) -> tuple[Float32Array, Float32Array]:
        return self._vad.probabilities(np.stack(samples), np.stack(states))

    def _fail(self, slots: list[VadSlot], failure: ProviderError) -> None:
        for slot in slots:
            slot.fail(failure)
            self._ready.pop(slot, None)
