"""P7: a session whose heartbeats stop is cleaned, nothing of it is left, and `closed` is told once; the living keep all.

Gateways open sessions that leave every kind of key, die or live on while time passes, and janitors sweep, several at once, some
of them failing in the middle.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis
from tests.kit.property_search import brokers, emptied, examples
from tests.kit.seen_sessions import PROBE, Reader, standing

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import AppendAudio, AppendLog, AudioEntry, Job, JobKind, SessionRef, Submit
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.janitor import Janitor
from agentvoicebox.sessions.log import SessionLog

pytestmark = pytest.mark.requirement("A1.5")

GATEWAYS = 2
KINDS = (JobKind.STT, JobKind.LLM, JobKind.TTS)
VERBS = ("open", "open", "work", "work", "die", "pass", "pass", "sweep", "fail before", "fail after", "hang up")
STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 50)), max_size=20)
A_BAD_NIGHT = [
    ("open", 0), ("work", 0), ("open", 1), ("work", 1), ("open", 0), ("hang up", 2), ("die", 0), ("pass", 45),
    ("fail before", 0), ("sweep", 0), ("open", 1), ("work", 3), ("die", 1), ("pass", 45), ("sweep", 0),
]  # fmt: skip


class Fails:
    """A broker over another's line whose store goes away in `forget`, once."""

    def __init__(self, broker: RedisBroker, *, after: bool) -> None:
        self._broker = broker
        self._after = after

    async def forget(self, session: SessionRef) -> None:
        if self._after:
            await self._broker.forget(session)
        raise BrokerLost("in the middle of a sweep")


class Fleet:
    """Gateways, workers and janitors over one store and one clock; what should be there is kept beside it."""

    def __init__(self, made: list[RedisBroker], redis: Redis, reader: Reader) -> None:
        self.clock = ManualClock()
        self.redis = redis
        self.reader = reader
        self.broker, self.worker, *lines = made
        self.gateways = [self._directory(self.broker) for _ in range(GATEWAYS)]
        self.janitors = [(Janitor(self._directory(line), line), line) for line in lines]
        self.holders: dict[SessionRef, int | None] = {}
        self.beaten_s: dict[SessionRef, float] = {}
        self.closed: list[SessionRef] = []
        self.jobs = 0

    def _directory(self, broker: RedisBroker) -> SessionDirectory:
        return SessionDirectory(broker.connection, broker.subscriber, clock=self.clock)

    async def step(self, verb: str, number: int) -> None:
        session = list(self.holders)[number % len(self.holders)] if self.holders else None
        if verb == "open":
            await self._open(number % GATEWAYS)
        elif verb == "die":  # its directory is gone, and with it every heartbeat; it comes back with an empty one
            self.gateways[number % GATEWAYS] = self._directory(self.broker)
            self.holders = {one: None if who == number % GATEWAYS else who for one, who in self.holders.items()}
        elif verb == "pass":
            await self._let_pass(number)
        elif verb == "sweep":
            await self._sweep(*(janitor for janitor, _ in self.janitors))
        elif verb.startswith("fail"):
            directory = self._directory(self.janitors[0][1])
            failing: Any = Fails(self.janitors[0][1], after=verb == "fail after")
            janitor = Janitor(directory, failing)
            with contextlib.suppress(BrokerLost):
                await janitor.sweep()
        elif session is not None and (holder := self.holders[session]) is not None:
            if verb == "work":
                await self._work(session)
            else:
                await self.broker.forget(session)
                assert await self.gateways[holder].close(session)
                self._gone(session)

    async def _open(self, gateway: int) -> None:
        session = SessionRef("acme", f"sess_{len(self.holders) + len(self.closed)}")
        await self.gateways[gateway].open(session, {"gateway": str(gateway)})
        self.holders[session], self.beaten_s[session] = gateway, self.clock.wall_s()

    async def _work(self, session: SessionRef) -> None:
        """Every kind of key that a call leaves: fences, job ids, records, speech, caller audio, log, snapshot."""
        self.jobs += 1
        ids = [f"job_{self.jobs}_{kind}" for kind in KINDS]
        jobs = [Submit(Job(job_id, kind, session, b"", 0.0)) for job_id, kind in zip(ids, KINDS, strict=True)]
        pcm = AppendAudio(session, ids[0], AudioEntry("audio", 0, bytes(640)))
        await self.broker.dispatch([*jobs, pcm, AppendLog(session, b"opened"), AppendLog(session, b"said")])
        if self.jobs % 2:  # else nobody has taken the jobs yet
            for kind in KINDS:
                for claim in await self.worker.claim(kind, "w", slots=8, wait_s=0):
                    assert await self.worker.publish(claim, b"so far", audio=b"")
        await SessionLog(self.broker.connection).save_snapshot(session, b"state", 1)

    async def _let_pass(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1.0)
            if int(self.clock.monotonic_s()) % keys.SESSION_HEARTBEAT_S == 0:
                for number, gateway in enumerate(self.gateways):
                    await gateway.heartbeat()
                    mine = [session for session, holder in self.holders.items() if holder == number]
                    self.beaten_s.update(dict.fromkeys(mine, self.clock.wall_s()))

    async def _sweep(self, *janitors: Janitor) -> None:
        over_s = self.clock.wall_s() - keys.SESSION_TTL_S - keys.SESSION_HEARTBEAT_S
        doomed = [session for session in self.holders if self.beaten_s[session] <= over_s]
        kept = {session: self.keys_of(session) for session in self.holders if session not in doomed}
        swept = await asyncio.gather(*(janitor.sweep() for janitor in janitors))
        assert sum(swept) == len(doomed), f"{sum(swept)} were swept up for {len(doomed)}"
        for session in doomed:
            assert not self.keys_of(session), f"left behind: {self.keys_of(session)}"
            self._gone(session)
        for session, there in kept.items():
            assert self.keys_of(session) == there, f"{session} lives and lost {there - self.keys_of(session)}"

    def _gone(self, session: SessionRef) -> None:
        del self.holders[session], self.beaten_s[session]
        self.closed.append(session)

    def keys_of(self, session: SessionRef) -> set[str]:
        return {key for key in self.redis.scan_iter(count=1000) if keys.tag(session) in key}

    async def end(self) -> None:
        """Everybody dies, and long after it all is swept: then the store holds nothing but empty streams."""
        for number in range(GATEWAYS):
            await self.step("die", number)
        await self._let_pass(keys.SESSION_TTL_S + keys.SESSION_HEARTBEAT_S)
        await self.step("sweep", 0)
        for kind in KINDS:
            await self.worker.release_consumer(kind, "w")
            assert await self.worker.claim(kind, "late", slots=99, wait_s=0) == [], "a job outlived its session"
            assert self.redis.xlen(keys.job_stream(kind)) == 0
        await self.reader.directory.open(PROBE, {})
        await self.reader.directory.close(PROBE)
        await self.reader.has_heard_probe()
        told = Counter(session for kind, session, _ in self.reader.heard if kind == "closed" and session != PROBE)
        assert told == Counter(self.closed), f"{told} were told closed of {self.closed}"
        left = set(self.redis.scan_iter()) - keys.WITHOUT_TTL
        assert not left, f"left behind: {left}"


