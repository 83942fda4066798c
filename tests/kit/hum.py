"""A hum, which turn detection takes for a voice, and in which there is no word."""

import numpy as np

from agentvoicebox.audio.pcm import Int16Array

RATE_HZ = 24_000
# Formants of a closed mouth: frequency, width, height.
FORMANTS = ((280.0, 160.0, 1.0), (1_300.0, 350.0, 0.06), (2_300.0, 400.0, 0.02))
HARMONICS = 22


def hum(seconds: float = 0.9, pitch_hz: float = 140.0) -> Int16Array:
    """A hum as int16 mono at 24 kHz, shape (n,)."""
    at_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.015 * np.sin(2 * np.pi * 5 * at_s))) / RATE_HZ
    sound = np.zeros(len(at_s))
    for number in range(1, HARMONICS):
        height = sum(high * np.exp(-((((number * pitch_hz) - hz) / wide) ** 2)) for hz, wide, high in FORMANTS)
        sound += height * np.sin(number * phase)
    edges = np.minimum(1.0, np.minimum(at_s / 0.06, (seconds - at_s) / 0.1))
    return np.asarray(np.rint(sound / np.abs(sound).max() * edges * 9_000), np.int16)
