"""Detects hallucinations of a recogniser: silence turned into words, and words that loop.

Pure functions over samples and tokens; the engines decide what to do with the result.
"""

import re
from collections.abc import Sequence

import numpy as np

from agentvoicebox.ports.providers import Int16Array

SILENCE_RMS = 16.0  # about -66 dBFS: below the hiss of a quiet telephone line there is no speech
NO_SPEECH_LIMIT = 0.6  # Whisper's own threshold; measured 0.85-0.99 on silence, noise and hum, 0.08-0.23 on speech
LOOP_PERIOD_TOKENS = 12  # longest phrase looked for; longer loops show in the token rate first
LOOP_TOKENS = 16  # a loop is at least this long: longer than any "5 5 5 5 5 5" that a caller means
LOOP_ROUNDS = 4
ECHO_WORDS = 3  # a sentence of so many words that stands there twice may be an echo of the decoder
MOST_WORDS_PER_S = 4.5  # fast speech is 4
FRAME_SAMPLES = 320  # 20 ms
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


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


def without_echo(text: str, duration_s: float) -> str:
    """A text without the copies of its last sentence that no caller can have said in this time.

    Decoders write a sentence twice that was said once; callers repeat themselves, too, but need the time for it. Numbers are left
    as they are: spelled ones are said faster, and may hold a part twice.

    Args:
        text: what was decoded.
        duration_s: of the audio.
    """
    sentences = _SENTENCE_END.split(text.strip())
    words = _words(text)
    if len(words) <= MOST_WORDS_PER_S * duration_s or any(
        (len(word) == 1 and word not in "ai") or word.isdigit() for word in words
    ):
        return text
    while (
        len(sentences) > 1
        and len(_words(sentences[-1])) >= ECHO_WORDS
        and _words(sentences[-1]) == _words(sentences[-2])
    ):
        sentences.pop()
    return " ".join(sentences)


def _words(text: str) -> list[str]:
    return [word for word in (re.sub(r"[^\w']", "", each).lower() for each in text.split()) if word]


def _repeating_length(tokens: Sequence[int], period: int) -> int:
    """Length of the end of the text in which every token equals the one `period` before it; `period` when nothing repeats."""
    count = len(tokens)
    length = min(period, count)
    while length < count and tokens[count - 1 - length] == tokens[count - 1 - length + period]:
        length += 1
    return length
