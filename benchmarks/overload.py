"""Overload: what callers who were let in wait, and how many are turned away, when more come than the workers can serve.

A real gateway (in a process of its own, as `serve` runs it), a real Valkey, and language workers that think for a fixed time
with a fixed number of slots, so that the capacity is known: slots ÷ thinking time, in turns a second. Each caller asks one
typed question after another for the length of its call; callers come at a share of the capacity. Figures are of questions asked
after the first seconds, in which the door has nothing yet to go by. The heaviest load is measured again with the door's pressure
rule switched off: the difference is what the rule is worth.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, TextDelta
from agentvoicebox.gateway.admission.load_shedder import LoadShedder
from agentvoicebox.gateway.role import serve_gateway
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.providers.processor import this_processor
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.telemetry.logs import configure
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.runner import Runner, Task, worker_name

SLOTS = 4
THINKS_S = 0.25
CAPACITY = SLOTS / THINKS_S  # turns a second
CALL_S = 12.0
SETTLING_S = 6.0
PAUSE_S = 1.0  # between an answer and the next question
READY = "ready"
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is it"}]}
ASK = json.dumps({"type": "conversation.item.create", "item": ITEM})
ANSWER = json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}})


async def work(task: Task) -> None:
    """A language model that thinks for a while, then says one sentence."""
    await asyncio.sleep(THINKS_S)
    await task.publish(TextDelta(task.claim.job.job_id, "It is on its way."))
    await task.publish(Generated(task.claim.job.job_id), is_last=True)


async def rest(task: Task) -> None:
    """Nothing to do: callers type, and records go nowhere."""


async def child(role: str, url: str, port: int) -> None:
    """One of the other processes, until SIGTERM."""
    configure(service=role, level="error")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if role == "workers":
        broker = RedisBroker(url)
        runners = [
            Runner(broker, kind, worker_name(kind), slots=slots, work=done)
            for kind, slots, done in (
                (JobKind.LLM, SLOTS, work),
                (JobKind.STT, 1, rest),
                (JobKind.TTS, 1, rest),
                (JobKind.TOOL, 1, rest),
                (JobKind.RECORD, 64, rest),
            )
        ]
        print(READY, flush=True)
        await asyncio.gather(*(runner.run(stop) for runner in runners))
        await broker.close()
        return
    if role == "open-gateway":  # admits every call
        LoadShedder.admit = lambda self, calls: True  # type: ignore[method-assign]
    settings = Settings.load(redis_url=url, port=port, max_calls=10_000, data_dir=tempfile.mkdtemp())
    await serve_gateway(settings, lambda: print(READY, flush=True), stop, ProcessReport())


class Crowd:
    """Callers who come at a rate, each for a while."""

    def __init__(self, port: int, rate: float) -> None:
        """`rate`: new calls a second."""
        self._url = f"ws://127.0.0.1:{port}/v1/realtime?model=delivery"
        self._rate = rate
        self.waits_s: list[float] = []
        self.codes: list[str] = []  # of those turned away
        self.let_in = 0
        self._counts_from_s = 0.0

    async def come(self, seconds: float) -> None:
        """For so long; returns when the last of them has left."""
        dice, began_s = random.Random(7), time.perf_counter()
        self._counts_from_s = began_s + SETTLING_S
        async with asyncio.TaskGroup() as group:
            while time.perf_counter() - began_s < seconds:
                group.create_task(self._call())
                await asyncio.sleep(dice.expovariate(self._rate))

    async def _call(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async with connect(self._url, compression=None) as ws:
                first = json.loads(await ws.recv())
                if first["type"] == "error":
                    self.codes.append(first["error"]["code"])
                    return
                self.let_in += 1
                leaves_s = time.perf_counter() + CALL_S
                while time.perf_counter() < leaves_s:
                    await self._turn(ws)
                    await asyncio.sleep(PAUSE_S)

    async def _turn(self, ws: ClientConnection) -> None:
        asked_s = time.perf_counter()
        await ws.send(ASK)
        await ws.send(ANSWER)
        while (event := json.loads(await ws.recv()))["type"] != "response.done":
            if event["type"] == "error":
                raise RuntimeError(event["error"]["code"])
        if asked_s >= self._counts_from_s:
            self.waits_s.append(time.perf_counter() - asked_s)


async def measure(port: int, load: float, seconds: float) -> dict[str, Any]:
    """Offer `load` times what the workers can serve."""
    turns_a_call = CALL_S / (THINKS_S + PAUSE_S)
    crowd = Crowd(port, load * CAPACITY / turns_a_call)
    await crowd.come(seconds)
    cuts = statistics.quantiles(crowd.waits_s, n=100)
    return {
        "load": load,
        "turns": len(crowd.waits_s),
        "let_in": crowd.let_in,
        "refused": len(crowd.codes),
        "refused_share": round(len(crowd.codes) / (crowd.let_in + len(crowd.codes)), 3),
        "codes": sorted(set(crowd.codes)),
        "wait_ms": {name: round(cuts[at] * 1000, 1) for name, at in (("p50", 49), ("p95", 94), ("p99", 98))},
    }


@asynccontextmanager
async def process(role: str, url: str, port: int) -> AsyncIterator[None]:
    """One of the other processes, from ready to gone."""
    command = [sys.executable, __file__, "--role", role, "--url", url, "--port", str(port)]
    running = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env=dict(os.environ))
    try:
        assert running.stdout is not None
        async with asyncio.timeout(60):
            if (await running.stdout.readline()).decode().strip() != READY:
                raise RuntimeError(f"the {role} process did not start")
        yield
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def run(loads: list[float], seconds: float, port: int) -> list[dict[str, Any]]:
    """Each load behind a door with the rule, and the heaviest behind one without."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        server = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        try:
            await server.start()
            async with process("workers", server.url, port):
                for role, offered in (("gateway", loads), ("open-gateway", loads[-1:])):
                    for load in offered:
                        async with process(role, server.url, port):
                            rows.append({"door": role, **await measure(port, load, seconds)})
        finally:
            await server.stop()
            folder.close()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Waits of those let in, and the share refused, by offered load.")
    parser.add_argument("--loads", type=float, nargs="+", default=[0.5, 1.0, 1.5, 2.0, 3.0], help="times the capacity")
    parser.add_argument("--seconds", type=float, default=30.0, help="for which callers come, at each load")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument("--port", type=int, default=18_474, help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=("gateway", "open-gateway", "workers"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        uvloop.run(child(options.role, options.url, options.port))
        return
    rows = uvloop.run(run(options.loads, options.seconds, options.port))
    capacity = {"slots": SLOTS, "thinks_s": THINKS_S, "turns_per_s": CAPACITY}
    machine = str(this_processor())
    told = json.dumps({"benchmark": "overload", "processor": machine, "capacity": capacity, "rows": rows})
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    table = Table(
        "door", "load / capacity", "let in", "refused", "turns", "wait p50", "p95", "p99", title="overload, ms"
    )
    for row in rows:
        wait = row["wait_ms"]
        counts = (row["let_in"], f"{row['refused_share']:.0%}", row["turns"], wait["p50"], wait["p95"], wait["p99"])
        table.add_row(row["door"], f"{row['load']:g}", *map(str, counts))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
