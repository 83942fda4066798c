"""The account of a turn begins on the wire: what a late gateway adds is in it, and its sum is what the caller's clock says.

The caller sends a frame each 20 ms on a clock that the test sets; the reader of the socket stalls, and then reads what waits.
"""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.scripted_vad import EnergyVad
from tests.kit.told_tap import audio

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine import inputs as i
from agentvoicebox.gateway.audio.arrival_times import ArrivalTimes
from agentvoicebox.gateway.audio.ingest import Ingest, InputAudioConfig
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.http_server.loop_lag import LoopLag
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.wire.audio_config import AudioFormat, TurnDetection

FRAME_S = 0.02
FRAME_SAMPLES = 320
SPEECH = range(10, 60)  # frames
FRAMES = 120
ANSWER_S = 0.007


def frame(number: int) -> bytes:
    """20 ms at 16 kHz."""
    tone = 8_000 * np.sin(2 * np.pi * 300 * np.arange(FRAME_SAMPLES) / 16_000)
    return bytes_of((tone * (number in SPEECH)).astype(np.int16))


class StalledLine:
    """A caller, and a gateway whose reader does not read between frame `stalls_at` and `stall_s` later."""

    def __init__(self, stalls_at: int, stall_s: float) -> None:
        self.clock = ManualClock()
        self._stalls_at, self._stall_s = stalls_at, stall_s
        self._batcher = VadBatcher(EnergyVad())
        config = InputAudioConfig(AudioFormat(rate=16_000), TurnDetection(silence_duration_ms=500))
        self._ingest = Ingest(
            self._batcher, config, post=self._post, deliver=lambda job_id, entry: None, clock=self.clock
        )
        arrivals = self._ingest.arrivals
        self._tap = TurnTap(arrivals.wall_s, decision_s=arrivals.decision_wall_s)
        self._stopped: i.SpeechStopped | None = None
        self.trace: dict[str, object] = {}
        self.waited_ms = 0.0  # by the caller's clock

    def _post(self, fact: i.Input) -> None:
        self._tap.observe(self.clock.wall_s(), fact, ())
        if isinstance(fact, i.SpeechStopped):
            self._stopped = fact

    async def call(self) -> None:
        """Until the turn has its answer, ANSWER_S after the engine knew its end."""
        emptied_s, number = 0.0, 0
        while self._stopped is None:
            self.clock.advance((number + 1) * FRAME_S - self.clock.monotonic_s())
            if number == self._stalls_at:
                self.clock.advance(self._stall_s)
            come = int(self.clock.monotonic_s() / FRAME_S + 1e-9)
            while number < min(come, FRAMES) and self._stopped is None:
                await self._ingest.feed(frame(number), emptied_s)
                await self._ingest.drain()
                number += 1
            emptied_s = self.clock.monotonic_s()
        self.clock.advance(ANSWER_S)
        now_s = self.clock.wall_s()
        self._tap.observe(now_s, i.AudioSynthesised("tts", 1, 2_400), [audio()])
        trace = self._tap.output_left("resp_1", now_s)
        assert trace is not None
        self.trace = trace
        last_voiced_frame = self._stopped.speech_end_sample // FRAME_SAMPLES
        self.waited_ms = (self.clock.monotonic_s() - (last_voiced_frame + 1) * FRAME_S) * 1000
        self._ingest.close()
        await self._batcher.close()


def parts(line: StalledLine) -> dict[str, float]:
    found = line.trace["parts_ms"]
    assert isinstance(found, dict)
    assert sum(found.values()) == pytest.approx(line.trace["total_ms"], abs=1e-9)
    return found


async def test_frames_that_waited_in_the_socket_are_the_sockets_part() -> None:
    line = StalledLine(stalls_at=75, stall_s=1.0)
    await line.call()
    assert line.trace["total_ms"] == pytest.approx(line.waited_ms, abs=0.01)
    found = parts(line)
    # the deciding frame came before the second was over, and waited for the rest of it
    assert 0.4 * 1000 < found["socket"] < 1_000
    assert found["endpointing"] == pytest.approx(line.waited_ms - found["socket"] - ANSWER_S * 1000, abs=0.01)
    assert found["gateway"] == pytest.approx(ANSWER_S * 1000)


async def test_speech_whose_end_waited_in_the_socket_began_its_wait_there() -> None:
    line = StalledLine(stalls_at=40, stall_s=2.0)  # while the caller speaks
    await line.call()
    assert line.waited_ms > 1_400
    assert line.trace["total_ms"] == pytest.approx(line.waited_ms, abs=0.01)
    assert parts(line)["socket"] > 900


async def test_a_punctual_gateway_has_nothing_in_these_parts() -> None:
    line = StalledLine(stalls_at=-1, stall_s=0.0)
    await line.call()
    assert line.trace["total_ms"] == pytest.approx(line.waited_ms, abs=0.01)
    assert (parts(line)["socket"], parts(line)["ingest"]) == pytest.approx((0, 0), abs=0.01)


@settings(max_examples=25, deadline=None)
@given(stalls_at=st.integers(0, 80), stall_s=st.floats(0.0, 3.0))
def test_the_sum_is_what_the_callers_clock_says_whenever_the_reader_stalls(stalls_at: int, stall_s: float) -> None:
    line = StalledLine(stalls_at, stall_s)
    asyncio.run(line.call())
    assert line.trace["total_ms"] == pytest.approx(line.waited_ms, abs=0.01)
    assert all(ms >= 0 for ms in parts(line).values())


def test_a_caller_who_paused_is_not_our_delay() -> None:
    clock = ManualClock()
    arrivals = ArrivalTimes(clock)
    arrivals.message_came(FRAME_S, 0.0)
    clock.advance(3.0)
    taken = arrivals.message_came(FRAME_S, waiting_since_s=2.99)  # the loop was away for 10 ms at most
    assert (taken.arrived_s, taken.taken_s) == (2.99, 3.0)


def test_an_event_behind_late_audio_arrived_no_earlier_than_the_audio() -> None:
    clock = ManualClock()
    arrivals = ArrivalTimes(clock)
    arrivals.message_came(FRAME_S, 0.0)
    clock.advance(1.0)
    assert arrivals.message_came(0.5, waiting_since_s=0.0).arrived_s == 0.5
    assert arrivals.message_came(waiting_since_s=0.0).arrived_s == 0.5


def test_an_end_that_no_audio_decided_has_no_way_in() -> None:
    clock = ManualClock()
    arrivals = ArrivalTimes(clock)
    arrivals.note(16_000)
    clock.advance(2.0)
    arrivals.decided(12_000)
    decision = arrivals.decision(12_000)
    assert decision is not None and (decision.arrived_s, decision.taken_s) == (2.0, 2.0)
    assert arrivals.decision(1) is None


def test_the_last_decisions_are_kept() -> None:
    arrivals = ArrivalTimes(ManualClock())
    for sample in range(100):
        arrivals.decided(sample)
    assert arrivals.decision(0) is None and arrivals.decision(99) is not None


async def test_the_loops_lag_is_how_late_its_timer_is() -> None:
    clock = ManualClock()
    lag = LoopLag(clock.monotonic_s)
    clock.advance(1.0)
    assert lag.seconds() == 0.0
    lag.start()
    clock.advance(0.52)
    assert lag.seconds() == pytest.approx(0.5)
    lag.stop()
    assert lag.seconds() == 0.0
