"""Start here: the conversation engine in ten tests, to be read from top to bottom.

The engine is a pure function. `engine.receive(input, now_s)` takes one fact about the world and returns the effects that follow
from it: events for the client, jobs for the workers, records for the database. It reads no clock and opens no socket. So this
file plays every other part: the client, the turn detector, the speech recogniser, the language model, the voice.

    1  inputs and effects          6  a tool call
    2  a typed turn                7  cancel
    3  a spoken turn               8  a late chunk is silent
    4  speculation                 9  snapshot and restore
    5  barge-in                   10  replay

Times are seconds on the session's clock. Positions in the caller's audio are 16 kHz samples since the session began; the agent's
audio is counted in 24 kHz samples. Next: `ARCHITECTURE.md`, then `tests/unit/test_engine_flows.py`.
"""

from typing import TypeVar

import msgspec
import pytest

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine import jobs
from agentvoicebox.engine.session import Engine
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import InputText, MessageItem
from agentvoicebox.wire.session_config import SessionConfig, TurnDetection

Request = TypeVar("Request", bound=jobs.JobRequest)
SECOND = 16_000  # samples of caller audio
VOICE_SECOND = 24_000  # samples of agent audio
LOOK_UP = i.ServerTool("look_up", "Looks a parcel up.", {"type": "object"}, is_read_only=True)


# -- the few helpers of this file -----------------------------------------------------------------------------------


def opened(modality: str = "audio") -> i.Opened:
    """The first input of every session: its configuration, its agent, and a seed for its ids."""
    config = SessionConfig(
        id="sess_1",
        model="florist",
        expires_at=3_600,
        output_modalities=("text",) if modality == "text" else ("audio",),
        turn_detection=TurnDetection(),
    )
    return i.Opened(config, i.AgentProfile("florist", "some model", (LOOK_UP,)), seed="seed", wall_s=0.0)


def session(modality: str = "audio") -> Engine:
    """A new conversation; the effects of opening it are left out."""
    engine, _ = Engine.open(opened(modality), 0.0)
    return engine


def types(effects: list[fx.Effect]) -> list[str]:
    """What the client receives, by type."""
    found = []
    for effect in effects:
        if isinstance(effect, fx.Send):
            found.append(str(effect.event.__struct_config__.tag))
        elif isinstance(effect, fx.SendAudio):
            found.append("response.output_audio.delta")
    return found


def job(effects: list[fx.Effect], kind: type[Request]) -> tuple[str, Request]:
    """The one job of a kind that these effects open: its id and what is asked for."""
    found = [(e.job_id, e.request) for e in effects if isinstance(e, fx.OpenJob) and isinstance(e.request, kind)]
    ((job_id, request),) = found
    assert isinstance(request, kind)
    return job_id, request


def caller_asks(engine: Engine, text: str, now_s: float) -> list[fx.Effect]:
    """A whole spoken turn of one second, recognised once it is over. Returns what the words lead to."""
    job_id, _ = job(engine.receive(i.SpeechStarted(0), now_s), jobs.Transcribe)
    engine.receive(i.SpeechPaused(SECOND), now_s)
    engine.receive(i.SpeechStopped(SECOND + 8_000, SECOND), now_s)
    return engine.receive(i.Transcribed(job_id, text, SECOND, is_final=True), now_s)


def agent_is_speaking(engine: Engine, now_s: float = 0.0) -> str:
    """The agent has two seconds of sound on the way to the caller. Returns the id of the synthesis job, which is still open."""
    generate, _ = job(caller_asks(engine, "Where is it?", now_s), jobs.Generate)
    effects = engine.receive(i.TextDelta(generate, "It is in the van."), now_s)
    effects += engine.receive(i.Generated(generate), now_s)
    speak, _ = job(effects, jobs.Synthesise)
    engine.receive(i.AudioSynthesised(speak, 1, 2 * VOICE_SECOND), now_s)
    return speak


# -- the ten steps --------------------------------------------------------------------------------------------------


def test_01_a_conversation_is_a_function_from_inputs_to_effects() -> None:
    engine, effects = Engine.open(opened(), 0.0)
    # Opening is the first input. Its effects: an event for the client, two settings for the audio input, a record.
    assert [type(effect) for effect in effects] == [fx.Send, fx.SetInputFormat, fx.SetTurnDetection, fx.Persist]
    assert types(effects) == ["session.created"]
    # A fact that matters to no part of the conversation has no effect: words of a job that does not exist.
    assert engine.receive(i.TextDelta("job_unknown", "Hello?"), 1.0) == []


