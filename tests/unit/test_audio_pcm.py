"""Bytes and samples."""

import numpy as np
import pytest

from agentvoicebox.audio.pcm import (
    SampleCutter,
    bytes_of,
    from_float,
    ms_of_samples,
    samples_of,
    samples_of_ms,
    to_float,
)

EVERY_SAMPLE = np.arange(-32_768, 32_768, dtype=np.int16)


def test_bytes_are_little_endian() -> None:
    assert samples_of(b"\x01\x00\xff\x7f\x00\x80").tolist() == [1, 32_767, -32_768]
    assert bytes_of(np.array([1, 32_767, -32_768], dtype=np.int16)) == b"\x01\x00\xff\x7f\x00\x80"


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        samples_of(b"abc")


def test_an_odd_byte_waits_for_the_next_chunk() -> None:
    cutter = SampleCutter()
    data = bytes_of(np.array([1, -2, 300], dtype=np.int16))
    parts = [cutter.feed(data[:1]), cutter.feed(b""), cutter.feed(data[1:4]), cutter.feed(data[4:])]
    assert [len(part) for part in parts] == [0, 0, 2, 1]
    assert np.concatenate(parts).tolist() == [1, -2, 300]


def test_every_sample_survives_the_way_through_floats() -> None:
    assert np.array_equal(from_float(to_float(EVERY_SAMPLE)), EVERY_SAMPLE)
    assert to_float(EVERY_SAMPLE).min() == -1.0
    assert to_float(EVERY_SAMPLE).max() < 1.0


def test_too_loud_floats_are_clipped_not_wrapped() -> None:
    assert from_float(np.array([1.5, -1.5, 1.0])).tolist() == [32_767, -32_768, 32_767]


def test_milliseconds_and_samples() -> None:
    assert samples_of_ms(300) == 4_800
    assert samples_of_ms(20, 24_000) == 480
    assert ms_of_samples(512) == 32.0
