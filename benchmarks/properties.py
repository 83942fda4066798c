"""The times of the properties P1, P3, P4, P5, P6 and P9, in the worlds in which their tests look for a violation.

    python benchmarks/properties.py [--rounds 200] [--outage-s 60] [--only P1 P9 …]

Everything runs in this one process but Valkey and PostgreSQL; gateways and workers have lines of their own to the store, as in
several processes, and share one event loop, whose lateness is part of each figure. Engines are scripted. Each world also checks
its property: there is a figure only when nothing was lost, doubled, out of order or left behind. Prints a table and one JSON
object.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # the worlds live with the tests

from tests.kit.draining import DOING, draining
from tests.kit.gateway import gateway
from tests.kit.property_search import brokers, emptied
from tests.kit.recording import recording
from tests.kit.seen_sessions import SESSIONS, seen_sessions
from tests.kit.synthesis_world import Speaker, WatchedTts, synthesis_world
from tests.kit.transcription_world import Recogniser, caller, utterance

from agentvoicebox.broker.keys import HEARTBEAT_S, RECLAIM_IDLE_S
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.telemetry.logs import configure
from agentvoicebox.workers.recorder import PATIENT

GATEWAYS = 3
CALLERS = 4
DEATHS = 10  # each costs its two seconds
DRAINS = 5
CALL = SessionRef("bench", "sess_1")

Figures = dict[str, list[float]]


async def p1(url: str, folder: DataFolder, rounds: int) -> Figures:
    """A write until every gateway heard of it and read it."""
    async with seen_sessions(emptied(url), GATEWAYS) as world:
        for number in range(rounds):
            await world.step(("write", number % GATEWAYS, number % len(SESSIONS), str(number)))
        return {"P1 a write is heard of and read by a gateway": world.seen_ms}


async def p3(url: str, folder: DataFolder, rounds: int) -> Figures:
    """The pause in a segment whose worker dies, with the idle time of production; order and samples are checked."""
    pauses = []
    text = "your parcel is on its way to you"
    async with synthesis_world(emptied(url)) as world:
        for number in range(DEATHS):
            job_id = f"job_{number}"
            first = Speaker(url, WatchedTts(), dies_at_run=4, idle_s=RECLAIM_IDLE_S, keep_every_s=HEARTBEAT_S)
            await world.speak(job_id, CALL, text)
            while not first.has_died:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            second = Speaker(url, WatchedTts(), idle_s=RECLAIM_IDLE_S, keep_every_s=HEARTBEAT_S)
            await world.until_over([job_id])
            await world.assert_whole(job_id)
            came_s = [at_s for at_s, record in world.spoken[CALL].records if record.job_id == job_id]
            pauses.append(max(later - sooner for sooner, later in pairwise(came_s)) * 1000)
            await first.close()
            await second.close()
    return {"P3 speech goes on after its worker's death": pauses}


async def p4(url: str, folder: DataFolder, rounds: int) -> Figures:
    """Words made until the caller has them, several callers at once."""
    taken = []
    async with AsyncExitStack() as stack:
        (broker,) = await stack.enter_async_context(brokers(emptied(url), 1))
        served = await stack.enter_async_context(gateway(broker))
        recogniser = Recogniser(url, idle_s=RECLAIM_IDLE_S)
        stack.push_async_callback(recogniser.close)
        callers = [await stack.enter_async_context(caller(served)) for _ in range(CALLERS)]
        for _ in range(rounds // CALLERS):
            recogniser.decoded_s.clear()
            for number, each in enumerate(callers):
                each.said, each.items, each.heard = [], [], []
                await each.speak(utterance(number, 400))
                await each.commit((number, 400))
            await asyncio.gather(*(each.listen(1) for each in callers))
            for each in callers:
                each.assert_understood()
                (_, text, heard_s) = each.heard[0]
                taken.append((heard_s - recogniser.decoded_s[text]) * 1000)
    return {"P4 words reach the call": taken}


async def p5(url: str, folder: DataFolder, rounds: int) -> Figures:
    """A cancel until the engine stands, in the middle of a model's run."""
    taken = []
    async with synthesis_world(emptied(url)) as world:
        tts = WatchedTts()
        speaker = Speaker(url, tts, idle_s=RECLAIM_IDLE_S, keep_every_s=HEARTBEAT_S)
        for number in range(rounds):
            text = f"segment {number}"
            tts.hang(text, 1)
            await world.speak(f"job_{number}", CALL, text)
            await asyncio.to_thread(tts.hanging[text].wait)
            began_s = time.perf_counter()
            kept = await world.cancel(f"job_{number}")
            while text not in tts.interrupted_s:  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
            taken.append((tts.interrupted_s[text] - began_s) * 1000)
            await world.until_idle()
            if await world.kept(f"job_{number}") != kept:
                raise RuntimeError("something was published after a cancel")
        await speaker.close()
    return {"P5 a cancel stops the engine": taken}


