"""The webhook server on one core: how fast it answers from memory, how many at once, answers at each fault of Sanity.

    python benchmarks/webhook.py [--seconds 8] [--callers 50] [--picture webhook-weather.png]

The webhook server runs as its own process, bound to one core, as the supervisor starts it; callers and the stand-in for Sanity
run in this one. Each caller asks every half second, three times in four for one of twenty parcels that others ask for too, else
for one that nobody asked for. Answers stay fresh for 2 s only, so that faults reach the callers. Prints one JSON object and two
tables; the picture shows each answer's time and the state of the breaker.

An error is a request without a result. `told` is the share of requests that heard a parcel's state, fresh or with its age.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import signal
import statistics
import sys
import time
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.fault_proxy import Break, Fault, FaultProxy, Reply, Request, answer  # noqa: E402
from tests.kit.sanity import document  # noqa: E402
from tests.kit.webhook import captured  # noqa: E402

from agentvoicebox.cli.local_server import free_port  # noqa: E402
from agentvoicebox_delivery.sources.sanity_answer import Kind  # noqa: E402

SHARED_PARCELS = 20
ASKS_EVERY_S = 0.5
LOST = 0.2  # part of the requests that flapping loses; three tries then lose 0.8 % of the look-ups
SLOW_S = 3.0


class Asked(msgspec.Struct, frozen=True):
    """One request: when (s since the start), how long, and what it came to ("" for an error)."""

    at_s: float
    took_ms: float
    code: str


class Client:
    """One connection, kept; as little work as possible, since it shares the machine with what it measures."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """POST to Vapi's door."""
        if self._stream is None:
            self._stream = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._stream
        kind = f"content-type: application/json\r\ncontent-length: {len(body)}"
        writer.write(f"POST /vapi/webhook HTTP/1.1\r\nhost: localhost\r\n{kind}\r\n\r\n".encode() + body)
        answered = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", answered)
        return int(answered[9:12]), await reader.readexactly(int(length[1]) if length else 0)

    async def close(self) -> None:
        """End it."""
        if self._stream is not None:
            self._stream[1].close()
            with contextlib.suppress(ConnectionError):
                await self._stream[1].wait_closed()
            self._stream = None


def question(tracking_id: str, number: int) -> bytes:
    """A captured body (about 2 kB) that asks for a parcel, in a call of its own."""
    body = captured({"tracking_id": tracking_id})
    body["message"]["call"]["id"] = f"call-{number}"
    return json.dumps(body).encode()


def calm(request: Request) -> Fault | None:
    """What Sanity answers when all is well: each parcel that is asked for exists. As quick as a near server."""
    asked = httpx.URL(request.target).params
    ids = json.loads(asked.get("$ids", "[]"))
    known = [document(each) for each in ids if each.startswith("PKG")]
    reply = answer(42 if asked["query"].startswith("count") else known)
    return Reply(reply.status, reply.body, delay_s=0.02)


def slow(request: Request) -> Fault | None:
    """Everything, but 3 s late."""
    reply = calm(request)
    assert isinstance(reply, Reply)
    return msgspec.structs.replace(reply, delay_s=SLOW_S)


def down(request: Request) -> Fault | None:
    """Nobody there."""
    return Break.HANG_UP


def flapping(chance: random.Random) -> Callable[[Request], Fault | None]:
    """One request in five is lost."""
    return lambda request: Break.RESET if chance.random() < LOST else calm(request)


@contextlib.asynccontextmanager
async def webhook_server(sanity_url: str, core: int, *, fresh_s: float) -> AsyncIterator[tuple[int, int, int]]:
    """The role in a process of its own on one core; its two ports, and its process id."""
    port, internal_port = free_port(), free_port()
    reading, writing = os.pipe()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AVB_")} | {
        "PYTHONPATH": str(ROOT / "src"),
        "AVB_SHIPMENTS": "sanity",
        "AVB_SANITY_BASE_URL": sanity_url,
        "AVB_WEBHOOK_PORT": str(port),
        "AVB_INTERNAL_PORT": str(internal_port),
        "AVB_WEBHOOK_SOURCE_LIMIT": "0",
        "AVB_CACHE_TTL_S": str(fresh_s),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentvoicebox.supervisor.child", f"--parent={os.getpid()}", f"--life-fd={writing}"),
        *("webhook", "webhook=agentvoicebox.webhook.role:serve_webhook"),
        env=environment,
        pass_fds=(writing,),
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    os.close(writing)
    try:
        if await asyncio.to_thread(os.read, reading, 1) != b".":
            raise SystemExit("the webhook server did not start")
        os.sched_setaffinity(process.pid, {core})
        yield port, internal_port, process.pid
    finally:
        os.close(reading)
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def ask(client: Client, body: bytes, began_s: float) -> Asked:
    """One question, timed."""
    sent_s = time.perf_counter()
    code = ""
    try:
        async with asyncio.timeout(5):
            status, raw = await client.post(body)
        if status == 200:
            code = json.loads(json.loads(raw)["results"][0]["result"])["code"]
    except (OSError, asyncio.IncompleteReadError, TimeoutError, KeyError, ValueError):
        await client.close()
    done_s = time.perf_counter()
    return Asked(sent_s - began_s, (done_s - sent_s) * 1000, code)


