"""What a pause of the caller starts: text belongs to the pause at which it was asked for, and a speculation stays small."""

from tests.kit.conversation import Talk

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.wire.session_config import TurnDetection


def texts(talk: Talk) -> list[str]:
    """Of the open synthesis jobs."""
    return [job.request.text.strip() for job in talk.jobs if isinstance(job.request, Synthesise)]


def test_text_of_an_earlier_pause_starts_no_speculation_while_the_caller_speaks() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.give(i.SpeechResumed())
    talk.transcribe("Where is", 16_000)
    assert talk.engine.state.responses == {}
    assert talk.open_job("generate", missing_ok=True) is None


def test_text_of_an_earlier_pause_starts_no_speculation_at_the_next_one() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.give(i.SpeechResumed())
    talk.give(i.SpeechPaused(32_000))
    talk.transcribe("Where is", 16_000)
    assert talk.engine.state.responses == {}
    talk.transcribe("Where is my parcel?", 32_000)
    assert len(talk.engine.state.responses) == 1


def test_text_of_an_earlier_pause_is_not_the_transcript_of_the_turn() -> None:
    talk = Talk(transcription=True)
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is", 16_000)
    talk.give(i.SpeechResumed())
    talk.give(i.SpeechPaused(32_000))
    talk.give(i.SpeechStopped(40_000, 32_000))
    completed = "conversation.item.input_audio_transcription.completed"
    assert completed not in talk.events
    talk.transcribe("Where is my parcel?", 32_000, is_final=True)
    (event,) = [event for event in talk.sent if event.__struct_config__.tag == completed]
    assert event.transcript == "Where is my parcel?"


def test_a_speculation_gets_only_its_first_segment_ready() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is my parcel?", 16_000)
    talk.model("First sentence here. Second sentence here. Third sentence here.")
    assert texts(talk) == ["First sentence here."]
    talk.give(i.SpeechStopped(24_000, 16_000))
    assert texts(talk) == ["First sentence here.", "Second sentence here."]


def test_no_speculation_begins_beside_a_response_that_the_caller_does_not_interrupt() -> None:
    talk = Talk(turn_detection=TurnDetection(interrupt_response=False))
    talk.speech(0, 16_000, "Where is my parcel?")
    assert len(talk.engine.state.responses) == 1
    talk.give(i.SpeechStarted(24_000))
    talk.give(i.SpeechPaused(40_000))
    turn = talk.engine.state.buffer.turn
    assert turn is not None
    talk.give(i.Transcribed(turn.job_id, "And the other one?", 40_000))
    assert len(talk.engine.state.responses) == 1
