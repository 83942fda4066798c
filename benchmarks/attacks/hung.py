"""Processes and servers that hang but do not die: stopped by SIGSTOP, or locked."""

import asyncio
import os
import signal
import time
from collections.abc import Iterable

import httpx
from benchmarks.attacks.attack import Observations, RunCheck, check
from benchmarks.attacks.neighbour import Neighbour, newcomer
from benchmarks.attacks.server import AttackedServer
from benchmarks.attacks.target import bearer

REPLACED_S = 20.0  # fifteen seconds of silence, and some for the kill and the next start
GIVEN_UP_S = 30.0
SERVED_S = 60.0
EVERY_S = 0.2
LOCKED_S = 30.0
AT_THE_DOOR_S = 2.0
KNOWN_FOR_S = 3.0
HOLDS = f"another process takes its place within {REPLACED_S:.0f} s, and turns are answered again"


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


async def _hang(server: AttackedServer, observed: Observations, name: str) -> None:
    """Stop all processes of a name until there is another, and see how long that takes."""
    stopped = [member.pid for member in server.processes() if member.name.startswith(name)]
    neighbour = Neighbour(server.target)
    await neighbour.connect()
    await neighbour.turn()
    _signal(stopped, signal.SIGSTOP)
    began_s = time.monotonic()
    try:
        while server.pid(name) in (0, stopped[0]) and time.monotonic() - began_s < GIVEN_UP_S:  # noqa: ASYNC110
            await asyncio.sleep(EVERY_S)
        took_s = time.monotonic() - began_s
        if took_s >= GIVEN_UP_S:
            observed.problems.append(f"still hung after {GIVEN_UP_S:.0f} s")
        else:
            observed.figures["replaced after s"] = round(took_s, 1)
            observed.expect(took_s <= REPLACED_S, f"replaced only after {took_s:.1f} s")
    finally:
        _signal(stopped, signal.SIGCONT)
    while time.monotonic() - began_s < SERVED_S:
        completed = neighbour.counts["completed"]
        await neighbour.turn()
        if neighbour.counts["completed"] > completed:
            observed.figures["turns again after s"] = round(time.monotonic() - began_s, 1)
            break
    else:
        observed.problems.append(f"no turn is answered {SERVED_S:.0f} s after")
    await neighbour.close()


def _of(name: str) -> RunCheck:
    async def hang(server: AttackedServer, observed: Observations) -> None:
        await _hang(server, observed, name)

    hang.__name__ = f"hung_{name}"
    hang.__doc__ = f"The process of {name} is stopped by SIGSTOP."
    return hang


for _name in ("gateway", "worker", "speech", "webhook", "valkey", "postgres"):
    check("9", holds=HOLDS, spoils=True)(_of(_name))


@check("9a", holds="the configured key, known keys and the neighbour's turns are served within 2 s", spoils=True)
async def locked_tables(server: AttackedServer, observed: Observations) -> None:
    """All tables of PostgreSQL are locked for 30 s, as by a careless migration."""
    target = server.target
    neighbour = Neighbour(target)
    await neighbour.connect()
    for _ in range(3):
        await neighbour.turn()
    worst: dict[str, float] = {}
    async with server.database() as database, database.transaction():
        tables = [row["tablename"] for row in await database.fetch(_TABLES)]
        await database.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        ends_s = time.monotonic() + LOCKED_S
        while time.monotonic() < ends_s:
            for name, key in (("configured key", target.configured_key), ("known key", target.rival_key)):
                began_s = time.monotonic()
                answer = await newcomer(target, key, wait_s=AT_THE_DOOR_S)
                worst[name] = max(worst.get(name, 0.0), time.monotonic() - began_s)
                observed.expect(answer == "served", f"{name}: {answer}")
            began_s = time.monotonic()
            status = await _models(target.rest, target.rival_key)
            worst["REST"] = max(worst.get("REST", 0.0), time.monotonic() - began_s)
            observed.expect(status == 200, f"REST with a known key: {status}")
            worst["turn"] = max(worst.get("turn", 0.0), await neighbour.turn() / 1000)
            await asyncio.sleep(KNOWN_FOR_S)
    counts = neighbour.counts
    observed.expect(not counts["refused"] and not counts["lost"], f"turns: {dict(counts)}")
    observed.problems = [
        f"{problem} ({observed.problems.count(problem)})" for problem in dict.fromkeys(observed.problems)
    ]
    observed.figures |= {f"{name} s": round(seconds, 2) for name, seconds in worst.items()}
    await neighbour.close()


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


async def _models(base_url: str, key: str) -> int:
    """Status of a REST request, 0 without an answer in time."""
    try:
        async with httpx.AsyncClient(base_url=base_url, headers=bearer(key), timeout=AT_THE_DOOR_S) as http:
            return (await http.get("/v1/models")).status_code
    except httpx.HTTPError:
        return 0
