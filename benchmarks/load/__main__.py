"""Many calls at once on a Realtime server, measured as their callers notice it.

Starts a server on this machine, or calls yours with --url. The callers, of several tenants, begin
one after another; then each makes one call after the other for --seconds. Half of them speak two or
three lines in real time, a fifth interrupt the answers, a fifth type, and a tenth belong to a
tenant with too few places, which is refused. All ask for parcels, which the agent looks up with its
tool.

Measured are voice to voice, first audio, yield (how long the agent speaks on when interrupted),
turn and setup, with p50, p95 and p99, and the share of failed turns and calls. Refusals by limits
are counted apart. If the callers' own frames were late, the report says so: then the times include
that, and another machine should make the calls.

  make load                                                  100 calls on a server of its own
  make load URL=https://voice.example.com/v1 KEY=sk-avb-…    on yours; several of both with commas
  make load CALLS=20 ARGS="--seconds 30 --engines scripted"  the platform without its engines

Writes report.html, locust.html (Locust's own), load.json, load.png and samples.jsonl into --out.
Ctrl-C ends the run, reports what was measured so far, and leaves no process behind. A server with
a server refuses calls beyond AVB_MAX_CALLS.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures.machine import commit, machine
from benchmarks.load.figures import Run, figures
from benchmarks.load.locust_child import LOCUST, LocustFailed, run_locust
from benchmarks.load.own_server import own_server
from benchmarks.load.plan import CALLS_A_PROCESS, Plan
from benchmarks.load.report import html, picture, sentences, svg, table
from benchmarks.load.speech import make_speech
from rich.console import Console

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.realtime_client.dialing import DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
MODELS = ROOT / "var" / "models"
KEYS_VARIABLE, LIMITED_KEY_VARIABLE = "LOAD_KEYS", "LOAD_LIMITED_KEY"
STEP_STATES = (" starting", " ready after")  # in the lines of `serve` that are steps of its start
FAILED, INTERRUPTED = 1, 130
console = Console(stderr=True, highlight=False)


def arguments() -> argparse.ArgumentParser:
    """The options."""
    described = __doc__ or ""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=described, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--url",
        default="",
        help="base URL, as for OpenAI clients; of several gateways with commas; without it a server is started here",
    )
    parser.add_argument(
        "--keys",
        default=os.environ.get(KEYS_VARIABLE, ""),
        help=f"keys for --url, comma-separated, one of each tenant; better in {KEYS_VARIABLE}, which `ps` does not show",
    )
    parser.add_argument(
        "--limited-key",
        default=os.environ.get(LIMITED_KEY_VARIABLE, ""),
        help=f"for --url: key of a tenant with few places, for a tenth of the callers; better in {LIMITED_KEY_VARIABLE}",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="the agent; by default the server's own default")
    parser.add_argument(
        "--audio", choices=("pcm", "pcmu", "pcma"), default="pcm", help="24 kHz PCM, or G.711 as in telephony"
    )
    parser.add_argument("--ca", default="", metavar="FILE", help="certificate (PEM) to trust beside the system's")
    parser.add_argument("--calls", type=int, default=100, help="calls at once (100)")
    parser.add_argument("--ramp", type=float, metavar="S", help="seconds in which they begin; by default five a second")
    parser.add_argument("--seconds", type=float, default=120.0, help="measured after the ramp (120)")
    parser.add_argument(
        "--pause", type=float, default=2.0, metavar="S", help="between two calls of a caller, at most (2)"
    )
    parser.add_argument("--processes", type=int, help=f"of callers; by default one for each {CALLS_A_PROCESS} calls")
    parser.add_argument(
        "--engines",
        choices=("real", "scripted"),
        default="real",
        help="of the server that is started here; scripted ones answer at once, so that only the platform is measured",
    )
    parser.add_argument(
        "--fail-above", type=float, metavar="PERCENT", help="exit code 1 when more turns and calls fail"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "load", help="folder of the reports (benchmarks/results/load)"
    )
    return parser


def plan_of(options: argparse.Namespace, *, urls: tuple[str, ...], keys: tuple[str, ...], limited_key: str) -> Plan:
    """The plan of a run on a server."""
    return Plan(
        urls=urls,
        keys=keys,
        limited_key=limited_key,
        model=options.model,
        audio=options.audio,
        ca_file=options.ca,
        calls=options.calls,
        ramp_s=options.calls / 5 if options.ramp is None else options.ramp,
        seconds=options.seconds,
        pause_s=options.pause,
        processes=options.processes or -(-options.calls // CALLS_A_PROCESS),
        python=sys.executable,
        speech=str(RESULTS / "speech"),
        samples=str(options.out / "samples.jsonl"),
    )


def listed(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


@contextlib.asynccontextmanager
async def planned(options: argparse.Namespace) -> AsyncIterator[Plan]:
    """The plan, and for its time the server if it is ours."""
    if options.url:
        urls, keys = listed(options.url), listed(options.keys) or ("local",)
        yield plan_of(options, urls=urls, keys=keys, limited_key=options.limited_key)
        return
    is_scripted = options.engines == "scripted"
    async with own_server(calls=options.calls, models=MODELS, is_scripted=is_scripted, progress=server_step) as server:
        yield plan_of(options, urls=(server.url,), keys=server.keys, limited_key=server.limited_key)


def step(line: str) -> None:
    """A line of progress."""
    console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)


def server_step(line: str) -> None:
    """What the server says while it starts, without its advice and its end."""
    if any(state in line for state in STEP_STATES):
        step(line)


async def load(options: argparse.Namespace) -> int:
    """Run, report; the exit code."""
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    console.print(f"The callers' lines: {RESULTS / 'speech'}")
    made = await asyncio.to_thread(make_speech, RESULTS / "speech", cache_dir=MODELS)
    step(f"{made} synthesised" if made else "all there")
    async with planned(options) as plan:
        console.print(f"{plan.calls} calls at once on {', '.join(plan.urls)}, from {plan.processes} processes")
        is_whole = await run_locust(plan, options.out, step)
    return report(plan, options, is_whole=is_whole)


def report(plan: Plan, options: argparse.Namespace, *, is_whole: bool) -> int:
    """Read the samples, write and show the reports; the exit code."""
    with Path(plan.samples).open() as lines:
        run = Run().read(lines)
    if not run.samples:
        console.print("Nothing was measured.")
        return FAILED if is_whole else INTERRUPTED
    result = figures(run)
    engines = f"{options.engines} engines on this machine" if not options.url else ", ".join(plan.urls)
    told = {
        "benchmark": "load",
        "machine": machine(),
        "commit": commit(),
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "server": engines,
        "calls": plan.calls,
        "tenants": len(plan.keys) + bool(plan.limited_key),
        "processes": plan.processes,
        "ramp_s": plan.ramp_s,
        "is_whole": is_whole,
        **asdict(result),
    }
    (options.out / "load.json").write_text(json.dumps(told, indent=2) + "\n")
    drawn = picture(run, result)
    drawn.savefig(options.out / "load.png", dpi=130)
    facts = [
        ("server", engines),
        ("calls at once", f"{plan.calls}, of {told['tenants']} tenants, after {plan.ramp_s:g} s of ramp"),
        ("callers", f"{plan.processes} processes on this machine"),
        *((name, str(value)) for name, value in machine().items()),
        ("commit", commit()),
        ("day", str(told["made"])),
    ]
    (options.out / "report.html").write_text(html(result, facts, svg(drawn)))
    console.print(table(result))
    for sentence in sentences(result):
        console.print(sentence, style="bold red" if sentence.startswith("WARNING") else "")
    for fault, count in list(result.faults.items())[:10]:
        console.print(f"  {count} of {fault}", markup=False)
    console.print(f"Written: {options.out}/report.html, locust.html, load.json, load.png, samples.jsonl")
    print(json.dumps(told))
    if not is_whole:
        return INTERRUPTED
    return FAILED if options.fail_above is not None and result.error_rate * 100 > options.fail_above else 0


def main() -> int:
    """Parse, run; the exit code."""
    parser = arguments()
    options = parser.parse_args()
    if options.calls < 1 or options.seconds <= 0:
        parser.error("--calls and --seconds must be greater than 0")
    if options.url and options.engines == "scripted":
        parser.error("--engines is about the server that is started here; leave out --url")
    if not LOCUST.exists():
        console.print(
            "Locust is not installed: type `make load`, which installs 35 MB into .venv-load, or `make .venv-load/.installed`."
        )
        return FAILED
    try:
        return asyncio.run(load(options))
    except KeyboardInterrupt:
        console.print("Interrupted before the first call.")
        return INTERRUPTED
    except (AgentVoiceBoxError, LocustFailed) as error:
        console.print(str(error), style="bold red", markup=False)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
