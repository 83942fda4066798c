"""How many items a second one recorder writes, and how large the transactions grow by themselves.

    python benchmarks/recorder.py [--items 6000] [--calls 50]

Items as calls leave them wait in a real Valkey when the recorder starts; it writes them to a real PostgreSQL, in one process
with its own event loop, as its role does. Once with one tenant, once with 40 (a transaction holds one tenant's), once encrypted;
then, at the pace of 200 live calls, how long after its submission an item is in (P9). Prints one JSON object and a table.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.effects import Persist
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.rules import RetentionRules, RuleBook, Words
from agentvoicebox.storage.vault import Vault
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.workers.recorder import SLOTS, RecorderWork
from agentvoicebox.workers.runner import Runner

SUBMITS_AT_ONCE = 200
PACE_S = 0.02  # 50 items a second: 200 calls, each of which says something every four seconds
PACED = 250
SAID = "Your parcel is out for delivery and should reach you today before six in the evening. "


class Counted(Conversations):
    """Notes how large each transaction was, and when each item was in."""

    def __init__(self, postgres: Postgres, words: Words) -> None:
        super().__init__(postgres, RuleBook(postgres, RetentionRules(words=words)), Vault([os.urandom(32)]))
        self.sizes: list[int] = []
        self.late_ms: list[float] = []

    async def write(self, batches: Sequence[TimedBatch]) -> dict[str, int]:
        """See Conversations."""
        rows = await super().write(batches)
        now_s = time.time()
        self.sizes.append(len(batches))
        self.late_ms += [(now_s - each.submitted_s) * 1000 for each in batches]
        return rows


def submit(number: int, *, calls: int, tenants: int) -> Submit:
    """A batch with one item, as most are."""
    call = number % calls
    session = SessionRef(f"tenant-{call % tenants:02}", f"sess_{call:020x}")
    item_id = f"item_{number:020x}"
    content = [{"type": "output_audio", "transcript": SAID * (1 + number % 4)}]
    item = {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": content}
    record = Persist(item_id, "item", {"item": item, "response_id": None, "transcript": None, "is_hidden": False})
    payload = msgspec.msgpack.encode(RecordBatch(session.tenant_id, session.session_id, "0" * 32, (record,), number))
    return Submit(Job(f"rec_{item_id}", JobKind.RECORD, session, payload, time.time()))


class Recorder:
    """The recorder's work on a runner, started and stopped."""

    def __init__(self, redis_url: str, postgres: Postgres, words: Words) -> None:
        self.conversations = Counted(postgres, words)
        self._broker = RedisBroker(redis_url)
        self._work = RecorderWork(self.conversations, self._broker)
        self._stop = asyncio.Event()
        runner = Runner(self._broker, JobKind.RECORD, "bench", slots=SLOTS, work=self._work)
        self._running = asyncio.create_task(runner.run(self._stop))

    async def until(self, items: int) -> None:
        """Wait until so many items are in."""
        while len(self.conversations.late_ms) < items:  # noqa: ASYNC110 (a benchmark has nobody to announce it)
            await asyncio.sleep(0.002)

    async def close(self) -> None:
        """Stop it."""
        self._stop.set()
        await self._running
        await self._work.close()
        await self._broker.close()


async def drained(
    redis_url: str, postgres: Postgres, *, items: int, calls: int, tenants: int, words: Words
) -> dict[str, Any]:
    """Items that wait are written as fast as it goes."""
    broker = RedisBroker(redis_url)
    for start in range(0, items, SUBMITS_AT_ONCE):
        numbers = range(start, min(items, start + SUBMITS_AT_ONCE))
        await broker.dispatch([submit(number, calls=calls, tenants=tenants) for number in numbers])
    await broker.close()
    began_s = time.perf_counter()
    recorder = Recorder(redis_url, postgres, words)
    await recorder.until(items)
    took_s = time.perf_counter() - began_s
    await recorder.close()
    sizes = recorder.conversations.sizes
    return {
        "items_per_s": round(items / took_s),
        "items": items,
        "transactions": len(sizes),
        "batches_p50": statistics.median(sizes),
        "batches_most": max(sizes),
    }


async def paced(redis_url: str, postgres: Postgres, *, calls: int) -> dict[str, Any]:
    """Items come as calls make them: how late are they in PostgreSQL?"""
    broker, recorder = RedisBroker(redis_url), Recorder(redis_url, postgres, "keep")
    for number in range(PACED):
        await broker.dispatch([submit((1 << 40) + number, calls=calls, tenants=1)])
        await asyncio.sleep(PACE_S)
    await recorder.until(PACED)
    await recorder.close()
    await broker.close()
    cuts = statistics.quantiles(recorder.conversations.late_ms, n=100)
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2), "items": PACED}


async def run(items: int, calls: int) -> dict[str, Any]:
    """Start both servers on a temporary folder, measure, stop them."""
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        valkey = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        server = EmbeddedPostgres(folder.path / "postgres", folder.sockets)
        told: dict[str, Any] = {}
        try:
            await valkey.start()
            await server.start()
            await migrate(server.url)
            postgres = await Postgres.open(server.url)
            cases: list[tuple[str, int, Words]] = [
                ("one tenant", 1, "keep"), ("40 tenants", 40, "keep"), ("one tenant, encrypted", 1, "encrypt"),
            ]  # fmt: skip
            for title, tenants, words in cases:
                told[title] = await drained(
                    valkey.url, postgres, items=items, calls=calls, tenants=tenants, words=words
                )
            told["at the pace of 200 calls"] = await paced(valkey.url, postgres, calls=calls)
            await postgres.close()
        finally:
            await valkey.stop()
            await server.stop()
            folder.close()
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Throughput of the recorder.")
    parser.add_argument("--items", type=int, default=6_000, help="of each kind")
    parser.add_argument("--calls", type=int, default=50, help="sessions that they belong to")
    options = parser.parse_args()
    told = uvloop.run(run(options.items, options.calls))
    table = Table("what", "items/s", "batches a transaction, p50 / most", "p50 ms", "p99 ms", title="The recorder")
    for name, row in told.items():
        sizes = f"{row['batches_p50']:.0f} / {row['batches_most']}" if "batches_p50" in row else ""
        table.add_row(name, *(str(each) for each in (row.get("items_per_s", ""), sizes)),
                      *(str(row.get(each, "")) for each in ("p50_ms", "p99_ms")))  # fmt: skip
    Console(stderr=True).print(table)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