async def from_memory(port: int, requests: int, callers: int) -> list[Asked]:
    """So many requests in all by so many callers, without pause, each in a call of its own for one parcel."""
    numbers = iter(range(requests))
    asked: list[Asked] = []
    began_s = time.perf_counter()

    async def caller() -> None:
        client = Client(port)
        for number in numbers:
            asked.append(await ask(client, question("PKG001", 10_000_000 + callers * 1_000_000 + number), began_s))
        await client.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return asked


async def callers_ask(port: int, seconds: float, callers: int, began_s: float, chance: random.Random) -> list[Asked]:
    """Callers at their own pace for a while."""
    until_s = time.perf_counter() + seconds
    asked: list[Asked] = []

    async def caller() -> None:
        client = Client(port)
        await asyncio.sleep(chance.random() * ASKS_EVERY_S)
        while time.perf_counter() < until_s:
            is_shared = chance.random() < 0.75
            parcel = f"PKG{chance.randrange(SHARED_PARCELS):03}" if is_shared else f"PKG{chance.randrange(10**9):09}"
            asked.append(await ask(client, question(parcel, chance.randrange(10**12)), began_s))
            await asyncio.sleep(ASKS_EVERY_S)
        await client.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return asked


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def summary(asked: list[Asked], seconds: float | None = None) -> dict[str, Any]:
    """Times in ms and shares."""
    took = [each.took_ms for each in asked]
    percentiles = statistics.quantiles(took, n=100)
    codes = Counter(each.code or "error" for each in asked)
    figures: dict[str, Any] = {
        "requests": len(asked),
        "p50_ms": round(percentiles[49], 2),
        "p95_ms": round(percentiles[94], 1),
        "p99_ms": round(percentiles[98], 1),
        "errors": round(codes["error"] / len(asked), 4),
        "told": round(codes["FOUND"] / len(asked), 4),
    }
    if seconds:
        figures["requests_per_s"] = round(len(asked) / seconds)
    return figures


async def numbers(internal: httpx.AsyncClient) -> dict[str, float]:
    """The counters of the webhook server that the weather is judged by."""
    page = (await internal.get("/metrics")).text
    found = {}
    for line in page.splitlines():
        if line.startswith(("avb_shipments_answers_total", "avb_sanity_attempts_total")):
            name, value = line.rsplit(" ", 1)
            found[name.split('"')[1]] = float(value)
    return found


