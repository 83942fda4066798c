"""The gate: five failures shut it, thirty seconds later one may try, and each change is told once."""

import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox_delivery.sources.gate import Gate, Ticket, Verdict

pytestmark = pytest.mark.requirement("B2.3")

CLOSED, OPEN, HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Watched:
    """A gate and what it told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.told: list[tuple[float, str, BreakerState, BreakerState]] = []
        self.gate = Gate("sanity", self.clock, on_change=self._note)

    def _note(self, name: str, before: BreakerState, after: BreakerState) -> None:
        self.told.append((self.clock.monotonic_s(), name, before, after))

    def call(self, verdict: Verdict, times: int = 1) -> None:
        for _ in range(times):
            self.gate.report(self.gate.admit(), verdict)

    def refuses(self) -> bool:
        try:
            self.gate.report(self.gate.admit(), Verdict.RELEASED)
        except ProviderUnavailable:
            return True
        return False


def test_the_timeline_of_an_outage() -> None:
    watched = Watched()
    watched.call(Verdict.FAILED, 4)
    assert watched.gate.state is CLOSED
    watched.call(Verdict.FAILED)
    watched.clock.advance(29.9)
    assert watched.refuses()
    watched.clock.advance(0.1)
    probe = watched.gate.admit()
    assert probe.is_probe
    assert watched.refuses()  # one probe at a time
    watched.gate.report(probe, Verdict.FAILED)
    watched.clock.advance(30.0)
    watched.call(Verdict.SUCCEEDED)
    assert watched.told == [
        (0.0, "sanity", CLOSED, OPEN),
        (30.0, "sanity", OPEN, HALF),
        (30.0, "sanity", HALF, OPEN),
        (60.0, "sanity", OPEN, HALF),
        (60.0, "sanity", HALF, CLOSED),
    ]


def test_failures_must_be_in_a_row() -> None:
    watched = Watched()
    for _ in range(5):
        watched.call(Verdict.FAILED, 4)
        watched.call(Verdict.SUCCEEDED)
    assert watched.told == []


def test_refused_requests_count_for_nothing() -> None:
    watched = Watched()
    watched.call(Verdict.FAILED, 4)
    watched.call(Verdict.RELEASED, 50)
    assert watched.gate.state is CLOSED
    watched.call(Verdict.FAILED)
    assert watched.gate.state is OPEN


def test_the_rate_limit_is_counted_apart_and_ends_sooner() -> None:
    watched = Watched()
    watched.call(Verdict.FAILED, 4)
    watched.call(Verdict.LIMITED, 5)
    assert watched.gate.state is CLOSED
    assert watched.refuses()
    watched.clock.advance(5.0)
    watched.call(Verdict.SUCCEEDED)
    assert [name for _, name, _, _ in watched.told] == ["sanity_rate_limit"] * 3


def test_late_news_from_before_a_change_changes_nothing() -> None:
    watched = Watched()
    early = [watched.gate.admit() for _ in range(2)]
    watched.call(Verdict.FAILED, 5)
    watched.clock.advance(20.0)
    watched.gate.report(early[0], Verdict.FAILED)  # would keep it open until 50 s
    watched.gate.report(early[1], Verdict.SUCCEEDED)  # would let everybody in at once
    assert watched.gate.state is OPEN
    watched.clock.advance(10.0)
    assert watched.gate.admit().is_probe


def test_a_probe_that_was_cancelled_lets_the_next_one_try() -> None:
    watched = Watched()
    watched.call(Verdict.FAILED, 5)
    watched.clock.advance(30.0)
    watched.gate.report(watched.gate.admit(), Verdict.RELEASED)
    assert watched.gate.admit().is_probe


def test_a_reset_by_hand_lets_everybody_in_and_is_told() -> None:
    watched = Watched()
    watched.call(Verdict.FAILED, 5)
    watched.gate.reset()
    assert not watched.refuses()
    assert watched.told[-1] == (0.0, "sanity", OPEN, CLOSED)


def test_a_shut_gate_says_how_long() -> None:
    watched = Watched()
    watched.call(Verdict.FAILED, 5)
    watched.clock.advance(12.0)
    with pytest.raises(ProviderUnavailable, match="in 18 s"):
        watched.gate.admit()


def test_an_ordinary_call_is_no_probe() -> None:
    assert Watched().gate.admit() == Ticket(0, False)
