"""The byte format of jobs, results and audio entries: a small MessagePack header, then the raw payload.

    u32 header length | header (MessagePack array) | payload as it is

Audio is never base64 and never copied into MessagePack. Knows bytes only; the keys are chosen elsewhere.
The store assigns a result's sequence number, so it precedes the envelope: `u32 sequence | envelope`.
"""

import struct
from typing import TypeVar

import msgspec

from agentvoicebox.errors import UNREADABLE, BrokerLost
from agentvoicebox.ports.broker import AudioEntry, Job, JobKind, JobResult, SessionRef

_U32 = struct.Struct(">I")


StreamId = tuple[int, int]


class _JobHeader(msgspec.Struct, frozen=True, array_like=True):
    job_id: str
    kind: JobKind
    tenant_id: str
    session_id: str
    submitted_s: float
    correlation_id: str


class _ResultHeader(msgspec.Struct, frozen=True, array_like=True):
    job_id: str
    kind: JobKind
    attempt: int
    body: bytes
    claimed_s: float
    published_s: float
    is_last: bool


class _AudioHeader(msgspec.Struct, frozen=True, array_like=True):
    mark: str
    at_sample: int
    end_sample: int | None = None  # missing in entries of older gateways


_encoder = msgspec.msgpack.Encoder()
_job_header = msgspec.msgpack.Decoder(_JobHeader)
_record_header = msgspec.msgpack.Decoder(_ResultHeader)
_audio_header = msgspec.msgpack.Decoder(_AudioHeader)

_H = TypeVar("_H")


def _pack(header: msgspec.Struct, payload: bytes) -> bytes:
    head = _encoder.encode(header)
    return b"".join((_U32.pack(len(head)), head, payload))


def _unpack(raw: bytes, decoder: msgspec.msgpack.Decoder[_H], offset: int = 0) -> tuple[_H, bytes]:
    try:
        (head_length,) = _U32.unpack_from(raw, offset)
        start = offset + _U32.size
        end = start + head_length
        if end > len(raw):
            raise BrokerLost("an envelope in the store is cut short")
        return decoder.decode(memoryview(raw)[start:end]), raw[end:]
    except (struct.error, *UNREADABLE) as error:
        raise BrokerLost("an envelope in the store can't be read") from error


def pack_job(job: Job) -> bytes:
    """Bytes of a job."""
    header = _JobHeader(
        job.job_id, job.kind, job.session.tenant_id, job.session.session_id, job.submitted_s, job.correlation_id
    )
    return _pack(header, job.payload)


def unpack_job(raw: bytes) -> Job:
    """A job from its bytes. Raises BrokerLost when they are invalid."""
    head, payload = _unpack(raw, _job_header)
    return Job(
        job_id=head.job_id,
        kind=head.kind,
        session=SessionRef(head.tenant_id, head.session_id),
        payload=payload,
        submitted_s=head.submitted_s,
        correlation_id=head.correlation_id,
    )


def pack_result(record: JobResult) -> bytes:
    """Bytes of a result without its sequence number, which the store puts in front (4 bytes, big endian)."""
    header = _ResultHeader(
        record.job_id,
        record.kind,
        record.attempt,
        record.body,
        record.claimed_s,
        record.published_s,
        record.is_last,
    )
    return _pack(header, record.audio)


def unpack_result(raw: bytes) -> JobResult:
    """A result from its sequence number and bytes. Raises BrokerLost when they are invalid."""
    head, audio = _unpack(raw, _record_header, offset=_U32.size)
    return JobResult(
        job_id=head.job_id,
        kind=head.kind,
        sequence=_U32.unpack_from(raw)[0],
        attempt=head.attempt,
        body=head.body,
        audio=audio,
        claimed_s=head.claimed_s,
        published_s=head.published_s,
        is_last=head.is_last,
    )


def pack_audio(entry: AudioEntry) -> bytes:
    """Bytes of an audio entry."""
    return _pack(_AudioHeader(entry.mark, entry.at_sample, entry.end_sample), entry.pcm)


def unpack_audio(raw: bytes) -> AudioEntry:
    """An audio entry from its bytes. Raises BrokerLost when they are invalid."""
    head, pcm = _unpack(raw, _audio_header)
    return AudioEntry(mark=head.mark, at_sample=head.at_sample, pcm=pcm, end_sample=head.end_sample)


def parse_stream_id(raw: bytes) -> StreamId:
    """The id of a stream entry, `b"1700000000000-3"`, as comparable numbers."""
    ms, _, count = raw.partition(b"-")
    return int(ms), int(count)
