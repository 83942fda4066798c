"""An item of the caller with its audio, as a client retrieves it."""

import base64

import msgspec
import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.resample import Resampler
from agentvoicebox.gateway.audio.output_audio_encoder import encoded_as
from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.items import InputAudio, MessageItem
from agentvoicebox.wire.server_events import ConversationItemRetrieved


def with_audio(
    event: ConversationItemRetrieved, samples: Int16Array, audio_format: AudioFormat
) -> ConversationItemRetrieved:
    """The event with `samples` (16 kHz, shape (n,)) in its audio part. A minute takes some 100 ms: not for an event loop."""
    item = event.item
    if not isinstance(item, MessageItem):
        return event
    audio = base64.b64encode(encoded(samples, audio_format)).decode()
    parts = tuple(
        msgspec.structs.replace(part, audio=audio) if isinstance(part, InputAudio) else part for part in item.content
    )
    return msgspec.structs.replace(event, item=msgspec.structs.replace(item, content=parts))


def encoded(samples: Int16Array, audio_format: AudioFormat) -> bytes:
    """16 kHz samples, shape (n,), as bytes of a wire format."""
    resampler = Resampler(INPUT_RATE_HZ, audio_format.rate_hz)
    resampled = np.concatenate([resampler.feed(samples), resampler.flush()])
    return encoded_as(resampled, audio_format)
