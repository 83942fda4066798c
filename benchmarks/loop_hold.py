"""How long one connection can hold the gateway's event loop: `python benchmarks/loop_hold.py [--json FILE] [--seconds S]`.

A real gateway over a real Valkey, and one client process that sends what costs the loop most. Measured is the processor time of
each turn of the loop: everything that runs between two looks for new input. It does not depend on what else the machine does.
"""

import argparse
import asyncio
import base64
import gc
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kit.gateway import gateway
from tests.kit.raw_socket import masked

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.telemetry.logs import configure

BOUND_MS = 2.0
MAX_TURNS = 4_000_000
CALLS = "/v1/realtime?model=delivery"


def event(kind: str, **fields: Any) -> bytes:
    """A client event as a frame."""
    return masked(json.dumps({"type": kind, **fields}).encode())


def append(size: int) -> bytes:
    """An append of `size` bytes of silence."""
    return event("input_audio_buffer.append", audio=base64.b64encode(bytes(size)).decode())


def item(text: str) -> bytes:
    """A typed item."""
    part = {"type": "input_text", "text": text}
    return event("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})


LOADS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "quiet": ("nothing is sent", lambda: b""),
    "speech": ("20 ms of audio a frame, as fast as they go", lambda: append(960) * 400),
    "tiny_frames": ("appends of one sample", lambda: append(2) * 4_000),
    "empty_objects": ("`{}`", lambda: masked(b"{}") * 4_000),
    "pings": ("pings", lambda: masked(b"", 0x89) * 10_000),
    "fragments": ("one message in fragments of one byte", lambda: masked(b"x", 0x01) + masked(b"x", 0x00) * 10_000),
    "append_15_mib": ("appends of 15 MiB", lambda: append(15 * 1024 * 1024)),
    "append_400_kib": ("appends of 380 KiB, read whole", lambda: append(380 * 1024)),
    "item_250_kib": ("items of 250 KiB of text", lambda: item("word " * 50_000)),
    "values_100_000": ("an event of 100,000 values", lambda: event("session.update", session={"x": [1] * 100_000})),
    "event_20_mib": ("an item of 20 MiB", lambda: item("x" * 20 * 1024 * 1024)),
    "pipelined_http": (
        "10,000 requests on one connection",
        lambda: b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 10_000,
    ),
    "headers": ("a head of 10,000 headers", lambda: b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n"),
    "connections": ("1,000 connections at once, again and again", lambda: b""),
}


async def send(port: int, name: str, seconds: float) -> None:
    """What the client process does."""
    ends_s = time.monotonic() + seconds
    stream = LOADS[name][1]()
    while time.monotonic() < ends_s:
        try:
            async with asyncio.timeout(ends_s - time.monotonic()):
                await _send_once(port, name, stream)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            continue


async def _send_once(port: int, name: str, stream: bytes) -> None:
    if name == "quiet":
        await asyncio.sleep(60)
    if name == "connections":
        lines = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", port) for _ in range(1_000)), return_exceptions=True
        )
        for line in lines:
            if not isinstance(line, BaseException):
                line[1].transport.abort()
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if name not in ("pipelined_http", "headers"):
            key = base64.b64encode(bytes(16)).decode()
            writer.write(
                f"GET {CALLS} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
        drain = asyncio.create_task(_read_all(reader))
        while not drain.done():
            writer.write(stream)
            await writer.drain()
    finally:
        writer.transport.abort()


async def _read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


def client(port: int, name: str, seconds: float) -> None:
    """The client process."""
    uvloop.run(send(port, name, seconds))


class Turns:
    """Times of turns, in memory that was taken before: the watch itself must not grow or collect anything."""

    def __init__(self) -> None:
        self.times_ms = np.zeros(MAX_TURNS)
        self.count = 0

    def note(self, time_ms: float) -> None:
        """One turn; those beyond MAX_TURNS are left out."""
        if self.count < MAX_TURNS:
            self.times_ms[self.count] = time_ms
            self.count += 1


@asynccontextmanager
async def watched(turns: Turns) -> AsyncIterator[None]:
    """Note each turn of the loop while the block runs."""
    loop, is_on, last_s = asyncio.get_running_loop(), True, time.thread_time()

    def turn() -> None:
        nonlocal last_s
        now_s = time.thread_time()
        turns.note((now_s - last_s) * 1000)
        last_s = now_s
        if is_on:
            loop.call_soon(turn)

    loop.call_soon(turn)
    yield
    is_on = False


async def measure(seconds: float, names: list[str], show: Callable[[str], None]) -> dict[str, Any]:
    """The figures of each load; `show` is called with its name first."""
    spawn = multiprocessing.get_context("spawn")
    figures: dict[str, Any] = {}
    data = DataFolder(tempfile.mkdtemp(prefix="avb-loop-"))
    store = EmbeddedValkey(data.path / "valkey", data.sockets)
    await store.start()
    broker = RedisBroker(store.url)
    try:
        async with gateway(broker, max_calls=100) as served:
            gc.collect()
            gc.freeze()  # as a gateway process does
            for name in names:
                show(name)
                process = spawn.Process(target=client, args=(served.port, name, seconds), daemon=True)
                process.start()
                await asyncio.sleep(1.0)  # until it has loaded
                turns = Turns()
                async with watched(turns):
                    await asyncio.sleep(max(0.5, seconds - 1.5))
                await asyncio.to_thread(process.join)
                turns_ms = turns.times_ms[: turns.count]
                p99, p999 = np.percentile(turns_ms, [99, 99.9])
                figures[name] = {
                    "what": LOADS[name][0],
                    "turns": len(turns_ms),
                    "p99_ms": round(float(p99), 3),
                    "p99.9_ms": round(float(p999), 3),
                    "max_ms": round(float(turns_ms.max()), 3),
                    "over_bound": int((turns_ms > BOUND_MS).sum()),
                }
    finally:
        await broker.close()
        await store.stop()
        data.close()
        shutil.rmtree(data.path, ignore_errors=True)
    return figures


def main() -> int:
    """Measure, and print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--only", nargs="*", choices=sorted(LOADS), help="loads")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    names = ["quiet", *(arguments.only or [name for name in LOADS if name != "quiet"])]
    configure(service="gateway", level="error", format="json", out=sys.stderr)
    figures = uvloop.run(measure(arguments.seconds, names, lambda name: console.print(f"  {name} …")))
    table = Table(title=f"turns of the event loop, one connection at a time; wanted ≤ {BOUND_MS} ms")
    for column in ("load", "turns", "p99 ms", "p99.9 ms", "max ms", "over the bound"):
        table.add_column(column, justify="left" if column == "load" else "right")
    for name, found in figures.items():
        row = (found["turns"], found["p99_ms"], found["p99.9_ms"], found["max_ms"], found["over_bound"])
        table.add_row(f"{name}: {found['what']}", *map(str, row))
    console.print(table)
    text = json.dumps({"bound_ms": BOUND_MS, "loads": figures}, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
