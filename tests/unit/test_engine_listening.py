"""What the engine does with late audio, and with a caller who speaks before the idle timeout."""

from tests.kit.conversation import Talk

from agentvoicebox.engine import inputs as i
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.session_config import TurnDetection


def test_audio_of_a_committed_manual_buffer_opens_no_turn() -> None:
    talk = Talk(turn_detection=None)
    talk.give(i.AudioArrived(0))
    talk.client(ce.InputAudioBufferCommit(), at_sample=16_000)
    talk.give(i.AudioArrived(8_000))
    assert talk.engine.state.buffer.turn is None
    talk.give(i.AudioArrived(16_000))
    assert talk.engine.state.buffer.turn is not None


def test_a_caller_who_speaks_is_not_asked_whether_they_are_there() -> None:
    talk = Talk(turn_detection=TurnDetection(idle_timeout_ms=5_000, create_response=False))
    talk.client(ce.ResponseCreate())
    talk.model("Good day.")
    talk.voice(24_000)
    idle_at_s = talk.engine.deadline()
    assert idle_at_s is not None
    talk.speech(0, 16_000, "Hello")
    talk.wait(idle_at_s - talk.now_s)
    talk.give(i.TimePassed(at_sample=120_000))
    assert "input_audio_buffer.timeout_triggered" not in talk.events
