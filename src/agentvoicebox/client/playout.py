"""The caller's loudspeaker: plays audio in order of arrival, and stops when the caller interrupts.

Decides when each received sample is played. Independent of events and sockets; times are seconds on the call's clock.
"""

from dataclasses import dataclass

import numpy as np

from agentvoicebox.audio.pcm import Int16Array


@dataclass
class Clip:
    """Audio of one item as it is played.

    Attributes:
        start_sample: its position in the call.
        pcm: int16 mono at the call's rate, cut where the caller interrupted.
    """

    item_id: str
    start_sample: int
    pcm: Int16Array

    @property
    def end_sample(self) -> int:
        """One past the last sample played."""
        return self.start_sample + len(self.pcm)


class CallerPlayout:
    """All of the agent's audio, at the time it was played."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.clips: list[Clip] = []
        self.gap_samples = 0
        self._end_sample = 0

    @property
    def end_s(self) -> float:
        """When everything received so far will have been played."""
        return self._end_sample / self.rate_hz

    def play(self, item_id: str, pcm: Int16Array, now_s: float) -> None:
        """Queue a piece. A piece that arrives after the previous one ended leaves a gap, which is counted."""
        now_sample = round(now_s * self.rate_hz)
        start = max(self._end_sample, now_sample)
        if self.clips and self.clips[-1].item_id == item_id:
            self.gap_samples += start - self._end_sample
        self.clips.append(Clip(item_id, start, pcm))
        self._end_sample = start + len(pcm)

    def stop(self, now_s: float) -> tuple[str, int] | None:
        """The caller interrupts: nothing is played after `now_s`.

        Returns:
            The item that was cut and how many ms of it were played, or None when nothing was playing.
        """
        now_sample = round(now_s * self.rate_hz)
        if now_sample >= self._end_sample:
            return None
        cut = [clip for clip in self.clips if clip.end_sample > now_sample]
        item_id = cut[0].item_id
        for clip in cut:
            clip.pcm = clip.pcm[: max(0, now_sample - clip.start_sample)]
        self.clips = [clip for clip in self.clips if len(clip.pcm)]
        self._end_sample = now_sample
        return item_id, self.heard_ms(item_id)

    def heard_ms(self, item_id: str) -> int:
        """How much of an item was or will be played."""
        return sum(len(clip.pcm) for clip in self.clips if clip.item_id == item_id) * 1000 // self.rate_hz

    def piece(self, start_sample: int, count: int) -> Int16Array:
        """Samples of the agent's side from `start_sample` on, shape (count,)."""
        piece = np.zeros(count, dtype=np.int16)
        for clip in reversed(self.clips):
            if clip.end_sample <= start_sample:
                break
            first, last = max(start_sample, clip.start_sample), min(start_sample + count, clip.end_sample)
            if first < last:
                piece[first - start_sample : last - start_sample] = clip.pcm[
                    first - clip.start_sample : last - clip.start_sample
                ]
        return piece

    def track(self, sample_count: int) -> Int16Array:
        """The agent's side of the recording, shape (sample_count,) or longer when more was heard."""
        track = np.zeros(max(sample_count, self._end_sample), dtype=np.int16)
        for clip in self.clips:
            track[clip.start_sample : clip.end_sample] = clip.pcm
        return track
