"""What a session costs that says nothing: memory, store, and work, at thousands of open calls on one gateway process.

    python benchmarks/idle_sessions.py [--sessions 1000 3000 5000] [--seconds 20] [--json FILE]

Each session is opened by an ordinary upgrade, says `session.update` once, and is then silent but for its pongs. Memory is the
growth of the gateway's proportional set size (what it really holds, shared pages by share) since a few hundred sessions warmed
it up; what the kernel keeps for a socket is not in it. The work is the process's time and its voluntary switches while nothing
happens: pings (every 20 s a session), heartbeats to the store (every 10 s), and nothing else.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.instant_engines import as_child, cpu_s, instant, process, serve_workers, tell_ready  # noqa: E402
from tests.kit.raw_socket import RawSocket, dial, masked  # noqa: E402

from agentvoicebox.gateway.role import serve_gateway  # noqa: E402
from agentvoicebox.settings import Settings  # noqa: E402
from agentvoicebox.supervisor.embedded.data_folder import DataFolder  # noqa: E402
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey  # noqa: E402
from agentvoicebox.telemetry.process_report import ProcessReport  # noqa: E402

WARM_UP = 300
DIALS_AT_ONCE = 10
REDIAL_S = 2.0
SETTLE_S = 5.0
SESSION = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
UPDATE = masked(json.dumps({"type": "session.update", "session": SESSION}).encode())


def pss_kb(pid: int) -> int:
    """Proportional set size of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError("the kernel tells no Pss")


def switches(pid: int) -> int:
    """How often the threads of a process have gone to sleep."""
    return sum(
        int(line.split()[1])
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


class Refused(Exception):
    """The gateway wants no further call just now."""


async def open_session(port: int) -> RawSocket:
    """One session that has been told all it will be told."""
    updated: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(payload: bytes) -> None:
        if payload.startswith(b'{"type":"session.updated"') and not updated.done():
            updated.set_result(None)
        elif payload.startswith(b'{"type":"error"') and not updated.done():
            updated.set_exception(Refused(payload.decode()))

    ws = await dial(port, "/v1/realtime?model=delivery", heard)
    ws.write(UPDATE)
    try:
        await updated
    except Refused:  # too many at once, it says
        await asyncio.sleep(REDIAL_S)
        return await open_session(port)
    return ws


async def measure(store: Redis, pid: int, port: int, counts: list[int], seconds: float) -> list[dict[str, Any]]:
    """One row for each number of sessions; they are opened on top of each other."""
    sockets: list[RawSocket] = []

    async def grow_to(count: int) -> float:
        began_s = time.monotonic()
        while len(sockets) < count:
            wave = min(DIALS_AT_ONCE, count - len(sockets))
            sockets.extend(await asyncio.gather(*(open_session(port) for _ in range(wave))))
        took_s = time.monotonic() - began_s
        await asyncio.sleep(SETTLE_S)
        return took_s

    async def held() -> tuple[int, int]:
        return pss_kb(pid), int((await store.info("memory"))["used_memory"])

    await grow_to(WARM_UP)
    pss_before, store_before = await held()
    rows = []
    for count in counts:
        took_s = await grow_to(count)
        pss, stored = await held()
        used_s, slept = cpu_s(pid), switches(pid)
        await asyncio.sleep(seconds)
        used_s, slept = cpu_s(pid) - used_s, switches(pid) - slept
        more = count - WARM_UP
        rows.append(
            {
                "sessions": count,
                "gateway_pss_mb": round(pss / 1024, 1),
                "kb_a_session": round((pss - pss_before) / more, 1),
                "store_bytes_a_session": round((stored - store_before) / more),
                "cpu_us_a_session_second": round(used_s / seconds / count * 1e6, 1),
                "switches_a_second": round(slept / seconds, 1),
                "opened_in_s": round(took_s, 1),
                "closed_meanwhile": sum(each.closed.done() for each in sockets),
            }
        )
        print(rows[-1], file=sys.stderr)
    for each in sockets:
        each.close()
    return rows


async def run(counts: list[int], seconds: float, port: int) -> list[dict[str, Any]]:
    """Start the store and the gateway, measure, stop."""
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        server = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        try:
            await server.start()
            command = [__file__, "--role", "gateway", "--url", server.url, "--port", str(port), "--data", name]
            async with (
                process([__file__, "--role", "workers", "--url", server.url]),
                process(command) as pid,
                Redis.from_url(server.url) as store,
            ):
                return await measure(store, pid, port, counts, seconds)
        finally:
            await server.stop()
            folder.close()


async def gateway(url: str, port: int, data: str, stop: asyncio.Event) -> None:
    """The process that is measured."""
    settings = Settings.load(redis_url=url, port=port, max_calls=10_000, idle_s=0, data_dir=data)
    await serve_gateway(settings, tell_ready, stop, ProcessReport())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What idle sessions cost.")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1_000, 3_000, 5_000], help="open at once, rising")
    parser.add_argument("--seconds", type=float, default=20.0, help="of silence that are measured")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument("--port", type=int, default=18_477, help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=("gateway", "workers"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket a session, here and in the gateway
    if options.role == "workers":
        uvloop.run(as_child("workers", lambda stop: serve_workers(options.url, stop, instant())))
        return
    if options.role == "gateway":
        uvloop.run(as_child("gateway", lambda stop: gateway(options.url, options.port, options.data, stop)))
        return
    counts = [count for count in sorted(options.sessions) if count + 200 < most]
    rows = uvloop.run(run(counts, options.seconds, options.port))
    told = json.dumps({"benchmark": "idle_sessions", "cores": os.cpu_count(), "files": most, "rows": rows})
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    table = Table(title="Sessions that say nothing, one gateway process")
    memory, work = ("gateway MB", "kB a session", "store bytes a session"), ("CPU µs a session second", "switches / s")
    for heading in ("sessions", *memory, *work):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in list(row.values())[:6]))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
