"""Both sides of a call as they were heard, on one time line: the caller's voice, and what was played of the agent's.

A side is placed by when its audio came. What comes early follows what was there, as in a loudspeaker's queue; a gap in the audio
is silence. What the caller never heard of the agent, because of an interruption, is taken back.
"""

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import INPUT_RATE_HZ, OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import Resampler

JITTER_S = 0.3  # frames that come later than this after the ones before follow a gap
MOST_AHEAD_S = 120.0  # of a side that comes faster than it is heard; more is not kept


class HeardSide:
    """One side. Positions count samples since the call began, at the side's own rate.

    Args:
        rate_hz: of its samples.
        jitter_s: a shorter gap is none.
    """

    def __init__(self, rate_hz: int, *, jitter_s: float = 0.0) -> None:
        self._rate_hz = rate_hz
        self._jitter = round(jitter_s * rate_hz)
        self._start = 0  # of what was not taken yet
        self._end = 0
        self._pieces: list[Int16Array] = []

    def put(self, samples: Int16Array, at_s: float) -> None:
        """Samples of shape (n,) are heard at `at_s` (seconds since the call began), or behind what is heard then."""
        at = round(at_s * self._rate_hz)
        if at > self._end + self._jitter:
            self._append(np.zeros(at - self._end, np.int16))
        room = at + round(MOST_AHEAD_S * self._rate_hz) - self._end
        self._append(samples[: max(0, room)])

    def cut(self, at_s: float) -> None:
        """What would be heard after `at_s` is not."""
        keep = max(0, round(at_s * self._rate_hz) - self._start)
        if self._start + keep < self._end:
            self._pieces = [self._joined()[:keep].copy()]
            self._end = self._start + keep

    def take(self, until_s: float) -> Int16Array:
        """What was heard since the last call, up to `until_s`, with silence where nothing was; shape (n,)."""
        count = max(0, round(until_s * self._rate_hz) - self._start)
        joined = self._joined()
        taken = np.zeros(count, np.int16)
        taken[: len(joined)] = joined[:count]
        self._pieces = [joined[count:].copy()] if len(joined) > count else []
        self._start += count
        self._end = max(self._end, self._start)
        return taken

    def _append(self, samples: Int16Array) -> None:
        self._pieces.append(samples)
        self._end += len(samples)

    def _joined(self) -> Int16Array:
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)


class HeardAudio:
    """Both sides; `take` gives them at 16 kHz. Times are seconds since the call began."""

    def __init__(self) -> None:
        self._caller = HeardSide(INPUT_RATE_HZ, jitter_s=JITTER_S)
        self._agent = HeardSide(OUTPUT_RATE_HZ)

    def caller_said(self, samples: Int16Array, now_s: float) -> None:
        """16 kHz samples of the caller came, shape (n,): they were spoken until now."""
        self._caller.put(samples, max(0.0, now_s - len(samples) / INPUT_RATE_HZ))

    def agent_said(self, samples: Int16Array, now_s: float) -> None:
        """24 kHz samples of the agent were sent, shape (n,): they are played now, or behind those before."""
        self._agent.put(samples, now_s)

    def agent_was_cut(self, now_s: float) -> None:
        """The caller discarded what was not played yet."""
        self._agent.cut(now_s)

    def take(self, until_s: float) -> tuple[Int16Array, Int16Array]:
        """What both sides said since the last call: the caller's at 16 kHz, the agent's at 24 kHz."""
        return self._caller.take(until_s), self._agent.take(until_s)


class StereoMixer:
    """Joins the sides of successive stretches: caller left, agent right, 16 kHz."""

    def __init__(self) -> None:
        self._resampler = Resampler(OUTPUT_RATE_HZ, INPUT_RATE_HZ)
        self._agent = np.zeros(0, np.int16)

    def mix(self, caller: Int16Array, agent: Int16Array) -> Int16Array:
        """Samples of shape (n, 2) for n samples of the caller. The agent's last 3 ms come with the next stretch."""
        self._agent = np.concatenate((self._agent, self._resampler.feed(agent)))
        mixed = np.zeros((len(caller), 2), np.int16)
        mixed[:, 0] = caller
        ready = self._agent[: len(caller)]
        mixed[len(caller) - len(ready) :, 1] = ready
        self._agent = self._agent[len(ready) :]
        return mixed
