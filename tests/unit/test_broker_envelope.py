"""Envelopes hold what was put into them, byte for byte, and rubbish is recognised."""

import contextlib
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentvoicebox.broker import keys
from agentvoicebox.broker.envelope import (
    pack_audio,
    pack_job,
    pack_result,
    parse_stream_id,
    unpack_audio,
    unpack_job,
    unpack_result,
)
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import AudioEntry, Job, JobKind, JobResult, SessionRef

ids = st.text(max_size=30)
kinds = st.sampled_from(list(JobKind))
times = st.floats(allow_nan=False, allow_infinity=False)


@given(st.builds(Job, ids, kinds, st.builds(SessionRef, ids, ids), st.binary(max_size=200), times, ids))
def test_a_job_comes_out_as_it_went_in(job: Job) -> None:
    assert unpack_job(pack_job(job)) == job


@given(
    st.builds(
        JobResult,
        job_id=ids,
        kind=kinds,
        sequence=st.integers(0, 2**32 - 1),
        attempt=st.integers(0, 9),
        body=st.binary(max_size=200),
        audio=st.binary(max_size=200),
        claimed_s=times,
        published_s=times,
        is_last=st.booleans(),
    )
)
def test_a_record_comes_out_as_it_went_in_with_the_number_the_store_gave(record: JobResult) -> None:
    assert unpack_result(struct.pack(">I", record.sequence) + pack_result(record)) == record


samples = st.integers(0, 2**40)
marks = st.sampled_from(["audio", "probe", "end"])


@given(st.builds(AudioEntry, marks, samples, st.binary(max_size=99), st.none() | samples))
def test_an_audio_entry_comes_out_as_it_went_in(entry: AudioEntry) -> None:
    assert unpack_audio(pack_audio(entry)) == entry


def test_an_end_mark_of_an_older_gateway_can_be_read() -> None:
    header = msgspec.msgpack.encode(["end", 16_000])
    assert unpack_audio(struct.pack(">I", len(header)) + header) == AudioEntry("end", 16_000)


def test_audio_is_in_the_envelope_as_it_is() -> None:
    pcm = bytes(range(256))
    assert pack_audio(AudioEntry("audio", 0, pcm)).endswith(pcm)


@given(st.binary(max_size=60))
def test_rubbish_is_an_error_of_the_store_and_nothing_else(raw: bytes) -> None:
    for unpack in (unpack_job, unpack_result, unpack_audio):
        with contextlib.suppress(BrokerLost):
            unpack(raw)


def test_a_cut_envelope_is_refused() -> None:
    raw = pack_job(Job("job_1", JobKind.LLM, SessionRef("a", "b"), b"", 0.0))
    with pytest.raises(BrokerLost, match="cut short"):
        unpack_job(raw[: len(raw) // 2])


def test_stream_ids_compare_as_numbers() -> None:
    assert parse_stream_id(b"9-10") > parse_stream_id(b"9-9")
    assert parse_stream_id(b"10-0") > parse_stream_id(b"9-99")


def test_all_keys_of_a_session_share_one_slot_and_no_key_of_another() -> None:
    mine, theirs = SessionRef("acme", "s1"), SessionRef("acme", "s2")

    def of(session: SessionRef) -> set[str]:
        return {
            keys.jobs(session),
            keys.results(session),
            keys.audio_out(session),
            keys.audio_in(session, "j"),
            keys.log(session),
            keys.snapshot(session),
            keys.session_hash(session),
            keys.job(JobKind.LLM, session, "j"),
            *keys.channels(session),
        }

    assert all("{acme/s1}" in key and key.startswith("avb:") for key in of(mine))
    assert not of(mine) & of(theirs)
