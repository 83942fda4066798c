"""How many sessions a tenant and a key have open, over all gateways, so that racing connects can't exceed their limits.

A session holds one slot of its tenant and one of its key, both taken by one script or not at all. A slot lives for 30 s
and is renewed by its gateway's heartbeat, so the slots of a dead gateway expire by themselves. While the store is
away a process admits by its own sessions alone, and the next heartbeat writes them to the store.

A session that is taken over reserves again at its new gateway: it has its slot already and is never refused.
"""

import asyncio
import contextlib
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

    whose: Literal["tenant", "key"]
    limit: int
    retry_after_s: float


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
        self._own: dict[SessionRef, str] = {}
        self._released: dict[SessionRef, str] = {}  # released during a heartbeat, which may have renewed them
        self._is_local = False

    async def reserve(
        self, session: SessionRef, key_id: str, *, tenant_limit: int | None, key_limit: int | None
    ) -> Reserved | AtCapacity:
        """Reserve a slot, or renew the session's slot. Never fails.

        Args:
            session: the session that is opened; its tenant's slots are counted.
            key_id: the key it was opened with (of an ephemeral secret: the key that minted it); "" for none.
            tenant_limit: maximum of open sessions of the tenant, 0 or more; None for no limit.
            key_limit: the same for the key.
        """
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                verdict, tenant_open, key_open, wait_ms = await self._connection.call(
                    lambda: self._reserve(
                        self._connection.commands,
                        _places(session, key_id),
                        [session.session_id, _spelled(tenant_limit), _spelled(key_limit), self._ttl_ms],
                    )
                )
        except (BrokerLost, TimeoutError):
            return self._reserve_locally(session, key_id, tenant_limit, key_limit)
        self._is_local = False
        if verdict == 0:
            self._own[session] = key_id
            return Reserved(tenant_open, key_open)
        retry_after_s = max(LEAST_RETRY_S, wait_ms / 1000)
        if verdict == 1:
            return AtCapacity("tenant", tenant_limit or 0, retry_after_s)
        return AtCapacity("key", key_limit or 0, retry_after_s)

    async def renew(self) -> None:
        """Renew the slots of this process, in one round trip. Call every `ttl_s / 3`. Raises BrokerLost."""
        ours = list(self._own.items())
        self._released.clear()
        if not ours:
            return

        async def renew() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            for session, key_id in ours:
                # without limits: open sessions stay, also when a limit was lowered or the store lost its data
                pipe.eval(self._reserve.text, 2, *_places(session, key_id), session.session_id, "", "", self._ttl_ms)
            await pipe.execute()

        await self._connection.call(renew)
        if self._released:
            await self._remove(self._released)

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
        key_id = self._own.pop(session, None)
        if key_id is not None:
            self._released[session] = key_id
            await self._remove({session: key_id})

    def stop_renewing(self, session: SessionRef) -> None:
        """Stop renewing a session: another gateway owns it, or may own it before its slots expire."""
        self._own.pop(session, None)

    async def _remove(self, left: dict[SessionRef, str]) -> None:
        members = [(places, session.session_id) for session, key in left.items() for places in _places(session, key)]

        async def strike() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            for places, member in members:
                pipe.zrem(places, member)
            await pipe.execute()

        await self._connection.call(strike)

    def _reserve_locally(
        self, session: SessionRef, key_id: str, tenant_limit: int | None, key_limit: int | None
    ) -> Reserved | AtCapacity:
        others = [(each, key) for each, key in self._own.items() if each != session]
        of_tenant = [key for each, key in others if each.tenant_id == session.tenant_id]
        of_key = of_tenant.count(key_id)
        if session not in self._own:
            if tenant_limit is not None and len(of_tenant) >= tenant_limit:
                return AtCapacity("tenant", tenant_limit, LEAST_RETRY_S)
            if key_limit is not None and of_key >= key_limit:
                return AtCapacity("key", key_limit, LEAST_RETRY_S)
        if not self._is_local:
            log.warning("sessions are counted by this process alone: the store is away")
        self._is_local = True
        self._own[session] = key_id
        return Reserved(len(of_tenant) + 1, of_key + 1, is_local=True)

    @property
    def _ttl_ms(self) -> int:
        return int(self._ttl_s * 1000)


def _places(session: SessionRef, key_id: str) -> list[str]:
    return [keys.open_of_tenant(session.tenant_id), keys.open_of_key(session.tenant_id, key_id)]


def _spelled(limit: int | None) -> str:
    return "" if limit is None else str(limit)