def test_02_a_typed_turn_is_an_item_a_job_and_a_streamed_response() -> None:
    engine = session("text")
    item = MessageItem(role="user", content=(InputText(text="Hello"),))
    assert types(engine.receive(i.ClientEventReceived(ce.ConversationItemCreate(item=item), 0), 0.0)) == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    # The client asks for a response: the engine opens a job. The job carries all that a worker needs, on any machine.
    generate, request = job(engine.receive(i.ClientEventReceived(ce.ResponseCreate(), 0), 0.0), jobs.Generate)
    assert [message.text for message in request.messages] == ["Hello"]
    # The worker's tokens come back as inputs, and go out as they come.
    assert types(engine.receive(i.TextDelta(generate, "Good "), 0.5))[-1] == "response.output_text.delta"
    assert types(engine.receive(i.TextDelta(generate, "morning."), 0.6)) == ["response.output_text.delta"]
    assert types(engine.receive(i.Generated(generate), 0.7))[-1] == "response.done"


def test_03_a_spoken_turn_goes_from_sound_to_words_to_sound() -> None:
    engine = session()
    # The detector reports where speech begins. From there the caller's audio flows to a recogniser.
    effects = engine.receive(i.SpeechStarted(0), 0.0)
    assert types(effects) == ["input_audio_buffer.speech_started"]
    transcribe, _ = job(effects, jobs.Transcribe)
    engine.receive(i.SpeechPaused(SECOND), 1.0)
    # The turn is over: it becomes an item of the conversation, and the recogniser owes a final text.
    effects = engine.receive(i.SpeechStopped(SECOND + 8_000, SECOND), 1.5)
    assert "input_audio_buffer.committed" in types(effects)
    generate, request = job(
        engine.receive(i.Transcribed(transcribe, "Where is it?", SECOND, is_final=True), 1.6), jobs.Generate
    )
    assert request.messages[-1].text == "Where is it?"
    # The model's words become segments, each segment a job for the voice.
    effects = engine.receive(i.TextDelta(generate, "In the van."), 1.8)
    effects += engine.receive(i.Generated(generate), 1.9)
    speak, spoken = job(effects, jobs.Synthesise)
    assert spoken.text == "In the van."
    # Audio never enters the engine. A chunk is a name, (job, sequence), and a length; the shell holds the sound.
    effects = engine.receive(i.AudioSynthesised(speak, 1, VOICE_SECOND), 2.0)
    assert types(effects)[-1] == "response.output_audio.delta"
    assert types(engine.receive(i.SynthesisDone(speak), 2.1))[-1] == "response.done"


def test_04_work_on_a_guess_is_withheld_until_the_turn_is_certain() -> None:
    def up_to_the_pause() -> tuple[Engine, list[fx.Effect], str]:
        engine = session()
        transcribe, _ = job(engine.receive(i.SpeechStarted(0), 0.0), jobs.Transcribe)
        engine.receive(i.SpeechPaused(SECOND), 1.0)  # perhaps the end, perhaps a breath
        effects = engine.receive(i.Transcribed(transcribe, "Where is it?", SECOND), 1.1)
        generate, _ = job(effects, jobs.Generate)  # the model starts at once ...
        effects += engine.receive(i.TextDelta(generate, "In the van."), 1.2)
        effects += engine.receive(i.Generated(generate), 1.2)
        speak, _ = job(effects, jobs.Synthesise)  # ... and the voice too
        return engine, effects + engine.receive(i.AudioSynthesised(speak, 1, VOICE_SECOND), 1.3), speak

    engine, effects, _ = up_to_the_pause()
    assert types(effects) == []  # the client receives nothing of it
    # It was the end: all that was withheld is released, in the order in which it would have come anyway.
    released = types(engine.receive(i.SpeechStopped(SECOND + 8_000, SECOND), 1.5))
    assert released[:2] == ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]
    assert released.index("response.created") < released.index("response.output_audio.delta")

    # It was a breath: the jobs are cancelled, and the client never learns of them.
    engine, _, speak = up_to_the_pause()
    dropped = engine.receive(i.SpeechResumed(), 1.4)
    assert fx.CancelJob(speak) in dropped and types(dropped) == []


def test_05_barge_in_cancels_the_response_and_keeps_what_was_heard() -> None:
    engine = session()
    agent_is_speaking(engine, now_s=0.0)  # two seconds of sound were sent, "It is in the van."
    effects = engine.receive(i.SpeechStarted(3 * SECOND), 1.0)  # the caller speaks after the first of them
    assert types(effects)[0] == "input_audio_buffer.speech_started"
    assert types(effects)[-1] == "response.done"
    (response,) = [e.event.response for e in effects if isinstance(e, fx.Send) and hasattr(e.event, "response")]
    assert response.status == "cancelled"
    # The next generation reads what the caller heard of the answer, and not what the model had written.
    heard = engine.state.conversation.messages()[-1].text
    assert heard and "It is in the van.".startswith(heard) and heard != "It is in the van."


