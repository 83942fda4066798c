"""Look-ups of parcels in every weather: `python benchmarks/shipments.py [--seconds N] [--picture FILE] [--json FILE]`.

Measures the real client and its memory over real HTTP, against the local Sanity server (real GROQ, so it needs Node) behind a
proxy that goes wrong: how often the memory answers, how fast, how many requests in trouble are rescued, and what callers wait
while Sanity is slow (3 s), down, or flapping. So that the seconds of a run show what else takes minutes, an answer is fresh
for 2 s there (in service 60 s) and the breaker probes after 3 s (in service 30 s); both make the figures worse than in service.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # the proxy lives with the tests

from tests.kit import fault_proxy as fp
from tests.kit.fault_proxy import Break, Fault, FaultProxy, Request

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import ProviderError
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import BreakerPolicy, BreakerState
from agentvoicebox_delivery.numbers.tracking import candidates
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.budget import AnswerSource
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.sources.demo_data import parcels
from agentvoicebox_delivery.sources.sanity import WAITS, SanityShipments, SanityTimeouts
from agentvoicebox_delivery.sources.sanity_local import SanityLocal, missing
from agentvoicebox_delivery.sources.sanity_query import SanityDataset

TENANT = "bench"
SEED = 7
CALLERS = 50  # requirement B5
THINKS_S = 0.5  # mean pause of a caller between two questions: 100 look-ups a second
FRESH_S, PROBE_AFTER_S = 2.0, 3.0
UNKNOWN_SHARE = 0.05  # callers with a number that nobody has
FLAP_S = 2.5  # so long up, so long down
SLOW_S = 3.0
RESCUES = 400
PASSING: list[Fault] = [
    fp.too_many(), fp.server_error(500), fp.GATEWAY_PAGE, fp.server_error(503), fp.server_error(504), Break.RESET,
    Break.HANG_UP, Break.CUT,
]  # fmt: skip
HOT_LOOK_UPS = 20_000


class Look(msgspec.Struct, frozen=True):
    """One look-up: when it began (s since the weather began), how long it took, where its answer was from."""

    at_s: float
    took_ms: float
    source: str
    is_known: bool  # a parcel that exists


class Change(msgspec.Struct, frozen=True):
    """The breaker became something."""

    at_s: float
    state: str


def zipf(ids: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Ids for ever; the n-th is asked for 1/n as often as the first (a few parcels worry many callers)."""
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(ids) + 1)))
    while True:
        yield chance.choices(ids, cum_weights=weights)[0]


