"""How many sessions a tenant, a key and a secret have open, over all gateways, so that racing connects can't exceed their limits.

A session holds one slot of its tenant, one of its key and, if it was opened with a secret, one of the secret: all are taken by
one script, or none. A slot lives for 30 s and is renewed by its gateway's heartbeat, so the slots of a dead gateway expire by
themselves. While the store is away a process admits by its own sessions alone, and the next heartbeat writes them to the store.

A session that is taken over reserves again at its new gateway: it has its slots already and is not refused. One exception: a
session whose caller is gone leaves its secret's slot, so that the same page may begin a new session. If it does, the former one
can't be resumed with the secret any more.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.telemetry.logs import get_logger

# a caller waits; then this process answers for itself. Less, and a storm of callers is taken for an outage
STORE_TIMEOUT_S = 3.0
LEAST_RETRY_S = 1.0

Whose = Literal["tenant", "key", "secret"]
WHOSE: tuple[Whose, ...] = ("tenant", "key", "secret")

log = get_logger(__name__)


class Reserved(msgspec.Struct, frozen=True):
    """The session has a slot.

    Attributes:
        tenant_open, key_open: slots in use, this one included.
        is_local: the store was away, so only this process's sessions were counted.
    """

    tenant_open: int
    key_open: int
    is_local: bool = False


class AtCapacity(msgspec.Struct, frozen=True):
    """There is no free slot.

    Attributes:
        whose: the limit that is reached.
        retry_after_s: 1 to 30; until the oldest slot would expire, should its gateway be dead. A call that
            ends releases its slot at once.
    """

    whose: Whose
    limit: int
    retry_after_s: float


class SecretLimit(msgspec.Struct, frozen=True):
    """How many sessions may be open with an ephemeral secret.

    Attributes:
        secret_id: names the secret; not the secret itself.
        most: 1 or more.
    """

    secret_id: str
    most: int


class _Holder(msgspec.Struct, frozen=True):
    """Whose slots a session holds, beside its tenant's; no `secret_id`: none of a secret."""

    key_id: str
    secret_id: str = ""


class SessionCounts:
    """The slots that this process's sessions hold.

    Args:
        connection: the connection to the store (`RedisBroker.connection`).
        ttl_s: how long a slot lives without a heartbeat; heartbeats come three times as often.
    """

    def __init__(self, connection: Connection, *, ttl_s: float = keys.SESSION_TTL_S) -> None:
        self._connection = connection
        self._ttl_s = ttl_s
        self._reserve = Script("reserve_slots")
        self._own: dict[SessionRef, _Holder] = {}
        self._released: set[tuple[str, str]] = set()  # (set, session), during a heartbeat, which may have renewed them
        self._is_local = False

    async def reserve(
        self,
        session: SessionRef,
        key_id: str,
        *,
        tenant_limit: int | None,
        key_limit: int | None,
        secret: SecretLimit | None = None,
    ) -> Reserved | AtCapacity:
        """Reserve a slot, or renew the session's slot. Never fails.

        Args:
            session: the session that is opened; its tenant's slots are counted.
            key_id: the key it was opened with (of an ephemeral secret: the key that minted it); "" for none.
            tenant_limit: maximum of open sessions of the tenant, 0 or more; None for no limit.
            key_limit: the same for the key.
            secret: the ephemeral secret that its caller shows; None with a key.
        """
        holder = _Holder(key_id, "" if secret is None else secret.secret_id)
        limits = [tenant_limit, key_limit, *([] if secret is None else [secret.most])]
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                verdict, tenant_open, key_open, wait_ms = await self._connection.call(
                    lambda: self._reserve(
                        self._connection.commands,
                        _places(session, holder),
                        [session.session_id, self._ttl_ms, *map(_spelled, limits)],
                    )
                )
        except (BrokerLost, TimeoutError):
            return self._reserve_locally(session, holder, limits)
        self._is_local = False
        if verdict == 0:
            self._own[session] = holder
            return Reserved(tenant_open, key_open)
        return AtCapacity(WHOSE[verdict - 1], limits[verdict - 1] or 0, max(LEAST_RETRY_S, wait_ms / 1000))

    async def renew(self) -> None:
        """Renew the slots of this process, in one round trip. Call every `ttl_s / 3`. Raises BrokerLost."""
        ours = list(self._own.items())
        self._released.clear()
        if not ours:
            return

        async def renew() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            for session, holder in ours:
                # without limits: open sessions stay, also when a limit was lowered or the store lost its data
                places = _places(session, holder)
                pipe.eval(self._reserve.text, len(places), *places, session.session_id, self._ttl_ms)
            await pipe.execute()

        await self._connection.call(renew)
        held = {
            (place, session.session_id) for session, holder in self._own.items() for place in _places(session, holder)
        }
        if self._released - held:
            await self._remove(self._released - held)

    async def run(self, stop: asyncio.Event) -> None:
        """Send heartbeats until `stop`; while the store is away, retry with the next."""
        while not stop.is_set():
            with contextlib.suppress(BrokerLost):  # others log that the store is away
                await self.renew()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ttl_s / 3):
                    await stop.wait()

    async def release(self, session: SessionRef) -> None:
        """Release the slots of a session that ended. Raises BrokerLost; then they expire within `ttl_s`."""
        holder = self._own.pop(session, None)
        if holder is not None:
            await self._release((place, session.session_id) for place in _places(session, holder))

    async def leave_secret(self, session: SessionRef) -> None:
        """The session's caller is gone: another session may have the secret's slot. Raises BrokerLost as `release` does."""
        holder = self._own.get(session)
        if holder is not None and holder.secret_id:
            self._own[session] = _Holder(holder.key_id)
            await self._release([(keys.open_of_secret(session.tenant_id, holder.secret_id), session.session_id)])

    def stop_renewing(self, session: SessionRef) -> None:
        """Stop renewing a session: another gateway owns it, or may own it before its slots expire."""
        self._own.pop(session, None)

    async def _release(self, slots: Iterable[tuple[str, str]]) -> None:
        slots = set(slots)
        self._released |= slots
        await self._remove(slots)

    async def _remove(self, slots: set[tuple[str, str]]) -> None:
        async def remove() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            for place, member in slots:
                pipe.zrem(place, member)
            await pipe.execute()

        await self._connection.call(remove)

    def _reserve_locally(
        self, session: SessionRef, holder: _Holder, limits: Sequence[int | None]
    ) -> Reserved | AtCapacity:
        held = set(_places(session, self._own[session])) if session in self._own else set()
        others = [place for each, other in self._own.items() if each != session for place in _places(each, other)]
        taken = [others.count(place) for place in _places(session, holder)]
        for whose, place, count, limit in zip(WHOSE, _places(session, holder), taken, limits, strict=False):
            if limit is not None and count >= limit and place not in held:
                return AtCapacity(whose, limit, LEAST_RETRY_S)
        if not self._is_local:
            log.warning("sessions are counted by this process alone: the store is away")
        self._is_local = True
        self._own[session] = holder
        return Reserved(taken[0] + 1, taken[1] + 1, is_local=True)

    @property
    def _ttl_ms(self) -> int:
        return int(self._ttl_s * 1000)


def _places(session: SessionRef, holder: _Holder) -> list[str]:
    """The sets in which the session has a slot, in the order of WHOSE."""
    tenant_id = session.tenant_id
    places = [keys.open_of_tenant(tenant_id), keys.open_of_key(tenant_id, holder.key_id)]
    return [*places, keys.open_of_secret(tenant_id, holder.secret_id)] if holder.secret_id else places


def _spelled(limit: int | None) -> str:
    return "" if limit is None else str(limit)
