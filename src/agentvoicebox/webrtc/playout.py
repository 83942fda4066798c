"""The agent's audio on its way to the caller, and how much of it the caller has heard.

What was sent, and when, is known exactly: frames leave one every 20 ms. What was heard is what was sent before the audio that is
still on its way: half a round trip, and the jitter buffer of the peer.
"""

from collections import deque

import msgspec
import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.webrtc.opus import FRAME_SAMPLES

SAMPLES_A_MS = OUTPUT_RATE_HZ // 1000
PEER_BUFFER_S = 0.06  # what a browser's jitter buffer holds on a calm line; browsers don't report it
MOST_DELAY_S = 1.0  # longer ones are not believed
MOST_SAMPLES = 600 * OUTPUT_RATE_HZ  # ten minutes: more than a response has


class Part(msgspec.Struct):
    """Audio of one content part, one after the other. Positions are samples since the call began.

    Attributes:
        start, end: its place in the stream.
        offset: samples of the same part that were sent before `start`.
    """

    response_id: str
    item_id: str
    content_index: int
    start: int
    end: int
    offset: int = 0


class Heard(msgspec.Struct, frozen=True):
    """How far a part of an item was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class Playout:
    """One call's. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._pieces: deque[Int16Array] = deque()
        self._parts: deque[Part] = deque()  # not wholly heard
        self._position = 0  # sent
        self._end = 0  # given
        self._sent: deque[tuple[float, int]] = deque()  # when, up to which position
        self._lengths: dict[tuple[str, int], int] = {}  # samples of each part of the present responses
        self._is_open: set[str] = set()  # responses of which more audio may come
        self._cleared: set[str] = set()  # responses of which no more audio is wanted
        self.playing = ""  # the response that is being sent

    @property
    def waiting(self) -> int:
        """Samples that were not sent."""
        return self._end - self._position

    def add(self, response_id: str, item_id: str, content_index: int, samples: Int16Array) -> None:
        """Audio of a response, shape (n,). Of a response that was cleared nothing is taken."""
        if response_id in self._cleared or not len(samples) or self.waiting + len(samples) > MOST_SAMPLES:
            return
        self._is_open.add(response_id)
        length = self._lengths.get((item_id, content_index), 0)
        last = self._parts[-1] if self._parts else None
        if last and last.end == self._end and (last.item_id, last.content_index) == (item_id, content_index):
            last.end += len(samples)
        else:
            start = self._end
            self._parts.append(Part(response_id, item_id, content_index, start, start + len(samples), length))
        self._lengths[item_id, content_index] = length + len(samples)
        self._pieces.append(samples)
        self._end += len(samples)

    def response_over(self, response_id: str) -> None:
        """No more audio of it comes."""
        self._is_open.discard(response_id)
        self._cleared.discard(response_id)
        going = {(each.item_id, each.content_index) for each in self._parts}
        self._lengths = {key: length for key, length in self._lengths.items() if key in going}

    def take(self, now_s: float) -> Int16Array | None:
        """The next frame of 20 ms, shape (480,); None: nothing is to be said now."""
        waiting = self.waiting
        if not waiting or (waiting < FRAME_SAMPLES and self._is_open):
            return None
        samples = self._cut(min(FRAME_SAMPLES, waiting))
        self.playing = self._response_at(self._position)
        self._position += len(samples)
        self._sent.append((now_s, self._position))
        while self._sent[0][0] < now_s - MOST_DELAY_S - 1:
            self._sent.popleft()
        self._forget(self._sent[0][1] - FRAME_SAMPLES)
        if len(samples) < FRAME_SAMPLES:
            samples = np.concatenate([samples, np.zeros(FRAME_SAMPLES - len(samples), np.int16)])
        return samples

    def is_drained(self, response_id: str) -> bool:
        """Whether everything of a response was sent, and no more comes."""
        return response_id not in self._is_open and all(
            each.response_id != response_id or each.end <= self._position for each in self._parts
        )

    def clear(self, now_s: float, round_trip_s: float) -> list[Heard]:
        """Throw away what was not sent. Returns how far each part that was not heard to its end was heard, in order."""
        position = self._heard_position(now_s, round_trip_s)
        self._forget(position)
        heard: dict[tuple[str, int], int] = {}
        for part in self._parts:
            played = part.offset + min(max(position - part.start, 0), part.end - part.start)
            heard.setdefault((part.item_id, part.content_index), played)
        self._cleared |= {part.response_id for part in self._parts} & self._is_open
        self._parts.clear()
        self._pieces.clear()
        self._end = self._position
        self.playing = ""
        return [Heard(item_id, index, samples // SAMPLES_A_MS) for (item_id, index), samples in heard.items()]

    def _heard_position(self, now_s: float, round_trip_s: float) -> int:
        until_s = now_s - min(round_trip_s / 2 + PEER_BUFFER_S, MOST_DELAY_S)
        position = self._sent[0][1] - FRAME_SAMPLES if self._sent else self._position
        for sent_s, end in self._sent:
            if sent_s > until_s:
                break
            position = end
        return max(position, 0)

    def _forget(self, position: int) -> None:
        while self._parts and self._parts[0].end <= position:
            self._parts.popleft()

    def _response_at(self, position: int) -> str:
        return next((each.response_id for each in self._parts if each.start <= position < each.end), "")

    def _cut(self, count: int) -> Int16Array:
        taken: list[Int16Array] = []
        while count:
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
                piece = piece[:count]
            taken.append(piece)
            count -= len(piece)
        return taken[0] if len(taken) == 1 else np.concatenate(taken)