class Memory:
    """A backend without a network, for what needs none."""

    def __init__(self, known: dict[str, Shipment]) -> None:
        self._known = known

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See ports.shipments."""
        return [self._known[each] for each in tracking_ids if each in self._known]


async def hit_ratios() -> list[dict[str, float]]:
    """How often the memory answers over 30 minutes of calls, in simulated time, for several rates of calls.

    A call is about one parcel of 500: asked for, confirmed, and asked for again in other words, 15 s apart; one in twenty
    has an unknown number. Each look-up carries its look-alikes, as in service.
    """
    known = {f"PKG{number:04}": next(parcels(datetime.now(UTC).date())) for number in range(500)}
    known = {each: msgspec.structs.replace(parcel, tracking_id=each) for each, parcel in known.items()}
    rows = []
    for calls_a_minute in (6, 30, 120):
        chance, clock = random.Random(SEED), ManualClock()
        cache = CachedShipments(Memory(known), clock=clock)
        numbers = zipf(list(known), chance)
        looks: list[tuple[float, list[str]]] = []
        at_s = 0.0
        while (at_s := at_s + chance.expovariate(calls_a_minute / 60)) < 1800.0:
            number = f"NOT{chance.randrange(10_000):04}" if chance.random() < UNKNOWN_SHARE else next(numbers)
            asked = [each.tracking_id for each in candidates(number)]
            looks += [(at_s, asked), (at_s + 15.0, asked[:1]), (at_s + 30.0, asked)]
        for at_s, asked in sorted(looks):
            clock.advance(max(0.0, at_s - clock.monotonic_s()))
            await cache.find_within(TENANT, asked)
        rows.append({"calls_a_minute": calls_a_minute, "hit_ratio": round(cache.stats.hit_ratio, 3)})
    return rows


async def cached_us() -> dict[str, float]:
    """Time of a look-up, with its look-alikes, that the memory answers, in µs."""
    known = {each.tracking_id: each for each in parcels(datetime.now(UTC).date())}
    cache = CachedShipments(Memory(known))
    asked = [each.tracking_id for each in candidates("PKG004")]
    await cache.find_within(TENANT, asked)
    taken = []
    for _ in range(HOT_LOOK_UPS):
        began_s = time.perf_counter()
        await cache.find_within(TENANT, asked)
        taken.append((time.perf_counter() - began_s) * 1e6)
    return {
        "candidates": len(asked),
        "p50_us": round(float(np.percentile(taken, 50)), 1),
        "p99_us": round(float(np.percentile(taken, 99)), 1),
    }


async def rescue(upstream: str, rate: float, tries: int) -> dict[str, float]:
    """What the tries make of look-ups while each request is lost with chance `rate`; no memory in front."""
    chance = random.Random(SEED)
    met: dict[str, int] = Counter()

    def weather(request: Request) -> Fault | None:
        if chance.random() >= rate:
            return None
        met[request.target] += 1
        return chance.choice(PASSING)

    known = [each.tracking_id for each in parcels(datetime.now(UTC).date())]
    async with FaultProxy(upstream, weather) as proxy:
        waits = Backoff(WAITS.first_s, WAITS.factor, WAITS.longest_s, tries, WAITS.spread)
        client = SanityShipments(SanityDataset(base_url=proxy.url), timeouts=SanityTimeouts(waits=waits))
        free = asyncio.Semaphore(20)
        answered: dict[str, bool] = {}

        async def look(number: int) -> None:
            # An unknown second number makes each look-up's request one of its own.
            asked = [known[number % len(known)], f"NOT{number:05}"]
            async with free:
                try:
                    answered[asked[1]] = len(await client.find(TENANT, asked)) == 1
                except ProviderError:
                    answered[asked[1]] = False

        await asyncio.gather(*(look(number) for number in range(RESCUES)))
        await client.close()
    troubled = {number for number in answered for target in met if number in target}
    return {
        "lost_requests": rate,
        "tries": tries,
        "answered_share": round(sum(answered.values()) / RESCUES, 4),
        "rescued_share": round(sum(answered[each] for each in troubled) / max(1, len(troubled)), 4),
        "troubled": len(troubled),
    }


async def weather(
    upstream: str, seconds: float, sky: Callable[[float], Fault | None], *, is_warm: bool
) -> tuple[list[Look], list[Change]]:
    """50 callers for so many seconds under a sky: a fault, or None, for each second since it began."""
    known = {each.tracking_id: each for each in parcels(datetime.now(UTC).date())}
    looks: list[Look] = []
    changes: list[Change] = []
    async with FaultProxy(upstream) as proxy:
        began_s = time.monotonic()
        client = SanityShipments(
            SanityDataset(base_url=proxy.url),
            breaker=BreakerPolicy(open_s=PROBE_AFTER_S),
            on_change=lambda name, _, after: changes.append(
                Change(time.monotonic() - began_s, after.value if name == "sanity" else f"{name} {after.value}")
            ),
        )
        cache = CachedShipments(client, fresh_s=FRESH_S)
        if is_warm:
            for number in known:
                await cache.find_within(TENANT, [number], 5.0)
        proxy.follow(lambda _: sky(time.monotonic() - began_s))
        began_s = time.monotonic()

        async def call(caller: int) -> None:
            chance = random.Random(SEED * 1000 + caller)
            numbers = zipf(list(known), chance)
            while (at_s := time.monotonic() - began_s) < seconds:
                is_known = chance.random() >= UNKNOWN_SHARE
                number = next(numbers) if is_known else f"NOT{chance.randrange(10_000):05}"
                answer = await cache.find_within(TENANT, [number])
                took_ms = (time.monotonic() - began_s - at_s) * 1000
                looks.append(Look(at_s, took_ms, answer.source.value, is_known))
                await asyncio.sleep(chance.expovariate(1 / THINKS_S))

        await asyncio.gather(*(call(caller) for caller in range(CALLERS)))
        await cache.close()
        await client.close()
    return looks, changes


def figures(name: str, looks: list[Look], changes: list[Change]) -> dict[str, Any]:
    """A weather in numbers. A look-up is unanswered when nobody could tell."""
    taken = [look.took_ms for look in looks]
    sources = Counter(look.source for look in looks)
    known = [look for look in looks if look.is_known]
    return {
        "weather": name,
        "look_ups": len(looks),
        "p50_ms": round(float(np.percentile(taken, 50)), 2),
        "p95_ms": round(float(np.percentile(taken, 95)), 1),
        "p99_ms": round(float(np.percentile(taken, 99)), 1),
        "longest_ms": round(max(taken), 1),
        **{f"{each.value}_share": round(sources[each.value] / len(looks), 4) for each in AnswerSource},
        "known_parcels_unanswered_share": round(
            sum(look.source == AnswerSource.NOWHERE for look in known) / max(1, len(known)), 4
        ),
        "breaker": [[round(change.at_s, 2), change.state] for change in changes],
    }


def draw(looks: list[Look], changes: list[Change], seconds: float, path: Path) -> None:
    """The flapping weather: what Sanity did, what the breaker did, what callers waited."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ink, paper = "#222222", "#ffffff"
    colours = {
        AnswerSource.FETCHED: "#2f7d4f", AnswerSource.CACHED: "#3b6fb6", AnswerSource.LAST_KNOWN: "#d98a1f",
    AnswerSource.NOWHERE: "#b8322a",
    }  # fmt: skip
    states = {"closed": "#cfe6d6", "half_open": "#f4d58d", "open": "#eab5b0"}
    figure = Figure(figsize=(13, 5.6), facecolor=paper, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=[1, 3.4], sharex=True)
    figure.suptitle(
        f"Sanity up {FLAP_S:g} s, down {FLAP_S:g} s; {CALLERS} callers; breaker probes after {PROBE_AFTER_S:g} s",
        x=0.01, ha="left", fontsize=13, color=ink,
    )  # fmt: skip
    is_down = False
    for start in np.arange(0, seconds, FLAP_S):
        length = min(FLAP_S, seconds - start)
        above.broken_barh([(start, length)], (1.1, 0.8), color=states["open" if is_down else "closed"])
        above.text(start + 0.06, 1.5, "down" if is_down else "up", va="center", fontsize=9, color=ink)
        is_down = not is_down
    told = [Change(0.0, BreakerState.CLOSED.value), *(change for change in changes if change.state in states)]
    for this, following in zip(told, [*told[1:], Change(seconds, "end")], strict=True):
        length = following.at_s - this.at_s
        above.broken_barh([(this.at_s, max(0.02, length))], (0.1, 0.8), color=states[this.state])
        if length > seconds * 0.045:
            above.text(this.at_s + 0.06, 0.5, this.state, va="center", fontsize=9, color=ink)
    above.set_yticks([1.5, 0.5], ["Sanity", "breaker"], fontsize=11)
    above.set_ylim(0, 2)
    for source, colour in colours.items():
        mine = [look for look in looks if look.source == source]
        label = f"{source.value.replace('_', ' ')} ({len(mine)})"
        below.scatter([m.at_s for m in mine], [max(0.01, m.took_ms) for m in mine], s=9, color=colour, label=label)
    below.axhline(800, color=ink, linewidth=0.8, linestyle=":")
    below.text(seconds, 830, "800 ms wanted for P95", ha="right", va="bottom", fontsize=9, color=ink)
    below.set_yscale("log")
    below.set_ylim(0.008, 2500)
    below.set_xlim(0, seconds)
    below.set_ylabel("ms until the answer", color=ink)
    below.set_xlabel("seconds", color=ink)
    below.legend(loc="lower center", ncols=4, frameon=False, bbox_to_anchor=(0.5, -0.32))
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


