"""P1's world: gateways that write sessions down and read each other's, over one store; checked after every write.

A small model says what each session is. After a write every gateway must read exactly that, and hear of it exactly once and in
its order; a gateway whose session another one took over may change nothing any more.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.directory import SessionDirectory, new_owner
from tests.kit.property_search import brokers
from tests.kit.waiting import PATIENCE_S

SESSIONS = [SessionRef("acme", "sess_1"), SessionRef("acme", "sess_2"), SessionRef("umbra", "sess_1")]
PROBE = SessionRef("probe", "sess_0")
VERBS = ("write", "write", "write", "beat", "late write", "race", "close")

Step = tuple[str, int, int, str]  # verb, gateway, session, value
Heard = tuple[str, SessionRef, dict[str, str]]


class Reader:
    """One gateway: its directory, and what it heard of all sessions, with the moment it had read them itself."""

    def __init__(self, broker: RedisBroker) -> None:
        self.directory = SessionDirectory(broker.connection, broker.subscriber)
        self.heard: list[Heard] = []
        self.read_s: list[float] = []
        self._grown = asyncio.Condition()

    async def listen(self) -> None:
        async with contextlib.aclosing(self.directory.notices()) as notices:  # type: ignore[type-var]
            async for notice in notices:
                if notice.kind != "closed":
                    await self.directory.get(notice.session)
                async with self._grown:
                    self.read_s.append(time.perf_counter())
                    self.heard.append((notice.kind, notice.session, notice.fields))
                    self._grown.notify_all()

    async def has_heard_probe(self) -> None:
        """Until the end of the probe is the last that came."""
        while not self.heard or self.heard[-1] != ("closed", PROBE, {}):
            await self.has_heard(len(self.heard) + 1, PATIENCE_S)

    async def has_heard(self, count: int, patience_s: float) -> None:
        """Until so many notices came, or patience ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._grown:
                await self._grown.wait_for(lambda: len(self.heard) >= count)


class SeenSessions:
    """The world.

    Attributes:
        seen_ms: from the beginning of each write until each gateway had heard of it and read the session.
    """

    def __init__(self, readers: list[Reader], patience_s: float) -> None:
        self.readers = readers
        self.seen_ms: list[float] = []
        self._patience_s = patience_s
        self._fields: dict[SessionRef, dict[str, str]] = {}
        self._holders: dict[SessionRef, int] = {}
        self._former: dict[SessionRef, set[int]] = {}
        self._told: list[Heard] = []

    async def step(self, step: Step) -> None:
        """Do one thing, then ask everybody."""
        verb, gateway, number, value = step
        session = SESSIONS[number % len(SESSIONS)]
        holder = self._holders.get(session)
        began_s, told = time.perf_counter(), len(self._told)
        if verb == "write":
            await self._write(session, gateway if holder is None else holder, value)
        elif holder is None:
            return
        elif verb == "beat":
            await self.readers[gateway].directory.heartbeat()
        elif verb == "late write":
            if gateway in self._former.get(session, set()):
                await self.readers[gateway].directory.change(session, {"state": f"not {value}"})
        elif verb == "race":
            await self._race(session)
        else:
            assert await self.readers[holder].directory.close(session), "a live session was not there to be closed"
            del self._fields[session], self._holders[session]
            self._former.pop(session, None)
            self._told.append(("closed", session, {}))
        await self._ask_everybody()
        if len(self._told) > told:
            self.seen_ms += [(reader.read_s[told] - began_s) * 1000 for reader in self.readers]

    async def _write(self, session: SessionRef, gateway: int, value: str) -> None:
        directory = self.readers[gateway].directory
        if session in self._fields:
            self._fields[session] = self._fields[session] | {"state": value}
            await directory.change(session, {"state": value})
            self._told.append(("changed", session, self._fields[session]))
        else:
            self._holders[session] = gateway
            self._fields[session] = {"gateway": str(gateway), "state": value}
            await directory.open(session, self._fields[session])
            self._told.append(("opened", session, self._fields[session]))

    async def _race(self, session: SessionRef) -> None:
        """Every gateway but its own wants the session at once."""
        holder = self._holders[session]
        others = [each for each in range(len(self.readers)) if each != holder]
        seen = await self.readers[others[0]].directory.find(session)
        assert seen is not None, "a live session is not found"
        takers = [self.readers[each].directory.take_over(session, seen, owner=new_owner()) for each in others]
        took = [each for each, did in zip(others, await asyncio.gather(*takers), strict=True) if did]
        assert len(took) == 1, f"{len(took)} gateways took one session over"
        former = self._former.setdefault(session, set())
        former.add(holder)
        former.discard(took[0])
        self._holders[session] = took[0]
        self._told.append(("changed", session, self._fields[session]))

    async def _ask_everybody(self) -> None:
        for number, reader in enumerate(self.readers):
            for session in SESSIONS:
                fields = self._fields.get(session)
                wanted = None if fields is None else {"tenant_id": session.tenant_id, **fields}
                read = await reader.directory.get(session)
                assert read == wanted, f"gateway {number} reads {read} for {wanted}"
            await reader.has_heard(len(self._told), self._patience_s)
            assert reader.heard == self._told, f"gateway {number} heard {reader.heard} for {self._told}"


@contextlib.asynccontextmanager
async def seen_sessions(
    redis_url: str, gateways: int, *, patience_s: float = PATIENCE_S
) -> AsyncIterator[SeenSessions]:
    """So many gateways, each hearing notices."""
    async with brokers(redis_url, gateways) as made:
        readers = [Reader(broker) for broker in made]
        async with standing(readers):
            yield SeenSessions(readers, patience_s)


@contextlib.asynccontextmanager
async def standing(readers: list[Reader]) -> AsyncIterator[None]:
    """While inside, all of them hear notices; nothing of the trial is kept."""
    listening = [asyncio.create_task(reader.listen()) for reader in readers]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not all(reader.heard for reader in readers):
                await readers[0].directory.open(PROBE, {})
                await asyncio.wait([asyncio.create_task(reader.has_heard(1, 0.02)) for reader in readers])
        await readers[0].directory.close(PROBE)
        for reader in readers:
            await reader.has_heard_probe()
            reader.heard.clear()
            reader.read_s.clear()
        yield
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
