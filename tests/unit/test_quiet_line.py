"""Windows that a model need not judge: those of a line on which nothing changes. Whatever may be a voice is judged."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentvoicebox.audio.pcm import Float32Array
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.turns.quiet_line import KEPT_WINDOWS, QUIET_WINDOWS, RATIO, QuietLine

NOISE = 0.001  # -60 dBFS


def noise(seed: int, rms: float = NOISE) -> Float32Array:
    return np.random.default_rng(seed).normal(0, rms, 512).astype(np.float32)


def quiet_line(rms: float = NOISE) -> QuietLine:
    """A line that has been quiet for long enough."""
    line = QuietLine()
    for seed in range(QUIET_WINDOWS):
        assert not line.skips(noise(seed, rms))
        line.judged(noise(seed, rms), 0.01)
    return line


def test_noise_as_before_is_skipped_and_has_the_probability_of_the_last_window() -> None:
    line = quiet_line()
    line.judged(noise(98), 0.03)
    assert all(line.skips(noise(seed)) for seed in range(100, 400))
    assert line.probability == 0.03


def test_the_first_half_second_after_a_voice_is_judged() -> None:
    line = quiet_line()
    line.judged(noise(99), 0.4)
    for seed in range(QUIET_WINDOWS):
        assert not line.skips(noise(seed))
        line.judged(noise(seed), 0.02)
    assert line.skips(noise(99))


@given(
    seed=st.integers(0, 1_000),
    rms=st.sampled_from([0.0, 0.0001, 0.001, 0.02]),
    block=st.integers(0, 3),
    louder=st.floats(2.5, 1_000.0),
)
def test_a_window_of_which_any_8_ms_are_louder_is_judged(seed: int, rms: float, block: int, louder: float) -> None:
    line = quiet_line(rms)
    window = noise(seed, rms)
    window[block * 128 : block * 128 + 128] = noise(seed + 1)[:128] * max(rms, 4 / 32_768) / NOISE * louder**0.5 * 1.4
    assert not line.skips(window)


@given(seed=st.integers(0, 1_000), share=st.floats(0.0, 0.6))
def test_a_noise_that_stops_is_judged(seed: int, share: float) -> None:
    line = quiet_line(0.02)
    assert not line.skips(noise(seed, 0.02) * np.float32(share))


def test_digital_silence_is_skipped() -> None:
    line = quiet_line(0.0)
    assert line.skips(np.zeros(512, np.float32))


def test_a_slow_change_of_the_noise_is_followed() -> None:
    line = quiet_line()
    for step in range(200):
        assert line.skips(noise(step, NOISE * 1.01**step))


def test_the_last_skipped_windows_are_kept_in_order_until_they_are_taken() -> None:
    line = quiet_line()
    windows = [noise(seed) for seed in range(30)]
    assert all(line.skips(window) for window in windows)
    kept = line.take_skipped()
    assert [id(window) for window in kept] == [id(window) for window in windows[-KEPT_WINDOWS:]]
    assert line.take_skipped() == []


def test_a_model_that_begins_anew_has_missed_nothing() -> None:
    line = quiet_line()
    assert line.skips(noise(1))
    line.reset()
    assert line.take_skipped() == [] and not line.skips(noise(2))


def test_the_ratio_is_above_what_white_noise_varies() -> None:
    energies = [float(np.mean(block**2)) for seed in range(200) for block in noise(seed).reshape(4, 128)]
    assert max(energies) / NOISE**2 < RATIO and NOISE**2 / min(energies) < RATIO


class Recurrent:
    """A model whose state is every window that it was shown, by its first sample. It calls nothing speech."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []

    def new_state(self) -> Float32Array:
        return np.zeros(64, np.float32)

    def probabilities(self, windows: Float32Array, states: Float32Array) -> tuple[Float32Array, Float32Array]:
        self.calls.append([float(window[0]) for window in windows])
        states = np.roll(states, -1, axis=1)
        states[:, -1] = windows[:, 0]
        return np.full(len(windows), 0.02, np.float32), states


async def test_before_the_model_judges_again_it_has_seen_the_last_windows_that_it_missed() -> None:
    model, heard = Recurrent(), []
    batcher = VadBatcher(model, skips_quiet=True)
    slot, other = batcher.open(lambda probability, end: heard.append((probability, end))), batcher.open(lambda *_: None)
    windows = [noise(seed) for seed in range(QUIET_WINDOWS + 20)]
    for number, window in enumerate(windows, start=1):
        slot.submit(window, number * 512)
        await slot.settled()
    assert len(model.calls) == QUIET_WINDOWS
    assert [end for _, end in heard] == [number * 512 for number in range(1, len(windows) + 1)]
    assert [probability for probability, _ in heard] == pytest.approx([0.02] * len(windows))
    voice, beside = noise(77, 0.1), noise(78)
    slot.submit(voice, 99_999)
    other.submit(beside, 512)
    await asyncio.gather(slot.settled(), other.settled())
    seen = [float(window[0]) for window in [*windows[:QUIET_WINDOWS], *windows[-KEPT_WINDOWS:], voice]]
    assert slot.state is not None and slot.state[-len(seen) :].tolist() == pytest.approx(seen)
    assert other.state is not None and other.state[-2:].tolist() == pytest.approx([0.0, float(beside[0])])
    await batcher.close()


async def test_nothing_is_skipped_while_a_window_waits() -> None:
    model, ends = Recurrent(), []
    batcher = VadBatcher(model, skips_quiet=True)
    slot = batcher.open(lambda probability, end: ends.append(end))
    for number in range(QUIET_WINDOWS):
        slot.submit(noise(number), number)
        await slot.settled()
    slot.submit(noise(1, 0.1), 100)  # louder: it waits for its batch
    slot.submit(noise(2), 101)
    await slot.settled()
    assert ends == [*range(QUIET_WINDOWS), 100, 101]
    await batcher.close()


async def test_after_a_restart_the_model_begins_without_what_was_skipped() -> None:
    model = Recurrent()
    batcher = VadBatcher(model, skips_quiet=True)
    slot = batcher.open(lambda *_: None)
    for number in range(QUIET_WINDOWS + 3):
        slot.submit(noise(number), number)
        await slot.settled()
    slot.restart()
    slot.submit(noise(500), 500)
    await slot.settled()
    assert slot.state is not None and np.count_nonzero(slot.state) == 1
    await batcher.close()
