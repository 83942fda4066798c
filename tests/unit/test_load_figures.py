"""The load suite counts what it must count: after the ramp, refusals apart from failures, and calls that were really there."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from benchmarks.load.figures import Figures, Run, Spread, figures
from benchmarks.load.plan import Plan
from benchmarks.load.report import html, picture, sentences, svg, table
from benchmarks.load.sample import (
    CALL,
    FIRST_AUDIO,
    LATENESS,
    REFUSED,
    SETUP,
    TURN,
    VOICE_TO_VOICE,
    Sample,
)
from rich.console import Console

pytestmark = pytest.mark.requirement("A16.2")

PLAN = Plan(
    urls=("http://127.0.0.1:8000/v1",), keys=("sk-a", "sk-b"), limited_key="sk-c", model="delivery", audio="pcm", ca_file="",
    calls=3, ramp_s=1.0, seconds=10.0, pause_s=1.0, processes=1, python="python", speech="speech", samples="samples",
)  # fmt: skip


def sample(kind: str, ms: float = 100.0, *, at_s: float = 5.0, name: str = "spoken", fault: str = "") -> Sample:
    return Sample(kind, name, ms, at_s, fault)


def run_of(*samples: Sample, ramped_at_s: float | None = 0.0, ended_at_s: float = 10.0) -> Run:
    """A run whose callers were all there at `ramped_at_s`; None: it ended before."""
    lines = [] if ramped_at_s is None else [json.dumps({"ramped_at_s": ramped_at_s})]
    lines += [each.as_line(7) for each in samples]
    return Run().read([*lines, json.dumps({"ended_at_s": ended_at_s})])


def figures_of(*samples: Sample, **how: Any) -> Figures:
    return figures(run_of(*samples, **how))


def test_percentiles_are_those_of_the_samples() -> None:
    spread = Spread.of([sample(TURN, float(ms)) for ms in range(1, 101)])
    assert (spread.p50, spread.p95, spread.p99, spread.max) == pytest.approx((50.5, 95.05, 99.01, 100.0), abs=0.06)


def test_a_failure_counts_and_its_time_does_not() -> None:
    spread = Spread.of([sample(TURN, 10.0), sample(TURN, 30_000.0, fault="no whole reply within 30 s")])
    assert (spread.count, spread.failures, spread.max) == (2, 1, 10.0)


def test_what_never_succeeded_has_no_times() -> None:
    assert Spread.of([sample(TURN, fault="lost")]) == Spread(1, 1, 0.0, 0.0, 0.0, 0.0)


def test_samples_of_the_ramp_do_not_count() -> None:
    found = figures_of(sample(TURN, 900.0, at_s=3.9), sample(TURN, 100.0, at_s=4.1), ramped_at_s=4.0)
    assert found.spreads[TURN].count == 1 and found.spreads[TURN].max == 100.0
    assert found.seconds == 6.0 and found.has_ramped


def test_a_run_that_ended_in_its_ramp_gives_what_there_is_and_says_so() -> None:
    found = figures_of(sample(SETUP, at_s=1.0), sample(TURN, at_s=2.0), ramped_at_s=None)
    assert found.spreads[TURN].count == 1 and not found.has_ramped
    assert any("ramp" in sentence for sentence in sentences(found) if sentence.startswith("WARNING"))


def test_refusals_are_no_failures() -> None:
    refused = [
        sample(REFUSED, name="rate_limit_exceeded"),
        sample(REFUSED, name="overloaded"),
        sample(REFUSED, name="overloaded"),
    ]
    found = figures_of(sample(SETUP), sample(TURN), sample(CALL), *refused)
    assert found.error_rate == 0.0 and found.faults == {}
    assert found.refused == {"rate_limit_exceeded": 1, "overloaded": 2} and found.refused_share == 0.75


def test_the_error_rate_is_of_turns_and_calls() -> None:
    turns = [sample(TURN), sample(TURN), sample(TURN, fault="lost")]
    found = figures_of(sample(SETUP), *turns, sample(CALL, fault="lost"), sample(SETUP, fault="no server"))
    assert found.error_rate == round(3 / 5, 4)  # 3 turns, 1 call, 1 call that could not be made
    assert found.faults == {
        "turn, spoken: lost": 1, "call, spoken: lost": 1, "setup, spoken: no server": 1,
    }  # fmt: skip


def test_failed_samples_of_other_kinds_are_listed_but_no_turns() -> None:
    found = figures_of(sample(TURN), sample(FIRST_AUDIO, fault="odd"))
    assert found.error_rate == 0.0 and found.spreads[FIRST_AUDIO].failures == 1


def test_calls_at_once_are_those_that_were_connected() -> None:
    found = figures_of(
        sample(SETUP, at_s=-1.0), sample(SETUP, at_s=0.0), sample(SETUP, at_s=5.0), sample(CALL, at_s=5.0),
        sample(SETUP, at_s=6.0, fault="no server"), sample(REFUSED, at_s=6.0),
    )  # fmt: skip
    assert found.live == {"mean": 2.0, "most": 2}  # two of them for the whole 10 s: one left when the third came


def test_turns_a_second_are_answered_ones() -> None:
    assert figures_of(*(sample(TURN) for _ in range(20)), sample(TURN, fault="lost")).turns_per_s == 2.0


@pytest.mark.parametrize(("ms", "is_on_time"), [(19.0, True), (21.0, False)])
def test_late_callers_make_the_figures_doubtful(ms: float, is_on_time: bool) -> None:
    found = figures_of(*(sample(LATENESS, ms) for _ in range(10)))
    assert found.are_callers_on_time == is_on_time
    assert any("late" in sentence for sentence in sentences(found)) != is_on_time


def test_a_line_that_was_not_written_to_its_end_is_left_out() -> None:
    run = Run().read([sample(TURN).as_line(), sample(TURN).as_line()[:40]])
    assert len(run.samples) == 1


def test_lines_may_come_in_pieces() -> None:
    lines = [sample(TURN, at_s=at_s).as_line() for at_s in (1.0, 2.0)]
    whole, pieces = Run().read(lines), Run().read(lines[:1]).read(lines[1:])
    assert figures(whole) == figures(pieces)


# -- reports ---------------------------------------------------------------------------------------------------------

MANY = [sample(VOICE_TO_VOICE, 600.0 + number, at_s=number / 20) for number in range(200)]


def test_the_table_shows_each_kind_with_its_percentiles() -> None:
    console = Console(width=100, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115
    console.print(table(figures_of(*MANY, sample(TURN, fault="lost"))))
    console.file.close()
    lines = {line.strip().split("  ")[0]: line.split() for line in console.export_text().splitlines() if line.strip()}
    assert lines["voice to voice"][-5:] == ["200", "700", "789", "797", "799"]
    assert lines["turn"][-2:] == ["1", "1"]  # one, which failed: no times


def test_the_page_needs_no_network_and_shows_words_as_words() -> None:
    run = run_of(*MANY, sample(TURN, fault="<script>alert(1)</script>"), sample(REFUSED, name="<b>"))
    made = figures(run)
    shown = html(made, [("server", "http://<host>")], svg(picture(run, made)))
    assert (
        "<script>alert" not in shown and "&lt;script&gt;" in shown and "&lt;b&gt;" in shown and "&lt;host&gt;" in shown
    )
    assert "<svg" in shown and "src=" not in shown and "<link" not in shown
    for percentile in ("p50", "p95", "p99"):
        assert f"<th>{percentile}" in shown


def test_a_run_without_an_answer_is_drawn_all_the_same() -> None:
    run = run_of(sample(SETUP, fault="no server"))
    assert "<svg" in svg(picture(run, figures(run)))


# -- the plan --------------------------------------------------------------------------------------------------------


def test_a_plan_holds_keys_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    PLAN.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Plan.from_line(path.read_text()) == PLAN == Plan.from_line(PLAN.as_line())
