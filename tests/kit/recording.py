"""P9's world: calls hand over what happened, recorders write it behind their backs, and PostgreSQL and recorders come and go.

What PostgreSQL must hold in the end is kept beside it: the last record of each item wins, a deleted one is gone, in the order in
which they first came.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import cast

import msgspec

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.effects import Persist
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner
from tests.kit.waiting import PATIENCE_S

T0_S = 1_800_000_000.0
QUICK = Backoff(first_s=0.01, longest_s=0.05, tries=1 << 60)  # a hundred tries within what production gives to twelve
QUICK_IDLE_S = 0.12

_numbers = itertools.count()


class Tries:
    """The waits between tries, and how many there were."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self.missed = 0

    def wait_s(self, failures: int, chance: float) -> float | None:
        self.missed += 1
        return self._backoff.wait_s(failures, chance)


class Recorder:
    """One recorder as a process would be. `kill`: it is gone with all it held."""

    def __init__(self, redis_url: str, postgres: Postgres, tries: Tries) -> None:
        self.broker = RedisBroker(redis_url, reclaim_idle_s=QUICK_IDLE_S)
        self._work = RecorderWork(Conversations(postgres), self.broker, backoff=cast(Backoff, tries))
        name = f"recorder-{next(_numbers)}"
        runner = Runner(
            self.broker, JobKind.RECORD, name, slots=4, work=self._work, drain_s=0.05, heartbeat_s=QUICK_IDLE_S / 4
        )
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(runner.run(self._stop), name=name)

    async def end(self, *, kill: bool) -> None:
        """Drain, or die."""
        self._stop.set()
        if kill:
            self._running.cancel()
        await asyncio.wait([self._running])
        await self._work.close()
        await self.broker.close()


class Recording:
    """The world: PostgreSQL is up and a recorder works, at first."""

    def __init__(
        self, redis_url: str, server: EmbeddedPostgres, postgres: Postgres, backoff: Backoff, patience_s: float
    ) -> None:
        self._url = redis_url
        self._server = server
        self._patience_s = patience_s
        self._broker = RedisBroker(redis_url)
        self._tries = Tries(backoff)
        self._recorder: Recorder | None = Recorder(redis_url, postgres, self._tries)
        self._postgres = postgres
        self._wanted: dict[SessionRef, dict[str, dict[str, object]]] = {}
        self._deleted: dict[SessionRef, set[str]] = {}
        self._batches = itertools.count()
        self.tenant_id = f"tenant{next(_numbers)}"  # one that PostgreSQL has never seen
        self.is_up = True

    async def step(self, verb: str, number: int) -> None:
        """Something happens: a batch of a call, or to PostgreSQL, or to the recorder."""
        if verb == "batch":
            await self.submit(SessionRef(f"{self.tenant_id}_{number % 2}", f"sess_{number % 3}"), number)
        elif verb == "away" and self.is_up:
            await self.leave(kill=bool(number % 2))
        elif verb == "back" and not self.is_up:
            await self.come_back()
        elif verb == "recorder dies" and self._recorder is not None:
            await self._recorder.end(kill=bool(number % 2))
            self._recorder = None
        elif verb == "miss" and not self.is_up:
            await self._miss(number)
        elif verb == "recorder starts" and self._recorder is None:
            self._recorder = Recorder(self._url, self._postgres, self._tries)

    async def submit(self, session: SessionRef, number: int) -> None:
        """An item, an older one again in new words, and now and then one deleted."""
        wanted, deleted = self._wanted.setdefault(session, {}), self._deleted.setdefault(session, set())
        batch = next(self._batches)
        items = [f"item_{batch}", *list(wanted)[: number % 2]]
        records = [Persist(item, "item", {"id": item, "in": batch}) for item in items]
        for item in items:
            wanted[item] = {"id": item, "in": batch}
        if number % 5 == 4:
            deleted.add(items[-1])
            records.append(Persist(items[-1], "item_deleted", {}))
        payload = msgspec.msgpack.encode(RecordBatch(session.tenant_id, session.session_id, "0" * 32, tuple(records)))
        job = Job(f"rec_{batch}_{next(_numbers)}", JobKind.RECORD, session, payload, T0_S + batch)
        await self._broker.dispatch([Submit(job)])

    async def leave(self, *, kill: bool) -> None:
        """PostgreSQL goes: in order, or by kill -9."""
        if kill:
            self._server.kill()
        await self._server.stop()
        self.is_up = False

    async def _miss(self, tries: int) -> None:
        """Let the recorder, if there is one with something to write, try in vain so many times."""
        until = self._tries.missed + tries
        async with asyncio.timeout(PATIENCE_S):
            while self._recorder and self._tries.missed < until and await self.waiting():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def come_back(self) -> None:
        """PostgreSQL is there again."""
        await self._server.start()
        self.is_up = True

    async def end(self) -> float:
        """All is up again; seconds until the last batch was written. Fails when something is lost or wrong."""
        await self.step("back", 0)
        began_s = time.perf_counter()
        await self.step("recorder starts", 0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                while await self.waiting():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        took_s = time.perf_counter() - began_s
        assert not await self.waiting(), "batches still wait"
        dead = await self._broker.connection.commands.xlen(keys.dead_stream(JobKind.RECORD))
        assert not dead, "a batch was given up"
        for session, wanted in self._wanted.items():
            there = [wanted[item] for item in wanted if item not in self._deleted[session]]
            found = await self.queryable(session)
            assert found == there, f"{session} holds {found}, not {there}"
        return took_s

    async def waiting(self) -> int:
        """Batches that are not written."""
        return int(await self._broker.connection.commands.xlen(keys.job_stream(JobKind.RECORD)))

    async def queryable(self, session: SessionRef) -> list[dict[str, object]]:
        """Its items as PostgreSQL gives them."""
        bodies: list[dict[str, object]] = []
        after = None
        while page := await History(self._postgres).items(
            session.tenant_id, session.session_id, after=after, order="asc"
        ):
            bodies += [item.body for item in page.records]
            if not page.has_more:
                break
            after = page.records[-1].item_id
        return bodies

    async def close(self) -> None:
        if self._recorder is not None:
            await self._recorder.end(kill=False)
        await self._broker.close()


@contextlib.asynccontextmanager
async def recording(
    redis_url: str, folder: DataFolder, *, backoff: Backoff = QUICK, patience_s: float = PATIENCE_S
) -> AsyncIterator[Recording]:
    """Over a PostgreSQL in a folder of its own; it runs while inside."""
    server = EmbeddedPostgres(folder.path / "postgres", folder.sockets)
    await server.start()
    await migrate(server.url)
    postgres = await Postgres.open(server.url, most_connections=4)
    world = Recording(redis_url, server, postgres, backoff, patience_s)
    try:
        yield world
    finally:
        await world.close()
        await postgres.close()
        await server.stop()
