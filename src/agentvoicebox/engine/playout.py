"""What the caller has heard: how many milliseconds of an item were sent and played, and which words those were.

The engine sends audio faster than it is played, so it keeps a play cursor: chunk after chunk, at the caller's real time.
The caller's client may know better (`conversation.item.truncate`); then its word counts.
"""

import math

import msgspec

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ


class Said(msgspec.Struct, frozen=True):
    """A segment as it lies in an item's audio. `end_ms` may lie beyond what was sent while it is still being spoken."""

    text: str
    start_ms: float
    end_ms: float


class Playout(msgspec.Struct):
    """The play cursor of a session: one loudspeaker, one queue.

    Attributes:
        ends_at_s: session time at which everything sent so far will have been played.
    """

    ends_at_s: float = 0.0

    def sent(self, now_s: float, duration_ms: float) -> None:
        """More audio left for the caller."""
        self.ends_at_s = max(self.ends_at_s, now_s) + duration_ms / 1000

    def remaining_ms(self, now_s: float) -> float:
        """How much of what was sent is not yet played."""
        return max(0.0, (self.ends_at_s - now_s) * 1000)

    def stop(self, now_s: float) -> None:
        """The client threw away what it had not played."""
        self.ends_at_s = min(self.ends_at_s, now_s)


def samples_ms(sample_count: int) -> float:
    """Milliseconds of a number of 24 kHz samples."""
    return sample_count * 1000 / OUTPUT_RATE_HZ


def heard_text(said: tuple[Said, ...], heard_ms: float) -> str:
    """The words of an item that lie wholly within its first `heard_ms` milliseconds.

    Within a segment words are placed in proportion to their letters: a synthesiser's own alignment is not carried over
    the broker, and a word cut in half was not understood.
    """
    words: list[str] = []
    for segment in said:
        if segment.end_ms <= heard_ms:
            words.append(segment.text)
            continue
        length_ms = segment.end_ms - segment.start_ms
        if length_ms <= 0 or heard_ms <= segment.start_ms:
            break
        letters = math.floor(len(segment.text) * (heard_ms - segment.start_ms) / length_ms)
        cut = segment.text[:letters]
        if letters < len(segment.text) and not segment.text[letters].isspace():
            cut = cut[: cut.rfind(" ")] if " " in cut else ""
        if cut.strip():
            words.append(cut.rstrip())
        break
    return " ".join(words)
