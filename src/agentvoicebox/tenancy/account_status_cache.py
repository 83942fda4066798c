"""The account status of tenants and keys, remembered for half a minute: decides how soon a suspension takes effect.

A new caller is checked against a status that is at most `FRESH_S` old. An open session that asks every `ASK_EVERY_S` learns of
a suspension, a revoked key, or changed limits within 60 s. How long a caller waits for PostgreSQL: `last_answers`. A caller with
a configured key, or without one, never does: the status of its tenant is refreshed in the background.
"""

import asyncio
import contextlib

from agentvoicebox.clock import Clock
from agentvoicebox.errors import BadCredentials, PolicyDenied
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.tenancy.api_keys import AccountStatus, ApiKeys
from agentvoicebox.tenancy.key_format import prefix_of
from agentvoicebox.tenancy.last_answers import FRESH_S, POSTGRES_WAIT_S, LastAnswers
from agentvoicebox.tenancy.principal import Principal

ASK_EVERY_S = 20.0  # with FRESH_S: 50 s at worst


class AccountStatusCache:
    """Answers from memory, or from PostgreSQL. `close` it at the end."""

    def __init__(self, keys: ApiKeys, *, wait_s: float = POSTGRES_WAIT_S, clock: Clock | None = None) -> None:
        async def ask(question: tuple[str, str | None]) -> AccountStatus:
            return await keys.account_status(*question)

        self._answers = LastAnswers(ask, wait_s=wait_s, clock=clock)

    async def of(self, principal: Principal) -> AccountStatus:
        """The status of a principal's tenant and key.

        Raises:
            StorageLost: PostgreSQL does not answer and what is remembered is too old. Not for a configured key, which counts as
                active until PostgreSQL has said otherwise.
        """
        prefix = prefix_of(principal.key_id)
        if prefix is None:
            return self._answers.at_once((principal.tenant_id, None)) or AccountStatus()
        return await self._answers.of((principal.tenant_id, prefix))

    async def require_active(self, principal: Principal) -> AccountStatus:
        """As `of`, but refuse suspended tenants and ended keys.

        Raises:
            PolicyDenied: the tenant is suspended.
            BadCredentials: the key was revoked, or has expired.
            StorageLost: see `of`.
        """
        account = await self.of(principal)
        if account.is_suspended:
            raise PolicyDenied("This account is suspended.", code="account_deactivated")
        if not account.is_key_good:
            raise BadCredentials("Incorrect API key provided.")
        return account

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the status of the configured keys' tenant fresh until `stop`, so that their callers need not wait for it."""
        while not stop.is_set():
            self._answers.at_once((DEFAULT_TENANT, None))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FRESH_S):
                    await stop.wait()

    async def close(self) -> None:
        """Cancel open questions."""
        await self._answers.close()
