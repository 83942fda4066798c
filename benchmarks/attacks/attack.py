"""What an attack is. Files of this package add theirs by `@beside` and `@check`; `attacks()` lists them all.

`@beside`: runs in a process of its own for some seconds while a neighbour's turns are measured. `@check`: runs once, and says
what the server allowed.
"""

import asyncio
import importlib
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.attacks.target import Target

if TYPE_CHECKING:
    from benchmarks.attacks.server import AttackedServer

FAMILIES = ("frames", "events", "connections", "credentials", "requests", "pages", "accounts", "hung")
ServerSetup = Literal["keys", "keyless", "idle"]  # idle: with keys, and calls that say nothing are closed soon
MIB = 1 << 20
KINDS = {
    "none": "no attack: the noise of the measurement",
    "1": "frames without end, mostly without a key",
    "2": "floods of tiny events",
    "3": "events that are large, or costly to read",
    "4": "connections that never ask, or never end to ask",
    "5": "guessed keys",
    "6": "pages, rebound names and tunnels at a keyless server",
    "8": "all lines for one tenant",
    "9": "processes that hang",
    "9a": "tables that are locked",
    "10": "ids of any length and content",
    "11": "calls that are taken over",
    "12": "rows for requests without credentials",
    "13": "forged addresses",
    "14": "malformed headers",
    "own": "others",
}


class Attacker:
    """The attacker while it runs.

    Attributes:
        target: the server.
        seen: what it counts: what it sent, what came back.
    """

    def __init__(self, target: Target, seconds: float) -> None:
        self.target = target
        self.seen: Counter[str] = Counter()
        self._ends_s = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self._ends_s

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._ends_s - time.monotonic())

    def count(self, what: str, number: int = 1) -> None:
        """Count something for the report."""
        self.seen[what] += number

    async def crowd(self, number: int, one: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """So many at once, each again and again until time is over; what fails a stranger ends that try alone."""

        async def again(each: int) -> None:
            while not self.is_over:
                try:
                    async with asyncio.timeout(self.left_s):
                        await one(each)
                except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                    if not self.is_over:
                        self.count(type(error).__name__)
                    await asyncio.sleep(0.02)

        await asyncio.gather(*(again(each) for each in range(number)))


RunBeside = Callable[[Attacker], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Bounds:
    """What the neighbour may notice.

    Attributes:
        ratio: of turn latency beside to quiet, p50 and p99.
        gateway_mb, store_mb: by which memory may stay higher after the attack.
    """

    ratio: float = 2.0
    gateway_mb: float = 128.0
    store_mb: float = 64.0


@dataclass(frozen=True)
class Beside:
    """An attack that runs beside the neighbour. `kind`: a number of `KINDS`."""

    name: str
    kind: str
    does: str
    holds: str
    run: RunBeside
    bounds: Bounds
    server: ServerSetup = "keys"


@dataclass
class Observations:
    """What a check found.

    Attributes:
        problems: each thing that the server should not have done.
        figures: what it measured.
    """

    problems: list[str] = field(default_factory=list)
    figures: dict[str, float | str] = field(default_factory=dict)

    def expect(self, holds: bool, problem: str) -> None:
        """Note the problem unless it holds."""
        if not holds:
            self.problems.append(problem)


RunCheck = Callable[["AttackedServer", Observations], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Check:
    """An attack that is checked once. `spoils`: the server is not used for another one."""

    name: str
    kind: str
    does: str
    holds: str
    run: RunCheck
    server: ServerSetup = "keys"
    spoils: bool = False


Attack = Beside | Check
_all: dict[str, Attack] = {}


def beside(kind: str, *, holds: str = "", bounds: Bounds | None = None) -> Callable[[RunBeside], RunBeside]:
    """Add an attack; its name is the function's, and what it does is the docstring."""

    def add(run: RunBeside) -> RunBeside:
        name, does = _named(run)
        assert kind in KINDS, kind
        wanted = holds or "the neighbour and newcomers are served as before"
        _all[name] = Beside(name, kind, does, wanted, run, bounds or Bounds())
        return run

    return add


def check(
    kind: str, *, holds: str, server: ServerSetup = "keys", spoils: bool = False
) -> Callable[[RunCheck], RunCheck]:
    """Add a check, as `beside` adds an attack."""

    def add(run: RunCheck) -> RunCheck:
        name, does = _named(run)
        _all[name] = Check(name, kind, does, holds, run, server, spoils)
        return run

    return add


def attacks() -> dict[str, Attack]:
    """All attacks by name, family by family."""
    for family in FAMILIES:
        importlib.import_module(f"benchmarks.attacks.{family}")
    return _all


def _named(run: Callable[..., object]) -> tuple[str, str]:
    assert run.__doc__, f"{run.__name__} does not say what it does"
    return run.__name__, " ".join(run.__doc__.split())
