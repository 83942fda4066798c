"""A voice over the agent's: the answer's audio waits until it is known what the voice was, and the client sees nothing of it."""

from typing import Any

from tests.kit.conversation import Talk

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.session import Engine
from agentvoicebox.engine.turn import TurnPhase
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.session_config import TurnDetection

SECOND = 24_000
ANSWER = "Your parcel is on its way. It arrives on Monday."


def answering(**settings: Any) -> Talk:
    """A session whose agent says its answer; the first of two segments is being sent."""
    talk = Talk(turn_detection=TurnDetection(**settings))
    talk.speech(0, 16_000, "Where is my parcel?")
    talk.model(ANSWER)
    talk.chunk(SECOND)
    talk.clear()
    return talk


def suspected(talk: Talk) -> str:
    """A voice over the answer; returns the job of its recogniser."""
    (opened,) = talk.give(i.SpeechSuspected(40_000))
    assert isinstance(opened, fx.OpenJob)
    return opened.job_id


def said(talk: Talk) -> str:
    return "".join(event.delta for event in talk.sent if event.__struct_config__.tag.endswith("audio_transcript.delta"))


def test_a_suspected_voice_holds_the_audio_back_and_opens_a_recogniser() -> None:
    talk = answering()
    (opened,) = talk.give(i.SpeechSuspected(40_000))
    assert isinstance(opened, fx.OpenJob) and opened.request.__struct_config__.tag == "transcribe"
    talk.chunk(SECOND, 2)
    assert talk.events == []


def test_what_was_nothing_leaves_no_trace_and_the_audio_goes_on_in_order() -> None:
    plain, talk = answering(), answering()
    plain.chunk(SECOND, 2)
    plain.give(i.SynthesisDone(plain.open_job("speak").job_id))
    plain.voice(SECOND)
    job = suspected(talk)
    talk.chunk(SECOND, 2)
    talk.give(i.SynthesisDone(talk.open_job("speak").job_id))  # ends while a chunk of it waits
    talk.voice(SECOND)
    assert talk.events == []
    talk.give(i.Transcribed(job, "Mm-hmm.", 44_000))
    ignored = talk.give(i.SpeechIgnored(46_000))
    assert fx.DropAudio(46_000) in ignored and fx.CancelJob(job) in ignored
    assert talk.events == plain.events and said(talk) == said(plain)
    assert len(talk.engine.state.conversation.entries) == len(plain.engine.state.conversation.entries)
    assert talk.engine.state.is_idle


def test_an_interruption_begins_where_it_was_suspected_and_nothing_that_waited_is_sent() -> None:
    talk = answering()
    talk.give(i.SpeechSuspected(40_000))
    talk.chunk(SECOND, 2)
    talk.give(i.SpeechStarted(40_000))
    assert talk.events[0] == "input_audio_buffer.speech_started" and talk.events[-1] == "response.done"
    assert "response.output_audio.delta" not in talk.events
    assert talk.sent[0].audio_start_ms == 2_500 and talk.sent[-1].response.status == "cancelled"
    assert not [e for e in talk.effects if isinstance(e, fx.OpenJob)][1:]  # the recogniser that follows already


def test_words_that_came_during_the_suspicion_are_answered_at_the_pause() -> None:
    talk = answering()
    job = suspected(talk)
    talk.give(i.Transcribed(job, "Stop.", 44_000))
    talk.give(i.SpeechStarted(40_000))
    talk.clear()
    talk.give(i.SpeechPaused(44_000))
    assert [e.request.__struct_config__.tag for e in talk.effects if isinstance(e, fx.OpenJob)] == ["generate"]
    assert not [e for e in talk.effects if isinstance(e, fx.ProbeUtterance)]


def test_words_up_to_another_place_are_asked_for_at_the_pause() -> None:
    talk = answering()
    job = suspected(talk)
    talk.give(i.Transcribed(job, "Stop.", 43_999))
    talk.give(i.SpeechStarted(40_000))
    assert fx.ProbeUtterance(job, 46_000) in talk.give(i.SpeechPaused(46_000))


def test_a_failed_recogniser_does_not_keep_the_audio_back() -> None:
    talk = answering()
    talk.give(i.JobFailed(suspected(talk), "engine_unavailable", "gone"))
    talk.chunk(SECOND, 2)
    assert fx.CancelJob not in map(type, talk.give(i.SpeechIgnored(46_000)))
    assert talk.events == ["response.output_audio.delta"]


def test_the_client_may_clear_or_commit_in_the_middle_of_a_suspicion() -> None:
    for event in (ce.InputAudioBufferClear(), ce.InputAudioBufferCommit()):
        talk = answering()
        job = suspected(talk)
        talk.chunk(SECOND, 2)
        talk.client(event, 60_000)
        assert fx.CancelJob(job) in talk.effects and "response.output_audio.delta" in talk.events
        assert talk.engine.state.buffer.suspect is None


def test_switching_to_manual_turns_ends_a_suspicion() -> None:
    talk = answering()
    talk.give(i.SpeechSuspected(40_000))
    talk.chunk(SECOND, 2)
    talk.client(ce.SessionUpdate(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}))
    assert talk.engine.state.buffer.suspect is None and "response.output_audio.delta" in talk.events


def test_a_session_restored_in_the_middle_of_a_suspicion_loses_nothing() -> None:
    for decision in (i.SpeechIgnored(46_000), i.SpeechStarted(40_000)):
        talk = answering()
        talk.give(i.SpeechSuspected(40_000))
        talk.chunk(SECOND, 2)
        restored = Engine.restore(talk.engine.snapshot())
        suspect = restored.state.buffer.suspect
        assert suspect is not None and suspect.phase is TurnPhase.SPEAKING
        assert suspect.job_id in restored.state.jobs_out()
        assert restored.receive(decision, talk.now_s) == talk.give(decision)


def test_an_answer_that_may_not_be_interrupted_any_more_goes_on_beside_the_turn() -> None:
    talk = answering()
    talk.give(i.SpeechSuspected(40_000))
    talk.chunk(SECOND, 2)
    update = {"turn_detection": {"type": "server_vad", "interrupt_response": False}}
    talk.client(ce.SessionUpdate(session={"type": "realtime", "audio": {"input": update}}))
    talk.clear()
    talk.give(i.SpeechStarted(40_000))
    assert talk.events == ["input_audio_buffer.speech_started", "response.output_audio.delta"]
