"""Counts refusals of unknown callers, so that a flood of them is a few entries of the audit log and not one each.

The first refusal of a source for a reason is an entry at once. Those that follow are counted, and are one entry a minute. The
number of sources is bounded; refusals of further ones are counted together.
"""

import secrets

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.storage.audit import AuditEntry

EVERY_S = 60.0
MOST_SOURCES = 256  # at 300 bytes an entry: 110 MB a day at worst
OTHER_SOURCES = "other sources"
UNKNOWN = "unknown"


class Refusal(msgspec.Struct, frozen=True):
    """What refusals have in common that are counted together."""

    action: str
    source: str
    reason: str


class _Count(msgspec.Struct):
    """Refusals since the last entry."""

    due_s: float
    refusals: int = 0
    actor: str = UNKNOWN
    first_s: float = 0.0
    last_s: float = 0.0


class RefusalCounts:
    """One per process.

    Args:
        clock: of the entries.
        most_sources: sources that are counted separately.
    """

    def __init__(self, clock: Clock, *, most_sources: int = MOST_SOURCES) -> None:
        self._clock = clock
        self._most_sources = most_sources
        self._counts: dict[Refusal, _Count] = {}

    def add(self, refusal: Refusal, actor: str) -> AuditEntry | None:
        """Count a refusal. Returns its entry if it is the first one of its kind.

        Args:
            refusal: what it is.
            actor: the id of the key that was shown, or `unknown`.
        """
        if refusal not in self._counts and len(self._counts) >= self._most_sources:
            refusal = Refusal(refusal.action, OTHER_SOURCES, refusal.reason)
        count = self._counts.get(refusal)
        is_first = count is None
        if count is None:
            count = self._counts[refusal] = _Count(self._clock.monotonic_s() + EVERY_S)
        now_s = self._clock.wall_s()
        if not count.refusals:
            count.actor, count.first_s = actor, now_s
        elif actor != count.actor:
            count.actor = UNKNOWN
        count.refusals += 1
        count.last_s = now_s
        return self._entry(refusal, count) if is_first else None

    def due(self, *, is_end: bool = False) -> list[AuditEntry]:
        """The entries of counts that are a minute old; at the end all of them."""
        now_s, entries = self._clock.monotonic_s(), []
        for refusal, count in list(self._counts.items()):
            if now_s < count.due_s and not is_end:
                continue
            if count.refusals:
                count.due_s = now_s + EVERY_S
                entries.append(self._entry(refusal, count))
            else:
                del self._counts[refusal]
        return entries

    def _entry(self, refusal: Refusal, count: _Count) -> AuditEntry:
        body: dict[str, object] = {
            "reason": refusal.reason,
            "count": count.refusals,
            "first": round(count.first_s, 3),
            "last": round(count.last_s, 3),
        }
        count.refusals = 0
        audit_id = f"aud_{secrets.token_hex(10)}"
        return AuditEntry(audit_id, count.last_s, count.actor, refusal.action, refusal.source, "", body)