def test_06_a_server_tool_runs_as_a_job_inside_one_response() -> None:
    engine = session("text")
    item = MessageItem(role="user", content=(InputText(text="Where is parcel seven?"),))
    engine.receive(i.ClientEventReceived(ce.ConversationItemCreate(item=item), 0), 0.0)
    generate, request = job(engine.receive(i.ClientEventReceived(ce.ResponseCreate(), 0), 0.0), jobs.Generate)
    assert [tool.name for tool in request.tools] == ["look_up"]
    # The model calls the tool: its arguments come in pieces, and the call becomes a job when the model has finished.
    engine.receive(i.ToolCallDelta(generate, 0, "look_up", '{"parcel":'), 0.1)
    engine.receive(i.ToolCallDelta(generate, 0, None, "7}"), 0.2)
    call, asked = job(engine.receive(i.Generated(generate, "tool_calls"), 0.3), jobs.CallTool)
    assert (asked.name, asked.arguments) == ("look_up", '{"parcel":7}')
    # The result leads to another generation, which reads it. The client sees one response, and no tool.
    effects = engine.receive(i.ToolReturned(call, '{"where":"van"}'), 0.4)
    generate, request = job(effects, jobs.Generate)
    assert (request.messages[-1].role, request.messages[-1].text) == ("tool", '{"where":"van"}')
    assert types(effects) == []
    engine.receive(i.TextDelta(generate, "In the van."), 0.5)
    assert types(engine.receive(i.Generated(generate), 0.6))[-1] == "response.done"


def test_07_cancel_ends_the_response_once_and_stops_its_jobs() -> None:
    engine = session()
    speak = agent_is_speaking(engine)
    effects = engine.receive(i.ClientEventReceived(ce.ResponseCancel(), 0), 0.5)
    assert fx.CancelJob(speak) in effects
    assert types(effects).count("response.done") == 1
    # A second cancel finds nothing to cancel: the client receives an error, and the session lives on.
    assert types(engine.receive(i.ClientEventReceived(ce.ResponseCancel(), 0), 0.6)) == ["error"]
    assert not engine.is_closed


def test_08_a_late_chunk_of_a_cancelled_response_is_silent() -> None:
    engine = session()
    speak = agent_is_speaking(engine)
    engine.receive(i.ClientEventReceived(ce.ResponseCancel(), 0), 0.5)
    # The worker had not yet seen the cancel. Results carry the id of their job, so what is stale is known by its id.
    assert engine.receive(i.AudioSynthesised(speak, 2, VOICE_SECOND), 0.6) == []
    assert engine.receive(i.SynthesisDone(speak), 0.7) == []


def test_09_a_restored_snapshot_goes_on_where_the_engine_was() -> None:
    engine = session()
    speak = agent_is_speaking(engine)
    # Another gateway reads the snapshot from the store. The two engines can't be told apart.
    restored = Engine.restore(engine.snapshot())
    for given in (i.AudioSynthesised(speak, 2, VOICE_SECOND), i.SynthesisDone(speak), i.SpeechStarted(5 * SECOND)):
        assert restored.receive(given, 1.0) == engine.receive(given, 1.0)
    assert restored.snapshot() == engine.snapshot()


@pytest.mark.requirement("C5")
def test_10_a_replay_of_the_inputs_gives_the_same_effects_to_the_byte() -> None:
    log: list[tuple[float, bytes]] = []  # what the gateway stores before anyone sees an effect
    effects: list[fx.Effect] = []

    def receive(given: i.Input, now_s: float) -> None:
        log.append((now_s, msgspec.msgpack.encode(given)))
        effects.extend(engine.receive(given, now_s))

    engine = session()
    receive(i.SpeechStarted(0), 0.0)
    transcribe, _ = job(effects, jobs.Transcribe)
    receive(i.SpeechStopped(SECOND + 8_000, SECOND), 1.5)
    receive(i.Transcribed(transcribe, "Where is it?", SECOND, is_final=True), 1.6)
    generate, _ = job(effects, jobs.Generate)
    receive(i.TextDelta(generate, "In the van."), 1.8)
    receive(i.ClientEventReceived(ce.ResponseCancel(), 0), 1.9)

    # Days later, in another process: the same opening, the same inputs at the same times. Ids are equal too, by the seed.
    again = session()
    replayed = [
        effect for at_s, data in log for effect in again.receive(msgspec.msgpack.decode(data, type=i.Input), at_s)
    ]
    assert msgspec.msgpack.encode(replayed) == msgspec.msgpack.encode(effects)
