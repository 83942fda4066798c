"""Audio on a Realtime connection: samples to bytes and back, in one of the three formats."""

from typing import Any, Literal

from agentvoicebox.audio import g711
from agentvoicebox.audio.pcm import Int16Array, SampleCutter, bytes_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ

Format = Literal["pcm", "pcmu", "pcma"]

_FORMATS: dict[str, tuple[dict[str, Any], int]] = {
    "pcm": ({"type": "audio/pcm", "rate": OUTPUT_RATE_HZ}, OUTPUT_RATE_HZ),
    "pcmu": ({"type": "audio/pcmu"}, 8_000),
    "pcma": ({"type": "audio/pcma"}, 8_000),
}


class WireAudio:
    """The codec of one call, both ways.

    Attributes:
        format: its name in `session.update`.
        rate_hz: of the samples.
    """

    def __init__(self, name: Format) -> None:
        self._name = name
        self.format, self.rate_hz = _FORMATS[name]
        self._cutter = SampleCutter()

    def encode(self, pcm: Int16Array) -> bytes:
        """Samples as bytes."""
        match self._name:
            case "pcm":
                return bytes_of(pcm)
            case "pcmu":
                return g711.encode_ulaw(pcm)
            case "pcma":
                return g711.encode_alaw(pcm)

    def decode(self, data: bytes) -> Int16Array:
        """The samples of one piece; a sample split between two pieces is returned with the second."""
        match self._name:
            case "pcm":
                return self._cutter.feed(data)
            case "pcmu":
                return g711.decode_ulaw(data)
            case "pcma":
                return g711.decode_alaw(data)
