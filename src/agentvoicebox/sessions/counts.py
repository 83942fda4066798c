"""How many sessions a tenant and a key have open, over all gateways, so that concurrent connects can't exceed their limits.

A session holds one place of its tenant and one of its key; one script takes both or none. A place expires after 30 s and is
renewed by its gateway's heartbeat, so places of a dead gateway become free by themselves. While the store is away, a process
counts its own sessions only, and the next heartbeat stores them.

A resumed session enters again at its new gateway: it has its place already and is never refused.
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

# Then this process decides by itself. With less, a burst of callers would look like an outage.
TIMEOUT_S = 3.0
LEAST_RETRY_S = 1.0

log = get_logger(__name__)


class Entered(msgspec.Struct, frozen=True):
    """The session has a place.

    Attributes:
        tenant_open, key_open: places taken, this one included.
        is_local: the store was away, so only this process's sessions were counted.
    """

    tenant_open: int
    key_open: int
    is_local: bool = False


class AtCapacity(msgspec.Struct, frozen=True):
    """There is no free place.

    Attributes:
        whose: the limit that is reached.
        retry_after_s: 1 to 30; when the place renewed longest ago expires, should its gateway be dead. A call that ends frees
            its place at once.
    """

    whose: Literal["tenant", "key"]
    limit: int
    retry_after_s: float


class SessionCounts:
    """The places that this process's sessions hold.

    Args:
        connection: the line to the store (`RedisBroker.connection`).
        ttl_s: how long a place is kept without a heartbeat; heartbeats come three times as often.
    """

    def __init__(self, connection: Connection, *, ttl_s: float = keys.SESSION_TTL_S) -> None:
        self._connection = connection
        self._ttl_s = ttl_s
        self._enter = Script("enter")
        self._ours: dict[SessionRef, str] = {}
        self._left: dict[SessionRef, str] = {}  # while a heartbeat was under way that may have renewed them
        self._is_alone = False

    async def enter(
        self, session: SessionRef, key_id: str, *, tenant_limit: int | None, key_limit: int | None
    ) -> Entered | AtCapacity:
        """Take a place, or renew the one that the session has. Never raises.

        Args:
            session: whose place it is.
            key_id: the key it was opened with (of an ephemeral secret: the key that minted it); "" for none.
            tenant_limit: most open sessions of the tenant, 0 or more; None for no limit.
            key_limit: of the key.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                verdict, tenant_open, key_open, wait_ms = await self._connection.call(
                    lambda: self._enter(
                        self._connection.commands,
                        _places(session, key_id),
                        [session.session_id, _spelled(tenant_limit), _spelled(key_limit), self._ttl_ms],
                    )
                )
        except (BrokerLost, TimeoutError):
            return self._enter_here(session, key_id, tenant_limit, key_limit)
        self._is_alone = False
        if verdict == 0:
            self._ours[session] = key_id
            return Entered(tenant_open, key_open)
        retry_after_s = max(LEAST_RETRY_S, wait_ms / 1000)
        if verdict == 1:
            return AtCapacity("tenant", tenant_limit or 0, retry_after_s)
        return AtCapacity("key", key_limit or 0, retry_after_s)

    async def beat(self) -> None:
        """Renew all of ours, in one round trip. Call every `ttl_s / 3`. Raises BrokerLost."""
        ours = list(self._ours.items())
        self._left.clear()
        if not ours:
            return

        async def renew() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            for session, key_id in ours:
                # without limits: open sessions stay, even if a limit was lowered or the store lost its data
                pipe.eval(self._enter.text, 2, *_places(session, key_id), session.session_id, "", "", self._ttl_ms)
            await pipe.execute()

        await self._connection.call(renew)
        if self._left:
            await self._strike(self._left)

    async def run(self, stop: asyncio.Event) -> None:
        """Heartbeats until `stop`; an absent store is tried again at the next."""
        while not stop.is_set():
            with contextlib.suppress(BrokerLost):  # others log that the store is away
                await self.beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ttl_s / 3):
                    await stop.wait()

    async def leave(self, session: SessionRef) -> None:
        """The session is over: its places are free at once. Raises BrokerLost; then they expire within `ttl_s`."""
        key_id = self._ours.pop(session, None)
        if key_id is not None:
            self._left[session] = key_id
            await self._strike({session: key_id})

    def stop_renewing(self, session: SessionRef) -> None:
        """Stop renewing the session: another gateway has it, or may have it until its places expire."""
        self._ours.pop(session, None)

    async def _strike(self, left: dict[SessionRef, str]) -> None:
        members = [(places, session.session_id) for session, key in left.items() for places in _places(session, key)]

        async def strike() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            for places, member in members:
                pipe.zrem(places, member)
            await pipe.execute()

        await self._connection.call(strike)

    def _enter_here(
        self, session: SessionRef, key_id: str, tenant_limit: int | None, key_limit: int | None
    ) -> Entered | AtCapacity:
        others = [(each, key) for each, key in self._ours.items() if each != session]
        of_tenant = [key for each, key in others if each.tenant_id == session.tenant_id]
        of_key = of_tenant.count(key_id)
        if session not in self._ours:
            if tenant_limit is not None and len(of_tenant) >= tenant_limit:
                return AtCapacity("tenant", tenant_limit, LEAST_RETRY_S)
            if key_limit is not None and of_key >= key_limit:
                return AtCapacity("key", key_limit, LEAST_RETRY_S)
        if not self._is_alone:
            log.warning("sessions are counted by this process alone: the store is away")
        self._is_alone = True
        self._ours[session] = key_id
        return Entered(len(of_tenant) + 1, of_key + 1, is_local=True)

    @property
    def _ttl_ms(self) -> int:
        return int(self._ttl_s * 1000)


def _places(session: SessionRef, key_id: str) -> list[str]:
    return [keys.open_of_tenant(session.tenant_id), keys.open_of_key(session.tenant_id, key_id)]


def _spelled(limit: int | None) -> str:
    return "" if limit is None else str(limit)
