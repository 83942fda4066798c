"""A caller on a live Realtime connection: speaks in real time, listens, and measures latency.

Behaves as a correct client: 20 ms frames on a clock that does not drift, faint noise between the lines.
Uses the OpenAI Realtime protocol and works with any server of it; our servers are asked for their account of each turn
(`trace=1`), others ignore this. Events are interpreted in `reply_tracker`, the voice is in `caller_voice`, and reconnecting in
`reconnecting_socket`.
"""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.client.call_record import CallRecord, CallTurn, LoggedEvent
from agentvoicebox.client.line import SpokenLine, voiced_range
from agentvoicebox.client.playout import CallerPlayout
from agentvoicebox.client.reply_tracker import ReplyTracker
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import connection_fault
from agentvoicebox.realtime_client.dialing import (
    CallDeferred,
    CallFailed,
    CallOptions,
    CallUnreachable,
    connect_to,
    socket_url,
)
from agentvoicebox.realtime_client.reconnecting_socket import ReconnectingSocket
from agentvoicebox.realtime_client.wire_audio import WireAudio

FRAME_S = 0.02  # the frame length of telephones and browsers
NOISE_LSB = 8  # about -72 dBFS: a real line is never digitally silent
OPEN_TIMEOUT_S = 10.0

Listener = Callable[[LoggedEvent], None]
Source = Callable[[int], Int16Array]