@contextlib.asynccontextmanager
async def running_fleet(url: str) -> AsyncIterator[Fleet]:
    emptied(url)
    with Redis.from_url(url, decode_responses=True) as redis:
        async with brokers(url, 5) as (listening, *made):
            reader = Reader(listening)
            async with standing([reader]):
                yield Fleet(made, redis, reader)


async def play(url: str, steps: list[tuple[str, int]]) -> None:
    async with running_fleet(url) as world:
        for verb, number in steps:
            await world.step(verb, number)
        await world.end()


@examples(40)
@given(steps=STEPS)
@example(steps=A_BAD_NIGHT)
def test_p7_what_has_no_heartbeat_is_swept_up_whole_and_told_once(redis_url: str, steps: list[tuple[str, int]]) -> None:
    asyncio.run(play(redis_url, steps))


# -- the property catches janitors that are broken ------------------------------------------------------------------


def _all_but_the_snapshot(original: Any) -> Any:
    async def forget(self: RedisBroker, session: SessionRef) -> None:
        kept: Any = await self.connection.commands.hgetall(keys.snapshot(session))
        await original(self, session)
        if kept:
            await self.connection.commands.hset(keys.snapshot(session), mapping=kept)
            await self.connection.commands.expire(keys.snapshot(session), keys.SESSION_DATA_TTL_S)

    return forget


def _twice(original: Any) -> Any:
    async def close(self: SessionDirectory, session: SessionRef) -> bool:
        await original(self, session)
        return True

    return close


def _the_living_too(original: Any) -> Any:
    async def sweep(self: Janitor) -> int:
        closed = 0
        for session in [*await self._directory.expired(), *await self._directory.live()]:
            await self._broker.forget(session)
            closed += await self._directory.close(session)
        return closed

    return sweep


def _struck_out_first(original: Any) -> Any:
    async def sweep(self: Janitor) -> int:
        expired = await self._directory.expired()
        closed = [session for session in expired if await self._directory.close(session)]
        for session in closed:
            await self._broker.forget(session)
        return len(closed)

    return sweep


@pytest.mark.parametrize(
    ("what", "name", "broken", "wrong"),
    [
        (RedisBroker, "forget", _all_but_the_snapshot, "left behind"),
        (SessionDirectory, "close", _twice, "swept up for"),
        (Janitor, "sweep", _the_living_too, "swept up for"),
        (Janitor, "sweep", _struck_out_first, "swept up for"),
    ],
    ids=["forgets-a-key", "closed-by-each", "sweeps-the-living", "struck-out-first"],
)
def test_a_broken_janitor_is_caught(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, what: type, name: str, broken: Any, wrong: str
) -> None:
    monkeypatch.setattr(what, name, broken(getattr(what, name)))
    with pytest.raises(AssertionError, match=wrong):
        asyncio.run(play(redis_url, A_BAD_NIGHT))
    emptied(redis_url)
