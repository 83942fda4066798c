"""However a stream is cut, the same samples come out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agentvoicebox.audio.resample import Resampler, resample

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]


@settings(max_examples=60, deadline=None)
@given(
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from([8_000, 16_000, 24_000])),
    chunks=st.lists(st.integers(0, 900), max_size=12),
    seed=st.integers(0, 9),
)
def test_chunked_output_is_one_shot_output(rates: tuple[int, int], chunks: list[int], seed: int) -> None:
    sound = np.random.default_rng(seed).integers(-32_768, 32_768, sum(chunks), dtype=np.int16)
    stream, parts, position = Resampler(*rates), [], 0
    for chunk in chunks:
        parts.append(stream.feed(sound[position : position + chunk]))
        position += chunk
        assert stream.out_count == sum(map(len, parts))
        assert stream.due_count == -(-position * rates[1] // rates[0])
    parts.append(stream.flush())
    assert np.array_equal(np.concatenate(parts), resample(sound, *rates))
    assert sum(map(len, parts)) == stream.due_count


@settings(max_examples=40, deadline=None)
@given(chunks=st.lists(st.integers(1, 997), min_size=1, max_size=2_000))
def test_positions_never_drift(chunks: list[int]) -> None:
    stream, out_count = Resampler(44_100, 16_000), 0
    silence = np.zeros(997, dtype=np.int16)
    for chunk in chunks[:200]:
        out_count += len(stream.feed(silence[:chunk]))
    assert out_count + len(stream.flush()) == -(-sum(chunks[:200]) * 160 // 441)
