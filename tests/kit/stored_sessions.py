"""Stored sessions: logs and snapshots as a released version wrote them, for the tests that a later version still reads them.

`python -m tests.kit.stored_sessions FOLDER` writes the sessions of the present version. A folder under `tests/data/formats` is
named after the commit that wrote it, and is never written again.
"""

import hashlib
import random
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.session import Engine
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import FunctionCallOutputItem, InputText, MessageItem
from agentvoicebox.wire.session_config import TurnDetection
from tests.kit.conversation import BOOK, LOOKUP, Call, Talk
from tests.kit.world import MODES, World

FORMATS = Path(__file__).parents[1] / "data" / "formats"
SUFFIX = ".msgpack.zlib"
RANDOM_WORLDS = 12
WORLD_MOVES = 70
WORLD_SNAPSHOT_EVERY = 9  # steps; a snapshot of each step would make the files large


class StoredSession(msgspec.Struct):
    """One session.

    Attributes:
        entries: MessagePack of (session time in seconds, input), as the log stores them; the first is the opening.
        digests: SHA-256 of the MessagePack of each step's effects.
        snapshots: number of entries that a snapshot covers → the snapshot.
    """

    entries: list[bytes]
    digests: list[bytes]
    snapshots: dict[int, bytes]


def digest(effects: Sequence[fx.Effect]) -> bytes:
    """Of one step's effects, byte for byte."""
    return hashlib.sha256(msgspec.msgpack.encode(list(effects))).digest()


def load(path: Path) -> StoredSession:
    """Read one file."""
    return msgspec.msgpack.decode(zlib.decompress(path.read_bytes()), type=StoredSession)


def store(talk: Talk, *, every: int = 1) -> StoredSession:
    """Run the inputs of a conversation through a fresh engine, and keep what it gives."""
    engine, effects = Engine.open(talk.opened, 0.0)
    entries = [msgspec.msgpack.encode((0.0, talk.opened))]
    digests, snapshots = [digest(effects)], {1: engine.snapshot()}
    for now_s, given in talk.inputs:
        entries.append(msgspec.msgpack.encode((now_s, given)))
        digests.append(digest(engine.receive(given, now_s)))
        if len(entries) % every == 0:
            snapshots[len(entries)] = engine.snapshot()
    return StoredSession(entries, digests, snapshots)


LONG_ANSWER = " ".join(
    f"Parcel number {n} is in the depot and it will be with you on the next working day." for n in range(9)
)


def _end_first_utterance(talk: Talk) -> None:
    """The recogniser ends its job for the first turn, whose words were known before."""
    talk.transcribe("Where is my parcel?", 16_000, is_final=True)


def _mid_utterance() -> Talk:
    talk = Talk(transcription=True)
    talk.give(i.SpeechStarted(800))
    talk.give(i.SpeechPaused(9_000))
    talk.transcribe("Where", 9_000)
    talk.give(i.SpeechResumed())
    talk.give(i.SpeechPaused(20_000))
    talk.give(i.SpeechStopped(28_000, 20_000))
    talk.transcribe("Where is my parcel?", 20_000, is_final=True)
    talk.model("Which number?")
    talk.voice(12_000)
    return talk


def _held_effects_released() -> Talk:
    talk = Talk(transcription=True)
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is my parcel?", 16_000)
    talk.model("Which number is it? I can look it up for you. Please say it slowly.")
    talk.chunk(12_000)
    talk.give(i.SynthesisDone(talk.open_job("speak").job_id))
    talk.wait(0.3)
    talk.give(i.SpeechStopped(24_000, 16_000))
    talk.voice(9_000, 8_000)
    return talk


def _held_effects_dropped() -> Talk:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is", 16_000)
    talk.model("Which number?")
    talk.chunk(4_000)
    talk.give(i.SpeechResumed())
    talk.give(i.SpeechPaused(30_000))
    talk.transcribe("Where is my parcel?", 30_000)
    talk.give(i.SpeechStopped(38_000, 30_000))
    talk.model("Which number?")
    talk.voice(12_000)
    return talk


def _read_only_tool_before_the_end_of_the_turn() -> Talk:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is one two three?", 16_000)
    talk.model("Let me check.", calls=[Call(LOOKUP, '{"tracking_id":', '"123"}')])
    talk.give(i.SpeechStopped(21_000, 16_000))
    talk.voice(4_000)
    talk.tool('{"speech":"It is here."}')
    talk.model("It is here.")
    talk.voice(4_000)
    return talk


