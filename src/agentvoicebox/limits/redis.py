"""Limits over all gateways: windows in the store, updated by one script, so that concurrent gateways never exceed a limit.

Why windows of a hundred parts, and neither of the two usual cheap counters: the two-bucket sliding counter assumes that the
previous bucket was spread evenly, and a GCRA refills while a burst is still recent; both allow up to twice the limit within
some window. Here no window ever holds more than the limit, and used amounts are returned at most 1 % of a
window late. A check costs one round trip whatever it takes, and concurrent checks share it.

While the store is away this process decides by itself (`local`), logs this once, and counts each such answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import msgspec

from agentvoicebox.broker.connection import STORE_ERRORS, Connection
from agentvoicebox.broker.keys import PREFIX
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.limits.allowance import MEASURES, SLOTS, LimitResult, LimitUsage, Scope, limit_result_of
from agentvoicebox.limits.local import LocalLimits
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState
from agentvoicebox.telemetry.logs import get_logger, unbound

TAG = "{limits}"  # one hash tag: scopes of one check must be in one slot of a cluster
# A dead socket fails at once. This is for a store that hangs; with less, a gateway under a burst of callers would take its own
# delay for an outage, and then count alone.
STORE_TIMEOUT_S = 3.0
RETRY_S = 1.0  # how long the local limit is used before the store is tried again
SCRIPT = resources.files("agentvoicebox.limits").joinpath("lua", "consume.lua").read_text()

log = get_logger(__name__)


class _PendingCheck(msgspec.Struct, frozen=True, eq=False):
    """One run of the script, and the future of its result."""

    keys: list[str]
    arguments: list[Any]
    answer: "asyncio.Future[list[list[int]] | None]"


class Limits:
    """Checks and charges. One per process.

    Args:
        connection: the connection to the store (`RedisBroker.connection`).
        peers: gateways that share the limits, for the local ones.
        timeout_s: how long a round trip may take.
        on_local: called for each answer given without the store, for a counter.
        clock: counts windows by this clock instead of the store's; for tests.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        peers: int = 1,
        timeout_s: float = STORE_TIMEOUT_S,
        on_local: Callable[[], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connection = connection
        self._waiting: list[_PendingCheck] = []
        self._sending: asyncio.Task[None] | None = None
        self._breaker = Breaker(BreakerPolicy(failures_to_open=1, open_s=RETRY_S))
        self._timeout_s = timeout_s
        self._on_local = on_local
        self._given_clock = clock
        self._clock = clock or SystemClock()
        self._local = LocalLimits(peers=peers, clock=self._clock)
        self.local_answers = 0

    @property
    def breaker(self) -> BreakerState:
        """Closed while the store counts; otherwise this process counts alone."""
        return self._breaker.state(self._clock.monotonic_s())

    async def check(self, scopes: Sequence[Scope], *, requests: int = 1, tokens: int = 0) -> LimitResult:
        """Take from every scope, or from none. Never fails.

        Args:
            scopes: each at most once.
            requests: 0 or more; with 0 this measure is checked and not taken from.
            tokens: as `requests`.
        """
        return await self._consume(scopes, requests, tokens, is_forced=False)

    async def charge(self, scopes: Sequence[Scope], *, requests: int = 0, tokens: int = 0) -> LimitResult:
        """Count what was used already, also beyond the limit: later checks pay for it. Never fails."""
        return await self._consume(scopes, requests, tokens, is_forced=True)

    async def _consume(self, scopes: Sequence[Scope], requests: int, tokens: int, *, is_forced: bool) -> LimitResult:
        if requests < 0 or tokens < 0:
            raise ValueError("an amount is 0 or more")
        amounts = {"requests": requests, "tokens": tokens}
        names: list[tuple[str, int]] = []
        keys: list[str] = []
        figures: list[int] = []
        for scope in scopes:
            slot_ms = scope.allowance.slot_ms
            for measure in MEASURES:
                if (limit := scope.allowance.of(measure)) is not None:
                    names.append((f"{scope.kind}.{measure}", limit))
                    keys.append(f"{PREFIX}limit:{TAG}:{scope.kind}:{scope.id}:{measure}:{slot_ms}")
                    figures += [limit, slot_ms, amounts[measure]]
        if not keys:
            return LimitResult(True)
        now_ms = "" if self._given_clock is None else str(int(self._given_clock.monotonic_s() * 1000))
        found = await self._query(keys, [now_ms, SLOTS, int(is_forced), *figures])
        if found is None:
            self.local_answers += 1
            if self._on_local is not None:
                self._on_local()
            answers = self._local.consume(scopes, requests=requests, tokens=tokens, is_forced=is_forced)
            return limit_result_of(answers, is_local=True)
        verdict = limit_result_of(
            [LimitUsage(name, limit, *map(int, each)) for (name, limit), each in zip(names, found, strict=True)],
            is_local=False,
        )
        if verdict.allowed:
            self._local.consume(scopes, requests=requests, tokens=tokens, is_forced=True)
        return verdict

    async def _query(self, keys: list[str], arguments: list[Any]) -> list[list[int]] | None:
        """The script's answer, or None while the store is away. Never retried: a retry could take twice."""
        answer: asyncio.Future[list[list[int]] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_PendingCheck(keys, arguments, answer))
        if self._sending is None or self._sending.done():
            with unbound():
                self._sending = asyncio.create_task(self._send(), name="limits")
        return await answer

    async def _send(self) -> None:
        """Send all pending checks in one round trip, until there are none."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            found: Sequence[list[list[int]] | None] = [None] * len(batch)
            try:
                found = await self._round_trip(batch) or found
            finally:  # whatever happens, no caller waits for ever
                for question, each in zip(batch, found, strict=True):
                    if not question.answer.done():  # the caller may be gone
                        question.answer.set_result(each)

    async def _round_trip(self, batch: Sequence[_PendingCheck]) -> list[list[list[int]]] | None:
        self._breaker, may_ask = self._breaker.admit(self._clock.monotonic_s())
        if not may_ask:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._run(batch)
        except asyncio.CancelledError:
            self._breaker = self._breaker.released()
            raise
        except (*STORE_ERRORS, TimeoutError) as error:
            if self._breaker.opened_s is None:
                log.error("limits are enforced by this process alone: the store is away", error=type(error).__name__)
            self._breaker = self._breaker.failed(self._clock.monotonic_s())
            return None
        if self._breaker.opened_s is not None:
            log.warning("limits are enforced by the store again", local_answers=self.local_answers)
        self._breaker = self._breaker.succeeded()
        return found

    async def _run(self, batch: Sequence[_PendingCheck]) -> list[list[list[int]]]:
        pipe = self._connection.store.priority.pipeline(transaction=False)
        for question in batch:
            # the full text, not its digest: a cluster's pipeline accepts no EVALSHA
            pipe.eval(SCRIPT, len(question.keys), *question.keys, *question.arguments)
        found: list[list[list[int]]] = await pipe.execute()
        return found
