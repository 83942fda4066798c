"""Retention rules: how long a tenant's records are kept and what happens to people's words in them.

A tenant's own rules are in its row; the deployment's apply where it has none. A change applies within `FRESH_S` to new
records; existing records are not changed.
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


class RetentionRules(msgspec.Struct, frozen=True):
    """The rules that apply to a tenant.

    Attributes:
        days: how long sessions, items and responses are kept after the session's last record.
        audit_days: how long the audit log and usage are kept.
        words: what happens to words, ids and identities before they are stored.
        audio: whether the audio of calls is stored, with the same rule for words: in clear or encrypted.
    """

    days: int = 90
    audit_days: int = 365
    words: Words = "keep"
    audio: bool = False

    @property
    def keeps_audio(self) -> bool:
        """Whether audio is stored. It can't be masked, so it is not stored where words are."""
        return self.audio and self.words != "mask"


def default_rules(settings: Settings) -> RetentionRules:
    """The deployment's rules."""
    return RetentionRules(settings.history_days, settings.audit_days, settings.history_words)


def gate_rules(settings: Settings) -> RetentionRules:
    """The rules of the log of refused callers that belong to no tenant: it has their addresses, and anyone can make it grow."""
    return msgspec.structs.replace(default_rules(settings), audit_days=settings.gate_audit_days)


class TenantRules(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The rules in a tenant's row; None means the deployment's value."""

    days: Days | None = None
    audit_days: Days | None = None
    words: Words | None = None
    audio: bool | None = None

    def over(self, default: RetentionRules) -> RetentionRules:
        """These rules, completed by the default ones."""
        return RetentionRules(
            self.days or default.days,
            self.audit_days or default.audit_days,
            self.words or default.words,
            default.audio if self.audio is None else self.audio,
        )

    def over_own(self, other: "TenantRules") -> "TenantRules":
        """These rules, completed by those of `other`."""
        return TenantRules(
            self.days or other.days,
            self.audit_days or other.audit_days,
            self.words or other.words,
            other.audio if self.audio is None else self.audio,
        )


class RuleBook:
    """Reads and sets rules.

    Args:
        default: the deployment's rules.
        can_encrypt: whether there is a key; without one the rule `encrypt` is refused.
    """

    def __init__(
        self, postgres: Postgres, default: RetentionRules, *, can_encrypt: bool = False, clock: Clock | None = None
    ) -> None:
        self._postgres = postgres
        self._default = default
        self._can_encrypt = can_encrypt
        self._clock = clock or SystemClock()
        self._known: dict[str, tuple[float, RetentionRules]] = {}

    async def of(self, tenant_id: str) -> RetentionRules:
        """The rules that apply to a tenant, cached while fresh.

        Raises:
            StorageLost: PostgreSQL is away.
        """
        now_s = self._clock.monotonic_s()
        known = self._known.get(tenant_id)
        if known is not None and now_s < known[0] + FRESH_S:
            return known[1]
        rules = (await self.own(tenant_id)).over(self._default)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[tenant_id] = (now_s, rules)
        return rules

    async def own(self, tenant_id: str) -> TenantRules:
        """The rules in a tenant's row now. An unknown tenant gets a row. Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            found: str | None = await connection.fetchval(_OF_TENANT, tenant_id)
            if found is None:
                await connection.execute(_NOTE, tenant_id)
        return tenant_rules(found or "{}")

    async def set(self, tenant_id: str, own: TenantRules, *, audit_entry: AuditEntry | None = None) -> RetentionRules:
        """Replace a tenant's own rules; returns the rules that now apply.

        An `audit_entry` is written together with the change, or not at all.

        Raises:
            ClientError: words must be encrypted, and there is no key (`no_history_key`); or they are masked and audio is not.
            StorageLost: PostgreSQL is away. StorageRefused: an invalid id of a tenant.
        """
        if own.words == "encrypt" and not self._can_encrypt:
            raise ClientError("Words can't be encrypted: AVB_HISTORY_KEYS holds no key.", code="no_history_key")
        rules = own.over(self._default)
        if rules.audio and not rules.keeps_audio:
            raise ClientError(
                "Audio can't be masked: set `words` to keep or encrypt, or `audio` to false.",
                code="invalid_value",
                param="history.audio",
            )
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await connection.execute(_SET, tenant_id, msgspec.json.encode(own).decode())
            await write(connection, tenant_id, audit_entry)
        self._known.pop(tenant_id, None)
        return rules


def tenant_rules(text: str) -> TenantRules:
    """A tenant's own rules, as stored in its row (JSON)."""
    return msgspec.json.decode(text, type=TenantRules)
