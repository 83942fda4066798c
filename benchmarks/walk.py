"""How much code a call runs through: `python benchmarks/walk.py [--files] [--json FILE]`.

Counts what a reader has to open to follow a request: distinct source files, functions, and lines of those functions. Two walks
over a real gateway and a real Valkey, with scripted engines: "connect" (from the WebSocket request until the store is asked for
a place for the session: authentication, policy, quota, parameters, capacity) and "spoken turn" (connect included, until
`response.done`).

The profiler hook sees everything in the gateway's thread, so the instant workers of the test kit are counted too. A figure about
the code, not a timing: it gives the same result on a busy machine.

Prints one JSON object and a table.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kit.client import SERVER_VAD, calling
from tests.kit.gateway import Workers, gateway

import agentvoicebox
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.sessions.counts import SessionCounts
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.telemetry.logs import configure

SOURCES = str(Path(agentvoicebox.__file__).parent)
RESERVING = SessionCounts.reserve.__code__
"""The end of "connect": everything before it decides whether the caller may have a session; no state of one exists yet."""


class Walk:
    """What was entered so far, in order."""

    def __init__(self) -> None:
        self.entered: dict[CodeType, None] = {}
        self.is_reserved = False
        self.at_reserving: list[CodeType] = []

    def hook(self, frame: FrameType, event: str, _: object) -> None:
        """For `sys.setprofile`."""
        code = frame.f_code
        if event != "call" or code in self.entered or not code.co_filename.startswith(SOURCES):
            return
        if code is RESERVING and not self.is_reserved:
            self.is_reserved, self.at_reserving = True, list(self.entered)
        self.entered[code] = None


def figures(codes: list[CodeType]) -> dict[str, Any]:
    """Files, functions and lines of what was entered."""
    files = {code.co_filename for code in codes}
    return {
        "files": len(files),
        "file_lines": sum(len(Path(file).read_text().splitlines()) for file in files),
        "functions": len(codes),
        "function_lines": sum(_lines(code) for code in codes),
    }


def files_of(codes: list[CodeType]) -> list[str]:
    """The files, relative to the package, in the order in which they were entered."""
    return list(dict.fromkeys(str(Path(code.co_filename).relative_to(SOURCES)) for code in codes))


def _lines(code: CodeType) -> int:
    numbers = [line for *_, line in code.co_lines() if line is not None]
    return max(numbers) - code.co_firstlineno + 1 if numbers else 1


async def spoken_turn(url: str) -> Walk:
    """One caller connects, speaks, and is answered."""
    broker, workers_broker = RedisBroker(url), RedisBroker(url)
    workers, stop = Workers(workers_broker), asyncio.Event()
    working = asyncio.create_task(workers.run(stop))
    walk = Walk()
    async with gateway(broker) as served:
        await asyncio.sleep(0.5)  # the workers wait for jobs: what they do before is not part of the call
        sys.setprofile(walk.hook)
        try:
            async with calling(served.url()) as client:
                await client.use(audio=SERVER_VAD)
                await client.speak()
                await client.until("response.done")
        finally:
            sys.setprofile(None)
    stop.set()
    await working
    await workers_broker.close()
    await broker.close()
    return walk


async def measure() -> Walk:
    """The walk, over a Valkey of its own."""
    with tempfile.TemporaryDirectory() as folder:
        data = DataFolder(folder)
        valkey = EmbeddedValkey(data.path / "valkey", data.sockets)
        await valkey.start()
        try:
            return await spoken_turn(valkey.url)
        finally:
            await valkey.stop()
            data.close()


def main() -> None:
    """Run both walks, print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the JSON object there")
    parser.add_argument("--files", action="store_true", help="list the files of each walk")
    arguments = parser.parse_args()
    configure(service="walk", level="warning", out=sys.stderr)
    walk = asyncio.run(measure())
    walks = {"connect": walk.at_reserving, "spoken turn": list(walk.entered)}
    result: dict[str, Any] = {name: figures(codes) for name, codes in walks.items()}
    if arguments.files:
        for name, codes in walks.items():
            result[name]["paths"] = files_of(codes)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")
    table = Table("walk", "files", "their lines", "functions", "their lines")
    for name in walks:
        each = result[name]
        table.add_row(name, *(str(each[key]) for key in ("files", "file_lines", "functions", "function_lines")))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