class LiveCall:
    """A call in progress; created by `open_call`. One coroutine at a time may speak or wait on it.

    Attributes:
        connection: the socket, which reconnects when it breaks.
    """

    def __init__(
        self,
        socket: ClientConnection,
        options: CallOptions,
        listener: Listener | None,
        source: Source | None,
        clock: Clock,
    ) -> None:
        self._options = options
        self._listener = listener
        self._clock = clock
        self._source = source or self._noise
        self._audio = WireAudio(options.audio)
        self._rate_hz = self._audio.rate_hz
        self.connection = ReconnectingSocket(
            socket, options, self._audio, on_event=self._receive, now_s=lambda: self.now_s
        )
        self._replies = ReplyTracker(self._rate_hz)
        self._events: list[LoggedEvent] = []
        self._own_count = 0
        self._started_s = clock.monotonic_s()
        self._started_wall_s = clock.wall_s()
        self._received_samples = 0
        self._unsent: Int16Array = np.zeros(0, dtype=np.int16)
        self._random = np.random.default_rng(0)
        self._changed = asyncio.Event()

    # -- what a script does ------------------------------------------------------------------------------------------

    @property
    def turns(self) -> list[CallTurn]:
        """All turns so far, in order."""
        return self._replies.turns

    @property
    def playout(self) -> CallerPlayout:
        """The agent's audio as it was played."""
        return self._replies.playout

    @property
    def now_s(self) -> float:
        """Seconds on the call's clock."""
        return self._clock.monotonic_s() - self._started_s

    async def say(self, line: SpokenLine) -> CallTurn:
        """Speak a line, then wait for the end of the reply."""
        turn = self.start_saying(line)
        await self.wait_for_reply(turn)
        return turn

    def start_saying(self, line: SpokenLine) -> CallTurn:
        """Start speaking with the next frame, whether or not the agent is speaking; returns at once."""
        begin_s = (self.connection.sent_samples + len(self._unsent)) / self._rate_hz
        first, after_last = voiced_range(line.pcm)
        turn = self._replies.begin_turn(line.text)
        turn.start_s, turn.end_s = begin_s + first / OUTPUT_RATE_HZ, begin_s + after_last / OUTPUT_RATE_HZ
        turn.end_wall_s = self._started_wall_s + turn.end_s
        self._unsent = np.concatenate([self._unsent, resample(line.pcm, OUTPUT_RATE_HZ, self._rate_hz)])
        return turn

    async def type(self, text: str) -> CallTurn:
        """Type a line instead of speaking it, and wait for the end of the reply."""
        return await self._write(text, {"type": "input_text", "text": text})

    async def quote(self, transcript: str) -> CallTurn:
        """Send the transcript of a line that was spoken elsewhere, and wait for the end of the reply."""
        return await self._write(transcript, {"type": "input_audio", "transcript": transcript})

    async def _write(self, text: str, part: dict[str, str]) -> CallTurn:
        """Send a line as one part of an item, without audio."""
        turn = self._replies.begin_turn(text)
        turn.is_typed, turn.heard = True, text
        item = {"type": "message", "role": "user", "content": [part]}
        await self.send({"type": "conversation.item.create", "item": item})
        turn.start_s = turn.end_s = self.now_s
        turn.end_wall_s = self._clock.wall_s()
        await self.send({"type": "response.create"})
        await self.wait_for_reply(turn)
        return turn

    async def send(self, event: dict[str, Any]) -> None:
        """Send a client event; it gets an id."""
        self._own_count += 1
        event = {**event, "event_id": f"evt_{self._own_count}"}
        self._log("caller", event)
        await self.connection.send(event)

    async def wait_for_reply(self, turn: CallTurn) -> None:
        """Wait until the reply to `turn` was played to its end; a missing reply is stored in `turn.problem`."""
        await self._until(lambda: self.now_s >= turn.end_s)
        await self._until(lambda: self._replies.is_reply_over(turn, self.now_s), self._options.reply_timeout_s)
        if not self._replies.is_reply_over(turn, self.now_s) and not turn.problem:
            turn.problem = self.connection.ended or f"no whole reply within {self._options.reply_timeout_s:g} s"

    async def wait_until_heard(self, seconds: float) -> None:
        """Wait until the agent has been audible for this long from now on, or stops: the moment to interrupt."""
        await self._until(lambda: self.playout.end_s > self.now_s, self._options.reply_timeout_s)
        until_s = self.now_s + seconds
        await self._until(lambda: self.now_s >= min(until_s, self.playout.end_s))

    async def stay_connected(self, seconds: float) -> None:
        """Keep the connection open for this long, silent or still speaking."""
        until_s = self.now_s + seconds
        await self._until(lambda: self.now_s >= until_s)

    async def until_closed(self) -> None:
        """Keep the connection open until the server ends the call."""
        await self._until(lambda: False)

    def playing_now(self, count: int) -> Int16Array:
        """The next `count` samples of the agent's audio from now on, for a loudspeaker."""
        return self.playout.piece(round(self.now_s * self._rate_hz), count)

    async def hang_up(self, *, is_abrupt: bool = False) -> None:
        """End the call; with `is_abrupt` the connection is dropped without a closing handshake, even in the middle of a word."""
        await self.connection.hang_up(is_abrupt=is_abrupt)

    def record(self) -> CallRecord:
        """The record of the call so far."""
        agent = self.playout.track(self.connection.sent_samples)
        self._find_audible(agent)
        return CallRecord(
            url=self._options.base_url,
            model=self._options.model,
            rate_hz=self._rate_hz,
            session_id=self._replies.session_id,
            started_wall_s=self._started_wall_s,
            turns=self.turns,
            events=self._events,
            caller_pcm=np.concatenate(
                [*self.connection.sent, np.zeros(len(agent) - self.connection.sent_samples, dtype=np.int16)]
            ),
            agent_pcm=agent,
            gap_ms=self.playout.gap_samples * 1000 / self._rate_hz,
            problems=self._replies.problems,
        )

    # -- the line ----------------------------------------------------------------------------------------------------

    async def negotiate(self) -> None:
        """Agree on formats. Raises CallFailed when the server refuses (CallDeferred: for now) or does not answer."""
        ours: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": self._audio.format, "transcription": {"model": "whisper-1"}},
                "output": {"format": self._audio.format},
            },
        }
        await self.send({"type": "session.update", "session": {**ours, **self._options.session}})
        await self._until(lambda: self._replies.is_ready or bool(self._replies.problems), OPEN_TIMEOUT_S)
        if self._replies.problems:
            kind = CallDeferred if self._replies.is_refused_for_now else CallFailed
            raise kind(f"the server refused the call: {self._replies.problems[0]}")
        if not self._replies.is_ready:
            raise CallFailed(self.connection.ended or f"{self._options.base_url} does not answer session.update")
        negotiated_s = self.now_s
        self._started_s, self._started_wall_s = self._started_s + negotiated_s, self._clock.wall_s()
        self._events[:] = [replace(event, at_s=event.at_s - negotiated_s) for event in self._events]

    async def send_frames(self) -> None:
        """Send a frame every 20 ms of the call's clock while connected; late frames are sent at once."""
        frame_samples = round(FRAME_S * self._rate_hz)
        while not self.connection.ended:
            # A frame is sent once it is complete, as from a sound card.
            wait_s = (self.connection.sent_samples + frame_samples) / self._rate_hz - self.now_s
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            frame = self._source(frame_samples)
            speech, self._unsent = self._unsent[:frame_samples], self._unsent[frame_samples:]
            frame[: len(speech)] = speech
            await self.connection.send_frame(frame)

    async def read_events(self) -> None:
        """Read events until the connection ends for good."""
        try:
            await self.connection.listen()
        finally:
            self._changed.set()

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait for the condition, the end of the connection, or the timeout; checks after each event and each frame's time."""
        deadline_s = None if timeout_s is None else self.now_s + timeout_s
        while not is_so() and not self.connection.ended and (deadline_s is None or self.now_s < deadline_s):
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FRAME_S):
                    await self._changed.wait()

    async def _receive(self, event: dict[str, Any]) -> None:
        pcm = None
        if event.get("type") == "response.output_audio.delta":
            pcm = self._audio.decode(base64.b64decode(event["delta"]))
            self._received_samples += len(pcm)
            event["delta"] = f"<{len(pcm) * 1000 // self._rate_hz} ms>"
        now_s = self.now_s
        self._log("server", event)
        for answer in self._replies.receive(event, pcm, now_s):
            await self.send(answer)
        self.connection.session_id = self._replies.session_id
        self._changed.set()

    def _log(self, sender: str, event: dict[str, Any]) -> None:
        logged = LoggedEvent(
            at_s=self.now_s,
            wall_s=self._clock.wall_s(),
            sender=sender,
            type=str(event.get("type", "")),
            body=event,
            caller_ms=self.connection.sent_samples * 1000 // self._rate_hz,
            agent_ms=self._received_samples * 1000 // self._rate_hz,
        )
        self._events.append(logged)
        if self._listener is not None:
            self._listener(logged)

    def _noise(self, count: int) -> Int16Array:
        return self._random.normal(0, NOISE_LSB, count).astype(np.int16)

    def _find_audible(self, agent: Int16Array) -> None:
        """Find where, after its first delta, each reply first rises above silence."""
        for turn in self.turns:
            if turn.first_audio_s is None or turn.audible_s is not None:
                continue
            begin = round(turn.first_audio_s * self._rate_hz)
            start = agent[begin : begin + 2 * self._rate_hz]
            first, after_last = voiced_range(resample(start, self._rate_hz, OUTPUT_RATE_HZ))
            if after_last:
                turn.audible_s = turn.first_audio_s + first / OUTPUT_RATE_HZ


