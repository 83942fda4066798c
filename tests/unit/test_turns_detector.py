"""When turns begin, pause, go on and end. Timelines: `#` is a voiced 32 ms window, `.` a silent one."""

from agentvoicebox.turns.agent_evidence import AgentEvidence, ExpectedAnswer, Proof
from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.facts import Fact, SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped, SpeechSuspected
from agentvoicebox.wire.audio_config import TurnDetection

WINDOW = 512
LEVELS = {"#": 0.9, "-": 0.4, ".": 0.1}  # `-` is between the two thresholds


def feed(detector: Detector, timeline: str, *, from_window: int = 0) -> list[tuple[int, Fact]]:
    """Feed a timeline; give (number of windows fed when it came out, fact)."""
    found = []
    for number, mark in enumerate(timeline, start=from_window + 1):
        found += [(number, fact) for fact in detector.feed(LEVELS[mark], number * WINDOW)]
    return found


def server_vad(silence_ms: int = 500, prefix_ms: int = 0, threshold: float = 0.5) -> Detector:
    return Detector(TurnDetection(silence_duration_ms=silence_ms, prefix_padding_ms=prefix_ms, threshold=threshold))


def test_a_turn_starts_pauses_and_stops() -> None:
    assert feed(server_vad(), "....######" + "." * 20) == [
        (6, SpeechStarted(4 * WINDOW)),
        (12, SpeechPaused(10 * WINDOW)),  # 64 ms
        (26, SpeechStopped(26 * WINDOW, 10 * WINDOW)),  # 512 ms, the first window end past 500
    ]


def test_the_prefix_is_added_but_never_reaches_before_the_first_sample() -> None:
    assert feed(server_vad(prefix_ms=300), "..........##")[0][1] == SpeechStarted(10 * WINDOW - 4_800)
    assert feed(server_vad(prefix_ms=300), ".##")[0][1] == SpeechStarted(0)


def test_a_click_is_no_speech() -> None:
    assert feed(server_vad(), "..#....#..#.") == []


def test_a_wavering_voice_is_one_stretch_of_speech() -> None:
    assert [fact for _, fact in feed(server_vad(), "##-#---#--.")] == [SpeechStarted(0)]


def test_a_faint_sound_does_not_start_a_turn() -> None:
    assert feed(server_vad(), "-------") == []


def test_a_pause_inside_a_sentence_resumes_and_does_not_stop() -> None:
    facts = [fact for _, fact in feed(server_vad(), "####" + "." * 14 + "####" + "." * 16)]
    assert facts == [
        SpeechStarted(0),
        SpeechPaused(4 * WINDOW),
        SpeechResumed(),
        SpeechPaused(22 * WINDOW),
        SpeechStopped(38 * WINDOW, 22 * WINDOW),
    ]


def test_a_click_in_a_pause_neither_resumes_nor_moves_the_end() -> None:
    facts = feed(server_vad(), "####" + "." * 8 + "#" + "." * 8)
    assert facts[-1] == (20, SpeechStopped(20 * WINDOW, 4 * WINDOW))
    assert SpeechResumed() not in [fact for _, fact in facts]


def test_a_turn_does_not_stop_while_the_caller_may_be_resuming() -> None:
    facts = [fact for _, fact in feed(server_vad(), "####" + "." * 15 + "##" + ".")]
    assert facts == [SpeechStarted(0), SpeechPaused(4 * WINDOW), SpeechResumed()]


def test_a_wait_shorter_than_the_pause_pauses_and_stops_together() -> None:
    assert feed(server_vad(silence_ms=60), "####....") == [
        (2, SpeechStarted(0)),
        (6, SpeechPaused(4 * WINDOW)),
        (6, SpeechStopped(6 * WINDOW, 4 * WINDOW)),
    ]
    assert [fact for _, fact in feed(server_vad(silence_ms=0), "###.")][1:] == [
        SpeechPaused(3 * WINDOW),
        SpeechStopped(4 * WINDOW, 3 * WINDOW),
    ]


def test_the_next_turn_begins_no_earlier_than_the_last_one_ended() -> None:
    facts = [fact for _, fact in feed(server_vad(silence_ms=200, prefix_ms=1_000), "####" + "." * 7 + "####")]
    assert facts[2:] == [SpeechStopped(11 * WINDOW, 4 * WINDOW), SpeechStarted(11 * WINDOW)]


def test_where_nothing_is_judged_it_takes_longer_speech_to_interrupt_the_agent() -> None:
    detector = Detector(TurnDetection(silence_duration_ms=500, prefix_padding_ms=0), judges_interruptions=False)
    detector.agent_is_speaking = True
    assert feed(detector, "###....") == []
    assert feed(detector, "####", from_window=7) == [(11, SpeechStarted(7 * WINDOW))]


def test_resuming_while_the_agent_speaks_is_no_barge_in() -> None:
    detector = server_vad()
    feed(detector, "####" + "." * 6)
    detector.agent_is_speaking = True
    assert feed(detector, "##", from_window=10) == [(12, SpeechResumed())]


