"""How late callers' frames are, as admission sees it."""

from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.audio.arrival_times import ArrivalTimes
from agentvoicebox.gateway.audio.frame_lateness import FrameLateness


def test_the_average_is_that_of_the_frames_since_it_was_taken_last() -> None:
    lateness = FrameLateness()
    assert lateness.take() == 0.0
    for late_s in (0.0, 0.1, 0.2, 0.1):
        lateness.note(late_s)
    assert round(lateness.take(), 9) == 0.1
    assert lateness.take() == 0.0


def test_frames_of_every_call_count_and_other_events_do_not() -> None:
    clock, lateness = ManualClock(), FrameLateness()
    calls = [ArrivalTimes(clock, lateness) for _ in range(2)]
    for call in calls:
        call.message_came(0.02, 0.0)
    lateness.take()
    clock.advance(0.12)
    for call in calls:
        call.message_came(0.02, 0.0)  # due at 0.02
        call.message_came(waiting_since_s=0.0)
    assert round(lateness.take(), 9) == 0.1
