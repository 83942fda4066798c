"""Runs a side effect once: every request for it gets the same result, also on another worker and after a crash.

Invariant: a side effect that has begun is not begun again, unless the tool is idempotent. If the worker that began it died
without a result, the answer is `outcome_unknown`.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BrokerLost
from agentvoicebox.tools.definition import OUTCOME_UNKNOWN, Definition, failure
from agentvoicebox.tools.ledger import CallKey, Ledger
from agentvoicebox.tools.registry import GRACE_S

POLL_INTERVAL_S = 0.1  # of the ledger, while another worker runs the call
MARGIN_S = 1.0  # for the clock difference of two machines and the store's latency

_log = structlog.get_logger(__name__)


class Once:
    """Runs side effects, each in its own task that continues when the request is cancelled."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Clock | None = None,
        poll_interval_s: float = POLL_INTERVAL_S,
        margin_s: float = MARGIN_S,
    ) -> None:
        self._ledger = ledger
        self._clock = clock or SystemClock()
        self._look_every_s = poll_interval_s
        self._margin_s = margin_s
        self._running: set[asyncio.Task[str]] = set()

    @property
    def running(self) -> int:
        """Number of side effects that this process is running."""
        return len(self._running)

    async def run(self, key: CallKey, definition: Definition, act: Callable[[], Awaitable[str]]) -> str:
        """The output of the call, from now or from before. Cancelling this coroutine does not cancel the side effect.

        Args:
            key: the call.
            definition: of its tool.
            act: performs the side effect within the tool's timeout. Called at most once, unless the tool is idempotent.

        Raises:
            BrokerLost: the ledger can't be reached; nothing was begun.
        """
        longest_s = definition.timeout_s + GRACE_S + self._margin_s
        entry = await self._ledger.begin(key, self._clock.wall_s() + longest_s)
        if entry.is_new:
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

    async def drain(self, within_s: float) -> None:
        """Wait up to `within_s` for running side effects. The others are cancelled, and their outcome stays unknown."""
        if not self._running:
            return
        _, late = await asyncio.wait(set(self._running), timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _act(self, key: CallKey, call: str, act: Callable[[], Awaitable[str]]) -> str:
        task = asyncio.create_task(self._act_and_write(key, call, act), name=f"side effect {key.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _act_and_write(self, key: CallKey, call: str, act: Callable[[], Awaitable[str]]) -> str:
        output = await act()
        try:
            await self._ledger.finish(key.session, call, output)
        except BrokerLost:
            # This request still gets the result; another one would get `outcome_unknown`.
            _log.warning("the output of a side effect could not be stored", tool=key.name)
        return output
