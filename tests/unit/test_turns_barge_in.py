"""Which voice over the agent's is an interruption. Timelines: `#` is a voiced 32 ms window, `.` a silent one."""

import numpy as np
import pytest
from tests.kit.hum import hum
from tests.kit.speech import as_caller

from agentvoicebox.turns.barge_in import FIRST_PROBE_MS, LONGEST_MS, LONGEST_UNHEARD_MS, WORDS_WITHIN_MS, Suspicion
from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.facts import (
    Fact,
    SpeechIgnored,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    SpeechSuspected,
)
from agentvoicebox.turns.vad import WINDOW_SAMPLES
from agentvoicebox.wire.audio_config import TurnDetection

WINDOW_MS = 32
GIVEN_UP = "." * (WORDS_WITHIN_MS // WINDOW_MS)


class Listener:
    """A detector over whose agent a caller speaks, and its recogniser, which answers when told."""

    def __init__(self, **settings: object) -> None:
        detection = TurnDetection(**{"silence_duration_ms": 500, "prefix_padding_ms": 0, **settings})  # type: ignore[arg-type]
        self.detector = Detector(detection)
        self.detector.agent_is_speaking = True
        self.windows = 0
        self.asked: list[int] = []

    def hears(self, timeline: str) -> list[Fact]:
        """The facts of a timeline."""
        found: list[Fact] = []
        for mark in timeline:
            self.windows += 1
            end_sample = self.windows * WINDOW_SAMPLES
            found += self.detector.feed(0.9 if mark == "#" else 0.1, end_sample)
            wanted = self.detector.words_wanted(end_sample)
            if wanted is not None and self.detector.suspicion is not None:
                self.detector.suspicion.asked(wanted)
                self.asked.append(wanted)
        return found

    def reads(self, text: str) -> None:
        """The recogniser answers the last question."""
        self.detector.set_transcript(text, self.asked[-1])


def at(windows: int) -> int:
    return windows * WINDOW_SAMPLES


def test_the_first_voice_over_the_agent_is_suspected_and_nobody_is_interrupted() -> None:
    caller = Listener()
    assert caller.hears("..##") == [SpeechSuspected(at(2))]
    assert caller.detector.turn_start_sample is None


@pytest.mark.parametrize("text", ["Yeah.", "Mm-hmm.", "Okay, right.", "I see.", "Amen.", ""])
def test_a_backchannel_is_no_turn_and_leaves_no_trace(text: str) -> None:
    caller = Listener()
    caller.hears("..########")
    caller.reads(text)
    facts = caller.hears("##......")
    if caller.detector.suspicion is not None:  # of a sound without a word the end is heard, too
        caller.reads(text)
        facts = caller.hears(".")
    assert facts == [SpeechIgnored(at(12))]  # 160 ms after it: it ended there
    assert caller.hears("." * 40) == []


@pytest.mark.parametrize("text", ["Stop.", "No.", "Wait.", "What?", "Yeah, but stop.", "Thanks, bye."])
def test_other_words_interrupt_at_the_window_after_they_came(text: str) -> None:
    caller = Listener()
    caller.hears("..########")
    caller.reads(text)
    assert caller.hears("#") == [SpeechStarted(at(2))]


def test_the_recogniser_is_asked_while_the_voice_goes_on_and_again_when_it_went_on_further() -> None:
    caller = Listener()
    caller.hears("#" * (FIRST_PROBE_MS // WINDOW_MS))
    assert caller.asked == [at(8) - 1]
    assert caller.hears("###") == [] and len(caller.asked) == 1
    caller.reads("Yeah.")
    caller.hears("#" * 6)
    assert caller.asked == [at(8) - 1, at(16) - 1]
    caller.reads("Yeah, but I")
    assert caller.hears("#") == [SpeechStarted(0)]


def test_words_that_end_before_the_voice_did_are_asked_for_again() -> None:
    caller = Listener()
    caller.hears("########")
    caller.reads("Okay.")
    assert caller.hears("#######.....") == []
    assert caller.asked[-1] == at(15)  # where it ended
    caller.reads("Okay, stop.")
    assert caller.hears(".") == [SpeechStarted(0), SpeechPaused(at(15))]


def test_the_first_half_of_a_stop_may_sound_like_an_uh() -> None:
    caller = Listener()
    caller.hears("########")
    caller.reads("Uh")
    assert caller.hears("##.....") == []
    caller.reads("Stop.")
    assert caller.hears(".") == [SpeechStarted(0), SpeechPaused(at(10))]


def test_a_voice_that_goes_on_without_words_interrupts() -> None:
    windows = LONGEST_UNHEARD_MS // WINDOW_MS
    caller = Listener()
    assert caller.hears("#" * (windows - 1)) == [SpeechSuspected(0)]
    assert caller.hears("#") == [SpeechStarted(0)]


def test_no_backchannel_is_longer_than_the_longest() -> None:
    caller, heard = Listener(), []
    for _ in range(LONGEST_MS // WINDOW_MS):
        heard += caller.hears("#")
        if caller.detector.suspicion is not None and caller.asked:
            caller.reads("Yeah.")
    assert heard == [SpeechSuspected(0), SpeechStarted(0)]


def test_words_that_do_not_come_in_time_are_an_interruption() -> None:
    caller = Listener()
    assert caller.hears("########" + GIVEN_UP[1:]) == [SpeechSuspected(0)]
    assert caller.hears(".") == [SpeechStarted(0), SpeechPaused(at(8))]
    assert caller.hears(".") == [SpeechStopped(at(29), at(8))]


def test_words_of_an_earlier_question_decide_nothing() -> None:
    caller = Listener()
    caller.hears("########")
    caller.detector.set_transcript("Stop.", at(3))
    assert caller.hears("#") == []


def test_a_knock_is_nothing_and_the_recogniser_is_not_asked() -> None:
    caller = Listener()
    assert caller.hears("##......") == [SpeechSuspected(0), SpeechIgnored(at(2))]
    assert caller.asked == []


def test_a_long_voice_without_a_word_was_not_understood_and_interrupts() -> None:
    caller = Listener()
    caller.hears("#" * 16)
    caller.reads("")
    caller.hears(".....")
    caller.reads("")
    assert caller.hears(".") == [SpeechStarted(0), SpeechPaused(at(16))]


def test_a_hum_needs_no_words() -> None:
    sound = as_caller(hum(0.5))[8_000:]
    caller = Listener()
    caller.hears("##")
    for number in range(3, 16):
        caller.detector.suspicion.hear(sound[at(number - 1) : at(number)], at(number))  # type: ignore[union-attr]
        assert caller.hears("#") == []
    assert caller.hears("......") == [SpeechIgnored(at(15))]


def test_a_vowel_is_no_murmur() -> None:
    at_s = np.arange(at(10)) / 16_000
    vowel = sum(np.sin(2 * np.pi * hertz * at_s) * height for hertz, height in ((140, 1.0), (560, 0.8), (980, 0.6)))
    suspicion = Suspicion(0, 0)
    suspicion.hear(np.asarray(vowel * 5_000, np.int16), at(10))
    assert not suspicion.is_murmur


def test_a_yeah_that_answers_a_question_is_a_turn() -> None:
    caller = Listener()
    caller.hears("########")
    caller.reads("Yeah.")
    caller.detector.agent_is_asking = True
    assert caller.hears("##.....") == [SpeechStarted(0), SpeechPaused(at(10))]


def test_over_a_question_nothing_is_judged() -> None:
    caller = Listener()
    caller.detector.agent_is_asking = True
    assert caller.hears("####") == [SpeechStarted(0)]


def test_a_client_that_does_not_want_to_be_interrupted_has_turns_as_before() -> None:
    assert Listener(interrupt_response=False).hears("####") == [SpeechStarted(0)]


def test_a_turn_after_a_backchannel_does_not_reach_into_it() -> None:
    caller = Listener(prefix_padding_ms=2_000)
    caller.hears("########")
    caller.reads("Yeah.")
    caller.hears(".....")
    caller.detector.agent_is_speaking = False
    assert caller.hears("....##") == [SpeechStarted(at(8))]


def test_a_caller_who_goes_mute_in_a_suspicion_is_judged_by_what_was_heard() -> None:
    caller = Listener()
    caller.hears("########")
    assert caller.detector.end_turn(at(8)) == [SpeechStarted(0), SpeechPaused(at(8)), SpeechStopped(at(8), at(8))]
    caller = Listener()
    caller.hears("########")
    caller.reads("Yeah.")
    assert caller.detector.end_turn(at(8)) == [SpeechIgnored(at(8))]
