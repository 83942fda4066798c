"""What `make figures` measures: each command, and how its JSON reads on the page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rows = list[tuple[str, str]]  # what, figure


@dataclass(frozen=True)
class Measurement:
    """One command whose figures are kept.

    Attributes:
        name: for the command line, and key of the kept entry.
        title: heading on the page.
        about: what it measures, in a sentence or two.
        command: the arguments of Python.
        minutes: about how long it takes.
        rows: its JSON → lines of the page.
    """

    name: str
    title: str
    about: str
    command: tuple[str, ...]
    minutes: float
    rows: Callable[[dict[str, Any]], Rows]


def times(spread: dict[str, float], *names: str) -> str:
    """`p50 12.3, p99 45.6 ms`."""
    shown = (f"{name} {_short(spread[name])}" for name in names if name in spread)
    return f"{', '.join(shown)} ms"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def _load(result: dict[str, Any]) -> Rows:
    live, spreads = result["live"], result["spreads"]
    found = [
        ("calls at once", f"{live['mean']:g} on average, {live['most']:g} at most, of {result['tenants']} tenants"),
        ("measured", f"{result['seconds']:.0f} s after a ramp of {result['ramp_s']:g} s"),
        *(
            (kind, f"{times(spread, 'p50', 'p95', 'p99')}, n = {spread['count']:,}")
            for kind, spread in spreads.items()
            if spread["count"] > spread["failures"]
        ),
        ("turns answered", f"{result['turns_per_s']:g} a second"),
        ("failed turns and calls", f"{result['error_rate']:.2%}"),
        ("refused by limits", f"{result['refused_share']:.1%} of the attempts to call{_codes(result['refused'])}"),
    ]
    if not result["are_callers_on_time"]:
        found.append(("not valid", "the callers' own frames were late: the times include that"))
    return found


def _codes(refused: dict[str, int]) -> str:
    return f" ({', '.join(f'{code}: {count}' for code, count in refused.items())})" if refused else ""


def _voice_to_voice(result: dict[str, Any]) -> Rows:
    return [
        ("turns", f"{result['turns']}, {result['unanswered']} unanswered"),
        ("first audio after the caller's last sample", times(result["first_audio_after_last_sample_ms"], "p50", "p95")),
        ("first audio after the decision that the turn is over", times(result["first_audio_after_decision_ms"], "p50", "p95")),
    ]  # fmt: skip


def _gateway_density(result: dict[str, Any]) -> Rows:
    return [
        (
            f"{row['calls']} calls",
            f"frames late {times(row['frame_late_ms'], 'p50', 'p99')}; "
            f"{row['cpu_ms_per_call_second']:.1f} ms of processor time for each call and second",
        )
        for row in result["rows"]
    ] + [("carried, frames at most 20 ms late (p99)", f"{result['carried']['audio/pcm']} calls")]


def _platform_overhead(result: dict[str, Any]) -> Rows:
    return [
        (f"{row['calls']} calls", f"added {times(row['added_ms'], 'p50', 'p95', 'p99')}, {row['turns']} turns")
        for row in result["rows"]
    ]


def _webhook(result: dict[str, Any]) -> Rows:
    return [
        (
            name,
            f"p50 {each['p50_ms']:g}, p95 {each['p95_ms']:g}, p99 {each['p99_ms']:g} ms, n = {each['requests']:,}; "
            f"{each['errors']:.1%} without a result, {each['told']:.1%} with a parcel's state",
        )
        for name, each in result.items()
        if isinstance(each, dict)
    ]


MEASUREMENTS = (
    Measurement(
        "load",
        "Many calls at once",
        "The whole server with its engines, on one machine with its callers. Beyond what the processor can recognise and speak, "
        "new calls are refused; those that began before wait for their answers.",
        ("-m", "benchmarks.load", "--calls", "100"),
        4,
        _load,
    ),
    Measurement(
        "load-platform",
        "Many calls at once, without engines",
        "The same, with engines that answer at once: what the platform itself carries.",
        ("-m", "benchmarks.load", "--calls", "100", "--engines", "scripted", "--out", "benchmarks/results/load-platform"),
        4,
        _load,
    ),
    Measurement(
        "voice-to-voice",
        "One caller alone",
        "How long one caller waits when nothing else runs.",
        ("benchmarks/voice_to_voice.py", "--calls", "10"),
        3,
        _voice_to_voice,
    ),
    Measurement(
        "gateway-density",
        "Live calls on one core of a gateway",
        "24 kHz PCM in real time; store, workers and callers have the other cores.",
        ("benchmarks/gateway_density.py", "--formats", "audio/pcm", "--calls", "50", "100", "150", "--seconds", "15"),
        2,
        _gateway_density,
    ),
    Measurement(
        "platform-overhead",
        "What the platform adds to a turn",
        "From the client's commit to the first audio, with engines that answer at once and without speculation.",
        ("benchmarks/platform_overhead.py", "--turns", "200"),
        2,
        _platform_overhead,
    ),
    Measurement(
        "webhook",
        "The webhook server on one core",
        "Answers from memory, then at each fault of the source.",
        ("benchmarks/webhook.py", "--seconds", "8"),
        3,
        _webhook,
    ),
)  # fmt: skip
