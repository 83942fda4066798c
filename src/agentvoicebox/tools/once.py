"""A side effect, once: whoever asks for it gets its one result, also from another worker, also after a crash.

Law: what has begun is never begun again, unless the tool says that twice is as good as once. When the one who began it died
without a word, the answer is `outcome_unknown`: nobody knows, and nobody guesses.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BrokerLost
from agentvoicebox.tools.definition import OUTCOME_UNKNOWN, Definition, failure
from agentvoicebox.tools.ledger import CallKey, Ledger
from agentvoicebox.tools.registry import GRACE_S

LOOK_EVERY_S = 0.1  # at the book, while another works; the caller waits anyway
MARGIN_S = 1.0  # clocks of two machines, and the way to the book

_log = structlog.get_logger(__name__)


class Once:
    """Runs side effects, each in a task of its own that outlives whoever asked for it."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Clock | None = None,
        look_every_s: float = LOOK_EVERY_S,
        margin_s: float = MARGIN_S,
    ) -> None:
        self._ledger = ledger
        self._clock = clock or SystemClock()
        self._look_every_s = look_every_s
        self._margin_s = margin_s
        self._under_way: set[asyncio.Task[str]] = set()

    @property
    def under_way(self) -> int:
        """Side effects that have begun here and not ended."""
        return len(self._under_way)

    async def run(self, key: CallKey, definition: Definition, act: Callable[[], Awaitable[str]]) -> str:
        """What the call returned, now or before. Cancelling the asker does not cancel the act.

        Args:
            key: which call.
            definition: its tool.
            act: carries it out, within the tool's time. Called at most once, unless the tool is idempotent.

        Raises:
            BrokerLost: the book can't be reached; nothing was begun.
        """
        longest_s = definition.timeout_s + GRACE_S + self._margin_s
        entry = await self._ledger.begin(key, self._clock.wall_s() + longest_s)
        if entry.is_mine:
            return await self._act(key, entry.call, act)
        output = entry.output
        while output is None and self._clock.wall_s() < entry.until_s:
            await asyncio.sleep(self._look_every_s)
            output = await self._ledger.output(key.session, entry.call)
        if output is not None:
            return output
        if definition.is_idempotent:
            return await self._act(key, entry.call, act)
        _log.warning("a side effect was begun and never ended", tool=key.name, session_id=key.session.session_id)
        return failure(OUTCOME_UNKNOWN).output

    async def settle(self, within_s: float) -> None:
        """Wait for what is under way, at most so long; what is left after that is cancelled and stays unknown."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(set(self._under_way), timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _act(self, key: CallKey, call: str, act: Callable[[], Awaitable[str]]) -> str:
        task = asyncio.create_task(self._act_and_write(key, call, act), name=f"side effect {key.name}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _act_and_write(self, key: CallKey, call: str, act: Callable[[], Awaitable[str]]) -> str:
        output = await act()
        try:
            await self._ledger.finish(key.session, call, output)
        except BrokerLost:
            # Its own asker still gets the result; another would hear that it is unknown.
            _log.warning("the end of a side effect could not be written down", tool=key.name)
        return output
