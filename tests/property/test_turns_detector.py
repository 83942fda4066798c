"""Invariants of the detector over any course of probabilities, evidence and resets."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.facts import SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped
from agentvoicebox.wire.audio_config import TurnDetection

WINDOW = 512
SETTINGS = st.builds(
    TurnDetection,
    type=st.sampled_from(["server_vad", "semantic_vad"]),
    threshold=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    prefix_padding_ms=st.sampled_from([0, 300, 2_000]),
    silence_duration_ms=st.sampled_from([0, 100, 160, 200, 500, 1_000]),
    eagerness=st.sampled_from(["low", "medium", "high", "auto"]),
)
# Runs of like windows, so that whole turns come about; and what else can happen to a detector between them.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("windows"), st.sampled_from([0.0, 0.4, 0.6, 1.0]), st.integers(1, 30)),
        st.tuples(st.just("transcript"), st.sampled_from(["Yes.", "My number is", "1 2 3", ""]), st.just(0)),
        st.tuples(st.just("completeness"), st.floats(0, 1), st.just(0)),
        st.tuples(st.just("answer"), st.just(0), st.just(0)),
        st.tuples(st.just("reset"), st.just(0), st.integers(0, 3)),
        st.tuples(st.just("floor"), st.just(0), st.integers(0, 3)),
        st.tuples(st.just("agent"), st.booleans(), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=400, deadline=None)
@given(detection=SETTINGS, steps=STEPS)
def test_turns_begin_once_end_once_and_never_overlap(
    detection: TurnDetection, steps: list[tuple[str, Any, int]]
) -> None:
    detector = Detector(detection)
    window_end = floor = 0
    turn = pause = None  # start of the open turn; end of speech while pausing
    for name, value, count in steps:
        match name:
            case "transcript":
                detector.set_transcript(value)
            case "completeness":
                detector.set_completeness(value)
            case "answer":
                detector.answer_is_ready()
                for fact in detector.judge():
                    assert isinstance(fact, SpeechStopped) and turn is not None and fact.speech_end_sample == pause
                    assert detection.type == "semantic_vad" and fact.end_sample == window_end
                    turn, pause, floor = None, None, window_end
            case "reset":
                floor = max(floor, window_end - count * 100)
                detector.reset(floor)
                turn = pause = None
            case "floor":
                floor = max(floor, window_end - count * 100)
                detector.raise_floor(floor)
            case "agent":
                detector.agent_is_speaking = value
            case "windows":
                for _ in range(count):
                    window_end += WINDOW
                    for fact in detector.feed(value, window_end):
                        match fact:
                            case SpeechStarted(start_sample=start):
                                assert turn is None
                                assert floor <= start < window_end
                                turn = start
                            case SpeechPaused(speech_end_sample=end):
                                assert turn is not None and pause is None
                                assert turn < end < window_end
                                pause = end
                            case SpeechResumed():
                                assert turn is not None and pause is not None
                                pause = None
                            case SpeechStopped(end_sample=stop, speech_end_sample=end):
                                assert turn is not None and end == pause
                                assert end < stop == window_end
                                turn, pause, floor = None, None, window_end
        assert detector.turn_start_sample == turn  # speech detected ⟺ a turn is open


@settings(max_examples=200, deadline=None)
@given(detection=SETTINGS.filter(lambda it: it.threshold > 0), steps=STEPS)
def test_every_turn_ends_in_enough_silence(detection: TurnDetection, steps: list[tuple[str, Any, int]]) -> None:
    detector = Detector(detection)
    window_end = 0
    for name, value, count in steps:
        if name == "windows":
            for _ in range(count):
                window_end += WINDOW
                detector.feed(value, window_end)
    longest_ms = max(8_000, detection.silence_duration_ms)
    for _ in range(longest_ms // 32 + 1):
        window_end += WINDOW
        detector.feed(0.0, window_end)
    assert detector.turn_start_sample is None
