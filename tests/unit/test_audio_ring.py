"""What the ring keeps, forgets and costs."""

import numpy as np

from agentvoicebox.audio.ring import BLOCK_SAMPLES, AudioRing


def test_reading_gives_what_was_appended_at_its_absolute_place() -> None:
    ring = AudioRing(10)
    ring.append(np.arange(20_000, dtype=np.int16))
    ring.append(np.arange(5, dtype=np.int16))
    assert ring.read(19_998, 20_003).tolist() == [19_998, 19_999, 0, 1, 2]
    assert ring.read(7_999, 8_001).tolist() == [7_999, 8_000]
    assert ring.read(20_004, 99_999).tolist() == [4]
    assert ring.read(30_000, 40_000).size == 0


def test_an_idle_ring_holds_no_memory_and_a_short_one_little() -> None:
    ring = AudioRing(120)
    assert ring.memory_bytes == 0
    ring.append(np.zeros(160, dtype=np.int16))
    assert ring.memory_bytes == 2 * BLOCK_SAMPLES


def test_beyond_its_bound_the_oldest_is_lost_and_counted() -> None:
    ring = AudioRing(1)
    ring.append(np.arange(20_000, dtype=np.int16))
    assert (ring.start_sample, ring.end_sample, ring.lost_count) == (4_000, 20_000, 4_000)
    assert ring.read(0, 4_002).tolist() == [4_000, 4_001]
    assert ring.memory_bytes <= 2 * 2 * 16_000


def test_the_last_sample_before_a_block_border_is_kept() -> None:
    ring = AudioRing(10)
    ring.append(np.arange(20_000, dtype=np.int16))
    ring.drop_before(BLOCK_SAMPLES - 1)
    assert ring.read(0, BLOCK_SAMPLES + 1).tolist() == [BLOCK_SAMPLES - 1, BLOCK_SAMPLES]


def test_dropped_audio_gives_its_memory_back_and_does_not_count_as_lost() -> None:
    ring = AudioRing(10)
    ring.append(np.zeros(40_000, dtype=np.int16))
    ring.drop_before(39_000)
    assert (ring.start_sample, ring.lost_count, ring.memory_bytes) == (39_000, 0, 2 * BLOCK_SAMPLES)
    ring.drop_before(99_999)
    assert (ring.start_sample, ring.end_sample, ring.memory_bytes) == (40_000, 40_000, 0)
    ring.append(np.ones(3, dtype=np.int16))
    assert ring.read(0, 50_000).tolist() == [1, 1, 1]
