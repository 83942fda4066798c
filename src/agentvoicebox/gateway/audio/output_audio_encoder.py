"""Synthesised chunks → `response.output_audio.delta` events in the format that the response was promised.

Cuts audio into frames of at most 100 ms, because whole utterances in one frame exceed clients' frame limits and delay barge-in.
Formats at another rate than 24 kHz are resampled as one stream per response, so that chunk borders don't click.
"""

from agentvoicebox.audio.g711 import encode_alaw, encode_ulaw
from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import Resampler
from agentvoicebox.engine.effects import SendAudio
from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.server_events import ResponseOutputAudioDelta, ResponseOutputAudioDone

FRAME_MS = 100  # realtime-protocol §10.3, trap 17: 20 to 100 ms are safe


class OutputAudioEncoder:
    """One session's output audio."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[AudioFormat, Resampler]] = {}  # responses at another rate only

    def deltas(self, effect: SendAudio, pcm: bytes) -> list[ResponseOutputAudioDelta]:
        """The events for one chunk of int16 24 kHz `pcm`; none while the resampler holds it back."""
        rate_hz = effect.format.rate_hz
        if rate_hz == OUTPUT_RATE_HZ:
            data = pcm
        else:
            _, stream = self._streams.setdefault(
                effect.response_id, (effect.format, Resampler(OUTPUT_RATE_HZ, rate_hz))
            )
            data = encoded_as(stream.feed(samples_of(pcm)), effect.format)
        frame_bytes = rate_hz * effect.format.sample_bytes * FRAME_MS // 1000
        return [
            ResponseOutputAudioDelta(
                event_id=effect.event_id if start == 0 else f"{effect.event_id}_{start // frame_bytes + 1}",
                response_id=effect.response_id,
                item_id=effect.item_id,
                output_index=effect.output_index,
                content_index=effect.content_index,
                delta=data[start : start + frame_bytes],
            )
            for start in range(0, len(data), frame_bytes)
        ]

    def tail(self, done: ResponseOutputAudioDone) -> ResponseOutputAudioDelta | None:
        """The last milliseconds of a resampled response, to be sent just before its `done`; None when there are none."""
        format, stream = self._streams.pop(done.response_id, (None, None))
        if format is None or stream is None:
            return None
        data = encoded_as(stream.flush(), format)
        if not data:
            return None
        return ResponseOutputAudioDelta(
            event_id=f"{done.event_id}_tail",
            response_id=done.response_id,
            item_id=done.item_id,
            output_index=done.output_index,
            content_index=done.content_index,
            delta=data,
        )


def encoded_as(samples: Int16Array, format: AudioFormat) -> bytes:
    """Samples at the format's rate, shape (n,), as bytes of a wire format."""
    if format.type == "audio/pcm":
        return bytes_of(samples)
    return encode_ulaw(samples) if format.type == "audio/pcmu" else encode_alaw(samples)
