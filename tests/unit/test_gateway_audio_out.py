"""Audio between workers and client: what is buffered, how it is cut, and that nothing stays behind."""

import numpy as np
import pytest

from agentvoicebox.audio.g711 import decode_alaw, decode_ulaw
from agentvoicebox.audio.pcm import bytes_of, samples_of
from agentvoicebox.audio.resample import resample
from agentvoicebox.engine.effects import SendAudio
from agentvoicebox.gateway.audio.audio_chunk_buffer import AudioChunkBuffer
from agentvoicebox.gateway.audio.output_audio_encoder import OutputAudioEncoder
from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.server_events import ResponseOutputAudioDone


def effect(kind: str = "audio/pcm", event_id: str = "event_1", rate: int = 24_000) -> SendAudio:
    format = AudioFormat(type=kind, rate=rate)  # type: ignore[arg-type]
    return SendAudio(event_id, "resp_1", "item_1", 0, 0, "job_1", 1, format)


def test_pcm_is_cut_into_frames_of_at_most_100_ms_and_nothing_is_lost() -> None:
    pcm = bytes_of(np.arange(6_000, dtype=np.int16))
    deltas = OutputAudioEncoder().deltas(effect(), pcm)
    assert [len(d.delta) for d in deltas] == [4_800, 4_800, 2_400]
    assert b"".join(d.delta for d in deltas) == pcm
    assert [d.event_id for d in deltas] == ["event_1", "event_1_2", "event_1_3"]


@pytest.mark.parametrize(("kind", "decode"), [("audio/pcmu", decode_ulaw), ("audio/pcma", decode_alaw)])
def test_a_telephone_hears_the_same_whatever_the_chunks(kind: str, decode: object) -> None:
    whole = (np.sin(np.arange(24_000) * 0.02) * 9_000).astype(np.int16)
    encoder = OutputAudioEncoder()
    out = b""
    for number, start in enumerate(range(0, len(whole), 1_700)):
        chunk = bytes_of(whole[start : start + 1_700])
        out += b"".join(d.delta for d in encoder.deltas(effect(kind, f"event_{number}"), chunk))
    done = ResponseOutputAudioDone(
        event_id="event_done", response_id="resp_1", item_id="item_1", output_index=0, content_index=0
    )
    tail = encoder.tail(done)
    assert tail is not None
    out += tail.delta
    assert encoder.tail(done) is None
    heard = decode(out)  # type: ignore[operator]
    plain = resample(whole, 24_000, 8_000)
    assert len(heard) == len(plain) == 8_000
    assert np.abs(heard.astype(int) - plain.astype(int)).max() < 400  # G.711's own steps at this loudness


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_pcm_at_another_rate_is_one_stream_whatever_the_chunks(rate_hz: int) -> None:
    whole = (np.sin(np.arange(24_000) * 0.02) * 9_000).astype(np.int16)
    encoder, out = OutputAudioEncoder(), b""
    for start in range(0, len(whole), 1_700):
        chunk = bytes_of(whole[start : start + 1_700])
        deltas = encoder.deltas(effect(rate=rate_hz), chunk)
        assert all(len(d.delta) <= rate_hz * 2 // 10 for d in deltas)  # 100 ms
        out += b"".join(d.delta for d in deltas)
    done = ResponseOutputAudioDone(event_id="e", response_id="resp_1", item_id="i", output_index=0, content_index=0)
    tail = encoder.tail(done)
    assert tail is not None
    assert out + tail.delta == bytes_of(resample(whole, 24_000, rate_hz))


def test_a_pcm_response_has_no_tail() -> None:
    encoder = OutputAudioEncoder()
    encoder.deltas(effect(), bytes(100))
    done = ResponseOutputAudioDone(event_id="e", response_id="resp_1", item_id="i", output_index=0, content_index=0)
    assert encoder.tail(done) is None


def test_a_chunk_is_taken_once() -> None:
    chunks = AudioChunkBuffer()
    chunks.response_created("resp_1")
    chunks.synthesis_started("resp_1", "job_1")
    chunks.put("job_1", 1, b"ab")
    assert len(chunks) == 2
    assert chunks.take("job_1", 1) == b"ab"
    assert chunks.take("job_1", 1) == b""
    assert len(chunks) == 0


def test_chunks_of_a_cancelled_or_unknown_job_are_not_kept() -> None:
    chunks = AudioChunkBuffer()
    chunks.synthesis_started("resp_1", "job_1")
    chunks.put("job_1", 1, b"ab")
    chunks.job_cancelled("job_1")
    chunks.put("job_1", 2, b"cd")
    chunks.put("job_2", 1, b"ef")
    assert len(chunks) == 0


def test_what_a_response_never_asked_for_goes_with_it() -> None:
    chunks = AudioChunkBuffer()
    chunks.response_created("resp_1")
    chunks.synthesis_started("resp_1", "job_1")
    chunks.put("job_1", 1, b"ab")
    chunks.response_done("resp_1")
    assert len(chunks) == 0


def test_a_provisional_answer_that_never_was_goes_with_the_next_one() -> None:
    chunks = AudioChunkBuffer()
    chunks.generation_started("resp_1")
    chunks.synthesis_started("resp_1", "job_1")
    chunks.put("job_1", 1, b"ab")
    chunks.generation_started("resp_1")  # a second generation of the same answer, after a tool
    assert len(chunks) == 2
    chunks.generation_started("resp_2")
    assert len(chunks) == 0


def test_a_provisional_answer_that_came_true_stays_beside_the_next_one() -> None:
    chunks = AudioChunkBuffer()
    chunks.generation_started("resp_1")
    chunks.synthesis_started("resp_1", "job_1")
    chunks.put("job_1", 1, b"ab")
    chunks.response_created("resp_1")
    chunks.generation_started("resp_2")
    assert samples_of(chunks.take("job_1", 1)).tolist() == [25_185]
