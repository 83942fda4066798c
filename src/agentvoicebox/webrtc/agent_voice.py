"""The agent's voice as a track: a packet of Opus every 20 ms, speech or silence, by the clock."""

import asyncio
import fractions
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.clock import Clock
from agentvoicebox.webrtc.opus import FRAME_SAMPLES, OpusEncoder

FRAME_S = 0.02
FRAME_TICKS = 960  # of RTP's clock, 48 kHz
LATEST_S = 0.2  # further behind, frames are not sent in a row, but time is skipped
# Frames of silence after speech that are encoded; then the last one is sent again, which costs no encoding.
ENCODED_SILENCE = 10

TIME_BASE = fractions.Fraction(1, 48_000)
SILENCE = np.zeros(FRAME_SAMPLES, np.int16)


class AgentVoice(MediaStreamTrack):
    """One call's track. aiortc asks it for the next packet as soon as it has sent the one before.

    Args:
        take: the frame to send now, shape (480,); None: silence.
        clock: sets the pace.
    """

    kind = "audio"

    def __init__(self, take: Callable[[], Int16Array | None], clock: Clock) -> None:
        super().__init__()
        self._take = take
        self._clock = clock
        self._encoder = OpusEncoder()
        self._due_s: float | None = None
        self._ticks = 0
        self._silent_frames = 0
        self._silence = b""

    async def recv(self) -> "av.Packet[Any]":
        """See aiortc: what is encoded already is passed on."""
        if self.readyState != "live":
            raise MediaStreamError
        now_s = self._clock.monotonic_s()
        if self._due_s is None:
            self._due_s = now_s
        behind = now_s - self._due_s
        if behind > LATEST_S:
            skipped = int(behind / FRAME_S)
            self._due_s += skipped * FRAME_S
            self._ticks += skipped * FRAME_TICKS
        elif behind < 0:
            await asyncio.sleep(-behind)
        packet = av.Packet(self._encoded(self._take()))
        packet.pts, packet.time_base = self._ticks, TIME_BASE
        self._due_s += FRAME_S
        self._ticks += FRAME_TICKS
        return packet

    def _encoded(self, frame: Int16Array | None) -> bytes:
        if frame is not None:
            self._silent_frames = 0
            return self._encoder.encode(frame)
        self._silent_frames += 1
        if self._silent_frames <= ENCODED_SILENCE or not self._silence:
            self._silence = self._encoder.encode(SILENCE)
        return self._silence