def test_a_reset_voids_the_turn_and_bars_what_came_before() -> None:
    detector = server_vad(prefix_ms=300)
    feed(detector, "######")
    detector.reset(6 * WINDOW)
    assert detector.turn_start_sample is None
    assert [fact for _, fact in feed(detector, "##", from_window=6)] == [SpeechStarted(6 * WINDOW)]


def test_windows_of_dropped_audio_are_ignored() -> None:
    detector = server_vad()
    detector.reset(8 * WINDOW)
    assert feed(detector, "########") == []


def test_a_commit_behind_an_open_turn_leaves_it_alone() -> None:
    detector = server_vad(silence_ms=200)
    feed(detector, "####")
    detector.raise_floor(2 * WINDOW)
    assert [fact for _, fact in feed(detector, "." * 7, from_window=4)][-1] == SpeechStopped(11 * WINDOW, 4 * WINDOW)


def test_manual_mode_finds_nothing() -> None:
    detector = Detector(None)
    detector.set_transcript("hello")
    detector.set_completeness(1.0)
    detector.reset(5)
    assert feed(detector, "#######.......") == []
    assert not detector.wants_completeness


def semantic(eagerness: str = "auto", *, is_answer_ready: bool = True) -> Detector:
    detector = Detector(TurnDetection(type="semantic_vad", eagerness=eagerness, prefix_padding_ms=0))  # type: ignore[arg-type]
    assert feed(detector, "####.....")[-1] == (5, SpeechPaused(4 * WINDOW))
    if is_answer_ready:
        detector.answer_is_ready()
    return detector


def stops_at(detector: Detector, most_windows: int = 400) -> int | None:
    """Silence in ms, counted from the end of the voice, at which the turn stopped."""
    for number, fact in feed(detector, "." * most_windows, from_window=9):
        if isinstance(fact, SpeechStopped):
            return (number - 4) * 32
    return None


def test_semantic_vad_has_the_recogniser_asked_at_the_first_silent_window_and_server_vad_at_the_second() -> None:
    for detector, window in ((Detector(TurnDetection(type="semantic_vad", prefix_padding_ms=0)), 5), (server_vad(), 6)):
        assert feed(detector, "####..") == [(2, SpeechStarted(0)), (window, SpeechPaused(4 * WINDOW))]


def test_a_dip_inside_a_word_only_costs_a_question_to_the_recogniser() -> None:
    detector = Detector(TurnDetection(type="semantic_vad", prefix_padding_ms=0))
    assert feed(detector, "####.####") == [(2, SpeechStarted(0)), (5, SpeechPaused(4 * WINDOW)), (7, SpeechResumed())]
    detector.set_transcript("Yes.", 4 * WINDOW)  # of the dip
    detector.answer_is_ready()
    assert detector.judge() == []


def test_a_suspected_voice_has_no_pause_before_the_second_silent_window() -> None:
    detector = Detector(TurnDetection(type="semantic_vad", prefix_padding_ms=0))
    detector.agent_is_speaking = True
    assert [fact for _, fact in feed(detector, "##.##.##")] == [SpeechSuspected(0)]


def test_a_finished_sentence_ends_quickly_and_a_whole_question_sooner() -> None:
    for text, silence_ms in (("I need my parcel.", 384), ("Where is my parcel?", 288)):
        detector = semantic("high")
        detector.set_transcript(text)
        assert stops_at(detector) == silence_ms


def test_an_unfinished_sentence_is_waited_for_as_long_as_eagerness_says() -> None:
    waits = {}
    for eagerness in ("high", "medium", "low"):
        detector = semantic(eagerness)
        detector.set_transcript("My tracking number is")
        waits[eagerness] = stops_at(detector) or 0
    assert 1_000 < waits["high"] <= 1_216 < waits["medium"] <= 4_032 < waits["low"] <= 8_032


def test_without_evidence_it_waits_an_intermediate_time() -> None:
    assert 672 <= (stops_at(semantic("high")) or 0) <= 704


def test_the_model_alone_never_holds_a_turn_beyond_a_second() -> None:
    detector = semantic("low")
    detector.set_transcript("Thank you.")
    detector.set_completeness(0.0)
    assert 900 < (stops_at(detector) or 0) <= 1_032


def test_a_turn_whose_wait_is_over_ends_when_the_first_sound_lies_ready() -> None:
    detector = semantic(is_answer_ready=False)
    detector.set_transcript("Where is my parcel?")
    assert feed(detector, "." * 20, from_window=9) == []
    assert detector.judge() == []
    detector.answer_is_ready(4 * WINDOW)
    assert detector.judge() == [SpeechStopped(29 * WINDOW, 4 * WINDOW)]
    assert detector.judge() == []
    assert detector.votes_ms["answer"] == 25 * 32


def test_a_first_sound_that_lies_ready_does_not_shorten_the_wait() -> None:
    detector = semantic("high")
    detector.set_transcript("My tracking number is")
    assert detector.judge() == []
    assert (stops_at(detector) or 0) > 1_000


