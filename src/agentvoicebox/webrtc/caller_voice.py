"""The caller's packets → frames of a session's audio, in order, with what was lost replaced."""

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.webrtc.jitter_buffer import TIMES, InOrder, JitterBuffer, Packet
from agentvoicebox.webrtc.opus import FRAME_SAMPLES, OpusDecoder, UndecodablePacket

TICKS_A_SAMPLE = 2  # RTP counts Opus at 48 kHz, whatever it is decoded at
RECOVERED_SAMPLES = FRAME_SAMPLES  # what the redundancy of one packet holds
CONCEALED_SAMPLES = 5 * FRAME_SAMPLES  # longer, and it sounds like a voice that isn't there
LONGEST_GAP_SAMPLES = 100 * FRAME_SAMPLES  # two seconds; a longer silence is left out
STEP = FRAME_SAMPLES // 8  # 2.5 ms: Opus conceals in such steps


class CallerVoice:
    """One call's. Times are seconds of a monotonic clock.

    Attributes:
        packets: which are in order, and which are lost.
        recovered, concealed, silent: samples that were replaced: by redundancy, by concealment, by silence.
        undecodable: packets that are no Opus.
    """

    def __init__(self) -> None:
        self.packets = JitterBuffer()
        self._decoder = OpusDecoder()
        self._next_timestamp: int | None = None
        self._rest: Int16Array = np.zeros(0, np.int16)
        self.recovered = 0
        self.concealed = 0
        self.silent = 0
        self.undecodable = 0

    def hear(self, packet: Packet, now_s: float) -> list[Int16Array]:
        """A packet came: the frames of 20 ms, shape (480,), that can be heard now."""
        self.packets.add(packet, now_s)
        return self.due(now_s)

    def due(self, now_s: float) -> list[Int16Array]:
        """The frames that can be heard now."""
        pieces = [piece for each in self.packets.take(now_s) for piece in self._samples(each)]
        if not pieces:
            return []
        samples = np.concatenate([self._rest, *pieces])
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = samples[whole:]
        return np.split(samples[:whole], whole // FRAME_SAMPLES) if whole else []

    def _samples(self, found: InOrder) -> list[Int16Array]:
        packet = found.packet
        pieces: list[Int16Array] = []
        try:
            missing = self._missing(packet.timestamp)
            if missing:
                pieces += self._replaced(missing, packet.data, is_lost=found.lost > 0)
                self._next_timestamp = packet.timestamp
            decoded = self._decoder.decode(packet.data)
        except UndecodablePacket:
            self.undecodable += 1
            return pieces
        self._next_timestamp = (packet.timestamp + len(decoded) * TICKS_A_SAMPLE) % TIMES
        return [*pieces, decoded]

    def _missing(self, timestamp: int) -> int:
        """How many samples there are between what was heard and a packet."""
        if self._next_timestamp is None:
            return 0
        ticks = (timestamp - self._next_timestamp + TIMES // 2) % TIMES - TIMES // 2
        samples = ticks // TICKS_A_SAMPLE
        return samples // STEP * STEP if 0 < samples <= LONGEST_GAP_SAMPLES else 0

    def _replaced(self, samples: int, next_packet: bytes, *, is_lost: bool) -> list[Int16Array]:
        """Audio for a gap. A sender that paused on purpose lost nothing: silence."""
        if not is_lost:
            self.silent += samples
            return [np.zeros(samples, np.int16)]
        recovered = min(samples, RECOVERED_SAMPLES)
        concealed = min(samples - recovered, CONCEALED_SAMPLES)
        silent = samples - recovered - concealed
        self.recovered += recovered
        self.concealed += concealed
        self.silent += silent
        pieces = [self._decoder.conceal(concealed)] if concealed else []
        if silent:
            pieces.append(np.zeros(silent, np.int16))
        return [*pieces, self._decoder.recover(next_packet, recovered)]
