"""The ring behaves like the end of one endless array."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agentvoicebox.audio.ring import AudioRing

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 21_000)),
        st.tuples(st.just("drop"), st.integers(0, 60_000)),
        st.tuples(st.just("read"), st.integers(0, 60_000)),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_a_ring_is_the_end_of_one_endless_array(steps: list[tuple[str, int]]) -> None:
    ring, everything, start = AudioRing(1), np.empty(0, dtype=np.int16), 0
    for name, number in steps:
        if name == "append":
            chunk = (np.arange(len(everything), len(everything) + number) % 30_011).astype(np.int16)
            ring.append(chunk)
            everything = np.concatenate((everything, chunk))
            start = max(start, len(everything) - 16_000)
        elif name == "drop":
            ring.drop_before(number)
            start = max(start, min(number, len(everything)))
        else:
            got = ring.read(number, number + 9_000)
            assert np.array_equal(got, everything[max(start, number) : max(start, number + 9_000)])
        assert (ring.start_sample, ring.end_sample) == (start, len(everything))
        assert ring.memory_bytes <= 2 * (16_000 + 2 * 8_000)
