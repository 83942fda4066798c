"""The log-mel picture follows its definition."""

import numpy as np

from agentvoicebox.providers.stt.mel import BANDS, RATE_HZ, log_mel, mel_filters


def test_the_picture_has_a_hundred_frames_a_second_and_eighty_bands() -> None:
    assert log_mel(np.zeros(RATE_HZ, np.float32), 12).shape == (BANDS, 1200)


def test_silence_is_one_flat_value() -> None:
    picture = log_mel(np.zeros(RATE_HZ, np.float32), 2)
    assert np.ptp(picture) < 1e-5


def test_a_tone_lights_the_band_that_holds_it() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    brightest = int(np.argmax(log_mel(tone, 1)[:, 50]))
    band = mel_filters()[brightest]
    centre_hz = float(np.argmax(band)) * RATE_HZ / 400
    assert abs(centre_hz - 1000) <= 60  # bands are 40 Hz bins wide there


def test_padding_with_silence_is_the_same_as_silence_in_the_audio() -> None:
    sound = np.random.default_rng(0).standard_normal(RATE_HZ * 2).astype(np.float32) * 0.1
    padded = np.concatenate((sound, np.zeros(RATE_HZ, np.float32)))
    assert np.allclose(log_mel(sound, 4), log_mel(padded, 4), atol=1e-5)


def test_audio_beyond_the_window_is_left_out() -> None:
    sound = np.random.default_rng(1).standard_normal(RATE_HZ * 4).astype(np.float32) * 0.1
    assert log_mel(sound, 3).shape == (BANDS, 300)


def test_a_few_samples_are_enough() -> None:
    assert np.isfinite(log_mel(np.ones(3, np.float32), 1)).all()
