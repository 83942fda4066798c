"""The audio of a SIP caller: sends RTP every 20 ms, and keeps each packet that comes, with the time at which the kernel had it.

G.711 µ-law at 8 kHz; keys are telephone events (RFC 4733). It runs in threads of its own, so that a busy event loop does
not change what the caller says.
"""

import random
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Self

import numpy as np

from agentvoicebox.audio.g711 import decode_ulaw
from agentvoicebox.audio.pcm import Int16Array

FRAME_BYTES = 160
FRAME_S = 0.02
RATE_HZ = 8_000
AUDIO, EVENT = 0, 101  # payload types
QUIET = b"\xff" * FRAME_BYTES
LOUD = 300  # root mean square of a frame that holds speech
SO_TIMESTAMPNS = 35
KEY_FRAMES = 5  # that a key is pressed, and then not
KEYS = "0123456789*#ABCD"
LONGEST_GAP_S = 0.06  # packets that come later than that after the one before were not meant to follow it at once


@dataclass(frozen=True)
class RtpPacket:
    """A packet that came. `at_s` is seconds since 1970."""

    at_s: float
    kind: int
    sequence: int
    payload: bytes

    @property
    def is_loud(self) -> bool:
        """Whether it holds speech."""
        return self.kind == AUDIO and loudness(self.payload) > LOUD


class RtpEnd:
    """One end. Use as a context; it sends silence from `connect` on, and what it is given to say.

    Attributes:
        port: its UDP port, on loopback.
        packets: all that came.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
        self.packets: list[RtpPacket] = []
        self._peer_port = 0
        self._words: deque[bytes] = deque()
        self._keys: deque[bytes | None] = deque()  # payloads of events, or None for a pause
        self._is_open = True
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._receive, self._speak)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        for each in self._threads:
            each.join()
        self._socket.close()

    def connect(self, port: int) -> None:
        """The other end's port, on loopback."""
        self._peer_port = port

    def say(self, ulaw: bytes) -> float:
        """Say something; returns when it becomes loud, in seconds since 1970."""
        frames = [ulaw[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\xff") for at in range(0, len(ulaw), FRAME_BYTES)]
        first = next(index for index, frame in enumerate(frames) if loudness(frame) > LOUD)
        now_s = time.time()
        self._words.extend(frames)
        return now_s + first * FRAME_S

    @property
    def is_saying(self) -> bool:
        """Whether something waits to be said."""
        return bool(self._words or self._keys)

    def press(self, keys: str) -> None:
        """Press keys."""
        for key in keys:
            number = KEYS.index(key)
            for frame in range(1, KEY_FRAMES + 1):
                end = 0x80 if frame == KEY_FRAMES else 0
                self._keys.extend([struct.pack("!BBH", number, end | 10, frame * FRAME_BYTES)] * (3 if end else 1))
            self._keys.extend([None] * KEY_FRAMES)

    def heard(self, since_s: float = 0.0, until_s: float = float("inf")) -> bytes:
        """What came between two times, G.711: gaps are silence."""
        sound = bytearray()
        before: RtpPacket | None = None
        for packet in list(self.packets):
            if packet.kind != AUDIO or not since_s <= packet.at_s < until_s:
                continue
            gap_s = packet.at_s - before.at_s if before else 0.0
            if gap_s > LONGEST_GAP_S:
                sound += b"\xff" * (round((gap_s - FRAME_S) * RATE_HZ))
            sound += packet.payload
            before = packet
        return bytes(sound)

    def last_loud_s(self, until_s: float = float("inf")) -> float:
        """When speech came last before a time; 0.0: never."""
        return next((each.at_s for each in reversed(list(self.packets)) if each.at_s < until_s and each.is_loud), 0.0)

    def first_loud_s(self, since_s: float) -> float:
        """When speech came first after a time; 0.0: not yet."""
        return next((each.at_s for each in list(self.packets) if each.at_s >= since_s and each.is_loud), 0.0)

    def _receive(self) -> None:
        while self._is_open:
            try:
                data, extra, _, _ = self._socket.recvmsg(2_048, 64)
            except TimeoutError:
                continue
            if len(data) <= 12:
                continue
            seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
            kind, sequence = data[1] & 0x7F, struct.unpack("!H", data[2:4])[0]
            self.packets.append(RtpPacket(seconds + nanoseconds / 1e9, kind, sequence, data[12:]))

    def _speak(self) -> None:
        sequence, at, source = random.randrange(1 << 15), 0, random.randrange(1 << 32)
        pressed_at = 0
        due_s = time.monotonic()
        while self._is_open:
            time.sleep(max(0.0, due_s - time.monotonic()))
            due_s += FRAME_S
            at += FRAME_BYTES
            if not self._peer_port:
                continue
            kind, mark, stamp, payload = AUDIO, 0, at, QUIET
            if self._keys:
                event = self._keys.popleft()
                if event is not None:
                    if event[2:] == struct.pack("!H", FRAME_BYTES):  # its first packet
                        mark, pressed_at = 0x80, at
                    kind, stamp, payload = EVENT, pressed_at, event
            elif self._words:
                payload = self._words.popleft()
            sequence += 1
            head = struct.pack("!BBHII", 0x80, mark | kind, sequence & 0xFFFF, stamp & 0xFFFFFFFF, source)
            self._socket.sendto(head + payload, ("127.0.0.1", self._peer_port))


def loudness(ulaw: bytes) -> float:
    """Root mean square of G.711, as 16-bit samples."""
    samples: Int16Array = decode_ulaw(ulaw)
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if samples.size else 0.0


def loudest_hz(ulaw: bytes) -> float:
    """The loudest frequency of G.711."""
    samples = decode_ulaw(ulaw).astype(np.float64)
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE_HZ / max(1, samples.size))