def _side_effect_cut_off() -> Talk:
    talk = Talk()
    talk.speech(0, 16_000, "Book a courier.")
    _end_first_utterance(talk)
    talk.model("I am booking it.", calls=[Call(BOOK, '{"day":"friday"}'), Call(LOOKUP, "{}")])
    talk.voice(24_000)
    talk.wait(0.2)
    talk.give(i.SpeechStarted(40_000))
    talk.give(i.SpeechPaused(50_000))
    talk.transcribe("And then?", 50_000)
    talk.tool('{"booked":true}')
    talk.give(i.SpeechStopped(58_000, 50_000))
    talk.model("It is booked.")
    talk.voice(9_000)
    return talk


def _segments_in_flight() -> Talk:
    talk = Talk()
    talk.speech(0, 16_000, "Where are my parcels?")
    _end_first_utterance(talk)
    talk.model(LONG_ANSWER)
    first, second = talk.jobs[0].job_id, talk.jobs[1].job_id
    talk.give(i.AudioSynthesised(second, 1, 60_000))
    talk.give(i.AudioSynthesised(first, 1, 100_000))
    talk.give(i.AudioSynthesised(second, 2, 50_000))
    talk.give(i.SynthesisDone(first))
    talk.give(i.SynthesisDone(second))
    talk.wait(0.5)
    talk.voice(90_000)
    for _ in range(9):
        due = talk.engine.deadline()
        if talk.open_job("speak", missing_ok=True) is not None:
            talk.voice(96_000)
        elif due is not None and due < talk.now_s + 60:
            talk.wait(max(0.0, due - talk.now_s))
            talk.give(i.TimePassed(60_000))
    return talk


def _barge_in() -> Talk:
    talk = Talk(transcription=True)
    talk.speech(0, 16_000, "Where is my parcel?")
    _end_first_utterance(talk)
    talk.model("It is in the depot in Leeds. It will come tomorrow before noon. Is that all?")
    talk.voice(48_000)
    talk.chunk(30_000)
    item_id = next(e.item.id for e in talk.sent if type(e).__name__ == "ResponseOutputItemAdded")
    talk.wait(1.1)
    talk.give(i.SpeechStarted(40_000))
    talk.client(ce.ConversationItemTruncate(item_id=item_id, audio_end_ms=900), 44_000)
    talk.give(i.SpeechPaused(52_000))
    talk.give(i.SpeechStopped(60_000, 52_000))
    talk.transcribe("No, wait.", 52_000, is_final=True)
    talk.model("Yes?")
    talk.voice(9_000)
    return talk


def _manual_turns() -> Talk:
    talk = Talk(turn_detection=None, transcription=True)
    talk.give(i.AudioArrived(0))
    talk.client(ce.InputAudioBufferCommit(), 16_000)
    talk.client(ce.ResponseCreate(), 16_000)
    talk.give(i.AudioArrived(16_000))
    talk.client(ce.InputAudioBufferClear(), 20_000)
    talk.transcribe("Where is my parcel?", 16_000, is_final=True)
    talk.model("Which number?")
    talk.voice(9_000)
    talk.give(i.AudioArrived(20_000))
    talk.client(ce.InputAudioBufferCommit(), 40_000)
    talk.transcribe("One two three.", 40_000, is_final=True)
    return talk


def _recogniser_fails() -> Talk:
    talk = Talk(transcription=True)
    talk.give(i.SpeechStarted(0))
    talk.give(i.JobFailed(talk.open_job("transcribe").job_id, "stt_failed", "It broke."))
    talk.give(i.SpeechPaused(16_000))
    talk.give(i.SpeechStopped(24_000, 16_000))
    talk.voice(9_000)
    talk.give(i.SpeechStarted(60_000))
    talk.give(i.SpeechPaused(70_000))
    talk.give(i.SpeechStopped(78_000, 70_000))
    talk.give(i.JobFailed(talk.open_job("transcribe").job_id, "stt_failed", "It broke."))
    talk.voice(9_000)
    return talk


def _beside_the_conversation() -> Talk:
    talk = Talk()
    talk.speech(0, 16_000, "Where is my parcel?")
    _end_first_utterance(talk)
    beside = ce.ResponseOptions(conversation="none", output_modalities=("text",), metadata={"topic": "mood"})
    talk.client(ce.ResponseCreate(response=beside), 24_000)
    talk.model("Which number?")
    talk.model(calls=[Call(BOOK, "{}")])
    talk.client(ce.ResponseCancel(response_id=next(r.id for r in talk.engine.state.responses.values() if r.side)))
    talk.tool('{"booked":true}')
    talk.voice(9_000)
    return talk


