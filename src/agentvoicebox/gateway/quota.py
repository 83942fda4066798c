"""How much a session may still ask for: of everybody's limit, its tenant's, and its key's, taken together.

Each client event is asked for before it counts; caller audio is charged once a second and a response's tokens when it is over,
for by then they are used. Whoever has no tokens left gets no new answer from a language model until some come back. The figures
are the deployment's, and the tenant's own where it has any; counting is `limits`'.
"""

import asyncio

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.errors import RateLimited
from agentvoicebox.limits.allowance import Allowance, LimitResult, Scope
from agentvoicebox.limits.redis import Limits
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.tenancy.api_keys import Standing
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.tenancy.standings import allowance_of
from agentvoicebox.wire.server_events import RateLimit

AUDIO_CHARGE_S = 1.0  # of caller audio costs one request, however small the pieces it comes in


class Figures(msgspec.Struct, frozen=True):
    """What the deployment allows.

    Attributes:
        everybody: all tenants together.
        tenant: each of them; its own row may say otherwise.
        key: each key.
        tenant_sessions, key_sessions: open at a time; None sets no limit.
    """

    everybody: Allowance = Allowance()
    tenant: Allowance = Allowance()
    key: Allowance = Allowance()
    tenant_sessions: int | None = None
    key_sessions: int | None = None


class _Charge(msgspec.Struct, frozen=True):
    """Something that was used. `is_told`: the client is told what is left."""

    requests: int = 0
    tokens: int = 0
    is_told: bool = False


class Quota:
    """One session's, or one request's.

    Args:
        limits: counts.
        figures: the deployment's.
        principal: whose it is.
        standing: how that one stands; `follow` tells of changes.
    """

    def __init__(
        self,
        limits: Limits,
        figures: Figures,
        principal: Principal,
        standing: Standing,
        *,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._limits = limits
        self._figures = figures
        self._principal = principal
        self._clock = clock
        self._metrics = metrics
        self._charges: asyncio.Queue[_Charge] = asyncio.Queue()
        self._heard_s = float("-inf")
        self._last = LimitResult(True)
        self._last_s = float("-inf")
        self.follow(standing)

    def follow(self, standing: Standing) -> None:
        """Go by a tenant's new figures from now on."""
        scopes = (
            Scope("global", self._figures.everybody),
            Scope("tenant", allowance_of(standing, self._figures.tenant), self._principal.tenant_id),
            Scope("key", self._figures.key, self._principal.key_id),
        )
        self._scopes = [
            each for each in scopes if each.allowance.requests is not None or each.allowance.tokens is not None
        ]

    async def take(self) -> None:
        """Ask for one request. Raises RateLimited, which says when it may be asked for again."""
        verdict = self._note(await self._limits.check(self._scopes))
        if not verdict.allowed:
            self._metrics.limited(verdict.limit_name)
            verdict.require()

    def heard(self) -> None:
        """Caller audio came."""
        now_s = self._clock.monotonic_s()
        if self._scopes and now_s >= self._heard_s + AUDIO_CHARGE_S:
            self._heard_s = now_s
            self._charges.put_nowait(_Charge(requests=1))

    def used(self, tokens: int) -> None:
        """A response is over, and its client was told so."""
        if self._scopes:
            self._charges.put_nowait(_Charge(tokens=tokens, is_told=True))

    def spent(self) -> RateLimited | None:
        """Why no language model may be asked now, by what the store said last: no tokens are left. None: it may."""
        age_s = self._clock.monotonic_s() - self._last_s
        for state in self._last.limits:
            wait_s = state.reset_s - age_s
            if state.name.endswith(".tokens") and not state.remaining and (wait_s > 0 or not state.limit):
                self._metrics.limited(state.name)
                message = f"Limit {state.name} is reached. Please try again in {max(0.0, wait_s):.1f} s."
                return RateLimited(message, retry_after_s=wait_s)
        return None

    async def next_limits(self) -> tuple[RateLimit, ...]:
        """Charge what was used, as it comes, until there is something to tell the client."""
        while True:
            charge = await self._charges.get()
            verdict = await self._charge(charge)
            if charge.is_told:
                return verdict.to_wire()

    async def settle(self) -> None:
        """Charge what is still waiting: the session is over."""
        while not self._charges.empty():
            await self._charge(self._charges.get_nowait())

    async def _charge(self, charge: _Charge) -> LimitResult:
        return self._note(await self._limits.charge(self._scopes, requests=charge.requests, tokens=charge.tokens))

    def _note(self, verdict: LimitResult) -> LimitResult:
        self._last, self._last_s = verdict, self._clock.monotonic_s()
        return verdict