async def measure(seconds: float, picture: Path | None) -> dict[str, Any]:
    """Everything."""
    slow = fp.Slow(SLOW_S)
    skies: dict[str, tuple[Callable[[float], Fault | None], bool]] = {
        "good": (lambda _: None, True),
        f"slow ({SLOW_S:g} s)": (lambda _: slow, True),
        "down": (lambda _: Break.RESET, True),
        "silent": (lambda _: Break.SILENCE, True),
        "flapping": (lambda at_s: Break.RESET if int(at_s / FLAP_S) % 2 else None, True),
        "three in ten lost": (_lossy(0.3), True),
        "down, nothing known": (lambda _: Break.RESET, False),
    }
    server = SanityLocal()
    await server.start()
    try:
        rescued = [await rescue(server.url, rate, tries) for rate, tries in ((0.15, 3), (0.3, 3), (0.3, 4))]
        rows = []
        for name, (sky, is_warm) in skies.items():
            looks, changes = await weather(server.url, seconds, sky, is_warm=is_warm)
            rows.append(figures(name, looks, changes))
            if name == "flapping" and picture is not None:
                draw(looks, changes, seconds, picture)
    finally:
        await server.stop()
    return {
        "benchmark": "shipments",
        "callers": CALLERS,
        "seconds_a_weather": seconds,
        "fresh_s": FRESH_S,
        "probe_after_s": PROBE_AFTER_S,
        "hit_ratio": await hit_ratios(),
        "cached": await cached_us(),
        "rescued": rescued,
        "weathers": rows,
    }


