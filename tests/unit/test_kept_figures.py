"""The page of figures is what its JSON says, and each figure names its machine, commit and command."""

import re
from dataclasses import replace

import pytest
from benchmarks.figures.__main__ import PAGE
from benchmarks.figures.kept import Entry, read_entries
from benchmarks.figures.machine import commit, machine
from benchmarks.figures.measurement import MEASUREMENTS
from benchmarks.figures.page import page

from agentvoicebox.providers import processor

pytestmark = pytest.mark.requirement("A16.2")

RESULT = {
    "rows": [{"calls": 50, "added_ms": {"p50": 7.1, "p95": 12.0, "p99": 168.0}, "turns": 300}],
}
ENTRY = Entry(
    name="platform-overhead",
    command="python benchmarks/platform_overhead.py",
    commit="0123456789",
    day="2026-11-30",
    load_before=0.2,
    note="",
    machine={
        "processor": "A processor", "cores": "2", "flags": "avx2", "memory": "24 GB", "system": "Linux 6", "python": "3.11.2",
    },
    result=RESULT,
)  # fmt: skip


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_entries()), "make figures ARGS=--page"


def test_each_kept_entry_is_still_measured() -> None:
    assert set(read_entries()) <= {each.name for each in MEASUREMENTS}


def test_a_figure_stands_with_its_command_commit_and_machine() -> None:
    shown = page({ENTRY.name: ENTRY})
    assert "| 50 calls | added p50 7.1, p95 12.0, p99 168 ms, 300 turns |" in shown
    for fact in (ENTRY.command, ENTRY.commit, ENTRY.day, *ENTRY.machine.values()):
        assert fact in shown


def test_shares_of_the_webhook_server_are_shown_as_shares() -> None:
    weather = {"requests": 2000, "p50_ms": 2.01, "p95_ms": 12.8, "p99_ms": 24.0, "errors": 0.0025, "told": 0.75}
    shown = page(
        {"webhook": replace(ENTRY, name="webhook", result={"benchmark": "webhook", "core": 0, "calm": weather})}
    )
    assert (
        "| calm | p50 2.01, p95 12.8, p99 24 ms, n = 2,000; 0.2% without a result, 75.0% with a parcel's state |"
        in shown
    )


def test_what_was_not_measured_is_named() -> None:
    shown = page({ENTRY.name: ENTRY})
    assert "Not measured yet: `load`," in shown and "`platform-overhead`" not in shown


@pytest.mark.parametrize(("load_before", "is_marked"), [(0.9, False), (8.4, True)])
def test_figures_of_a_busy_machine_are_marked(load_before: float, is_marked: bool) -> None:
    assert ("The machine was busy" in page({ENTRY.name: replace(ENTRY, load_before=load_before)})) == is_marked


def test_a_note_stands_above_the_figures() -> None:
    assert "**A small run.**" in page({ENTRY.name: replace(ENTRY, note="A small run.")})


def test_the_machine_is_described() -> None:
    facts = machine()
    assert int(facts["cores"]) >= 1 and facts["processor"] and facts["memory"].endswith(" GB")
    assert set(facts["flags"].split(", ")) <= set(processor.FLAGS) or facts["flags"].startswith("none")


def test_the_commit_is_named() -> None:
    assert re.fullmatch(r"[0-9a-f]{10}\+?|unknown", commit())
