"""Playback as the engine estimates it: how many milliseconds of an item were played, and which words those are.

The engine sends audio faster than it is played, so it keeps a play cursor. A client that knows better says so with
`conversation.item.truncate`; its value then replaces the estimate.
"""

import math

import msgspec

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ


class SegmentSpan(msgspec.Struct, frozen=True):
    """Where a segment lies in an item's audio. `end_ms` is an estimate while the segment is still being sent."""

    text: str
    start_ms: float
    end_ms: float


class Playout(msgspec.Struct):
    """The play cursor of a session: one queue for all its items.

    Attributes:
        ends_at_s: session time at which everything sent so far will have been played.
    """

    ends_at_s: float = 0.0

    def sent(self, now_s: float, duration_ms: float) -> None:
        """More audio was sent."""
        self.ends_at_s = max(self.ends_at_s, now_s) + duration_ms / 1000

    def remaining_ms(self, now_s: float) -> float:
        """How much of what was sent is not yet played."""
        return max(0.0, (self.ends_at_s - now_s) * 1000)

    def stop(self, now_s: float) -> None:
        """The client discarded what it had not played."""
        self.ends_at_s = min(self.ends_at_s, now_s)


def samples_ms(sample_count: int) -> float:
    """Milliseconds of a number of 24 kHz samples."""
    return sample_count * 1000 / OUTPUT_RATE_HZ


def played_text(spans: tuple[SegmentSpan, ...], played_ms: float) -> str:
    """The words of an item that lie wholly within its first `played_ms` milliseconds.

    Within a segment words are placed in proportion to their letters, because jobs return no alignment. A word that was cut
    off does not count.
    """
    words: list[str] = []
    for segment in spans:
        if segment.end_ms <= played_ms:
            words.append(segment.text)
            continue
        length_ms = segment.end_ms - segment.start_ms
        if length_ms <= 0 or played_ms <= segment.start_ms:
            break
        letters = math.floor(len(segment.text) * (played_ms - segment.start_ms) / length_ms)
        cut = segment.text[:letters]
        if letters < len(segment.text) and not segment.text[letters].isspace():
            cut = cut[: cut.rfind(" ")] if " " in cut else ""
        if cut.strip():
            words.append(cut.rstrip())
        break
    return " ".join(words)
