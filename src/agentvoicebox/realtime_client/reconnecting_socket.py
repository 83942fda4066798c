"""A socket that reconnects: one session over several connections.

When the connection breaks, or the server hands the session over, it reconnects with the session and the last event id,
sends again what the server lacks, and continues (`docs/resume.md`); only our servers support this. Events are interpreted,
and frames are paced, in `caller`.
"""

import asyncio
import base64
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from agentvoicebox.realtime_client.dialing import CallOptions, connect_to, socket_url

RECONNECT_FOR_S = 15.0  # how long it tries to reconnect; sessions wait at least twenty seconds
RECONNECT_PAUSES_S = (0.02, 0.5)  # between two tries: the first, growing to the last
RECONNECT_TIMEOUT_S = 5.0  # for one try
RECONNECT_CODES = (1006, 1012, 1013)  # connection lost; session handed over; server busy
TAKEN_OVER = "session_taken"  # another connection of this caller has resumed the session
OWN_EVENT = "agentvoicebox."
# in one append: a server that takes over many calls at once reads half a second as fast as a frame
CATCH_UP_FRAMES = 25
KEPT_EVENTS = 100  # own events, kept to be sent again if the server did not receive them


Frame = npt.NDArray[Any]


class Codec(Protocol):
    """How frames become bytes on the wire."""

    @property
    def rate_hz(self) -> int:
        """Of the samples."""

    def encode(self, frame: Any) -> bytes:
        """A frame, shape (n,), as bytes."""


