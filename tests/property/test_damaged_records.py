"""Damaged bytes in the store: every reader refuses them with its one error, and reads on."""

import contextlib
import random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.kit.mutation import Mutator
from tests.kit.recorded import random_script, taped

from agentvoicebox.broker.envelope import (
    pack_audio,
    pack_job,
    pack_result,
    unpack_audio,
    unpack_job,
    unpack_result,
)
from agentvoicebox.engine.inputs import Closing, TextDelta
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import BrokerLost, NewerFormat
from agentvoicebox.gateway.admission.handshake import SessionNotFound
from agentvoicebox.gateway.call.ledger import ResultLedger
from agentvoicebox.gateway.call.replay import RestoredSession, replay
from agentvoicebox.ports.broker import AudioEntry, Job, JobKind, JobResult, SessionRef
from agentvoicebox.sessions.directory import _session_of, format_of
from agentvoicebox.sessions.log import SavedSession
from agentvoicebox.workers.utterance_audio import LONGEST_S, UtteranceAudio

SEED = st.integers(0, 2**32)
SESSION = SessionRef("acme", "sess_1")
HELLO = msgspec.msgpack.encode(TextDelta("job_1", "hello"))
ENVELOPES: list[tuple[bytes, Any]] = [
    (pack_job(Job("job_1", JobKind.LLM, SESSION, b"payload", 1.5, "trace")), unpack_job),
    (b"\0\0\0\1" + pack_result(JobResult("job_1", JobKind.TTS, 1, 1, HELLO, b"\0\0")), unpack_result),
    (pack_audio(AudioEntry("audio", 160, b"\0\1\0\1")), unpack_audio),
]


def damaged(raw: bytes, seed: int) -> bytes:
    """Bytes with something cut out, put in or changed; or the MessagePack in them with another structure."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        try:
            return msgspec.msgpack.encode(Mutator(chance).bend(msgspec.msgpack.decode(raw)))
        except (msgspec.MsgspecError, ValueError, OverflowError, TypeError, RecursionError):
            pass  # not MessagePack, or a value that MessagePack can't hold
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                del changed[at:]
            case 1:
                changed[at : at + chance.randrange(1, 9)] = b""
            case 2:
                changed[at:at] = chance.choice(
                    (b"\xff", b"\x91" * 2_000, b"\xdd\xff\xff\xff\xff", b"\xa4\xed\xa0\x80x", b"\0" * 9)
                )
            case _ if changed:
                changed[at % len(changed)] = chance.randrange(256)
    return bytes(changed)


@settings(max_examples=1_000)
@given(which=st.integers(0, len(ENVELOPES) - 1), seed=SEED)
def test_a_damaged_envelope_is_refused_with_one_error(which: int, seed: int) -> None:
    raw, unpack = ENVELOPES[which]
    try:
        unpack(damaged(raw, seed))
    except BrokerLost as error:
        assert "envelope" in error.message


@pytest.mark.parametrize(("raw", "unpack"), ENVELOPES, ids=["job", "result", "audio"])
def test_text_in_an_envelope_that_is_not_utf_8_is_refused(raw: bytes, unpack: Any) -> None:
    for word in (b"job_1", b"audio"):
        if word in raw:
            with pytest.raises(BrokerLost, match="an envelope"):
                unpack(raw.replace(word, b"\xff" * len(word), 1))


@settings(max_examples=100)
@given(seed=SEED, mode=st.integers(0, 3))
def test_a_damaged_session_is_restored_or_does_not_exist(seed: int, mode: int) -> None:
    tape = taped(mode, random_script(seed % 50))
    chance = random.Random(seed)
    entries = [msgspec.msgpack.encode(entry) for entry in tape.log]
    covered = chance.randrange(len(entries)) if chance.random() < 0.7 else 0
    state = _snapshot(tape.log[:covered]) if covered else None
    later, ledger = entries[covered:], msgspec.msgpack.encode(ResultLedger({"job_1": 2}, 160))
    match chance.randrange(3):
        case 0 if state is not None:
            state = damaged(state, seed)
        case 1:
            ledger = damaged(ledger, seed)
        case _:
            for at in chance.sample(range(len(later)), min(len(later), 2)):
                later[at] = damaged(later[at], seed + at)
    restored = _restored(SavedSession(state, ledger, covered, later, 1))
    assert restored is None or not restored.engine.is_closed


def _snapshot(log: Any) -> bytes:
    (now_s, opened), *rest = log
    engine, _ = Engine.open(opened, now_s)
    for at_s, given_ in rest:
        engine.receive(given_, at_s)
    return engine.snapshot()


def _restored(logged: SavedSession) -> RestoredSession | None:
    """None: there is no such session."""
    try:
        return replay(logged)
    except (SessionNotFound, NewerFormat):
        return None


def test_a_snapshot_whose_parts_contradict_each_other_is_no_session() -> None:
    tape = taped(0, random_script(1))
    state = msgspec.msgpack.decode(_snapshot(tape.log[:3]))
    state["conversation"]["entries"] = None
    closing = msgspec.msgpack.encode((1.0, Closing("client_left", 1000)))
    assert _restored(SavedSession(msgspec.msgpack.encode(state), b"", 3, [closing], 1)) is None


@given(at_sample=st.integers(-(2**63), 2**63), size=st.integers(0, 999))
@example(at_sample=2**40, size=2)
def test_audio_at_a_damaged_position_takes_no_memory(at_sample: int, size: int) -> None:
    audio = UtteranceAudio(0)
    with contextlib.suppress(ValueError):
        audio.add(at_sample, bytes(size))
    assert audio.end_sample <= LONGEST_S * 16_000


@given(st.one_of(st.binary(max_size=40), st.text("a/b{}", max_size=9).map(str.encode)))
@example(b"acme")
@example(b"acme/sess_1{x}")
@example(b"acme/\xff")
def test_an_entry_of_the_directory_is_a_session_that_can_have_keys_or_none(member: bytes) -> None:
    session = _session_of(member)
    assert session is None or f"{session.tenant_id}/{session.session_id}".encode() == member


@given(st.text())
@example("²")
@example("-1")
def test_a_format_that_is_no_number_counts_as_none(text: str) -> None:
    assert format_of({"format": text}) >= 0
