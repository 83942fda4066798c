"""Keeps the audio of one call, where its tenant wants that: what was heard, encoded piece by piece in a thread.

All pieces of a call are one Ogg Opus file. A gateway that takes the call over begins another file. Until it is known whether the
audio is kept, it waits in memory; a call is never delayed by it, and never ended by a fault of it.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from agentvoicebox.audio.pcm import Int16Array, samples_of
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.clock import Clock
from agentvoicebox.gateway.audio.file_encoder import FileEncoder, new_call_encoder
from agentvoicebox.gateway.audio.heard_audio import HeardAudio, StereoMixer
from agentvoicebox.telemetry.logs import get_logger

PIECE_S = 10.0  # some 70 kB
SETTLED_S = 0.5  # how late a caller's frame may be
LONGEST_S = 3_600.0  # as long as a session may be

log = get_logger(__name__)


class AudioPiece(msgspec.Struct, frozen=True):
    """A piece of the file.

    Attributes:
        number: 0, 1, 2, …
        data: its bytes.
    """

    number: int
    data: bytes


class CallAudio:
    """One call's. `close` it at the end.

    Args:
        is_wanted: whether the audio is kept; may take a while.
        keep: gets each piece, in order.
        clock: of the call.
        on_decided: called with whether the audio is kept, once that is known and before any of it is.
    """

    def __init__(
        self,
        is_wanted: Callable[[], Awaitable[bool]],
        keep: Callable[[AudioPiece], None],
        clock: Clock,
        *,
        on_decided: Callable[[bool], None] = lambda is_wanted: None,
    ) -> None:
        self._is_wanted = is_wanted
        self._keep = keep
        self._on_decided = on_decided
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._heard: HeardAudio | None = HeardAudio()
        self._mixer = StereoMixer()
        self._encoder: FileEncoder | None = None
        self._is_decided = False
        self._number = 0
        self._writing: asyncio.Future[None] | None = None

    def caller_said(self, samples: Int16Array) -> None:
        """16 kHz samples came from the caller, shape (n,)."""
        if self._heard is not None:
            self._heard.caller_said(samples, self._now_s)

    def agent_said(self, pcm: bytes) -> None:
        """24 kHz samples were sent to the caller, as int16 bytes."""
        if self._heard is not None:
            self._heard.agent_said(samples_of(pcm), self._now_s)

    def agent_was_cut(self) -> None:
        """What was sent and not played yet is discarded."""
        if self._heard is not None:
            self._heard.agent_was_cut(self._now_s)

    async def run(self) -> None:
        """Write a piece now and then, as long as the audio is kept."""
        try:
            is_wanted = await self._is_wanted()
        except Exception:
            log.exception("it is not known whether the audio of a call is kept, so it is not")
            is_wanted = False
        self._on_decided(is_wanted)
        if not is_wanted:
            self._stop()
        self._is_decided = True
        while self._heard is not None:
            await asyncio.sleep(PIECE_S)
            await self._write(self._now_s - SETTLED_S)

    async def close(self) -> None:
        """Write the rest. Idempotent. A call that ended before it was known whether its audio is kept leaves none."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._is_decided and self._heard is not None:
            await self._write(self._now_s, is_last=True)
        self._stop()

    @property
    def _now_s(self) -> float:
        return self._clock.monotonic_s() - self._began_s

    def _stop(self) -> None:
        self._heard = None

    async def _write(self, until_s: float, *, is_last: bool = False) -> None:
        """Write what was heard until then. Its thread runs to its end, also when the caller of this is cancelled."""
        self._writing = asyncio.ensure_future(self._encode_and_keep(until_s, is_last))
        await asyncio.shield(self._writing)

    async def _encode_and_keep(self, until_s: float, is_last: bool) -> None:
        heard = self._heard
        if heard is None:
            return
        caller, agent = heard.take(min(until_s, LONGEST_S))
        is_last = is_last or until_s >= LONGEST_S
        try:
            data = await asyncio.to_thread(self._encode, caller, agent, is_last)
        except Exception:
            log.exception("the audio of a call is not kept any further")
            self._stop()
            return
        if data:
            self._keep(AudioPiece(self._number, data))
            self._number += 1
        if is_last:
            self._stop()

    def _encode(self, caller: Int16Array, agent: Int16Array, is_last: bool) -> bytes:
        if self._encoder is None:
            self._encoder = new_call_encoder(INPUT_RATE_HZ)
        data = self._encoder.feed(self._mixer.mix(caller, agent)) if len(caller) else b""
        return data + self._encoder.close() if is_last else data