@contextlib.asynccontextmanager
async def open_call(
    options: CallOptions,
    listener: Listener | None = None,
    *,
    source: Source | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[LiveCall]:
    """Call a Realtime server; the connection is closed when the block ends.

    Args:
        options: server and behaviour.
        listener: called with each event but audio appends, as it is sent or read.
        source: returns samples at the call's rate between scripted lines; faint noise by default.
        clock: the call's clock; the machine's by default.

    Raises:
        CallFailed: there is no server, or it refused.
    """
    more = {"resume": "1"} if options.resumes else {}
    url = socket_url(options.base_url, options.model, wants_trace=options.wants_trace, **more)
    try:
        socket = await connect_to(url, options, OPEN_TIMEOUT_S)
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
        kind = CallFailed if isinstance(error, InvalidStatus) and _said(error.response.body) else CallUnreachable
        raise kind(_why(options.base_url, error)) from error
    call = LiveCall(socket, options, listener, source, clock or SystemClock())
    tasks = [asyncio.create_task(call.read_events())]
    try:
        await call.negotiate()
        if options.sends_audio:
            tasks.append(asyncio.create_task(call.send_frames()))
        yield call
    finally:
        for task in tasks[1:]:
            task.cancel()
        await call.hang_up()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()  # an error in the protocol must not look like a silent server


def _why(url: str, error: Exception) -> str:
    """Why there is no connection, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {url} is not trusted ({error.verify_message}); give it, or its authority's, with --ca"
        )
    if isinstance(error, ssl.SSLError):
        return f"{url} does not speak TLS ({error.reason}); should it begin with http://?"
    if isinstance(error, InvalidStatus) and (said := _said(error.response.body)):
        return f"{url} refuses the call: {said}"
    return (
        f"no Realtime server answers at {url} ({connection_fault(error)}); start one with `agentvoicebox serve`, "
        "or give its address with --url"
    )


def _said(body: bytes | bytearray | None) -> str:
    """The message of an error in OpenAI's form; empty when there is none."""
    try:
        message = json.loads(body or b"")["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return ""
    return message if isinstance(message, str) else ""
