"""The frontier of callers' wait and cut-offs: a table, JSON, `docs/endpointing.md` and its picture. About a minute.

    make frontier
    python -m benchmarks.endpointing [--split unseen] [--no-page]

Replays what `benchmarks.endpointing.record` recorded, with the detector as it is now.
"""

import argparse
import sys

import msgspec
from benchmarks.endpointing import page
from benchmarks.endpointing.corpus import TUNING, UNSEEN
from benchmarks.endpointing.frontier import KIND_SETTING, MACHINES, Frontier, frontier, write_frontiers
from benchmarks.endpointing.recorded_turn import read_recording
from rich.console import Console
from rich.table import Table

WIDTH = 124  # of the table, also where the terminal is unknown
console = Console(stderr=True, highlight=False, width=WIDTH)


def show(found: Frontier) -> None:
    """The table of one split and machine."""
    table = Table(*page.COLUMNS, title=f"{found.split} voices, engines {found.machine}")
    for row in found.rows:
        table.add_row(*page.cells(row))
    console.print(table)
    kinds = Table(*page.KIND_COLUMNS, title=f"{KIND_SETTING}, {found.split} voices, engines {found.machine}")
    for kind in found.kinds:
        kinds.add_row(*page.kind_cells(kind))
    console.print(kinds)


def main() -> None:
    """Replay, show, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=(TUNING, UNSEEN), action="append")
    parser.add_argument("--no-page", action="store_true", help="leave docs/endpointing.md and its picture as they are")
    options = parser.parse_args()
    recording = read_recording()
    found = [frontier(recording, split, machine) for split in options.split or (UNSEEN, TUNING) for machine in MACHINES]
    for each in found:
        show(each)
    if not options.no_page and options.split is None:
        write_frontiers(found)
        page.write(recording, found)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")


if __name__ == "__main__":
    main()
