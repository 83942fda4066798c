"""What the process that reads recordings makes of a file: pieces and an end, or one sentence about what is wrong."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.sound_files import FILES, file_of

from agentvoicebox.audio.wav import open_wav
from agentvoicebox.gateway.audio import recording_child
from agentvoicebox.gateway.audio.recording_child import pieces_of
from agentvoicebox.gateway.audio.recording_messages import (
    LENGTH_BYTES,
    RecordingEnd,
    RecordingMessage,
    RecordingRefused,
    SpeechPiece,
    read_message,
    write_message,
)

SECOND = np.zeros(24_000, np.int16)


@pytest.mark.parametrize("kind", FILES)
def test_each_kind_of_file_has_its_length(kind: str) -> None:
    (end,) = pieces_of(file_of(np.concatenate((SECOND, SECOND)), kind))
    assert isinstance(end, RecordingEnd) and end.seconds == pytest.approx(2.0, abs=0.1)


def test_a_file_without_a_stated_length_is_read_to_its_end() -> None:
    (end,) = pieces_of(open_wav(24_000) + SECOND.tobytes())
    assert end == RecordingEnd(1.0)
    flac = bytearray(file_of(SECOND, "flac"))
    flac[21] &= 0xF0  # the stated number of samples: unknown
    flac[22:26] = bytes(4)
    (end,) = pieces_of(bytes(flac))
    assert end == RecordingEnd(1.0)


def test_a_recording_that_states_a_length_beyond_the_limit_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording_child, "LONGEST_S", 1)
    monkeypatch.setattr(recording_child._Sequential, "read", None)
    (refused,) = pieces_of(file_of(np.concatenate((SECOND, SECOND)), "flac"))
    assert isinstance(refused, RecordingRefused) and "longer than" in refused.message


def test_a_recording_that_hides_its_length_is_refused_where_the_limit_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_child, "LONGEST_S", 1)
    flac = bytearray(file_of(np.concatenate((SECOND, SECOND)), "flac"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    *_, last = pieces_of(bytes(flac))
    assert isinstance(last, RecordingRefused) and "longer than" in last.message


@given(st.binary(max_size=200), st.sampled_from(sorted(FILES)), st.integers(0, 3_000), st.integers(1, 500))
def test_a_damaged_file_is_read_or_refused(junk: bytes, kind: str, at: int, cut: int) -> None:
    data = file_of(SECOND[:4_800], kind)
    for damaged in (data[:at], data[:at] + junk + data[at + cut :], junk):
        messages = list(pieces_of(damaged))
        assert isinstance(messages[-1], RecordingEnd | RecordingRefused)
        assert all(isinstance(message, SpeechPiece) for message in messages[:-1])


def test_a_wav_of_very_many_channels_is_refused() -> None:
    data = bytearray(file_of(SECOND))
    data[22:24] = struct.pack("<H", 0xFFFF)
    (refused,) = pieces_of(bytes(data))
    assert isinstance(refused, RecordingRefused)


def test_messages_come_through_a_pipe_as_they_were() -> None:
    sent: list[RecordingMessage] = [SpeechPiece(1, 2, b"\x00\x01"), RecordingEnd(2.5), RecordingRefused("no")]
    pipe = io.BytesIO()
    for message in sent:
        write_message(pipe, message)
    pipe.seek(0)
    got = []
    while size := pipe.read(LENGTH_BYTES):
        got.append(read_message(pipe.read(int.from_bytes(size, "big"))))
    assert got == sent
