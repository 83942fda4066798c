"""A line that comes back: one session over as many connections as it takes.

When the connection breaks, or the server hands the session over, it connects again with the session and the last event it got,
sends again what the server has not got, and goes on (`docs/resume.md`); only servers of ours know how. Leaves the meaning of
events, and the pace of frames, to `caller`.
"""

import asyncio
import base64
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.client.dialing import CallOptions, connect_to, socket_url
from agentvoicebox.client.wire_audio import WireAudio

RETURN_S = 15.0  # how long it tries to come back; sessions wait at least twenty seconds
RETURN_PAUSES_S = (0.02, 0.5)  # between two tries: the first, growing to the last
RETURN_TIMEOUT_S = 5.0  # for one try
COME_BACK = (1006, 1012, 1013)  # the line broke; the server hands the session over; it is too busy just now
GONE_ELSEWHERE = "session_taken"  # another connection of ours goes on with the session
OWN_EVENT = "agentvoicebox."
CATCH_UP_FRAMES = (
    25  # in one append: a server that takes over many calls at once reads half a second as fast as a frame
)
KEPT_EVENTS = 100  # of our own, to be sent again if the server never got them


class Lifeline:
    """The connection of a call, now this one, now that.

    Args:
        socket: the first.
        audio: the line's codec.
        take: called with each event of the server, in order; with `agentvoicebox.resumed` after each return.
        now_s: the line's clock.

    Attributes:
        session_id: what it comes back to; set by whoever reads `session.created`.
        sent: the caller's audio, in frames of one length.
        sent_samples: of all of it.
        ended: why the line is gone for good; "" while it is not.
        pauses_s: how long each break lasted, until the server had taken the caller back.
        missed: how often the server no longer had what was said meanwhile.
    """

    def __init__(
        self,
        socket: ClientConnection,
        options: CallOptions,
        audio: WireAudio,
        *,
        take: Callable[[dict[str, Any]], Awaitable[None]],
        now_s: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._options = options
        self._audio = audio
        self._take = take
        self._now_s = now_s
        self._is_standing = True
        self._is_leaving = False
        self._last_event_id = ""
        self._own_events: deque[dict[str, Any]] = deque(maxlen=KEPT_EVENTS)
        self.session_id = ""
        self.sent: list[Int16Array] = []
        self.sent_samples = 0
        self.ended = ""
        self.pauses_s: list[float] = []
        self.missed = 0

    @property
    def server_port(self) -> int:
        """The port at the other end of the present connection."""
        port: int = self._socket.remote_address[1]
        return port

    async def send_frame(self, frame: Int16Array) -> None:
        """Send a frame of the caller's audio; while the line is down it is kept, and sent with all that the server lacks."""
        self.sent.append(frame)
        self.sent_samples += len(frame)
        if self._is_standing:
            with contextlib.suppress(ConnectionClosed):  # `listen` tells why
                await self._socket.send(self._append(frame))

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event that bears an `event_id` of ours: by it the server tells what it has got."""
        self._own_events.append(event)
        with contextlib.suppress(ConnectionClosed):  # `listen` tells why
            await self._socket.send(json.dumps(event))

    async def hang_up(self, *, is_abrupt: bool = False) -> None:
        """End it; an abrupt end drops the connection without a closing handshake, mid-word if need be."""
        self._is_leaving = True
        if is_abrupt:
            self._socket.transport.abort()
        else:
            await self._socket.close()

    async def listen(self) -> None:
        """Read events until the line ends for good, and note why it ended."""
        try:
            while not self.ended:
                why = await self._listen()
                self._is_standing = False
                if self._is_leaving or not await self._come_back():
                    self.ended = why
        finally:
            self.ended = self.ended or "the line was left"

    async def _listen(self) -> str:
        """Read events until the connection ends; why it did. One after which nobody comes back is noted as the line's end."""
        try:
            async for message in self._socket:
                event = json.loads(message)
                if not str(event.get("type", "")).startswith(OWN_EVENT):
                    self._last_event_id = event.get("event_id", "")
                await self._take(event)
            why, comes_back = "the line was closed", False
        except ConnectionClosed as closed:
            frame = closed.rcvd
            why = f"the server closed the line: {frame.code} {frame.reason}" if frame else "the line broke"
            comes_back = (frame.code if frame else 1006) in COME_BACK and (not frame or frame.reason != GONE_ELSEWHERE)
        if not comes_back:
            self.ended = why
        return why

    async def _come_back(self) -> bool:
        """Go on with the session, wherever it is taken; False when nobody takes it, or nobody knows it any more."""
        if self.ended or not self._options.resumes or not self.session_id:
            return False
        broke_s, pause_s = self._now_s(), RETURN_PAUSES_S[0]
        for base_url in itertools.cycle((self._options.base_url, *self._options.other_urls)):
            if self._is_leaving or self._now_s() - broke_s > RETURN_S:
                return False
            url = socket_url(
                base_url,
                self._options.model,
                wants_trace=self._options.wants_trace,
                resume="1",
                session_id=self.session_id,
                last_event_id=self._last_event_id,
                audio_from_ms="0",
                audio_until_ms=str(self.sent_samples * 1000 // self._audio.rate_hz),
            )
            try:
                socket = await connect_to(url, self._options, RETURN_TIMEOUT_S)
                async with asyncio.timeout(RETURN_TIMEOUT_S):
                    answer = json.loads(await socket.recv())
                if answer.get("type") == f"{OWN_EVENT}resumed":
                    await self._go_on(socket, answer)
                    self.pauses_s.append(self._now_s() - broke_s)
                    return True
                await socket.close()
                if answer.get("type") != "error" or answer["error"].get("type") != "server_error":
                    return False  # no server of ours, or the session is no more; `server_error`: try again
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed):
                pass  # it may be starting, or another may answer
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETURN_PAUSES_S[1])
        return False

    async def _go_on(self, socket: ClientConnection, resumed: dict[str, Any]) -> None:
        """Send what the server lacks, audio first; then the line stands."""
        await self._take(resumed)
        self.missed += not resumed["is_complete"]
        wanted = resumed["audio_start_ms"] * self._audio.rate_hz // 1000
        while wanted < self.sent_samples:  # frames come meanwhile, too
            frame_samples = len(self.sent[0])
            first = wanted // frame_samples
            piece = np.concatenate(self.sent[first : first + CATCH_UP_FRAMES])[wanted - first * frame_samples :]
            await socket.send(self._append(piece))
            wanted += len(piece)
        self._socket, self._is_standing = socket, True
        ids = [event["event_id"] for event in self._own_events]
        known = resumed.get("last_client_event_id")
        for event in list(self._own_events)[ids.index(known) + 1 if known in ids else 0 :]:
            await socket.send(json.dumps(event))

    def _append(self, frame: Int16Array) -> str:
        audio = base64.b64encode(self._audio.encode(frame)).decode()
        return json.dumps({"type": "input_audio_buffer.append", "audio": audio})
