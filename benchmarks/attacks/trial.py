"""One attack against one server: the neighbour's turns quiet, beside, quiet, beside; then the verdict.

Both halves are measured in alternation on the same connection, so that what else the machine does falls on both.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from benchmarks.attacks.attack import Beside, Bounds, Check, Observations
from benchmarks.attacks.memory import MemoryWatch
from benchmarks.attacks.neighbour import SERVER_IS_GONE, Neighbour, Newcomers
from benchmarks.attacks.process import attacker_process
from benchmarks.attacks.server import NEIGHBOUR, AttackedServer

ROUNDS = 2
RECOVERY_S = 30.0
WARM_UP_TURNS = 5
RECOVERED_RATIO = 2.0
SLACK_MS = 10.0  # a quiet turn of a few ms is not held to twice itself


@dataclass
class Trial:
    """What one attack did.

    Attributes:
        quiet_ms, beside_ms: latency of the neighbour's turns: p50, p99 and max.
        refused, lost, doubled, reconnected: of the neighbour's turns beside the attack.
        newcomers: of those who connected for the first time beside the attack, how many were served.
        recovered_s: the longest until a turn was as quick as before, once the attacker had left.
        attacker: what the attacker counted.
        problems: why the verdict is no; empty: it holds.
    """

    name: str
    kind: str
    quiet_ms: dict[str, float] = field(default_factory=dict)
    beside_ms: dict[str, float] = field(default_factory=dict)
    ratio: dict[str, float] = field(default_factory=dict)
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    reconnected: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    newcomers_served: int = 0
    newcomers_refused: dict[str, int] = field(default_factory=dict)
    newcomer_ms: dict[str, float] = field(default_factory=dict)
    recovered_s: float = 0.0
    gateway_mb: dict[str, float] = field(default_factory=dict)
    store_mb: dict[str, float] = field(default_factory=dict)
    evicted: int = 0
    attacker: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float | str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """The verdict."""
        return not self.problems

    def as_json(self) -> dict[str, object]:
        """All of it, with the verdict."""
        return {**asdict(self), "holds": self.holds}


async def run_check(attack: Check, server: AttackedServer) -> Trial:
    """A check; what it raises is a problem."""
    observed = Observations()
    try:
        await attack.run(server, observed)
    except SERVER_IS_GONE as error:
        observed.problems.append(f"the server did not answer ({type(error).__name__})")
    return Trial(attack.name, attack.kind, figures=observed.figures, problems=observed.problems)


async def run_beside(attack: Beside, server: AttackedServer, seconds: float) -> Trial:
    """An attack beside the neighbour: two rounds of so many seconds quiet and so many beside."""
    trial, watch = Trial(attack.name, attack.kind), MemoryWatch(server)
    keys = await _fresh_keys(server, round(2 * ROUNDS * seconds) + 4)
    neighbour = Neighbour(server.target)
    quiet: list[float] = []
    beside: list[float] = []
    newcomers = Newcomers(server.target, itertools.cycle(keys))
    pid = server.pid("gateway")
    try:
        await neighbour.connect()
        for _ in range(WARM_UP_TURNS):
            await neighbour.turn()
        trial.gateway_mb["before"], trial.store_mb["before"] = watch.gateway_mb(), await watch.store_mb()
        evicted = await watch.evicted()
        for _ in range(ROUNDS):
            async with attacker_process(attack.name, server.target, seconds) as attacker:
                quiet += await _with_newcomers(neighbour, Newcomers(server.target, itertools.cycle(keys)), seconds)
                before = dict(neighbour.counts)
                async with watch.sampling():
                    seen, latencies = await asyncio.gather(
                        attacker.run(), _with_newcomers(neighbour, newcomers, seconds)
                    )
                beside += latencies
            _add(trial, before, dict(neighbour.counts), seen)
            trial.recovered_s = max(trial.recovered_s, await _recover(neighbour, float(np.median(quiet))))
        trial.gateway_mb |= {"after": watch.gateway_mb(), "peak": watch.gateway_peak_mb}
        trial.store_mb |= {"after": await watch.store_mb(), "peak": watch.store_peak_mb}
        trial.evicted = await watch.evicted() - evicted
    except SERVER_IS_GONE as error:
        trial.problems.append(f"the server was gone at the start or at the end ({type(error).__name__})")
    finally:
        await neighbour.close()
    trial.codes = dict(neighbour.codes)
    trial.newcomers_served, trial.newcomers_refused = newcomers.served, dict(newcomers.refused)
    trial.newcomer_ms = spread(newcomers.waits_ms)
    trial.quiet_ms, trial.beside_ms = spread(quiet), spread(beside)
    if server.pid("gateway") != pid:
        trial.problems.append("the gateway's process died")
    judge(trial, attack.bounds)
    return trial


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max, rounded; empty without values."""
    if not values:
        return {}
    return {name: round(float(np.percentile(values, at)), 1) for name, at in (("p50", 50), ("p99", 99), ("max", 100))}


