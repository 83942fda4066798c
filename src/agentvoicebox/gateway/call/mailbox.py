"""Everything that happens to a session, in one queue: the only way to its engine."""

import asyncio
from collections.abc import Mapping

import msgspec

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.clock import Clock
from agentvoicebox.engine.inputs import Input
from agentvoicebox.gateway.audio.arrival_times import TakenAt
from agentvoicebox.ports.broker import JobResult

CAPACITY = 256  # inputs; beyond it client and workers have to wait
MAX_BATCH = 64  # inputs that are handled together: more would only delay the first of them
# Bytes of client events in a batch, its last one not counted: a few of 250 KiB each hold the event loop for milliseconds.
BATCH_BYTES = 64 * 1024


class PostedInput(msgspec.Struct, frozen=True):
    """An input on its way to the engine.

    Attributes:
        posted_s: monotonic time.
        record: the worker's record that it came from, or None.
        came: when the client's event that it came from arrived, or None.
        client_event: the type of the client's event that it came from; empty: none.
        size: of that event, in bytes or characters.
        item_audio: 16 kHz samples of its items that came with audio, by id (`call/item_audio`).
    """

    given: Input
    posted_s: float
    record: JobResult | None = None
    client_event: str = ""
    size: int = 0
    came: TakenAt | None = None
    item_audio: Mapping[int, Int16Array] = {}


class Mailbox:
    """One session's.

    Attributes:
        has_client_event: the client has sent an event other than audio.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.has_client_event = False
        self._inputs: list[PostedInput] = []  # an empty deque takes 760 bytes, and most mailboxes are empty
        self._has_some = LightEvent()
        self._has_room = LightEvent()
        self._has_room.set()

    @property
    def is_empty(self) -> bool:
        """Whether no input waits."""
        return not self._inputs

    def post(self, given: Input) -> None:
        """Add an input that can't wait: a fact of the turn detector, an end."""
        self._add(PostedInput(given, self._clock.monotonic_s()))

    async def offer(
        self,
        given: Input,
        *,
        client_event: str = "",
        size: int = 0,
        record: JobResult | None = None,
        came: TakenAt | None = None,
        item_audio: Mapping[int, Int16Array] = {},
    ) -> None:
        """Add an input of the client or of a worker, once there is room."""
        posted_s = self._clock.monotonic_s()
        self.has_client_event = self.has_client_event or bool(client_event)
        await self._has_room.wait()
        self._add(PostedInput(given, posted_s, record, client_event, size, came, item_audio))

    def wake(self) -> None:
        """Let `next_batch` return, even without inputs."""
        self._has_some.set()

    async def next_batch(self, wait_s: float | None) -> list[PostedInput] | None:
        """The next inputs, at most MAX_BATCH; empty after `wake`, None when nothing came within `wait_s`."""
        if not self._inputs:
            self._has_some.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._has_some.wait()
            except TimeoutError:
                return None
        count = self._batch_length()
        batch, self._inputs = self._inputs[:count], self._inputs[count:]
        if len(self._inputs) < CAPACITY:
            self._has_room.set()
        return batch

    def _batch_length(self) -> int:
        size = 0
        for count, posted in enumerate(self._inputs[:MAX_BATCH], start=1):
            size += posted.size
            if size > BATCH_BYTES:
                return count
        return min(MAX_BATCH, len(self._inputs))

    def _add(self, posted: PostedInput) -> None:
        self._inputs.append(posted)
        self._has_some.set()
        if len(self._inputs) >= CAPACITY:
            self._has_room.clear()
