"""Every benchmark, one after the other: `make bench`, or `python benchmarks/run.py [NAME …] [--json FILE]`.

Runs each script of this folder in a process of its own (twice where that says more), shows its table, and prints one JSON
object with all figures at the end; the same lies in `benchmarks/results/`. A script that fails is named, and the others
still run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agentvoicebox.processes.native_threads import without_library_threads
from agentvoicebox.providers.processor import this_processor

HERE = Path(__file__).parent
RESULTS = HERE / "results"
# What a script is run with; others are run once, with their defaults. Keys of the JSON are made of both.
RUNS: dict[str, list[list[str]]] = {
    "voice_to_voice": [
        ["--picture", str(RESULTS / "voice_to_voice_1.png")],
        ["--callers", "12", "--calls", "48", "--picture", str(RESULTS / "voice_to_voice_12.png")],
    ],
    "speech_engines": [["--json"]],
    "shipments": [["--picture", str(RESULTS / "shipments.png")]],
    "webhook": [["--picture", str(RESULTS / "webhook.png")]],
    "webhook_fuzz": [["--bodies", "10000"]],
    "fuzz": [["--events", "50000"]],
    "spoken_ids": [["--quick"]],
    "chaos": [["--picture", str(RESULTS / "chaos.png")]],
}
APART = ("run", "attack")  # `make attack` takes too long to be one of many
TIMEOUT_S = 1200.0


def first_object(text: str) -> Any:
    """The first JSON object that begins a line. Raises ValueError when there is none."""
    for at in [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]:
        if text[at : at + 1] == "{":
            return json.JSONDecoder().raw_decode(text, at)[0]
    raise ValueError("it printed no JSON")


def run(name: str, arguments: list[str]) -> tuple[Any, str]:
    """The figures of one run, or {}; and why it failed, or ""."""
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / f"{name}.py"), *arguments],
            stdout=subprocess.PIPE,  # its table goes to standard error, or is shown from here
            text=True,
            timeout=TIMEOUT_S,
            check=True,
            env=without_library_threads(os.environ),  # roles that a benchmark starts by itself run as the server's do
        )
        return first_object(done.stdout), ""
    except subprocess.CalledProcessError as error:
        return {}, f"exit code {error.returncode}"
    except subprocess.TimeoutExpired:
        return {}, f"not done after {TIMEOUT_S:.0f} s"
    except ValueError as error:
        return {}, str(error)


def key_of(name: str, arguments: list[str]) -> str:
    """`voice_to_voice --callers 12`, without what only says where to write."""
    kept = []
    for flag, value in zip(arguments[::2], arguments[1::2], strict=False):
        if flag != "--picture":
            kept += [flag, value]
    return " ".join([name, *kept])


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    processor = this_processor()
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": str(processor),
        "cores": processor.cores,
    }


def main() -> int:
    """Run them; exit code 1 when one failed."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in APART and not path.stem.startswith("_"))
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all when left out")
    parser.add_argument("--json", type=Path, default=RESULTS / "bench.json", help="where the JSON is written")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    RESULTS.mkdir(exist_ok=True)
    console = Console(stderr=True)
    figures: dict[str, Any] = {}
    table = Table("benchmark", "seconds", "", title="Benchmarks")
    failed = False
    for name in options.names or names:
        for arguments in RUNS.get(name, [[]]):
            key = key_of(name, arguments)
            console.rule(key)
            began_s = time.monotonic()
            figures[key], fault = run(name, arguments)
            failed = failed or bool(fault)
            table.add_row(key, f"{time.monotonic() - began_s:.0f}", fault or "done")
    console.print(table)
    told = json.dumps({"machine": machine(), "figures": figures}, indent=2)
    print(told)
    options.json.write_text(told + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
