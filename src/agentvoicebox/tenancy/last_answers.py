"""Answers of PostgreSQL about accounts, remembered: decides how long a caller waits for it, and how old an answer may be.

A caller waits at most `POSTGRES_WAIT_S`, and then gets the last answer if that is at most `MAX_AGE_S` old; the query goes on in
the background. Equal questions share a query. After PostgreSQL did not answer, it is not asked for `RETRY_AFTER_S`, or until an
answer comes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import StorageLost

POSTGRES_WAIT_S = 0.5  # a healthy PostgreSQL answers within a few milliseconds
FRESH_S = 30.0
MAX_AGE_S = 60.0
RETRY_AFTER_S = 5.0
MOST_REMEMBERED = 10_000

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class _Known(msgspec.Struct, Generic[Answer], frozen=True):
    answer: Answer
    asked_s: float


class LastAnswers(Generic[Question, Answer]):
    """The answers to one kind of question.

    Args:
        ask: asks PostgreSQL; raises StorageLost.
        wait_s: how long a caller waits.
    """

    def __init__(
        self,
        ask: Callable[[Question], Awaitable[Answer]],
        *,
        wait_s: float = POSTGRES_WAIT_S,
        clock: Clock | None = None,
    ) -> None:
        self._ask = ask
        self._wait_s = wait_s
        self._clock = clock or SystemClock()
        self._known: OrderedDict[Question, _Known[Answer]] = OrderedDict()
        self._asking: dict[Question, asyncio.Task[Answer]] = {}
        self._away_until_s = float("-inf")

    async def of(self, question: Question) -> Answer:
        """The answer, at most `FRESH_S` old if PostgreSQL answers in time.

        Raises:
            StorageLost: it does not, and what is remembered is too old.
        """
        known = self._known.get(question)
        if known is not None and self._age_s(known) < FRESH_S:
            return known.answer
        if not self._is_away:
            try:
                async with asyncio.timeout(self._wait_s):
                    return await asyncio.shield(self._refresh(question))
            except TimeoutError:
                self._set_away()
            except StorageLost:
                pass
        if known is not None and self._age_s(known) < MAX_AGE_S:
            return known.answer
        raise StorageLost("PostgreSQL does not answer at the moment; please try again.")

    def at_once(self, question: Question) -> Answer | None:
        """The last answer, however old; None before the first. Never waits: an old one is refreshed beside."""
        known = self._known.get(question)
        if (known is None or self._age_s(known) >= FRESH_S) and not self._is_away:
            self._refresh(question)
        return None if known is None else known.answer

    async def close(self) -> None:
        """Cancel the questions that are still open."""
        asking = list(self._asking.values())
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    @property
    def _is_away(self) -> bool:
        return self._clock.monotonic_s() < self._away_until_s

    def _set_away(self) -> None:
        self._away_until_s = self._clock.monotonic_s() + RETRY_AFTER_S

    def _age_s(self, known: _Known[Answer]) -> float:
        return self._clock.monotonic_s() - known.asked_s

    def _refresh(self, question: Question) -> "asyncio.Task[Answer]":
        asking = self._asking.get(question)
        if asking is None:
            asking = self._asking[question] = asyncio.create_task(self._ask_now(question), name="account look-up")
            asking.add_done_callback(lambda done: self._asked(question, done))
        return asking

    async def _ask_now(self, question: Question) -> Answer:
        asked_s = self._clock.monotonic_s()
        try:
            answer = await self._ask(question)
        except StorageLost:
            self._set_away()
            raise
        self._away_until_s = float("-inf")
        self._known[question] = _Known(answer, asked_s)
        self._known.move_to_end(question)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return answer

    def _asked(self, question: Question, done: "asyncio.Task[Answer]") -> None:
        self._asking.pop(question, None)
        if not done.cancelled():
            done.exception()  # retrieved, even when no caller waits any more