async def _fresh_keys(server: AttackedServer, count: int) -> list[str]:
    return await server.new_keys(NEIGHBOUR, count) if server.target.rival_key else [""]


async def _with_newcomers(neighbour: Neighbour, newcomers: Newcomers, seconds: float) -> list[float]:
    latencies, _ = await asyncio.gather(neighbour.turns(seconds), newcomers.come(seconds))
    return latencies


async def _recover(neighbour: Neighbour, quiet_ms: float) -> float:
    """Seconds until a turn is as quick as before, `RECOVERY_S` at most."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < RECOVERY_S:
        asked_s = time.monotonic()
        if await neighbour.turn() <= RECOVERED_RATIO * quiet_ms + SLACK_MS:
            return round(asked_s - began_s, 1)
        await asyncio.sleep(0.2)
    return RECOVERY_S


def _add(trial: Trial, before: dict[str, int], after: dict[str, int], seen: dict[str, int]) -> None:
    """Add what one round counted."""
    for name in ("refused", "lost", "doubled", "reconnected"):
        setattr(trial, name, getattr(trial, name) + after.get(name, 0) - before.get(name, 0))
    for name, number in seen.items():
        trial.attacker[name] = trial.attacker.get(name, 0) + number


def judge(trial: Trial, bounds: Bounds) -> None:
    """Fill `ratio` and `problems`."""
    wrong = trial.problems
    for name in ("p50", "p99"):
        if trial.quiet_ms and trial.beside_ms:
            trial.ratio[name] = round(trial.beside_ms[name] / trial.quiet_ms[name], 2)
            if trial.ratio[name] > bounds.ratio and trial.beside_ms[name] > trial.quiet_ms[name] + SLACK_MS:
                wrong.append(f"turn {name} {trial.ratio[name]:.1f} times")
    for name in ("refused", "lost", "doubled", "reconnected", "evicted"):
        if number := getattr(trial, name):
            wrong.append(f"{number} {name}")
    if trial.newcomers_refused:
        wrong.append(f"{sum(trial.newcomers_refused.values())} newcomers refused")
    for what, mb, bound in (
        ("gateway", trial.gateway_mb, bounds.gateway_mb),
        ("store", trial.store_mb, bounds.store_mb),
    ):
        if mb.get("after", 0.0) > mb.get("before", 0.0) + bound:
            wrong.append(f"the {what} keeps {mb['after'] - mb['before']:.0f} MB")
    if trial.recovered_s >= RECOVERY_S:
        wrong.append(f"not as before {RECOVERY_S:.0f} s after the attack")
    for name in ("attacker_died", "overtime"):
        if trial.attacker.get(name):
            wrong.append(f"the attack itself failed: {name}")
    if not trial.attacker:
        wrong.append("the attack itself did nothing")