async def measure(
    seconds: float, callers: int
) -> tuple[dict[str, Any], list[Asked], list[tuple[float, str]], list[Any]]:
    """Everything, in order; also what the picture shows: answers, states of the breaker, and (start, end, name) of phases."""
    chance = random.Random(1)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:]) or set(cores))
    figures: dict[str, Any] = {"core": cores[0], "callers": callers}
    everything: list[Asked] = []
    states: list[tuple[float, str]] = []
    phases: list[tuple[float, float, str]] = []
    async with FaultProxy(plan=calm) as proxy, webhook_server(proxy.url, cores[0], fresh_s=60) as (port, _, pid):
        await from_memory(port, 300, 1)
        figures["memory, one caller"] = summary(await from_memory(port, 2000, 1))
        if figures["memory, one caller"]["errors"] == 1:
            raise SystemExit("the webhook server refuses every request: there is nothing to measure")
        used_s, began_s = cpu_s(pid), time.perf_counter()
        hot = await from_memory(port, 8000, callers)
        figures[f"memory, {callers} without pause"] = summary(hot, time.perf_counter() - began_s)
        # What the core could do if it were ours alone.
        figures["cpu_ms_per_request"] = round((cpu_s(pid) - used_s) * 1000 / len(hot), 3)
    async with (
        FaultProxy(plan=calm) as proxy,
        webhook_server(proxy.url, cores[0], fresh_s=2) as (port, internal_port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{internal_port}", trust_env=False) as internal,
    ):
        began_s = time.perf_counter()

        async def watch() -> None:
            while True:
                told = (await internal.get("/readyz")).json()["dependencies"]["shipments"]["breaker"]
                states.append((time.perf_counter() - began_s, told))
                await asyncio.sleep(0.25)

        watching = asyncio.create_task(watch())
        weather: list[tuple[str, Callable[[Request], Fault | None], float]] = [
            ("calm", calm, seconds),
            ("slow (3 s)", slow, seconds * 2),
            ("calm again", calm, seconds),
            ("down", down, seconds * 2),
            ("back, breaker by itself", calm, 35.0),
            ("flapping (20 % lost)", flapping(chance), seconds * 2),
        ]
        for name, plan, lasts_s in weather:
            proxy.follow(plan)
            if name == "calm again":
                await internal.post("/breaker/reset")
            before = await numbers(internal)
            phase_s = time.perf_counter() - began_s
            asked = await callers_ask(port, lasts_s, callers, began_s, chance)
            after = await numbers(internal)
            spent = {key: after[key] - before.get(key, 0.0) for key in after}
            everything += asked
            phases.append((phase_s, time.perf_counter() - began_s, name))
            looked_up = sum(spent.get(source, 0.0) for source in ("fetched", "cached", "last_known", "nowhere"))
            figures[name] = summary(asked) | {
                "from_cache": round((spent.get("cached", 0.0) + spent.get("last_known", 0.0)) / max(1.0, looked_up), 4),
                "last_known": round(spent.get("last_known", 0.0) / max(1.0, looked_up), 4),
                "attempts": {str(kind): spent[kind] for kind in Kind if spent.get(kind)},
            }
            if name.startswith("flapping"):
                waited = spent.get("fetched", 0.0) + spent.get("last_known", 0.0) + spent.get("nowhere", 0.0)
                failed = spent.get("last_known", 0.0) + spent.get("nowhere", 0.0)
                # Of the look-ups that went out, so many would have failed at the first loss; so many did in the end.
                figures[name]["recovered"] = round(1 - failed / max(1.0, waited * LOST), 4)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return figures, everything, states, phases


def draw(path: Path, asked: list[Asked], states: list[tuple[float, str]], phases: list[Any]) -> None:
    """Each answer's time over the run; above it the breaker."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    breaker, answers = figure.subplots(2, 1, sharex=True, height_ratios=(1, 6))
    colours = {"closed": "#2a9d5c", "half_open": "#e9a23b", "open": "#c8423b"}
    for (start_s, state), (end_s, _) in itertools.pairwise(states):
        breaker.axvspan(start_s, end_s, color=colours[state])
    breaker.set_yticks([])
    breaker.set_ylabel("breaker")
    kinds = {"FOUND": ("told", "#1f77b4"), "UNAVAILABLE": ("unavailable, said so", "#e9a23b"), "": ("error", "#c8423b")}
    for code, (label, colour) in kinds.items():
        points = [each for each in asked if each.code == code]
        answers.plot(
            [p.at_s for p in points], [p.took_ms for p in points], ".", ms=3, color=colour, label=label, alpha=0.6
        )
    answers.axhline(800, color="#888888", lw=1, ls="--")
    answers.set_yscale("log")
    answers.set_ylabel("answer after ms")
    answers.set_xlabel("s")
    for start_s, _, name in phases:
        answers.axvline(start_s, color="#bbbbbb", lw=1)
        answers.text(start_s + 0.3, answers.get_ylim()[1] * 0.6, name, fontsize=8)
    answers.legend(loc="lower right", fontsize=8, markerscale=4)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description="The webhook server in every weather.")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the calm; other weathers last longer")
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument("--picture", type=Path, help="where to draw the run; needs matplotlib")
    arguments = parser.parse_args()
    figures, asked, states, phases = uvloop.run(measure(arguments.seconds, arguments.callers))
    print(json.dumps({"benchmark": "webhook", **figures}))
    columns = (
        "requests",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "errors",
        "told",
        "from_cache",
        "last_known",
        "recovered",
        "requests_per_s",
    )
    table = Table("", *columns, title=f"webhook server on one core, {arguments.callers} callers")
    for name, figure in figures.items():
        if isinstance(figure, dict):
            table.add_row(name, *(str(figure.get(column, "")) for column in columns))
    Console(width=150).print(table)
    if arguments.picture:
        draw(arguments.picture, asked, states, phases)


if __name__ == "__main__":
    main()
