"""What the broker costs: submit → claim → publish → result, through a real Valkey (or a cluster), in one process.

    python benchmarks/broker_hop.py [--rounds 2000] [--audio-bytes 4800] [--calls 1] [--cluster]

Gateway and worker are two brokers with connections of their own, as in two processes; so the figure is the broker's
and Valkey's time, plus one event loop's. Prints one JSON object and a table.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.store import ValkeyCluster  # noqa: E402

from agentvoicebox.broker.redis_streams import RedisBroker  # noqa: E402
from agentvoicebox.ports.broker import Cancel, Job, JobKind, SessionRef, Submit  # noqa: E402
from agentvoicebox.supervisor.embedded.data_folder import DataFolder  # noqa: E402
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey  # noqa: E402

WARM_UP = 50


async def round_trips(url: str, *, rounds: int, audio: bytes, calls: int) -> dict[str, list[float]]:
    """Milliseconds of each leg, `rounds` for each of `calls` sessions that talk at once."""
    gateway, worker = RedisBroker(url), RedisBroker(url)
    legs: dict[str, list[float]] = {"submit to claim": [], "publish to result": [], "round trip": []}

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                for claim in await worker.claim(JobKind.TTS, "w", slots=32, wait_s=1.0):
                    body = time.perf_counter().hex().encode()
                    group.create_task(worker.publish(claim, body, audio=audio, is_last=True))

    async def call(number: int) -> None:
        session = SessionRef("bench", f"sess_{number}")
        results = await gateway.results(session)
        records = aiter(results)
        for turn in range(WARM_UP + rounds):
            submitted_s = time.perf_counter()
            await gateway.dispatch([Submit(Job(f"job_{number}_{turn}", JobKind.TTS, session, b"x" * 200, time.time()))])
            record = await anext(records)
            done_s = time.perf_counter()
            claimed_s = float.fromhex(record.body.decode())
            if turn >= WARM_UP:
                legs["submit to claim"].append((claimed_s - submitted_s) * 1000)
                legs["publish to result"].append((done_s - claimed_s) * 1000)
                legs["round trip"].append((done_s - submitted_s) * 1000)
        await results.close()
        await gateway.forget(session)

    working = asyncio.create_task(work())
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                group.create_task(call(number))
        legs["cancel to worker"] = await cancellations(gateway, worker)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await gateway.close()
        await worker.close()
    return legs


async def cancellations(gateway: RedisBroker, worker: RedisBroker, rounds: int = 200) -> list[float]:
    """Milliseconds from a cancel's dispatch until the worker has heard of it."""
    session = SessionRef("bench", "sess_cancel")
    heard = worker.cancellations(JobKind.LLM)
    took = []
    for turn in range(WARM_UP + rounds):
        job_id = f"cancel_{turn}"
        await gateway.dispatch([Submit(Job(job_id, JobKind.LLM, session, b"", 0.0))])
        (claim,) = await worker.claim(JobKind.LLM, "w", slots=1, wait_s=1.0)
        hearing = asyncio.ensure_future(anext(heard))
        begun_s = time.perf_counter()
        while not hearing.done():  # the first time, the subscription may not stand yet
            await gateway.dispatch([Cancel(job_id, JobKind.LLM, session)])
            await asyncio.wait({hearing}, timeout=0.2)
        if turn >= WARM_UP:
            took.append((time.perf_counter() - begun_s) * 1000)
        await worker.release(claim)
    await heard.aclose()  # type: ignore[attr-defined]
    await gateway.forget(session)
    return took


def summary(values: list[float]) -> dict[str, float]:
    """p50, p99 and the worst, in ms."""
    percentiles = statistics.quantiles(values, n=100)
    return {"p50_ms": round(percentiles[49], 3), "p99_ms": round(percentiles[98], 3), "max_ms": round(max(values), 3)}


async def measure(rounds: int, audio_bytes: int, calls: int, *, on_cluster: bool) -> dict[str, dict[str, float]]:
    """Start a Valkey (or a cluster of three) on a temporary folder, measure, stop it."""
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        server = ValkeyCluster(folder.path) if on_cluster else EmbeddedValkey(folder.path / "valkey", folder.sockets)
        try:
            await server.start()
            legs = await round_trips(server.url, rounds=rounds, audio=bytes(audio_bytes), calls=calls)
        finally:
            await server.stop()
            folder.close()
    return {leg: summary(values) for leg, values in legs.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Round trip through the broker.")
    parser.add_argument("--rounds", type=int, default=2000, help="round trips for each call")
    parser.add_argument("--audio-bytes", type=int, default=4800, help="audio in each record; 4800 is 100 ms")
    parser.add_argument("--calls", type=int, default=1, help="sessions that talk at once")
    parser.add_argument("--cluster", action="store_true", help="a cluster of three nodes on local TCP ports")
    arguments = parser.parse_args()
    figures = uvloop.run(
        measure(arguments.rounds, arguments.audio_bytes, arguments.calls, on_cluster=arguments.cluster)
    )
    print(json.dumps({"benchmark": "broker_hop", **vars(arguments), "legs": figures}))
    where = "a cluster of three" if arguments.cluster else "one server"
    table = Table("leg", "p50 ms", "p99 ms", "max ms", title=f"broker hop, {arguments.calls} call(s), {where}")
    for leg, figure in figures.items():
        table.add_row(leg, *(f"{figure[name]:.2f}" for name in ("p50_ms", "p99_ms", "max_ms")))
    Console().print(table)


if __name__ == "__main__":
    main()
