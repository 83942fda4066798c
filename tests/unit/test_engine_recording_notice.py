"""The notice that a call is recorded comes first, once, whole, and is no part of what the agent is asked."""

import msgspec
import pytest
from tests.kit.conversation import Talk
from tests.kit.recorded import random_script
from tests.kit.world import MODES, World

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.invariants import Invariants
from agentvoicebox.engine.jobs import Generate, Synthesise
from agentvoicebox.engine.session import Engine
from agentvoicebox.interactions.from_log import interaction_of_log
from agentvoicebox.interactions.rerun import digest, rerun
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import InputText, MessageItem

pytestmark = pytest.mark.requirement("A4.1")

NOTICE = "This call is recorded."
STARTED = i.RecordingDecided(NOTICE)
UPDATE = ce.SessionUpdate(session={"type": "realtime"})


def texts(talk: Talk) -> list[str]:
    """What was given to the voice, in order."""
    return [
        each.request.text
        for each in talk.effects
        if isinstance(each, fx.OpenJob) and isinstance(each.request, Synthesise)
    ]


def finish_speech(talk: Talk) -> None:
    job = talk.open_job("speak")
    talk.give(i.AudioSynthesised(job.job_id, 1, 24_000))
    talk.give(i.SynthesisDone(job.job_id))


def generating(talk: Talk) -> bool:
    return talk.open_job("generate", missing_ok=True) is not None


@pytest.mark.parametrize("order", [(STARTED, UPDATE), (UPDATE, STARTED)])
def test_the_notice_is_said_once_the_client_is_there_whichever_is_known_first(order: tuple[object, ...]) -> None:
    talk = Talk()
    for each in order:
        assert texts(talk) == []
        talk.give(each) if isinstance(each, i.RecordingDecided) else talk.client(each)  # type: ignore[arg-type]
    assert texts(talk) == [NOTICE]
    finish_speech(talk)
    talk.give(STARTED)
    talk.client(UPDATE)
    assert texts(talk) == [NOTICE], "once in a session"


def test_a_response_that_is_asked_for_at_once_waits_for_the_notice_and_is_no_error() -> None:
    talk = Talk()
    talk.give(STARTED)
    talk.client(ce.ResponseCreate())
    assert texts(talk) == [NOTICE] and not generating(talk)
    finish_speech(talk)
    assert generating(talk) and "error" not in talk.events
    assert [event for event in talk.events if event in ("response.created", "response.done")] == [
        "response.created", "response.done", "response.created",
    ]  # fmt: skip


def test_who_speaks_first_hears_the_notice_before_the_answer() -> None:
    talk = Talk()
    talk.give(STARTED)
    talk.speech(1_600, 32_000, "Where is my parcel?")
    assert texts(talk) == [NOTICE] and not generating(talk)
    finish_speech(talk)
    (job,) = [talk.open_job("generate")]
    assert [message.text for message in job.request.messages] == ["Where is my parcel?"]


def test_the_callers_voice_does_not_cut_the_notice_and_is_answered_after_it() -> None:
    talk = Talk()
    talk.give(STARTED)
    talk.client(UPDATE)
    talk.speech(1_600, 32_000, "Hello?")
    assert "response.done" not in talk.events and not generating(talk)
    finish_speech(talk)
    done = next(
        event for event in talk.sent if getattr(event, "response", None) and event.response.status == "completed"
    )
    assert done.response.output[0].content[0].transcript == NOTICE
    assert generating(talk)


def test_no_prompt_has_the_notice_and_records_and_recordings_do() -> None:
    talk = Talk()
    talk.give(STARTED)
    talk.client(UPDATE)
    finish_speech(talk)
    item = MessageItem(role="user", content=(InputText(text="Where is it?"),))
    talk.client(ce.ConversationItemCreate(item=item))
    talk.client(ce.ResponseCreate())
    request = talk.open_job("generate").request
    assert isinstance(request, Generate) and NOTICE not in str(request)
    stored = [each for each in talk.effects if isinstance(each, fx.Persist) and each.kind == "item"]
    assert NOTICE in str(stored[0].body)
    told = interaction_of_log([(0.0, talk.opened), *talk.inputs]).interaction
    assert [(line.role, line.text) for line in told.transcript] == [("system", NOTICE), ("caller", "Where is it?")]


def test_a_text_session_reads_the_notice_and_a_transcription_session_has_none() -> None:
    text = Talk(modality="text")
    text.give(STARTED)
    text.client(UPDATE)
    assert "response.output_text.done" in text.events and texts(text) == []
    only = Talk(kind="transcription")
    only.give(STARTED)
    only.client(ce.SessionUpdate(session={"type": "transcription"}))
    assert "response.created" not in only.events


def waiting_talk() -> Talk:
    """A session of an agent with a notice, before it is known whether the call is recorded."""
    talk = Talk()
    agent = msgspec.structs.replace(talk.opened.agent, has_recording_notice=True)
    talk.opened = msgspec.structs.replace(talk.opened, agent=agent)
    talk.engine, talk.effects = Engine.open(talk.opened, 0.0)
    return talk


@pytest.mark.parametrize("is_spoken", [True, False])
@pytest.mark.parametrize("is_recorded", [True, False])
def test_nothing_is_said_before_it_is_known_whether_the_call_is_recorded(is_spoken: bool, is_recorded: bool) -> None:
    talk = waiting_talk()
    if is_spoken:
        talk.speech(1_600, 32_000, "Hello?")
    else:
        talk.client(ce.ResponseCreate())
    assert not generating(talk) and "response.created" not in talk.events
    talk.give(STARTED if is_recorded else i.RecordingDecided(""))
    assert texts(talk) == ([NOTICE] if is_recorded else [])
    if is_recorded:
        finish_speech(talk)
    assert generating(talk)


def test_a_session_that_another_gateway_takes_over_says_it_once() -> None:
    talk = Talk()
    talk.give(STARTED)
    talk.client(UPDATE)
    finish_speech(talk)
    taken = Engine.restore(talk.engine.snapshot())
    assert taken.receive(STARTED, talk.now_s) == []
    before = Talk()
    before.give(STARTED)
    taken = Engine.restore(before.engine.snapshot())
    effects = taken.receive(i.ClientEventReceived(UPDATE, 0), 1.0)
    assert any(isinstance(each, fx.OpenJob) for each in effects)


@pytest.mark.parametrize("mode", range(len(MODES)))
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_around_the_notice_the_invariants_hold_and_the_log_replays(mode: int, seed: int) -> None:
    invariants = Invariants()
    log: list[tuple[float, i.Input]] = []
    digests: list[bytes] = []

    def observe(engine: Engine, given: i.Input | None, effects: list[fx.Effect], now_s: float) -> None:
        invariants.check(engine, given, effects, now_s)
        if given is not None:
            log.append((now_s, given))
            digests.append(digest(effects))

    world = World(mode, transcription=True, on_step=observe)
    if seed % 2:  # an agent with a notice waits from the start
        agent = msgspec.structs.replace(world.talk.opened.agent, has_recording_notice=True)
        world.talk.opened = msgspec.structs.replace(world.talk.opened, agent=agent)
        world.talk.engine, _ = Engine.open(world.talk.opened, 0.0)
    opened = (0.0, world.talk.opened)
    for number, (move, a, b) in enumerate(random_script(seed)):
        if number == seed * 3:
            world.give(STARTED if seed % 3 else i.RecordingDecided(""))
        world.step(move, a, b)
    world.hang_up()
    again = [digest(step.effects) for step in rerun([opened, *log])]
    assert again[1:] == digests
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(STARTED), type=i.Input) == STARTED
