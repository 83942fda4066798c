"""The kept figures of docs/figures.json: one entry for each measurement, with what it was taken on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "figures.json"


@dataclass(frozen=True)
class Entry:
    """The figures of one measurement.

    Attributes:
        name: of the measurement.
        command: as one types it.
        commit: of the sources; with `+` when files differed from it.
        day: UTC, as 2026-11-30.
        load_before: load average of the last minute before it began.
        note: what a reader must know of this run, or "".
        machine: see `machine.machine`.
        result: the command's JSON, without lists of single samples.
    """

    name: str
    command: str
    commit: str
    day: str
    load_before: float
    note: str
    machine: dict[str, str]
    result: dict[str, Any]


def read_entries(path: Path = PATH) -> dict[str, Entry]:
    """The entries by name; none when there is no file yet."""
    if not path.exists():
        return {}
    return {each["name"]: Entry(**each) for each in json.loads(path.read_text(encoding="utf-8"))}


def write_entries(entries: dict[str, Entry], path: Path = PATH) -> None:
    """Write them, in the order of their names, so that a diff shows what is new."""
    chosen = [asdict(entries[name]) for name in sorted(entries)]
    path.write_text(json.dumps(chosen, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