async def p6(url: str, folder: DataFolder, rounds: int) -> Figures:
    """A gateway with eight callers, in every state, of whom half can come back: from the wish to stop until it is gone."""
    drained, closed = [], []
    callers = [(doing, can_return) for doing in DOING for can_return in (False, True)]
    for _ in range(DRAINS):
        async with draining(emptied(url)) as (world, broker):
            await world.stop(gateway(broker), callers)
            drained.append(world.drained_s * 1000)
            closed += [each * 1000 for each in world.closed_s]
    return {"P6 a gateway drains and is gone": drained, "P6 a caller's line is closed": closed}


def p9(outage_s: float) -> Callable[[str, DataFolder, int], Awaitable[Figures]]:
    """An item until it can be queried; and all that came in an outage, from PostgreSQL's return until it is written.

    The latter has no limit but that nothing is lost: the recorder tries every five seconds at most.
    """

    async def measure(url: str, folder: DataFolder, rounds: int) -> Figures:
        taken = []
        async with recording(emptied(url), folder, backoff=PATIENT, patience_s=60.0) as world:
            for number in range(rounds):
                session = SessionRef(world.tenant_id, f"sess_{number // 50}")
                before = len(await world.queryable(session))
                began_s = time.perf_counter()
                await world.submit(session, 0)
                while len(await world.queryable(session)) == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                taken.append((time.perf_counter() - began_s) * 1000)
            await world.leave(kill=True)
            until_s = time.monotonic() + outage_s
            while time.monotonic() < until_s:
                await world.submit(SessionRef(world.tenant_id, "sess_away"), 1)
                await asyncio.sleep(0.1)
            await world.come_back()
            caught_up = await world.end() * 1000
        return {
            "P9 an item can be queried": taken,
            f"P9 all of an outage of {outage_s:g} s is written, from its end (none lost)": [caught_up],
        }

    return measure


WANTED_MS = {"P1": 100.0, "P3": 10_000.0, "P4": 100.0, "P5": 50.0, "P6": 30_000.0, "P9": 1_000.0}


def summary(values: list[float]) -> dict[str, float]:
    """Percentiles in ms, each a value that was measured."""
    ordered = sorted(values)
    cuts = {f"p{percent}_ms": ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] for percent in (50, 95, 99)}
    told = {**cuts, "max_ms": ordered[-1], "mean_ms": statistics.fmean(ordered)}
    return {name: round(value, 3) for name, value in told.items()} | {"count": len(ordered)}


async def run(names: list[str], rounds: int, outage_s: float) -> dict[str, dict[str, float]]:
    """Start Valkey on a temporary folder, play the worlds, stop it."""
    worlds = {"P1": p1, "P3": p3, "P4": p4, "P5": p5, "P6": p6, "P9": p9(outage_s)}
    told: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        valkey = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        await valkey.start()
        try:
            for which in names or worlds:
                for what, values in (await worlds[which](valkey.url, folder, rounds)).items():
                    told[what] = summary(values) | {"wanted_ms": WANTED_MS[which]}
        finally:
            await valkey.stop()
            folder.close()
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times of the properties.")
    parser.add_argument("--rounds", type=int, default=200, help="for P1, P4, P5 and P9")
    parser.add_argument("--outage-s", type=float, default=60.0, help="how long PostgreSQL is away for P9")
    parser.add_argument("--only", nargs="*", default=[], choices=WANTED_MS, help="which; all when left out")
    options = parser.parse_args()
    configure(service="bench", level="error")
    figures = uvloop.run(run(options.only, options.rounds, options.outage_s))
    table = Table("what", "wanted", "p50 ms", "p95 ms", "p99 ms", "max ms", "n", title="Properties")
    for what, figure in figures.items():
        cells = (f"{figure[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
        table.add_row(what, f"{figure['wanted_ms']:g}", *cells, str(figure["count"]))
    Console(stderr=True).print(table)
    print(json.dumps({"benchmark": "properties", "rounds": options.rounds, "figures": figures}))


if __name__ == "__main__":
    main()
