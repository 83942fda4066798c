"""Limits over all gateways: windows in the store, moved by one script, so that no two gateways count past each other.

Why windows of a hundred parts, and neither of the two usual cheap counters: the two-bucket sliding counter takes the bucket
before as evenly spread, and a GCRA refills while a burst is still young; both let through up to twice the limit within a
window that is placed badly. Here no window ever holds more than the limit, and what was taken comes back at most 1 % of a
window late. A check costs one round trip whatever is taken, and all that are asked at the same moment share it.

While the store is away this process answers for itself (`local`), says so once in the log, and counts each such answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import msgspec

from agentvoicebox.broker.connection import STORE_ERRORS, Connection
from agentvoicebox.broker.keys import PREFIX
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.limits.allowance import MEASURES, SLOTS, Answer, Scope, Verdict, verdict_of
from agentvoicebox.limits.local import LocalLimits
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy
from agentvoicebox.telemetry.logs import get_logger

TAG = "{limits}"  # one hash tag: scopes that are taken from together must lie in one slot of a cluster
# A dead socket refuses at once. This is for a store that hangs; less, and a gateway that is stormed by callers would take its own
# lateness for an outage, and then count alone.
PATIENCE_S = 3.0
RETRY_S = 1.0  # how long the local limit stands before the store is asked again
SCRIPT = resources.files("agentvoicebox.limits").joinpath("lua", "take.lua").read_text()

log = get_logger(__name__)


class _Question(msgspec.Struct, frozen=True, eq=False):
    """One run of the script, and who waits for what it says."""

    keys: list[str]
    arguments: list[Any]
    answer: "asyncio.Future[list[list[int]] | None]"


class Limits:
    """Checks and charges. One a process.

    Args:
        connection: the line to the store (`RedisBroker.connection`).
        peers: gateways that share the limits, for the local ones.
        patience_s: how long a round trip may take.
        on_local: called for each answer given without the store; for a counter.
        clock: counts windows by this clock instead of the store's; for tests.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        peers: int = 1,
        patience_s: float = PATIENCE_S,
        on_local: Callable[[], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connection = connection
        self._waiting: list[_Question] = []
        self._sending: asyncio.Task[None] | None = None
        self._breaker = Breaker(BreakerPolicy(failures_to_open=1, open_s=RETRY_S))
        self._patience_s = patience_s
        self._on_local = on_local
        self._given_clock = clock
        self._clock = clock or SystemClock()
        self._local = LocalLimits(peers=peers, clock=self._clock)
        self.local_answers = 0

    async def check(self, scopes: Sequence[Scope], *, requests: int = 1, tokens: int = 0) -> Verdict:
        """Take from every scope, or from none. Never fails.

        Args:
            scopes: each at most once.
            requests: 0 or more; with 0 this measure is looked at and not taken from.
            tokens: as `requests`.
        """
        return await self._take(scopes, requests, tokens, is_forced=False)

    async def charge(self, scopes: Sequence[Scope], *, requests: int = 0, tokens: int = 0) -> Verdict:
        """Count what has been used already, also beyond the limit: later checks pay for it. Never fails."""
        return await self._take(scopes, requests, tokens, is_forced=True)

    async def _take(self, scopes: Sequence[Scope], requests: int, tokens: int, *, is_forced: bool) -> Verdict:
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
            return Verdict(True)
        now_ms = "" if self._given_clock is None else str(int(self._given_clock.monotonic_s() * 1000))
        found = await self._ask(keys, [now_ms, SLOTS, int(is_forced), *figures])
        if found is None:
            self.local_answers += 1
            if self._on_local is not None:
                self._on_local()
            answers = self._local.take(scopes, requests=requests, tokens=tokens, is_forced=is_forced)
            return verdict_of(answers, is_local=True)
        verdict = verdict_of(
            [Answer(name, limit, *map(int, each)) for (name, limit), each in zip(names, found, strict=True)],
            is_local=False,
        )
        if verdict.allowed:
            self._local.take(scopes, requests=requests, tokens=tokens, is_forced=True)
        return verdict

    async def _ask(self, keys: list[str], arguments: list[Any]) -> list[list[int]] | None:
        """The script's answer, or None while the store is away. Never asked twice: what was taken would be taken again."""
        answer: asyncio.Future[list[list[int]] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Question(keys, arguments, answer))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="limits")
        return await answer

    async def _send(self) -> None:
        """Put all questions that wait into one round trip, until there are none."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            found: Sequence[list[list[int]] | None] = [None] * len(batch)
            try:
                found = await self._round_trip(batch) or found
            finally:  # whatever happens, nobody waits for ever
                for question, each in zip(batch, found, strict=True):
                    if not question.answer.done():  # who asked may have left
                        question.answer.set_result(each)

    async def _round_trip(self, batch: Sequence[_Question]) -> list[list[list[int]]] | None:
        self._breaker, may_ask = self._breaker.admit(self._clock.monotonic_s())
        if not may_ask:
            return None
        try:
            async with asyncio.timeout(self._patience_s):
                found = await self._run(batch)
        except asyncio.CancelledError:
            self._breaker = self._breaker.released()
            raise
        except (*STORE_ERRORS, TimeoutError) as error:
            if self._breaker.opened_s is None:
                log.error("limits are kept by this process alone: the store is away", error=type(error).__name__)
            self._breaker = self._breaker.failed(self._clock.monotonic_s())
            return None
        if self._breaker.opened_s is not None:
            log.warning("limits are kept by the store again", local_answers=self.local_answers)
        self._breaker = self._breaker.succeeded()
        return found

    async def _run(self, batch: Sequence[_Question]) -> list[list[list[int]]]:
        pipe = self._connection.store.aside.pipeline(transaction=False)
        for question in batch:
            # whole, not by its digest: a cluster's pipeline takes no EVALSHA
            pipe.eval(SCRIPT, len(question.keys), *question.keys, *question.arguments)
        found: list[list[list[int]]] = await pipe.execute()
        return found
