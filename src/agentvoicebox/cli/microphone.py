"""Calls a Realtime server through this machine's sound card. Needs the optional package `sounddevice`.

Moves samples between the card's threads and the call in `client.caller`. The agent's audio is played as it arrives, and stops
when the caller interrupts.
"""

import asyncio
import contextlib
import threading
from typing import Any

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.cli.console import console
from agentvoicebox.cli.transcript import live_transcript
from agentvoicebox.client.call_record import CallRecord
from agentvoicebox.client.caller import open_call
from agentvoicebox.errors import ClientError
from agentvoicebox.realtime_client.dialing import CallOptions

BLOCK_SAMPLES = OUTPUT_RATE_HZ // 50  # 20 ms, a frame of the call
WAITING_SAMPLES_MAX = OUTPUT_RATE_HZ // 5  # limits the delay if the card runs faster than the call


class _Microphone:
    """Buffer of samples between the card's thread and the call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Int16Array = np.zeros(0, dtype=np.int16)

    def write(self, block: Int16Array) -> None:
        """Add samples from the card."""
        with self._lock:
            self._waiting = np.concatenate([self._waiting, block])[-WAITING_SAMPLES_MAX:]

    def read(self, count: int) -> Int16Array:
        """Return `count` samples for the call, padded with silence."""
        with self._lock:
            given, self._waiting = self._waiting[:count], self._waiting[count:]
        return np.concatenate([given, np.zeros(count - len(given), dtype=np.int16)])


def _sound_card() -> Any:
    try:
        import sounddevice

        sounddevice.check_input_settings(samplerate=OUTPUT_RATE_HZ, channels=1, dtype="int16")
        sounddevice.check_output_settings(samplerate=OUTPUT_RATE_HZ, channels=1, dtype="int16")
    except ImportError as error:
        raise ClientError(
            "the microphone needs a package: type `pip install 'agentvoicebox[microphone]'`, or give --say, --text or a WAV file"
        ) from error
    except Exception as error:  # PortAudio is missing (OSError), or there is no card (PortAudioError)
        raise ClientError(f"there is no usable sound card here ({error}); give --say, --text or a WAV file") from error
    return sounddevice


async def talk(options: CallOptions) -> CallRecord:
    """Talk until Ctrl-C or until the server hangs up.

    Raises:
        ClientError: there is no sound card, or the format is not 24 kHz PCM.
    """
    if options.audio != "pcm":
        raise ClientError("the microphone supports 24 kHz PCM only; leave --audio out")
    card = _sound_card()
    microphone = _Microphone()
    async with open_call(options, live_transcript(console), source=microphone.read) as line:

        def play(out: Any, count: int, _time: Any, _status: Any) -> None:
            out[:, 0] = line.playing_now(count)

        def listen(block: Any, _count: int, _time: Any, _status: Any) -> None:
            microphone.write(block[:, 0].copy())

        sound = {"samplerate": OUTPUT_RATE_HZ, "channels": 1, "dtype": "int16", "blocksize": BLOCK_SAMPLES}
        with card.InputStream(callback=listen, **sound), card.OutputStream(callback=play, **sound):
            console.print("speak; Ctrl-C hangs up")
            with contextlib.suppress(asyncio.CancelledError):
                await line.until_closed()
        return line.record()