def _lossy(rate: float) -> Callable[[float], Fault | None]:
    chance = random.Random(SEED)
    return lambda _: chance.choice(PASSING) if chance.random() < rate else None


def show(result: dict[str, Any]) -> None:
    """The tables for people."""
    console = Console(stderr=True, width=150)
    hits = ", ".join(f"{row['hit_ratio']:.0%} at {row['calls_a_minute']} calls a minute" for row in result["hit_ratio"])
    cached = result["cached"]
    console.print(f"Answered by the memory: {hits}")
    console.print(
        f"A look-up of {cached['candidates']} candidates from the memory: "
        f"p50 {cached['p50_us']} µs, p99 {cached['p99_us']} µs"
    )
    for row in result["rescued"]:
        console.print(
            f"{row['lost_requests']:.0%} of requests lost, {row['tries']} tries: {row['answered_share']:.1%} of look-ups "
            f"answered; {row['rescued_share']:.1%} of the {row['troubled']} in trouble rescued"
        )
    headings = (
        "weather",
        "look-ups",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "longest ms",
        *(each.value for each in AnswerSource),
    )
    table = Table(title=f"{CALLERS} callers, {result['seconds_a_weather']:g} s a weather")
    for heading in (*headings, "known parcel unanswered"):
        table.add_column(heading, justify="left" if heading == "weather" else "right")
    for row in result["weathers"]:
        *numbers, _ = row.values()
        name, *times = numbers[:6]
        table.add_row(name, *(f"{number:g}" for number in times), *(f"{share:.1%}" for share in numbers[6:]))
    console.print(table)


def main() -> int:
    """Measure, print JSON on standard output and tables beside it."""
    options = argparse.ArgumentParser(description=__doc__.partition(":")[0] if __doc__ else "")
    options.add_argument("--seconds", type=float, default=12.0, help="of each weather")
    options.add_argument("--picture", type=Path, help="where the breaker's timeline is drawn")
    options.add_argument("--json", type=Path, help="also write the JSON to this file")
    chosen = options.parse_args()
    if missing():
        print(missing(), file=sys.stderr)
        return 1
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    result = asyncio.run(measure(chosen.seconds, chosen.picture))
    told = json.dumps(result, indent=2)
    print(told)
    show(result)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(told + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