def _client_function() -> Talk:
    talk = Talk(client_tool="open_door")
    talk.speech(0, 16_000, "Open the door.")
    _end_first_utterance(talk)
    talk.model("One moment.", calls=[Call("open_door", '{"which":', '"front"}')])
    talk.voice(9_000)
    call_id = next(e.call_id for e in talk.sent if type(e).__name__ == "ResponseFunctionCallArgumentsDone")
    talk.client(ce.ConversationItemCreate(item=FunctionCallOutputItem(call_id=call_id, output="open")), 24_000)
    talk.client(ce.ResponseCreate(), 24_000)
    talk.model("It is open.")
    talk.voice(9_000)
    return talk


def _settings_and_silence() -> Talk:
    talk = Talk(turn_detection=TurnDetection(idle_timeout_ms=5_000))
    talk.give(i.ModeChanged(("speech_synthesis_unavailable",)))
    talk.client(ce.ConversationItemCreate(item=MessageItem(role="user", content=(InputText(text="Hello"),))))
    talk.client(ce.ResponseCreate())
    talk.model("Hi there.")
    talk.voice(9_000)
    talk.wait(6.0)
    talk.give(i.TimePassed(90_000))
    talk.model("Are you still there?")
    talk.voice(9_000)
    talk.give(i.SpeechStarted(120_000))
    talk.client(ce.SessionUpdate(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}), 130_000)
    talk.give(i.Resumed("another"))
    talk.client(ce.ResponseCreate(), 130_000)
    talk.give(i.Closing("client_left"))
    return talk


def _failures() -> Talk:
    talk = Talk()
    talk.speech(0, 16_000, "Where is one two three?")
    _end_first_utterance(talk)
    talk.model("Let me see. ", calls=[Call(LOOKUP, "{}")])
    talk.give(i.JobFailed(talk.open_job("speak").job_id, "tts_failed", "No voice."))
    talk.give(i.JobFailed(talk.open_job("call_tool").job_id, "tool_failed", "No tool."))
    talk.give(i.JobFailed(talk.open_job("generate").job_id, "llm_failed", "No model."))
    talk.client(ce.ResponseCreate(), 30_000)
    talk.give(i.TextDelta(talk.open_job("generate").job_id, "It is a very long story, and"))
    talk.give(i.Generated(talk.open_job("generate").job_id, "length", 10, 5))
    talk.voice(9_000)
    return talk


def _two_tools() -> Talk:
    talk = Talk()
    talk.speech(0, 16_000, "Where is it, and book a courier.")
    _end_first_utterance(talk)
    talk.model(calls=[Call(LOOKUP, "{}"), Call(BOOK, "{}")])
    talk.tool('{"speech":"It is here."}')
    talk.tool('{"booked":true}')
    talk.model("It is here, and the courier is booked.")
    talk.voice(9_000)
    return talk


FLOWS: tuple[Callable[[], Talk], ...] = (
    _mid_utterance, _held_effects_released, _held_effects_dropped, _read_only_tool_before_the_end_of_the_turn,
    _side_effect_cut_off, _segments_in_flight, _barge_in, _manual_turns, _recogniser_fails, _beside_the_conversation,
    _client_function, _settings_and_silence, _failures,
    _two_tools,
)  # fmt: skip


def _world(seed: int) -> Talk:
    chance = random.Random(seed)
    world = World(seed % len(MODES), transcription=bool(seed % 2), on_step=lambda *_: None)
    for _ in range(WORLD_MOVES):
        world.step(chance.randrange(len(world.moves)), chance.randrange(10), chance.randrange(10))
    return world.talk


def write(folder: Path) -> None:
    """Write every session of the present version."""
    folder.mkdir(parents=True, exist_ok=True)
    sessions = {flow.__name__.strip("_"): store(flow()) for flow in FLOWS}
    for seed in range(RANDOM_WORLDS):
        sessions[f"world_{seed}"] = store(_world(seed), every=WORLD_SNAPSHOT_EVERY)
    for name, session in sessions.items():
        (folder / f"{name}{SUFFIX}").write_bytes(zlib.compress(msgspec.msgpack.encode(session), 9))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
