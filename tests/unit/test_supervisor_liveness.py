"""When a process counts as hung: by silence alone, and never by silence that the supervisor slept through itself."""

import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.supervisor.liveness import GAP_S, TICK_S, Liveness

HUNG_AFTER_S = 12.0

pytestmark = pytest.mark.requirement("C4")


def watched() -> tuple[Liveness, ManualClock]:
    clock = ManualClock()
    return Liveness(HUNG_AFTER_S, clock=clock), clock


def tick(life: Liveness, clock: ManualClock, seconds: float) -> float:
    """Let time pass in ticks; the longest silence on the way."""
    longest_s = life.silent_s()
    for _ in range(round(seconds / TICK_S)):
        clock.advance(TICK_S)
        longest_s = max(longest_s, life.silent_s())
    return longest_s


def test_a_process_that_was_never_heard_may_take_its_time() -> None:
    life, clock = watched()
    assert tick(life, clock, 600) == 0
    assert not life.has_begun


def test_silence_counts_from_the_last_sign_of_life() -> None:
    life, clock = watched()
    for _ in range(60):
        life.heard()
        assert tick(life, clock, TICK_S) == TICK_S
    assert tick(life, clock, HUNG_AFTER_S - 2 * TICK_S) < HUNG_AFTER_S
    assert tick(life, clock, TICK_S) >= HUNG_AFTER_S


def test_a_sign_of_life_at_the_last_moment_is_enough() -> None:
    life, clock = watched()
    life.heard()
    assert tick(life, clock, HUNG_AFTER_S - TICK_S) < HUNG_AFTER_S
    life.heard()
    assert tick(life, clock, HUNG_AFTER_S - TICK_S) < HUNG_AFTER_S


def test_after_a_time_in_which_the_supervisor_did_not_run_everybody_has_the_whole_time_again() -> None:
    life, clock = watched()
    life.heard()
    tick(life, clock, HUNG_AFTER_S - TICK_S)
    clock.advance(3600)
    assert life.silent_s() == 0
    assert tick(life, clock, HUNG_AFTER_S - TICK_S) < HUNG_AFTER_S
    assert tick(life, clock, TICK_S) >= HUNG_AFTER_S


def test_a_tick_that_is_a_little_late_is_no_excuse() -> None:
    life, clock = watched()
    life.heard()
    for _ in range(round(HUNG_AFTER_S / GAP_S) + 1):
        clock.advance(GAP_S)
        silent_s = life.silent_s()
    assert silent_s >= HUNG_AFTER_S


async def test_waiting_ends_with_the_seconds_of_silence() -> None:
    life, clock = watched()
    life.heard()
    life.silent_s()
    for _ in range(4):
        clock.advance(4)
        life.silent_s()
    assert await life.until_hung() == 16
