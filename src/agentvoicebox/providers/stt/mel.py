"""Whisper's log-mel spectrogram, in NumPy.

Follows the definition that the model was trained on (STFT of 25 ms every 10 ms, 80 mel bands on Slaney's
scale, log10, the top 80 dB kept, scaled to about -1 … 1). Source: Radford et al. 2022, section 2.2; Slaney's Auditory Toolbox.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
FFT_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms: 100 frames a second
BANDS = 80

Float32Array = npt.NDArray[np.float32]


def _hz_of_mel(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Slaney's scale: linear below 1 kHz (200/3 Hz a step), then logarithmic (27 steps for a factor 6.4)."""
    linear = mel * (200.0 / 3.0)
    logarithmic = 1000.0 * np.exp((mel - 15.0) * (np.log(6.4) / 27.0))
    return np.where(mel < 15.0, linear, logarithmic)


@cache
def mel_filters() -> Float32Array:
    """Triangular filters, shape (80, 201); each has unit area, so that noise is flat over the bands."""
    top_mel = 15.0 + np.log(RATE_HZ / 2 / 1000.0) / (np.log(6.4) / 27.0)
    edges_hz = _hz_of_mel(np.linspace(0.0, top_mel, BANDS + 2))
    bins_hz = np.linspace(0.0, RATE_HZ / 2, FFT_SAMPLES // 2 + 1)
    rising = (bins_hz[None, :] - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    falling = (edges_hz[2:, None] - bins_hz[None, :]) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]).astype(np.float32)


@cache
def _window() -> Float32Array:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES)).astype(np.float32)  # periodic Hann


def log_mel(samples: Float32Array, window_s: float) -> Float32Array:
    """The spectrogram of `samples`, followed by silence up to `window_s`.

    Args:
        samples: shape (n,), 16 kHz, -1 to 1; samples beyond the window are ignored.
        window_s: length of the spectrogram.

    Returns:
        shape (80, 100 * window_s), C-contiguous.
    """
    frames = round(window_s * RATE_HZ / HOP_SAMPLES)
    samples = np.asarray(samples[: frames * HOP_SAMPLES], dtype=np.float32)
    # Frames inside the padding are silence: their value is known, so they cost nothing.
    sounding = min(frames, -(-(samples.size + FFT_SAMPLES // 2) // HOP_SAMPLES))
    half = FFT_SAMPLES // 2
    padded = np.zeros(max(sounding * HOP_SAMPLES + FFT_SAMPLES, samples.size + 2 * half), dtype=np.float32)
    padded[half : half + samples.size] = samples
    # mirror at the start; at the end there is silence (or the cut)
    padded[:half] = padded[half + 1 : 2 * half + 1][::-1]
    if samples.size == frames * HOP_SAMPLES and samples.size > half:
        padded[half + samples.size : samples.size + 2 * half] = samples[-half - 1 : -1][::-1]
    pieces = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[: sounding * HOP_SAMPLES : HOP_SAMPLES]
    spectrum = np.fft.rfft(pieces * _window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    picture = np.full((BANDS, frames), -10.0, dtype=np.float32)  # log10 of the floor 1e-10
    np.log10(np.maximum(mel_filters() @ power.T, 1e-10), out=picture[:, :sounding])
    np.maximum(picture, picture.max() - 8.0, out=picture)
    picture += 4.0
    picture /= 4.0
    return picture
