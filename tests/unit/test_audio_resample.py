"""The resampler's sound: level, noise, aliases, alignment, delay."""

import numpy as np
import pytest

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.resample import Resampler, _filter, resample

INBOUND = [(24_000, 16_000), (8_000, 16_000), (16_000, 16_000)]
ALL = [
    *INBOUND,
    (22_050, 24_000),
    (24_000, 8_000),
    (16_000, 24_000),
    (22_050, 16_000),
    (48_000, 16_000),
    (44_100, 16_000),
]


def sine(hz: float, rate_hz: int, seconds: float = 0.5) -> Int16Array:
    wave = np.rint(20_000 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz))
    return np.asarray(wave, np.int16)


def middle(samples: Int16Array) -> np.ndarray:
    return samples[300:-300].astype(np.float64)


def db(power: float) -> float:
    return 10 * float(np.log10(power + 1e-12))


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_a_sine_comes_out_as_the_same_sine_at_the_same_time(from_hz: int, to_hz: int) -> None:
    for hz in (200, 1_000, 0.8 * min(from_hz, to_hz) / 2):
        wanted, got = middle(sine(hz, to_hz)), middle(resample(sine(hz, from_hz), from_hz, to_hz))
        noise = got - wanted[: len(got)]
        assert db(np.mean(wanted**2)) - db(np.mean(noise**2)) > 60, hz


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in ALL if pair[1] < pair[0]])
def test_what_the_lower_rate_cannot_hold_is_gone(from_hz: int, to_hz: int) -> None:
    for hz in (1.08 * to_hz / 2, 1.3 * to_hz / 2, 0.98 * from_hz / 2):
        assert db(np.mean(middle(resample(sine(hz, from_hz), from_hz, to_hz)) ** 2)) < db(20_000**2 / 2) - 70, hz


def test_upsampling_makes_no_mirror_of_the_telephone_band() -> None:
    got = middle(resample(sine(3_400, 8_000), 8_000, 16_000))
    spectrum = np.abs(np.fft.rfft(got * np.hanning(len(got)))) ** 2
    hz = np.fft.rfftfreq(len(got), 1 / 16_000)
    assert db(spectrum[hz > 4_300].max() / spectrum.max()) < -70


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_a_constant_stays_exactly_that_constant(from_hz: int, to_hz: int) -> None:
    got = resample(np.full(from_hz // 10, 12_345, dtype=np.int16), from_hz, to_hz)
    assert set(got[300:-300].tolist()) == {12_345}


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_at_most_three_milliseconds_are_held_back(from_hz: int, to_hz: int) -> None:
    stream = Resampler(from_hz, to_hz)
    stream.feed(sine(300, from_hz))
    assert 0 <= (stream.due_count - stream.out_count) / to_hz <= 0.003
    stream.flush()
    assert stream.due_count == stream.out_count == int(to_hz * 0.5)


def test_full_scale_noise_is_clipped_not_wrapped() -> None:
    noise = np.where(np.random.default_rng(3).random(8_000) > 0.5, 32_767, -32_768).astype(np.int16)
    got = resample(noise, 8_000, 16_000)
    assert np.mean(np.sign(got[::2].astype(int)) == np.sign(noise.astype(int))) > 0.95


def test_a_stream_goes_on_at_the_right_place_after_a_flush() -> None:
    whole, cut = Resampler(24_000, 16_000), Resampler(24_000, 16_000)
    sound = sine(440, 24_000)
    parts = [cut.feed(sound[:6_001]), cut.flush(), cut.feed(sound[6_001:]), cut.flush()]
    got, wanted = np.concatenate(parts), np.concatenate((whole.feed(sound), whole.flush()))
    assert len(got) == len(wanted)
    assert np.array_equal(got[4_001:], wanted[4_001:])  # only what was guessed at the cut may differ
    assert np.array_equal(got[:3_950], wanted[:3_950])


def test_a_ratio_without_small_terms_is_refused() -> None:
    with pytest.raises(ValueError, match="round rate"):
        Resampler(16_001, 16_000)
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 16_000)


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_sums_are_exact_because_coefficients_are_whole_numbers(from_hz: int, to_hz: int) -> None:
    rows = _filter(from_hz, to_hz)[3]
    assert np.array_equal(rows, np.rint(rows))
    assert np.abs(rows).sum(axis=1).max() * 32_768 < 2**53


def test_an_hour_does_not_drift() -> None:
    # The arithmetic of positions is the same at any scale: 441 Hz to 320 Hz is 22.05 kHz to 16 kHz, fifty times cheaper.
    stream, out_count, chunk = Resampler(441, 320), 0, 0
    for chunk in [997] * 1_592 + [441 * 3_600 - 997 * 1_592]:
        out_count += len(stream.feed(np.zeros(chunk, dtype=np.int16)))
    assert out_count + len(stream.flush()) == 320 * 3_600
