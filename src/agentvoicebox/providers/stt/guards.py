"""Detects hallucinations of a recogniser: silence turned into words, and words that loop.

Pure functions over samples and tokens; the engines decide what to do with the result.
"""

from collections.abc import Sequence

import numpy as np

from agentvoicebox.ports.providers import Int16Array

SILENCE_RMS = 16.0  # about -66 dBFS: below the hiss of a quiet telephone line there is no speech
NO_SPEECH_LIMIT = 0.6  # Whisper's own threshold; measured 0.85-0.99 on silence, noise and hum, 0.08-0.23 on speech
LOOP_PERIOD_TOKENS = 12  # longest phrase looked for; longer loops show in the token rate first
LOOP_TOKENS = 16  # a loop is at least this long: longer than any "5 5 5 5 5 5" that a caller means
LOOP_ROUNDS = 4
PHRASE_TOKENS = 5  # a phrase of this many tokens said twice in a row is suspicious
LONGEST_PHRASE_TOKENS = 60
FRAME_SAMPLES = 320  # 20 ms


def is_silent(pcm: Int16Array) -> bool:
    """Whether no 20 ms of int16 audio rises above a dead line. True for empty audio."""
    whole = pcm.size - pcm.size % FRAME_SAMPLES
    if whole == 0:
        return pcm.size == 0 or float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))) < SILENCE_RMS
    frames = pcm[:whole].astype(np.float32).reshape(-1, FRAME_SAMPLES)
    return bool(np.sqrt(np.mean(frames * frames, axis=1)).max() < SILENCE_RMS)


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where a loop begins: the index just after its first round, or None.

    A loop is a phrase of up to LOOP_PERIOD_TOKENS that fills the end of the text at least LOOP_ROUNDS times and at least
    LOOP_TOKENS tokens long: decoders that fail this way repeat until they are stopped.
    """
    for period in range(1, LOOP_PERIOD_TOKENS + 1):
        length = _repeating_length(tokens, period)
        if length >= max(LOOP_TOKENS, period * LOOP_ROUNDS):
            return len(tokens) - length + period
    return None


def may_loop(tokens: Sequence[int]) -> bool:
    """Whether the text ends with a loop, or a phrase said twice: callers do this, too, but failing decoders more often."""
    return loop_start(tokens) is not None or any(
        _repeating_length(tokens, period) >= 2 * period for period in range(PHRASE_TOKENS, LONGEST_PHRASE_TOKENS + 1)
    )


def _repeating_length(tokens: Sequence[int], period: int) -> int:
    """Length of the end of the text in which every token equals the one `period` before it; `period` when nothing repeats."""
    count = len(tokens)
    length = min(period, count)
    while length < count and tokens[count - 1 - length] == tokens[count - 1 - length + period]:
        length += 1
    return length
