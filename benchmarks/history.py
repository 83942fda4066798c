"""How fast history is read when there is a lot of it: the last 100 items of a session, and pages far from the beginning.

    python benchmarks/history.py [--rows 10000000] [--reads 1000] [--folder DIR]

Loads items of the size that real calls leave by COPY into the partitions of a real PostgreSQL: the calls of 40 tenants,
interleaved as they would come in (a call's items lie on many pages of the table), and one session in 500 a hundred times as
long. Then reads with the reader that the gateway has, as the role that sees one tenant at a time, one reader at a time: first
as the data lies there (after a load most of it on disk alone), then with all of it in the machine's memory, where it fits.
Tells which index PostgreSQL took. With `--folder` the data stays there, and a second run measures at once. Prints one JSON
object and a table.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

from agentvoicebox.storage.history import IN_ORDER, History
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres

TENANTS = 40
LIVE = 200  # calls at a time, whose items come interleaved
ITEMS = 150  # a usual session, some ten minutes with tool calls
LONG_ONE_IN, LONG_TIMES = 500, 100
LONG_READ = 20  # of the long ones, so many are read
BLOCK_ROWS = 5_000
T0_US = 1_780_000_000_000_000
WORDS = (
    "where",
    "is",
    "my",
    "parcel",
    "it",
    "should",
    "have",
    "come",
    "on",
    "monday",
    "please",
    "number",
    "two",
    "three",
)
PARENT_INDEX = "conversation_items_latest"

Session = tuple[str, str]  # tenant and id


def bodies(chance: random.Random) -> list[str]:
    """Bodies of items as `engine.outputs.record_item` makes them, in COPY's text form; `%s` stands for the item's id."""

    def said(most: int) -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(3, most)))

    made: list[str] = []
    for _ in range(400):
        rest = {
            "response_id": f"resp_{chance.randbytes(10).hex()}",
            "is_hidden": False,
            "sent_ms": 4210,
            "heard_ms": None,
        }
        head = {"id": "%s", "object": "realtime.item", "status": "completed"}
        heard, spoken = said(20), said(60)
        result = {"code": "FOUND", "status": "out_for_delivery", "eta": "2026-11-24", "speech": said(40)}
        call = {"call_id": f"call_{chance.randbytes(10).hex()}"}
        items: list[dict[str, Any]] = [
            {**head, "type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": heard}]},
            {
                **head,
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_audio", "transcript": spoken}],
            },
            {**head, "type": "function_call", **call, "name": "track", "arguments": '{"tracking_id":"PKG004"}'},
            {**head, "type": "function_call_output", **call, "output": json.dumps(result)},
        ]
        made += [json.dumps({"item": item, "transcript": None, **rest}).replace("\\", "\\\\") for item in items]
    return made


class Calls:
    """Calls of all tenants as they would have come in; remembers which there were."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows = rows
        self.sessions: list[Session] = []
        self.long: list[Session] = []
        self._chance = random.Random(seed)

    async def items(self) -> AsyncIterator[bytes]:
        """The rows of `conversation_items`, in COPY's text form, block by block."""
        chance, texts = self._chance, bodies(self._chance)
        live = [self._new() for _ in range(LIVE)]
        block: list[str] = []
        for number in range(self.rows):
            place = int(chance.random() * LIVE)
            (tenant, session), left = live[place]
            item, position = f"item_{number:020x}", (T0_US + number * 1_000) * 1_000
            body = texts[number % len(texts)] % item
            block.append(f"{tenant}\t{session}\t{item}\t{position}\t{position}\t{body}\n")
            live[place] = ((tenant, session), left - 1) if left > 1 else self._new()
            if len(block) == BLOCK_ROWS:
                yield "".join(block).encode()
                block = []
        yield "".join(block).encode()

    async def recall(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Know again the sessions that an earlier run loaded."""
        rows = await connection.fetch("SELECT tenant_id, session_id FROM sessions ORDER BY session_id")
        self.sessions = [(row["tenant_id"], row["session_id"]) for row in rows]
        self.long = self.sessions[::LONG_ONE_IN]

    async def rows_of_sessions(self) -> AsyncIterator[bytes]:
        """The rows of `sessions`, in the order in which they began."""
        opened = json.dumps({"agent": "delivery", "model": "gpt-realtime"})
        for number, (tenant, session) in enumerate(self.sessions):
            at = time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(T0_US // 1_000_000 + number))
            yield f"{tenant}\t{session}\t{at}\t{at}\t{opened}\n".encode()

    def _new(self) -> tuple[Session, int]:
        number = len(self.sessions)
        session = (f"tenant-{int(self._chance.random() * TENANTS):02}", f"sess_{number:020x}")
        self.sessions.append(session)
        if number % LONG_ONE_IN:
            return session, int(ITEMS * (0.5 + self._chance.random()))
        self.long.append(session)
        return session, ITEMS * LONG_TIMES


async def fill(owner_url: str, calls: Calls) -> None:
    """Load everything by COPY, and make the indexes afterwards, as they were."""
    connection = await asyncpg.connect(owner_url)  # the superuser: COPY knows no row-level security
    try:
        await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
        index = await connection.fetchval("SELECT pg_get_indexdef($1::regclass)", PARENT_INDEX)
        await connection.execute(
            f"DROP INDEX {PARENT_INDEX}; ALTER TABLE conversation_items DROP CONSTRAINT conversation_items_pkey"
        )
        columns = ["tenant_id", "session_id", "item_id", "position", "revision", "body"]
        await connection.copy_to_table("conversation_items", source=calls.items(), columns=columns, timeout=7_200)
        columns = ["tenant_id", "session_id", "opened_at", "last_at", "opened"]
        await connection.copy_to_table("sessions", source=calls.rows_of_sessions(), columns=columns, timeout=600)
        await connection.execute(
            "ALTER TABLE conversation_items ADD PRIMARY KEY (tenant_id, session_id, item_id)", timeout=7_200
        )
        await connection.execute(index.replace(" ON ONLY ", " ON "), timeout=7_200)
        await connection.execute("VACUUM ANALYZE conversation_items", timeout=7_200)
        await connection.execute("VACUUM ANALYZE sessions", timeout=600)
        await connection.execute("CHECKPOINT", timeout=600)
    finally:
        await connection.close()


async def timed(what: Callable[[], Awaitable[object]], reads: int) -> list[float]:
    """Milliseconds of each read."""
    taken_ms = []
    for _ in range(reads):
        began_s = time.perf_counter()
        await what()
        taken_ms.append((time.perf_counter() - began_s) * 1000)
    return taken_ms


def warm(folder: Path) -> None:
    """Read every file, so that the system has it in memory as far as there is room."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 22):
                    pass


async def measure(postgres: Postgres, calls: Calls, reads: int, folder: Path) -> dict[str, list[float]]:
    """Milliseconds by what was read."""
    history, chance = History(postgres), random.Random(1)
    whole = calls.sessions[: len(calls.sessions) - LIVE] or calls.sessions  # the last ones are not full yet

    async def last_items() -> None:
        tenant, session = chance.choice(whole)
        if await history.items(tenant, session, limit=100) is None:
            raise RuntimeError("a session is missing")

    async def deep_items() -> None:
        tenant, session = chance.choice(list(deep))
        page = await history.items(tenant, session, after=deep[tenant, session], limit=100)
        if page is None or not page.records:
            raise RuntimeError("the page is empty")

    async def newest_sessions() -> None:
        await history.sessions(chance.choice(whole)[0], limit=100)

    async def deep_sessions() -> None:
        tenant, session = chance.choice(whole)
        await history.sessions(tenant, after=session, limit=100)

    async def nothing() -> None:
        async with postgres.tenant_transaction(chance.choice(whole)[0]) as connection:
            await connection.execute("SELECT 1")

    figures = {"last 100 items, from disk": await timed(last_items, reads)}
    await asyncio.to_thread(warm, folder)
    pages = {session: await far_in(history, session) for session in calls.long[:LONG_READ]}
    deep = {session: page.records[-1].item_id for session, page in pages.items() if page is not None}
    figures["last 100 items"] = await timed(last_items, reads)
    if deep:
        figures["100 items, 10,000 deep"] = await timed(deep_items, reads)
    figures["newest 100 sessions"] = await timed(newest_sessions, reads)
    figures["100 sessions, anywhere"] = await timed(deep_sessions, reads)
    figures["nothing, in a transaction"] = await timed(nothing, reads)  # what the machine itself lets one wait
    return figures


async def far_in(history: History, session: Session) -> Any:
    """A page whose end lies 10,000 items before the last one (or as far in as the session goes); None for a short session."""
    page, after = None, None
    for _ in range(100):
        found = await history.items(*session, after=after, limit=100)
        if found is None or not found.has_more:
            return page if after is not None else None
        page, after = found, found.records[-1].item_id
    return page


async def explained(postgres: Postgres, session: Session) -> list[str]:
    """How PostgreSQL reads the last items of a session, in its own words."""
    async with postgres.tenant_transaction(session[0]) as connection:
        await connection.execute(IN_ORDER)
        asked = f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {load('items_before')}"
        return [row[0] for row in await connection.fetch(asked, *session, (1 << 63) - 1, 101)]


async def index_of(postgres: Postgres, plan: list[str]) -> str:
    """The index that a plan takes: the partitioned one that it is part of."""
    async with postgres.tenant_transaction("") as connection:
        parts = await connection.fetch(
            "SELECT inhrelid::regclass::text AS part FROM pg_inherits WHERE inhparent = $1::regclass", PARENT_INDEX
        )
    return PARENT_INDEX if any(row["part"] in line for row in parts for line in plan) else "another, or none"


def own_ms(plan: list[str]) -> float:
    """What PostgreSQL says that it took, planning included."""
    return sum(float(line.split()[2]) for line in plan if line.startswith(("Planning Time", "Execution Time")))


async def run(rows: int, reads: int, folder: DataFolder) -> dict[str, Any]:
    """Start a server, load what is not there yet, measure, stop it."""
    server = EmbeddedPostgres(folder.path / "postgres", folder.sockets)
    calls = Calls(rows, seed=1)
    try:
        await server.start()
        await migrate(server.url)
        owner_url = server.owner_url.replace("/postgres?", "/agentvoicebox?")
        owner = await asyncpg.connect(owner_url)
        is_there = await owner.fetchval("SELECT EXISTS (SELECT FROM conversation_items)")
        await owner.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
        await owner.execute("SELECT pg_reload_conf()")
        began_s = time.monotonic()
        if is_there:
            await calls.recall(owner)
        else:
            await fill(owner_url, calls)
        load_s = time.monotonic() - began_s
        counted = await owner.fetchval("SELECT count(*) FROM conversation_items")
        size = await owner.fetchval("SELECT pg_database_size('agentvoicebox')")
        await owner.close()
        if counted != rows:
            raise RuntimeError(f"the folder holds {counted} items, not {rows}")
        postgres = await Postgres.open(server.url)
        figures = await measure(postgres, calls, reads, folder.path / "postgres" / "base")
        chance = random.Random(2)
        plans = [await explained(postgres, chance.choice(calls.sessions)) for _ in range(reads)]
        figures["last 100 items, the statement alone"] = [own_ms(each) for each in plans]
        index = {await index_of(postgres, each) for each in plans}
        await postgres.close()
    finally:
        await server.stop()
    about = {
        "items": rows,
        "sessions": len(calls.sessions),
        "database_gb": round(size / 1e9, 2),
        "load_s": round(load_s),
    }
    return {**about, "indexes": sorted(index), "plan": plans[0], "figures": figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Reading history.")
    parser.add_argument("--rows", type=int, default=200_000, help="items")
    parser.add_argument("--reads", type=int, default=1_000, help="of each kind")
    parser.add_argument("--folder", type=Path, help="where the data stays; a temporary one when left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(options.folder or Path(name))
        try:
            told = uvloop.run(run(options.rows, options.reads, folder))
        finally:
            folder.close()
    table = Table("read", "p50 ms", "p99 ms", "most ms", title=f"History of {told['items']:,} items")
    for name, taken_ms in told["figures"].items():
        cuts = statistics.quantiles(taken_ms, n=100)
        told["figures"][name] = {"p50_ms": round(cuts[49], 3), "p99_ms": round(cuts[98], 3), "reads": len(taken_ms)}
        table.add_row(name, f"{cuts[49]:.2f}", f"{cuts[98]:.2f}", f"{max(taken_ms):.1f}")
    Console(stderr=True).print(table)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
