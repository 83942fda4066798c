"""How much a session may still use of the global limit, its tenant's, and its key's, taken together.

Each client event takes one request before it counts. Caller audio is charged by seconds and by pieces, and a response's tokens
when it is done, because by then they are used. Without tokens left, no new language model job is started until the window has
moved on. The limits are the deployment's, and the tenant's own where it has any; `limits` counts.
"""

import asyncio
import math

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.errors import RateLimited
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.limits.allowance import Allowance, LimitResult, Scope
from agentvoicebox.limits.redis import Limits
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.tenancy.api_keys import AccountStatus
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.wire.server_events import RateLimit

# One request is charged for so much caller audio: for a second in which some came, and for each so many pieces of it.
AUDIO_CHARGE_S = 1.0
AUDIO_CHARGE_PIECES = 100  # of 10 ms are a second; hardly any client sends smaller ones


class _Charge(msgspec.Struct, frozen=True):
    """Something that was used. `is_reported`: the client is sent what is left."""

    requests: int = 0
    tokens: int = 0
    is_reported: bool = False


class Quota:
    """The quota of one session, or of one request.

    Args:
        limits: counts.
        config: the deployment's limits.
        principal: whose it is.
        account: its tenant's own limits; `set_account` changes them.
    """

    def __init__(
        self,
        limits: Limits,
        config: LimitConfig,
        principal: Principal,
        account: AccountStatus,
        *,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._limits = limits
        self._config = config
        self._principal = principal
        self._clock = clock
        self._metrics = metrics
        self._charges: asyncio.Queue[_Charge] = asyncio.Queue()
        self._audio_charged_s = float("-inf")
        self._audio_pieces = 0  # since then
        self._last = LimitResult(True)
        self._last_s = float("-inf")
        self.set_account(account)

    def set_account(self, account: AccountStatus) -> None:
        """Use the tenant's new limits from now on."""
        scopes = (
            Scope("global", self._config.all_tenants),
            Scope("tenant", allowance_of(account, self._config.tenant), self._principal.tenant_id),
            Scope("key", self._config.key, self._principal.key_id),
        )
        self._scopes = [
            each for each in scopes if each.allowance.requests is not None or each.allowance.tokens is not None
        ]

    async def take(self) -> None:
        """Take one request. Raises RateLimited, which says when to retry."""
        verdict = self._remember(await self._limits.check(self._scopes))
        if not verdict.allowed:
            self._metrics.limited(verdict.limit_name)
            verdict.require()

    def charge_audio(self) -> None:
        """A piece of caller audio arrived."""
        now_s = self._clock.monotonic_s()
        self._audio_pieces += 1
        is_due = now_s >= self._audio_charged_s + AUDIO_CHARGE_S or self._audio_pieces >= AUDIO_CHARGE_PIECES
        if self._scopes and is_due:
            self._audio_charged_s, self._audio_pieces = now_s, 0
            self._charges.put_nowait(_Charge(requests=1))

    def charge_recording(self, seconds: float) -> None:
        """A recording was transcribed: one request for each started second, as for audio of a call."""
        if self._scopes and seconds > 0:
            self._charges.put_nowait(_Charge(requests=math.ceil(seconds)))

    def charge_tokens(self, tokens: int) -> None:
        """A response is done, and its client knows."""
        if self._scopes:
            self._charges.put_nowait(_Charge(tokens=tokens, is_reported=True))

    def token_refusal(self) -> RateLimited | None:
        """Why no language model job may start now, by the store's last answer: no tokens are left. None when one may."""
        age_s = self._clock.monotonic_s() - self._last_s
        for state in self._last.limits:
            wait_s = state.reset_s - age_s
            if state.name.endswith(".tokens") and not state.remaining and (wait_s > 0 or not state.limit):
                self._metrics.limited(state.name)
                message = f"Limit {state.name} is reached. Please try again in {max(0.0, wait_s):.1f} s."
                return RateLimited(message, retry_after_s=wait_s)
        return None

    async def next_limits(self) -> tuple[RateLimit, ...]:
        """Charge what was used, as it comes, until there is something to report to the client."""
        while True:
            charge = await self._charges.get()
            verdict = await self._charge(charge)
            if charge.is_reported:
                return verdict.to_wire()

    async def settle(self) -> None:
        """Charge what still waits: the session is over."""
        while not self._charges.empty():
            await self._charge(self._charges.get_nowait())

    async def _charge(self, charge: _Charge) -> LimitResult:
        return self._remember(await self._limits.charge(self._scopes, requests=charge.requests, tokens=charge.tokens))

    def _remember(self, verdict: LimitResult) -> LimitResult:
        self._last, self._last_s = verdict, self._clock.monotonic_s()
        return verdict


def allowance_of(account: AccountStatus, default: Allowance) -> Allowance:
    """The limits of a tenant: its own, and the deployment's where it has none."""
    own = account.limits
    return Allowance(
        requests=default.requests if own.requests is None else own.requests,
        tokens=default.tokens if own.tokens is None else own.tokens,
        window_s=default.window_s if own.window_s is None else own.window_s,
    )
