"""Measure the kept figures: JSON into docs/figures.json, and the page docs/figures.md from it.

  make figures                                  everything: about 20 minutes, on a quiet machine
  make figures ARGS="load voice-to-voice"       some; the others stay as they are
  make figures ARGS=--page                      the page alone, from the JSON
  make figures ARGS='load --more "--calls 10 --seconds 30" --note "A small run."'

Each entry has its own machine, commit and command, so that what is measured anew stands beside what is not.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures.kept import ROOT, Entry, read_entries, write_entries
from benchmarks.figures.machine import commit, load_average, machine
from benchmarks.figures.measurement import MEASUREMENTS, Measurement
from benchmarks.figures.page import page
from benchmarks.run import first_object
from rich.console import Console

PAGE = ROOT / "docs" / "figures.md"
TIMEOUT_S = 1800.0
FAILED = 1
console = Console(stderr=True, highlight=False)


def measure(measurement: Measurement, more: list[str], note: str) -> Entry | None:
    """Run its command; None when it failed, which its output has said."""
    arguments = [*measurement.command, *more]
    load_before = load_average()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,  # tables go to standard error, and are shown
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    try:
        done.check_returncode()
        result = first_object(done.stdout)
    except (subprocess.CalledProcessError, ValueError) as error:
        console.print(f"{measurement.name}: {error}", style="bold red", markup=False)
        return None
    return Entry(
        name=measurement.name,
        command=shlex.join(["python", *arguments]),
        commit=commit(),
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        load_before=load_before,
        note=note,
        machine=machine(),
        result=result,
    )


def main() -> int:
    """Measure, keep, write the page; exit code 1 when something failed."""
    known = {each.name: each for each in MEASUREMENTS}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all when left out")
    parser.add_argument("--page", action="store_true", help="measure nothing: write the page from the JSON")
    parser.add_argument("--more", default="", metavar="ARGS", help="further arguments of the commands")
    parser.add_argument("--note", default="", help="a sentence for the page about this run")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - known.keys()):
        parser.error(f"no such measurement: {', '.join(unknown)}; there are {', '.join(known)}")
    entries, failed = read_entries(), False
    for name in [] if options.page else options.names or list(known):
        console.rule(f"{name}: about {known[name].minutes:g} minutes")
        entry = measure(known[name], shlex.split(options.more), options.note)
        if entry is None:
            failed = True
            continue
        entries[name] = entry
        write_entries(entries)  # after each: a run is long, and may be stopped
        PAGE.write_text(page(entries), encoding="utf-8")
    PAGE.write_text(page(entries), encoding="utf-8")
    console.print(f"Written: {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")
    return FAILED if failed else 0


if __name__ == "__main__":
    sys.exit(main())
