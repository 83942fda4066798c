"""How long a tenant's records are kept and what becomes of people's words in them: the deployment's rules, and a tenant's own.

A tenant's own rules stand in its row; what they leave open is the deployment's. They act within `FRESH_S` on what is recorded
from then on; what was recorded before stays as it is.
"""

from typing import Annotated, Literal

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import ClientError
from agentvoicebox.settings import Settings
from agentvoicebox.storage.audit import AuditEntry, write
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load

FRESH_S = 30.0
MOST_REMEMBERED = 10_000

Words = Literal["keep", "mask", "encrypt"]
Days = Annotated[int, msgspec.Meta(ge=1, le=3_650)]

_OF_TENANT, _SET, _NOTE = load("rules_of_tenant"), load("rules_set"), load("tenant_note")


class Rules(msgspec.Struct, frozen=True):
    """The rules that hold for a tenant.

    Attributes:
        days: how long sessions, items and responses are kept after the session's last record.
        audit_days: how long the audit log and usage are kept.
        words: what becomes of words, ids and identities before they are stored.
    """

    days: int = 90
    audit_days: int = 365
    words: Words = "keep"


def usual_rules(settings: Settings) -> Rules:
    """The deployment's."""
    return Rules(settings.history_days, settings.audit_days, settings.history_words)


class OwnRules(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a tenant's row says; None leaves it to the deployment."""

    days: Days | None = None
    audit_days: Days | None = None
    words: Words | None = None

    def over(self, usual: Rules) -> Rules:
        """These rules, and the usual ones where these say nothing."""
        return Rules(self.days or usual.days, self.audit_days or usual.audit_days, self.words or usual.words)

    def over_own(self, other: "OwnRules") -> "OwnRules":
        """These rules, and those of `other` where these say nothing."""
        return OwnRules(self.days or other.days, self.audit_days or other.audit_days, self.words or other.words)


class RuleBook:
    """Reads and sets rules.

    Args:
        usual: the deployment's.
        can_encrypt: whether there is a key to encrypt with; without one no tenant can be given that rule.
    """

    def __init__(
        self, postgres: Postgres, usual: Rules, *, can_encrypt: bool = False, clock: Clock | None = None
    ) -> None:
        self._postgres = postgres
        self._usual = usual
        self._can_encrypt = can_encrypt
        self._clock = clock or SystemClock()
        self._known: dict[str, tuple[float, Rules]] = {}

    async def of(self, tenant_id: str) -> Rules:
        """The rules that hold for a tenant, from memory where they are fresh.

        Raises:
            StorageLost: PostgreSQL is away.
        """
        now_s = self._clock.monotonic_s()
        known = self._known.get(tenant_id)
        if known is not None and now_s < known[0] + FRESH_S:
            return known[1]
        rules = (await self.own(tenant_id)).over(self._usual)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[tenant_id] = (now_s, rules)
        return rules

    async def own(self, tenant_id: str) -> OwnRules:
        """What a tenant's row says now. Who was never heard of gets a row. Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            found: str | None = await connection.fetchval(_OF_TENANT, tenant_id)
            if found is None:
                await connection.execute(_NOTE, tenant_id)
        return own_rules(found or "{}")

    async def set(self, tenant_id: str, own: OwnRules, *, deed: AuditEntry | None = None) -> Rules:
        """Give a tenant rules of its own, in place of those it had; gives what now holds for it.

        A `deed` is the audit log's entry of it, written with it or not at all.

        Raises:
            ClientError: words shall be encrypted, and there is no key (`no_history_key`).
            StorageLost: PostgreSQL is away. StorageRefused: an id that no tenant can have.
        """
        if own.words == "encrypt" and not self._can_encrypt:
            raise ClientError("Words can't be encrypted: AVB_HISTORY_KEYS holds no key.", code="no_history_key")
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await connection.execute(_SET, tenant_id, msgspec.json.encode(own).decode())
            await write(connection, tenant_id, deed)
        self._known.pop(tenant_id, None)
        return own.over(self._usual)


def own_rules(text: str) -> OwnRules:
    """A tenant's own rules, as its row has them (JSON)."""
    return msgspec.json.decode(text, type=OwnRules)
