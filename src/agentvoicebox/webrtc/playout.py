"""The agent's audio on its way to the caller, and how much of it the caller has heard.

Frames leave one every 20 ms, by the clock, so what was sent is what the caller hears: what is on its way can't be called back,
and a browser plays it to its end, about 100 ms later.
"""

from collections import deque

import msgspec
import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.webrtc.opus import FRAME_SAMPLES

SAMPLES_A_MS = OUTPUT_RATE_HZ // 1000
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


class SentPart(msgspec.Struct, frozen=True):
    """How far a part of an item was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class PlayoutQueue:
    """One call's.

    Attributes:
        playing: id of the response that is being sent; "" while none is.
    """

    def __init__(self) -> None:
        self._pieces: deque[Int16Array] = deque()
        self._parts: deque[Part] = deque()  # not sent to their end
        self._position = 0  # sent
        self._end = 0  # given
        self._lengths: dict[tuple[str, str, int], int] = {}  # samples of each part of responses that are not over
        self._is_open: set[str] = set()  # responses of which more audio may come
        self._cleared: set[str] = set()  # responses of which no more audio is wanted
        self.playing = ""

    @property
    def waiting(self) -> int:
        """Samples that were not sent."""
        return self._end - self._position

    def add(self, response_id: str, item_id: str, content_index: int, samples: Int16Array) -> None:
        """Audio of a response, shape (n,). Of a response that was cleared nothing is taken."""
        if response_id in self._cleared or not len(samples) or self.waiting + len(samples) > MOST_SAMPLES:
            return
        self._is_open.add(response_id)
        key = (response_id, item_id, content_index)
        length = self._lengths.get(key, 0)
        last = self._parts[-1] if self._parts else None
        if last and last.end == self._end and (last.item_id, last.content_index) == (item_id, content_index):
            last.end += len(samples)
        else:
            start = self._end
            self._parts.append(Part(response_id, item_id, content_index, start, start + len(samples), length))
        self._lengths[key] = length + len(samples)
        self._pieces.append(samples)
        self._end += len(samples)

    def response_over(self, response_id: str) -> None:
        """No more audio of it comes."""
        self._is_open.discard(response_id)
        self._cleared.discard(response_id)
        self._lengths = {key: length for key, length in self._lengths.items() if key[0] != response_id}

    def all_over(self) -> None:
        """No more audio comes of any response: what would have said so was lost."""
        for response_id in self._is_open | self._cleared:
            self.response_over(response_id)

    def take(self) -> Int16Array | None:
        """The next frame of 20 ms, shape (480,); None: nothing is to be said now."""
        waiting = self.waiting
        if not waiting or (waiting < FRAME_SAMPLES and self._is_open):
            return None
        samples = self._cut(min(FRAME_SAMPLES, waiting))
        self._forget()
        self.playing = self._response_at(self._position)
        self._position += len(samples)
        if len(samples) < FRAME_SAMPLES:
            samples = np.concatenate([samples, np.zeros(FRAME_SAMPLES - len(samples), np.int16)])
        return samples

    def is_drained(self, response_id: str) -> bool:
        """Whether everything of a response was sent, and no more comes."""
        return response_id not in self._is_open and all(
            each.response_id != response_id or each.end <= self._position for each in self._parts
        )

    def clear(self) -> list[SentPart]:
        """Throw away what was not sent. Returns how far each part that was not sent to its end was heard, in order."""
        self._forget()
        heard: dict[tuple[str, int], int] = {}
        for part in self._parts:
            heard.setdefault((part.item_id, part.content_index), part.offset + max(self._position - part.start, 0))
        self._cleared |= self._is_open
        self._parts.clear()
        self._pieces.clear()
        self._end = self._position
        self.playing = ""
        return [SentPart(item_id, index, samples // SAMPLES_A_MS) for (item_id, index), samples in heard.items()]

    def _forget(self) -> None:
        """Forget parts that were sent to their end."""
        while self._parts and self._parts[0].end <= self._position:
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
