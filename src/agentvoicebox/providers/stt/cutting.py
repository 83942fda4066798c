"""Where to cut a long utterance: in the quietest place, between words.

A recogniser reads at most 30 s at once. Cut points depend on the audio alone, so a second attempt cuts at the same ones.
"""

import numpy as np

from agentvoicebox.ports.providers import Int16Array

RATE_HZ = 16_000
LONGEST_PIECE_S = 25.0  # below Whisper's 30 s window, with room for the tail
SEARCH_FROM_S = 15.0  # pieces are 15 to 24.5 s: few cuts, and always a pause to choose from
SEARCH_TO_S = 24.5
QUIET_MS = 100  # about the shortest gap between two words


def quietest_cut(pcm: Int16Array) -> int:
    """The sample to cut at, in the middle of the quietest 100 ms between 15 and 24.5 s.

    Args:
        pcm: int16 mono 16 kHz, at least LONGEST_PIECE_S long.

    Raises:
        ValueError: the audio is shorter.
    """
    if pcm.size < LONGEST_PIECE_S * RATE_HZ:
        raise ValueError(f"{pcm.size} samples need no cut")
    start, stop = int(SEARCH_FROM_S * RATE_HZ), int(SEARCH_TO_S * RATE_HZ)
    width = QUIET_MS * RATE_HZ // 1000
    energy = np.concatenate(([0.0], np.cumsum(np.square(pcm[start:stop], dtype=np.float64))))
    sums = energy[width:] - energy[:-width]
    return start + int(np.argmin(sums)) + width // 2