class ReconnectingSocket:
    """The connection of a call, replaced when it breaks.

    Args:
        socket: the first connection.
        audio: the call's codec.
        most_frames: how many frames of the caller's audio are kept to be sent again; None: all.
        on_event: called with each event of the server, in order; with `agentvoicebox.resumed` after each reconnect.
        now_s: the call's clock.

    Attributes:
        session_id: the session to resume; set when `session.created` is read.
        sent: the caller's audio that is kept, in frames of one length.
        sent_samples: number of samples sent.
        ended: why the connection ended for good; "" while it is open.
        pauses_s: duration of each interruption, until the server had resumed the session.
        gaps: how often the server could not replay all missed events.
    """

    def __init__(
        self,
        socket: ClientConnection,
        options: CallOptions,
        audio: Codec,
        *,
        on_event: Callable[[dict[str, Any]], Awaitable[None]],
        now_s: Callable[[], float],
        most_frames: int | None = None,
    ) -> None:
        self._socket = socket
        self._options = options
        self._audio = audio
        self._on_event = on_event
        self._now_s = now_s
        self._is_connected = True
        self._is_leaving = False
        self._last_event_id = ""
        self._resume_token = ""
        self._own_events: deque[dict[str, Any]] = deque(maxlen=KEPT_EVENTS)
        self.session_id = ""
        self.sent: deque[Frame] = deque(maxlen=most_frames)
        self.sent_samples = 0
        self.ended = ""
        self.pauses_s: list[float] = []
        self.gaps = 0

    @property
    def _kept_from(self) -> int:
        """The first sample that is kept."""
        return self.sent_samples - sum(map(len, self.sent))

    @property
    def server_port(self) -> int:
        """The server's port of the present connection."""
        port: int = self._socket.remote_address[1]
        return port

    async def send_frame(self, frame: Frame) -> None:
        """Send a frame of the caller's audio; while disconnected it is stored, and sent with all audio that the server lacks."""
        self.sent.append(frame)
        self.sent_samples += len(frame)
        if self._is_connected:
            with contextlib.suppress(ConnectionClosed):  # `listen` reports the reason
                await self._socket.send(self._append(frame))

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event with an `event_id` of ours, by which the server reports what it has received."""
        self._own_events.append(event)
        with contextlib.suppress(ConnectionClosed):  # `listen` reports the reason
            await self._socket.send(json.dumps(event))

    async def hang_up(self, *, is_abrupt: bool = False) -> None:
        """Close the connection; with `is_abrupt` it is dropped without a closing handshake, even in the middle of a word."""
        self._is_leaving = True
        if is_abrupt:
            self._socket.transport.abort()
        else:
            await self._socket.close()

    async def listen(self) -> None:
        """Read events until the connection ends for good, and store the reason."""
        try:
            while not self.ended:
                why = await self._listen()
                self._is_connected = False
                if self._is_leaving or not await self._reconnect():
                    self.ended = why
        finally:
            self.ended = self.ended or "the caller hung up"

    async def _listen(self) -> str:
        """Read events until the connection ends; returns the reason. A final one is stored as the end of the call."""
        try:
            async for message in self._socket:
                event = json.loads(message)
                if event.get("type") == "session.created":  # taken out, so that no record of the call has it
                    self._resume_token = event.pop("agentvoicebox", {}).get("resume_token", "")
                if not str(event.get("type", "")).startswith(OWN_EVENT):
                    self._last_event_id = event.get("event_id", "")
                await self._on_event(event)
            why, comes_back = "the connection was closed", False
        except ConnectionClosed as closed:
            frame = closed.rcvd
            why = (
                f"the server closed the connection: {frame.code} {frame.reason}" if frame else "the connection was lost"
            )
            comes_back = (frame.code if frame else 1006) in RECONNECT_CODES and (
                not frame or frame.reason != TAKEN_OVER
            )
        if not comes_back:
            self.ended = why
        return why

    async def _reconnect(self) -> bool:
        """Resume the session at any server; False when no server has it."""
        if self.ended or not self._options.resumes or not self.session_id:
            return False
        broke_s, pause_s = self._now_s(), RECONNECT_PAUSES_S[0]
        for base_url in itertools.cycle((self._options.base_url, *self._options.other_urls)):
            if self._is_leaving or self._now_s() - broke_s > RECONNECT_FOR_S:
                return False
            url = socket_url(
                base_url,
                self._options.model,
                wants_trace=self._options.wants_trace,
                resume="1",
                session_id=self.session_id,
                last_event_id=self._last_event_id,
                audio_from_ms=str(-(-self._kept_from * 1000 // self._audio.rate_hz)),
                audio_until_ms=str(self.sent_samples * 1000 // self._audio.rate_hz),
                **({"resume_token": self._resume_token} if self._resume_token else {}),
            )
            try:
                socket = await connect_to(url, self._options, RECONNECT_TIMEOUT_S)
                async with asyncio.timeout(RECONNECT_TIMEOUT_S):
                    answer = json.loads(await socket.recv())
                if answer.get("type") == f"{OWN_EVENT}resumed":
                    await self._resume(socket, answer)
                    self.pauses_s.append(self._now_s() - broke_s)
                    return True
                await socket.close()
                if answer.get("type") != "error" or answer["error"].get("type") != "server_error":
                    return False  # not our server, or the session is gone; `server_error`: try again
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed):
                pass  # the server may be starting, or another may answer
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RECONNECT_PAUSES_S[1])
        return False

    async def _resume(self, socket: ClientConnection, resumed: dict[str, Any]) -> None:
        """Send what the server lacks, audio first; then the connection is up."""
        await self._on_event(resumed)
        self.gaps += not resumed["is_complete"]
        wanted = resumed["audio_start_ms"] * self._audio.rate_hz // 1000
        while wanted < self.sent_samples:  # new frames arrive meanwhile
            wanted = max(wanted, self._kept_from)
            first, inside = divmod(wanted - self._kept_from, len(self.sent[0]))
            frames = itertools.islice(self.sent, first, first + CATCH_UP_FRAMES)
            piece = np.concatenate(list(frames))[inside:]
            await socket.send(self._append(piece))
            wanted += len(piece)
        self._socket, self._is_connected = socket, True
        ids = [event["event_id"] for event in self._own_events]
        known = resumed.get("last_client_event_id")
        for event in list(self._own_events)[ids.index(known) + 1 if known in ids else 0 :]:
            await socket.send(json.dumps(event))

    def _append(self, frame: Frame) -> str:
        audio = base64.b64encode(self._audio.encode(frame)).decode()
        return json.dumps({"type": "input_audio_buffer.append", "audio": audio})