def test_an_answer_that_never_comes_holds_the_turn_up_to_the_cap() -> None:
    detector = semantic("high", is_answer_ready=False)
    detector.set_transcript("Where is my parcel?")
    assert 1_200 <= (stops_at(detector) or 0) <= 1_216


def test_speech_that_resumes_needs_an_answer_of_its_own() -> None:
    detector = semantic()
    assert feed(detector, "##.....", from_window=9)[0] == (11, SpeechResumed())
    detector.set_transcript("Where is my parcel?")
    detector.answer_is_ready(4 * WINDOW)  # of the first pause
    assert feed(detector, "." * 20, from_window=16) == []


class Counted(AgentEvidence):
    """An agent whose numbers have four digits."""

    def doubt(self, text: str, expected: ExpectedAnswer) -> float | None:
        count = sum(character.isdigit() for character in text)
        if expected is not ExpectedAnswer.YES_OR_NO or not count:
            return None
        return 0.0 if count == 4 else 1.0

    def proves(self, tool: str, output: str, text: str) -> Proof:
        return Proof.COMPLETE if (tool, output) == ("find", "found") and text else Proof.NOTHING


def counted(text: str) -> Detector:
    detector = Detector(TurnDetection(type="semantic_vad", eagerness="low", prefix_padding_ms=0), agent=Counted())
    detector.set_question("Is it 1 2 3 4?")
    feed(detector, "####.....")
    detector.set_transcript(text)
    detector.answer_is_ready()
    return detector


def test_an_agent_says_how_unfinished_its_numbers_are() -> None:
    assert (stops_at(counted("1 2 3 4")) or 0) < 900
    assert 2_400 <= (stops_at(counted("1 2 3")) or 0) < 2_500


def test_what_a_tool_found_ends_a_turn_soon() -> None:
    detector = counted("1 2 3")
    detector.set_tool_outputs((("find", "nothing"),))
    assert detector.judge() == []
    detector.set_tool_outputs((("find", "found"),), 3 * WINDOW)  # of another pause
    assert detector.judge() == []
    detector.set_tool_outputs((("find", "found"), ("note", "done")))
    assert detector.judge() == []  # a caller may pause so long in "Yes, that's right."
    assert feed(detector, "....", from_window=9)[-1:] == [(13, SpeechStopped(13 * WINDOW, 4 * WINDOW))]


def test_a_caller_who_paused_long_is_given_as_long_again() -> None:
    text, waits = "I am at home all day", []
    for timeline in ("####.....", "####" + "." * 28 + "####....."):
        detector = Detector(TurnDetection(type="semantic_vad", eagerness="high", prefix_padding_ms=0))
        feed(detector, timeline)
        detector.set_transcript(text)
        detector.answer_is_ready()
        waits.append(
            next(n for n, f in feed(detector, "." * 99, from_window=len(timeline)) if isinstance(f, SpeechStopped))
        )
    assert waits[0] * 32 < 900 and waits[1] - 36 > 28


def test_server_vad_waits_for_no_answer() -> None:
    assert feed(server_vad(silence_ms=200), "####.......")[-1] == (11, SpeechStopped(11 * WINDOW, 4 * WINDOW))


def test_evidence_about_an_earlier_pause_does_not_count() -> None:
    detector = semantic()
    detector.set_transcript("Where is my parcel?", 4 * WINDOW)
    assert [fact for _, fact in feed(detector, "##", from_window=9)] == [SpeechResumed()]
    feed(detector, ".....", from_window=11)
    detector.set_transcript("Where is my parcel?", 4 * WINDOW)
    detector.set_completeness(1.0, 4 * WINDOW)
    detector.answer_is_ready(11 * WINDOW)
    assert feed(detector, "." * 17, from_window=16) == []  # 704 ms: the stale evidence would have ended it


def test_the_model_is_asked_at_the_second_silent_window_and_not_about_a_dip() -> None:
    detector = Detector(TurnDetection(type="semantic_vad", prefix_padding_ms=0))
    wanted = []
    for number, mark in enumerate("####.####...", start=1):
        detector.feed(LEVELS[mark], number * WINDOW)
        wanted.append(detector.wants_completeness)
    assert wanted == [False] * 10 + [True] * 2


def test_a_judgement_is_wanted_once_a_pause_and_only_under_semantic_vad() -> None:
    detector = semantic()
    assert detector.wants_completeness
    detector.wants_completeness = False
    feed(detector, "..", from_window=9)
    assert not detector.wants_completeness
    feed(detector, "##.....", from_window=11)
    assert detector.wants_completeness
    fixed = server_vad()
    feed(fixed, "####......")
    assert not fixed.wants_completeness


def test_the_lowest_threshold_still_ends_a_turn() -> None:
    detector = server_vad(threshold=0.0)
    silent = [fact for number in range(1, 31) for fact in detector.feed(0.002, number * WINDOW)]
    assert silent == []
    voiced = [fact for number in range(31, 41) for fact in detector.feed(0.3, number * WINDOW)]
    after = [fact for number in range(41, 71) for fact in detector.feed(0.002, number * WINDOW)]
    assert [type(fact) for fact in (*voiced, *after)] == [SpeechStarted, SpeechPaused, SpeechStopped]
