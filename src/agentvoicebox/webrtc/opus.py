"""Opus, as a call needs it: one channel at 24 kHz, with in-band redundancy, recovery and concealment.

PyAV, which aiortc uses, gives none of the three: FFmpeg's decoder never asks libopus for lost packets. The codec resamples by
itself, so audio of a session (24 kHz) needs no resampling on its way.
"""

import weakref

from opuslib_next import APPLICATION_VOIP, OpusError
from opuslib_next.api import ctl, decoder, encoder

from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ

FRAME_SAMPLES = OUTPUT_RATE_HZ // 50  # 20 ms
LONGEST_SAMPLES = 6 * FRAME_SAMPLES  # 120 ms: no packet holds more
MAX_PACKET_BYTES = 1_275
BITRATE = 32_000  # bit/s: transparent for speech at 24 kHz
EXPECTED_LOSS_PERCENT = 10  # how much redundancy is spent
COMPLEXITY = 5  # of 10: half the time of the highest, without an audible difference for speech


class UndecodablePacket(ValueError):
    """What a packet holds is no Opus."""


class OpusEncoder:
    """Encodes frames of 20 ms, one stream."""

    def __init__(self) -> None:
        self._state = encoder.create_state(OUTPUT_RATE_HZ, 1, APPLICATION_VOIP)
        weakref.finalize(self, encoder.destroy, self._state)
        for request, value in (
            (ctl.set_bitrate, BITRATE),
            (ctl.set_inband_fec, 1),
            (ctl.set_packet_loss_perc, EXPECTED_LOSS_PERCENT),
            (ctl.set_complexity, COMPLEXITY),
            (ctl.set_dtx, 0),
        ):
            encoder.encoder_ctl(self._state, request, value)

    def encode(self, frame: Int16Array) -> bytes:
        """A packet of `FRAME_SAMPLES` samples, shape (480,)."""
        return bytes(encoder.encode(self._state, bytes_of(frame), len(frame), MAX_PACKET_BYTES))


class OpusDecoder:
    """Decodes one stream, in the order of its packets."""

    def __init__(self) -> None:
        self._state = decoder.create_state(OUTPUT_RATE_HZ, 1)
        weakref.finalize(self, decoder.destroy, self._state)

    def decode(self, packet: bytes) -> Int16Array:
        """Its samples at 24 kHz, shape (n,). Raises UndecodablePacket."""
        if not packet:
            raise UndecodablePacket("an empty packet")
        return self._decode(packet, LONGEST_SAMPLES, is_recovery=False)

    def recover(self, next_packet: bytes, samples: int) -> Int16Array:
        """The last `samples` (at most 60 ms, a multiple of 2.5 ms) before `next_packet`, from the redundancy in it.

        Where there is none, they are concealed. Raises UndecodablePacket.
        """
        return self._decode(next_packet, samples, is_recovery=True)

    def conceal(self, samples: int) -> Int16Array:
        """`samples` (a multiple of 2.5 ms, at most 120 ms) that go on like those before, fading."""
        return self._decode(None, samples, is_recovery=False)

    def _decode(self, packet: bytes | None, samples: int, *, is_recovery: bool) -> Int16Array:
        try:
            pcm = decoder.decode(self._state, packet, len(packet or b""), samples, is_recovery, 1)
        except OpusError as error:
            raise UndecodablePacket(f"libopus: {error}") from error
        return samples_of(pcm)
