"""Protection around language models: timeouts, retries, a breaker for each, and failover to the next one.

All of it ends with the first token: an answer that the caller may already hear is never restarted here. A stream that breaks
later raises, and the worker continues after the published text. Signs of life
end here: they prolong the wait for a model that thinks, to a limit.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import ProviderBrokeOff, ProviderError, ProviderTimeout, ProviderUnavailable
from agentvoicebox.ports.language_model import LifeSign, ModelServer
from agentvoicebox.providers.closable import as_closable
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import Breaker, BreakerState

Delta = TextDelta | ToolCallDelta | Generated

# for all but the last of several providers together: requirement A9 wants failover within 5 s
FIRST_TOKEN_WITHIN_S = 4.0
LAST_FIRST_TOKEN_WITHIN_S = 30.0  # without one: a local model may still be loading
STALL_S = 15.0  # silence within an answer after which it counts as broken
THINKING_S = 40.0  # signs of life without a word; a gateway gives a job up after 45 s without a result

_log = structlog.get_logger(__name__)


class GuardedLlm:
    """One language model with its breaker. Implements ports.language_model.Llm.

    Args:
        name: for logs and health.
        first_token_within_s: from the request until the first token or sign of life, all tries together.
        stall_s: the longest silence after that.
        thinking_s: the longest time of signs of life without a token between.
        backoff: between tries; each also ends with `first_token_within_s`.
        chance: draws 0 to 1 for the jitter of waits.
        on_change: called with the new state of its breaker.

    Attributes:
        is_suspect: it failed, and has neither answered nor passed a check since.
    """

    def __init__(
        self,
        name: str,
        llm: ModelServer,
        *,
        first_token_within_s: float = LAST_FIRST_TOKEN_WITHIN_S,
        stall_s: float = STALL_S,
        thinking_s: float = THINKING_S,
        backoff: Backoff | None = None,
        breaker: Breaker | None = None,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
        on_change: Callable[[BreakerState], None] = lambda state: None,
    ) -> None:
        self.name = name
        self._on_change = on_change
        self._llm = llm
        self._first_token_within_s = first_token_within_s
        self._stall_s = stall_s
        self._thinking_s = thinking_s
        self._backoff = backoff or Backoff(first_s=0.1, tries=2, spread=0.5)
        self._breaker = breaker or Breaker()
        self._clock = clock or SystemClock()
        self._chance = chance
        self.is_suspect = False

    @property
    def breaker_state(self) -> BreakerState:
        """For health and metrics."""
        return self._breaker.state(self._clock.monotonic_s())

    def reset(self) -> None:
        """Close the breaker manually."""
        self._set_breaker(Breaker(self._breaker.policy))

    async def generate(self, request: Generate, job_id: str) -> AsyncGenerator[Delta, None]:
        """See ports.providers.Llm. Raises ProviderUnavailable at once while the breaker is open."""
        until_s = self._clock.monotonic_s() + self._first_token_within_s
        failures = 0
        while True:
            stream = self._try_once(request, job_id, until_s)
            is_begun = False
            try:
                async with aclosing(stream) as deltas:
                    async for delta in deltas:
                        is_begun = True
                        yield delta
                return
            except ProviderError as error:
                if is_begun and error.retryable:
                    raise ProviderBrokeOff(error.message) from error
                failures += 1
                wait_s = self._backoff.wait_s(failures, self._chance())
                if not error.retryable or wait_s is None:
                    raise
                if self.breaker_state is BreakerState.OPEN or self._clock.monotonic_s() + wait_s >= until_s:
                    raise
                await asyncio.sleep(wait_s)

    async def check(self) -> None:
        """See ports.providers.Llm; an open breaker is unhealthy without a request."""
        if self.breaker_state is BreakerState.OPEN:
            raise ProviderUnavailable(f"{self.name} failed too often and is paused")
        await self._llm.check()
        self.is_suspect = False

    async def _try_once(self, request: Generate, job_id: str, until_s: float) -> AsyncGenerator[Delta, None]:
        self._admit()
        is_settled = False
        try:
            async with aclosing(as_closable(self._llm.generate(request, job_id))) as deltas:
                token_s = self._clock.monotonic_s()  # of the last one
                limit_s = max(0.0, until_s - token_s)
                while True:
                    try:
                        async with asyncio.timeout(limit_s):
                            delta = await anext(deltas, None)
                    except TimeoutError as error:
                        raise ProviderTimeout(f"{self.name} was silent for {limit_s:.1f} s") from error
                    if delta is None:
                        raise ProviderUnavailable(f"the answer of {self.name} ended early")
                    now_s = self._clock.monotonic_s()
                    if isinstance(delta, LifeSign):
                        if now_s - token_s >= self._thinking_s:
                            raise ProviderTimeout(f"{self.name} worked for {self._thinking_s:.0f} s without a word")
                        limit_s = min(self._stall_s, token_s + self._thinking_s - now_s)
                        continue
                    token_s, limit_s = now_s, self._stall_s
                    if isinstance(delta, Generated):
                        self._set_breaker(self._breaker.succeeded())
                        self.is_suspect = False
                        is_settled = True
                        yield delta
                        return
                    yield delta
        except ProviderError as error:
            self.is_suspect = True
            # A refusal of this one request says nothing about the provider's health.
            if error.retryable:
                self._set_breaker(self._breaker.failed(self._clock.monotonic_s()))
                is_settled = True
            raise
        finally:
            if not is_settled:
                self._set_breaker(self._breaker.released())

    def _admit(self) -> None:
        now_s = self._clock.monotonic_s()
        self._breaker, is_admitted = self._breaker.admit(now_s)
        if not is_admitted:
            self.is_suspect = True
            raise ProviderUnavailable(f"{self.name} failed too often and is paused")

    def _set_breaker(self, breaker: Breaker) -> None:
        now_s = self._clock.monotonic_s()
        before, after = self._breaker.state(now_s), breaker.state(now_s)
        self._breaker = breaker
        if before is not after:
            _log.warning("breaker", provider=self.name, before=before.value, after=after.value)
            self._on_change(after)


class FailoverLlm:
    """Language models in order of preference: the next is used when one fails before its first token."""

    def __init__(self, providers: Sequence[GuardedLlm]) -> None:
        if not providers:
            raise ValueError("at least one language model is needed")
        self.providers = tuple(providers)

    async def generate(self, request: Generate, job_id: str) -> AsyncGenerator[Delta, None]:
        """See ports.providers.Llm. Raises the error of the last of them."""
        for place, provider in enumerate(self.providers):
            is_begun = False
            try:
                async with aclosing(provider.generate(request, job_id)) as deltas:
                    async for delta in deltas:
                        is_begun = True
                        yield delta
                return
            except ProviderError as error:
                if is_begun or place + 1 == len(self.providers):
                    raise
                _log.warning("failing over", provider=provider.name, code=error.code, reason=error.message)

    async def check(self) -> None:
        """Healthy when one of them is. Raises the error of the last of them."""
        for place, provider in enumerate(self.providers):
            try:
                await provider.check()
                return
            except ProviderError:
                if place + 1 == len(self.providers):
                    raise
