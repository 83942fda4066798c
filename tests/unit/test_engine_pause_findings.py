"""What holds a turn open whose wait is over: the words, or the first sound of the answer, while they may still come."""

import pytest
from tests.kit.conversation import LOOKUP, Call, Talk

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.pause_findings import PauseFindings, pause_findings
from agentvoicebox.wire.session_config import TurnDetection

pytestmark = pytest.mark.requirement("C12")

PAUSE = 16_000


def pausing(text: str | None = "Where is my parcel?", **more: object) -> Talk:
    """A caller who pauses, and whose words, if any, are known."""
    talk = Talk(**more)  # type: ignore[arg-type]
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(PAUSE))
    if text is not None:
        talk.transcribe(text, PAUSE)
    return talk


def is_awaited(talk: Talk) -> bool:
    findings = pause_findings(talk.engine.state)
    assert findings is not None and findings.speech_end_sample == PAUSE
    return findings.is_answer_awaited


def test_there_is_nothing_to_find_outside_a_pause() -> None:
    talk = Talk()
    assert pause_findings(talk.engine.state) is None
    talk.give(i.SpeechStarted(0))
    assert pause_findings(talk.engine.state) is None
    talk.give(i.SpeechPaused(PAUSE))
    talk.give(i.SpeechResumed())
    assert pause_findings(talk.engine.state) is None


def test_words_are_awaited_then_a_first_sound() -> None:
    talk = pausing(None)
    assert is_awaited(talk)
    talk.transcribe("Where is my parcel?", PAUSE)
    assert is_awaited(talk)
    talk.model("Which number?")
    assert is_awaited(talk)
    talk.give(i.AudioSynthesised(talk.open_job("speak").job_id, 0, 2_400))
    assert not is_awaited(talk)


def test_words_of_an_earlier_pause_are_not_those_of_this_one() -> None:
    talk = pausing("Where is", turn_detection=TurnDetection(create_response=False))
    talk.give(i.SpeechResumed())
    talk.give(i.SpeechPaused(32_000))
    assert pause_findings(talk.engine.state) == PauseFindings(32_000, is_answer_awaited=True)


@pytest.mark.parametrize("text", ["", "Where is my parcel?"])
def test_nothing_is_awaited_where_no_response_begins(text: str) -> None:
    assert not is_awaited(pausing(text, turn_detection=TurnDetection(create_response=text == "")))


def test_nothing_is_awaited_of_an_answer_in_text() -> None:
    assert not is_awaited(pausing(modality="text"))


def test_nothing_is_awaited_beside_another_response() -> None:
    talk = Talk(turn_detection=TurnDetection(interrupt_response=False))
    talk.speech(0, 8_000, "Where is my parcel?")
    talk.give(i.SpeechStarted(12_000))
    talk.give(i.SpeechPaused(PAUSE))
    turn = talk.engine.state.buffer.turn
    assert turn is not None
    talk.give(i.Transcribed(turn.job_id, "And the other one?", PAUSE))
    assert not is_awaited(talk)


def test_nothing_is_awaited_of_a_recogniser_that_failed() -> None:
    talk = pausing(None)
    talk.give(i.JobFailed(talk.open_job("transcribe").job_id, "gone", "gone"))
    assert pause_findings(talk.engine.state) == PauseFindings(None, is_answer_awaited=False)


def test_nothing_is_awaited_of_a_synthesis_that_failed() -> None:
    talk = pausing()
    talk.model("Which number?")
    talk.give(i.JobFailed(talk.open_job("speak").job_id, "gone", "gone"))
    assert not is_awaited(talk)


@pytest.mark.parametrize("is_read_only", [True, False])
def test_a_tool_that_only_reads_is_awaited_and_one_with_effects_is_not(is_read_only: bool) -> None:
    talk = pausing(tool_is_read_only=is_read_only)
    talk.model(calls=[Call(LOOKUP, '{"tracking_id":"123"}')])
    assert is_awaited(talk) is is_read_only


def test_a_call_that_the_client_runs_is_not_held_back() -> None:
    talk = pausing(client_tool="open_door")
    talk.model(calls=[Call("open_door", "{}")])
    assert not is_awaited(talk)


def test_the_agents_last_words_are_found_as_far_as_they_were_heard() -> None:
    talk = Talk()
    talk.speech(0, 8_000, "Hello.")
    talk.model("Hello there. What's your tracking number?")
    talk.voice(24_000)
    talk.wait(60)
    talk.give(i.SpeechStarted(12_000))
    talk.give(i.SpeechPaused(PAUSE))
    findings = pause_findings(talk.engine.state)
    assert findings is not None and findings.question.startswith("Hello there.")


def test_what_a_tool_found_on_the_words_of_the_pause_is_found() -> None:
    talk = pausing()
    talk.model(calls=[Call(LOOKUP, '{"tracking_id":"123"}')])
    talk.tool('{"code":"FOUND"}')
    findings = pause_findings(talk.engine.state)
    assert findings == PauseFindings(PAUSE, True, "", ((LOOKUP, '{"code":"FOUND"}'),))
    talk.give(i.SpeechResumed())
    talk.give(i.SpeechPaused(32_000))
    assert pause_findings(talk.engine.state) == PauseFindings(32_000, is_answer_awaited=True)


def test_manual_turns_have_no_pauses() -> None:
    talk = Talk(turn_detection=None)
    talk.give(i.AudioArrived(0))
    assert pause_findings(talk.engine.state) is None
