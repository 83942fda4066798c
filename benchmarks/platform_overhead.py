"""What the platform adds to a turn: everything but the engines, at 1 and at 50 live calls.

    python benchmarks/platform_overhead.py [--calls 1 50] [--turns 300] [--json FILE]

A real gateway process (real voice activity detection), a real Valkey, and a worker process whose engines answer at once. Each
call streams audio in real time all the while; every few seconds it commits what it has said and asks for an answer. So each turn
takes the longest way there is, without speculation: recogniser, language model and voice one after the other, three jobs there
and back. Shown are the gateway's own account of the time from the client's event to the first audio, and the time the client
saw; the clients share a third process, whose own lateness is part of their figure.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kit.instant_engines import as_child, instant, process, serve_workers, summary, tell_ready

from agentvoicebox.gateway.role import serve_gateway
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.telemetry.process_report import ProcessReport

FRAME_MS = 20
TURNS_PER_S = 10  # in all, at most: with 50 calls each asks every 5 s, about as often as people do
SHORTEST_PAUSE_S = 0.5
WARM_UP_TURNS = 3  # of each call: imports, caches, scripts that Valkey sees for the first time
FRAME = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(960)).decode()})
COMMIT = json.dumps({"type": "input_audio_buffer.commit"})
ANSWER = json.dumps({"type": "response.create"})
DETECTION = {"type": "server_vad", "create_response": False}


# -- the gateway -----------------------------------------------------------------------------------------------------


async def gateway(url: str, port: int, stop: asyncio.Event) -> None:
    """The process that is measured."""
    await serve_gateway(Settings.load(redis_url=url, port=port, max_calls=1_000), tell_ready, stop, ProcessReport())


# -- the callers -----------------------------------------------------------------------------------------------------


class Caller:
    """One call: streams, asks, and notes how long answers take (ms).

    Attributes:
        seen: as this process saw it.
        accounts: as the gateway tells it, by part.
    """

    def __init__(self, ws: ClientConnection, turns: int, pause_s: float) -> None:
        self._ws = ws
        self._turns = turns
        self._pause_s = pause_s
        self.seen: list[float] = []
        self.accounts: list[dict[str, float]] = []
        self.late_ms: list[float] = []

    async def run(self, starts_at_s: float) -> None:
        """Until all turns are done."""
        await asyncio.sleep(starts_at_s)
        session = {"type": "realtime", "audio": {"input": {"turn_detection": DETECTION}}}
        await self._ws.send(json.dumps({"type": "session.update", "session": session}))
        streaming = asyncio.create_task(self._stream())
        try:
            for turn in range(WARM_UP_TURNS + self._turns):
                await asyncio.sleep(self._pause_s)
                seen_ms, account = await self._turn()
                if turn >= WARM_UP_TURNS:
                    self.seen.append(seen_ms)
                    self.accounts.append(account)
        finally:
            streaming.cancel()
            await asyncio.gather(streaming, return_exceptions=True)

    async def _stream(self) -> None:
        due_s = time.perf_counter()
        while True:
            await self._ws.send(FRAME)
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            self.late_ms.append((time.perf_counter() - due_s) * 1000)

    async def _turn(self) -> tuple[float, dict[str, float]]:
        asked_s = time.perf_counter()
        await self._ws.send(COMMIT)
        await self._ws.send(ANSWER)
        seen_ms, account = 0.0, {}
        while True:
            event = json.loads(await self._ws.recv())
            match event["type"]:
                case "response.output_audio.delta" if not seen_ms:
                    seen_ms = (time.perf_counter() - asked_s) * 1000
                case "agentvoicebox.turn" if event["turn"]["phase"] == "first_output":
                    account = {**event["turn"]["parts_ms"], "total": event["turn"]["total_ms"]}
                case "response.done":
                    if event["response"]["status"] != "completed":
                        raise RuntimeError(f"a response was not completed: {event}")
                    return seen_ms, account
                case "error":
                    raise RuntimeError(f"the gateway said: {event['error']}")


async def measure(port: int, calls: int, turns: int) -> dict[str, Any]:
    """`turns` turns in all, over `calls` calls at once."""
    each = max(1, -(-turns // calls))
    pause_s = max(SHORTEST_PAUSE_S, calls / TURNS_PER_S)
    async with AsyncExitStack() as stack:
        callers = []
        for _ in range(calls):
            url = f"ws://127.0.0.1:{port}/v1/realtime?model=delivery&trace=1"
            callers.append(Caller(await stack.enter_async_context(connect(url, compression=None)), each, pause_s))
        await asyncio.gather(*(c.run(pause_s * number / calls) for number, c in enumerate(callers)))
    accounts = [account for caller in callers for account in caller.accounts]
    return {
        "calls": calls,
        "turns": len(accounts),
        "added_ms": summary([account["total"] for account in accounts]),
        "parts_p50_ms": {
            part: round(statistics.median(account[part] for account in accounts), 3)
            for part in accounts[0]
            if part != "total"
        },
        "seen_by_client_ms": summary([ms for caller in callers for ms in caller.seen]),
        "client_late_ms": summary([ms for caller in callers for ms in caller.late_ms]),
    }


# -- assembly --------------------------------------------------------------------------------------------------------


async def run(calls: list[int], turns: int, port: int) -> list[dict[str, Any]]:
    """Start everything, measure each number of calls, stop everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        server = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        try:
            await server.start()
            command = [__file__, "--url", server.url, "--port", str(port), "--role"]
            async with process([*command, "workers"]), process([*command, "gateway"]):
                return [await measure(port, number, turns) for number in calls]
        finally:
            await server.stop()
            folder.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Latency that the platform adds, with instant engines.")
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 50], help="live calls at once")
    parser.add_argument("--turns", type=int, default=300, help="turns in all, for each number of calls")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument("--port", type=int, default=18_473, help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=("gateway", "workers"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "workers":
        uvloop.run(as_child("workers", lambda stop: serve_workers(options.url, stop, instant())))
        return
    if options.role == "gateway":
        uvloop.run(as_child("gateway", lambda stop: gateway(options.url, options.port, stop)))
        return
    rows = uvloop.run(run(options.calls, options.turns, options.port))
    told = json.dumps({"benchmark": "platform_overhead", "cores": os.cpu_count(), "rows": rows})
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    table = Table(
        "live calls", "turns", "added p50", "p95", "p99", "max", "client saw p50", "p99", title="platform, ms"
    )
    for row in rows:
        added, seen = row["added_ms"], row["seen_by_client_ms"]
        figures = (added["p50"], added["p95"], added["p99"], added["max"], seen["p50"], seen["p99"])
        table.add_row(str(row["calls"]), str(row["turns"]), *(f"{figure:.1f}" for figure in figures))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
