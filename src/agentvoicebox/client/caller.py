"""A caller on a live Realtime line: speaks in real time, listens as a person would, and measures what it notices.

Decides what a well-behaved client sends: 20 ms frames on a clock that does not drift, faint noise between the lines.
Speaks the OpenAI Realtime protocol and works against any server of it; ours is asked for its account of each turn
(`trace=1`), others ignore that. Leaves the meaning of events to `hearing`, words to the script, the voice to
`caller_voice`, and coming back when the line breaks to `lifeline`.
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake, InvalidURI

from agentvoicebox.audio.pcm import OUTPUT_RATE_HZ, Int16Array
from agentvoicebox.audio.resample import resample
from agentvoicebox.client.call_record import CallRecord, LoggedEvent, Turn
from agentvoicebox.client.dialing import CallFailed, CallOptions, connect_to, socket_url
from agentvoicebox.client.hearing import Hearing
from agentvoicebox.client.line import Line, voiced_range
from agentvoicebox.client.playout import Playout
from agentvoicebox.client.reconnecting_socket import Lifeline
from agentvoicebox.client.wire_audio import WireAudio
from agentvoicebox.clock import Clock, SystemClock

FRAME_S = 0.02  # what telephones and browsers send
NOISE_LSB = 8  # about -72 dBFS: a real line is never digitally silent
OPEN_TIMEOUT_S = 10.0

Listener = Callable[[LoggedEvent], None]
Source = Callable[[int], Int16Array]


class LiveCall:
    """A call in progress; made by `open_call`. One coroutine at a time speaks or waits on it.

    Attributes:
        line: the connection, which comes back when it breaks.
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
        self.line = Lifeline(socket, options, self._audio, take=self._receive, now_s=lambda: self.now_s)
        self._hearing = Hearing(self._rate_hz)
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
    def turns(self) -> list[Turn]:
        """The turns so far, in order."""
        return self._hearing.turns

    @property
    def playout(self) -> Playout:
        """What was heard, and when."""
        return self._hearing.playout

    @property
    def now_s(self) -> float:
        """Seconds on the line's clock."""
        return self._clock.monotonic_s() - self._started_s

    async def say(self, line: Line) -> Turn:
        """Speak a line, then listen to the end of the reply."""
        turn = self.start_saying(line)
        await self.hear_reply(turn)
        return turn

    def start_saying(self, line: Line) -> Turn:
        """Begin to speak with the next frame, whatever the agent is doing; returns at once."""
        begin_s = (self.line.sent_samples + len(self._unsent)) / self._rate_hz
        first, after_last = voiced_range(line.pcm)
        turn = self._hearing.begin_turn(line.text)
        turn.start_s, turn.end_s = begin_s + first / OUTPUT_RATE_HZ, begin_s + after_last / OUTPUT_RATE_HZ
        turn.end_wall_s = self._started_wall_s + turn.end_s
        self._unsent = np.concatenate([self._unsent, resample(line.pcm, OUTPUT_RATE_HZ, self._rate_hz)])
        return turn

    async def type(self, text: str) -> Turn:
        """Type a line instead of speaking it, and listen to the end of the reply."""
        turn = self._hearing.begin_turn(text)
        turn.is_typed, turn.heard = True, text
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.send({"type": "conversation.item.create", "item": item})
        turn.start_s = turn.end_s = self.now_s
        turn.end_wall_s = self._clock.wall_s()
        await self.send({"type": "response.create"})
        await self.hear_reply(turn)
        return turn

    async def send(self, event: dict[str, Any]) -> None:
        """Send a client event; it is given an id."""
        self._own_count += 1
        event = {**event, "event_id": f"evt_{self._own_count}"}
        self._log("caller", event)
        await self.line.send(event)

    async def hear_reply(self, turn: Turn) -> None:
        """Listen until the reply to `turn` was heard to its end; a missing one is noted in `turn.problem`."""
        await self._until(lambda: self.now_s >= turn.end_s)
        await self._until(lambda: self._hearing.is_reply_over(turn, self.now_s), self._options.reply_timeout_s)
        if not self._hearing.is_reply_over(turn, self.now_s) and not turn.problem:
            turn.problem = self.line.ended or f"no whole reply within {self._options.reply_timeout_s:g} s"

    async def hear_for(self, seconds: float) -> None:
        """Listen until the agent has been heard for so long from now on, or stops: the moment to break in."""
        await self._until(lambda: self.playout.end_s > self.now_s, self._options.reply_timeout_s)
        until_s = self.now_s + seconds
        await self._until(lambda: self.now_s >= min(until_s, self.playout.end_s))

    async def stay(self, seconds: float) -> None:
        """Keep the line open, silent or still speaking, for so long."""
        until_s = self.now_s + seconds
        await self._until(lambda: self.now_s >= until_s)

    async def until_closed(self) -> None:
        """Keep the line open until the server ends the call."""
        await self._until(lambda: False)

    def heard_now(self, count: int) -> Int16Array:
        """The `count` samples of the agent that are heard from this moment on: for a loudspeaker."""
        return self.playout.piece(round(self.now_s * self._rate_hz), count)

    async def hang_up(self, *, is_abrupt: bool = False) -> None:
        """End the call; an abrupt end drops the line without a closing handshake, mid-word if need be."""
        await self.line.hang_up(is_abrupt=is_abrupt)

    def record(self) -> CallRecord:
        """Everything known of the call so far."""
        agent = self.playout.track(self.line.sent_samples)
        self._note_audible(agent)
        return CallRecord(
            url=self._options.base_url,
            model=self._options.model,
            rate_hz=self._rate_hz,
            session_id=self._hearing.session_id,
            started_wall_s=self._started_wall_s,
            turns=self.turns,
            events=self._events,
            caller_pcm=np.concatenate([*self.line.sent, np.zeros(len(agent) - self.line.sent_samples, dtype=np.int16)]),
            agent_pcm=agent,
            gap_ms=self.playout.gap_samples * 1000 / self._rate_hz,
            problems=self._hearing.problems,
        )

    # -- the line ----------------------------------------------------------------------------------------------------

    async def negotiate(self) -> None:
        """Agree on formats. Raises CallFailed when the server refuses or says nothing."""
        ours: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": self._audio.format, "transcription": {"model": "whisper-1"}},
                "output": {"format": self._audio.format},
            },
        }
        await self.send({"type": "session.update", "session": {**ours, **self._options.session}})
        await self._until(lambda: self._hearing.is_ready or bool(self._hearing.problems), OPEN_TIMEOUT_S)
        if self._hearing.problems:
            raise CallFailed(f"the server refused the call: {self._hearing.problems[0]}")
        if not self._hearing.is_ready:
            raise CallFailed(self.line.ended or f"{self._options.base_url} does not answer session.update")
        negotiated_s = self.now_s
        self._started_s, self._started_wall_s = self._started_s + negotiated_s, self._clock.wall_s()
        self._events[:] = [replace(event, at_s=event.at_s - negotiated_s) for event in self._events]

    async def keep_speaking(self) -> None:
        """Send a frame every 20 ms of the line's clock while the line stands; late frames go out at once."""
        frame_samples = round(FRAME_S * self._rate_hz)
        while not self.line.ended:
            # A frame leaves once it is whole, as from a sound card.
            wait_s = (self.line.sent_samples + frame_samples) / self._rate_hz - self.now_s
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            frame = self._source(frame_samples)
            speech, self._unsent = self._unsent[:frame_samples], self._unsent[frame_samples:]
            frame[: len(speech)] = speech
            await self.line.send_frame(frame)

    async def keep_listening(self) -> None:
        """Read events until the line ends for good."""
        try:
            await self.line.listen()
        finally:
            self._changed.set()

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait for the condition, the end of the line, or the time; looks after each event and each frame's time."""
        deadline_s = None if timeout_s is None else self.now_s + timeout_s
        while not is_so() and not self.line.ended and (deadline_s is None or self.now_s < deadline_s):
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
        for answer in self._hearing.receive(event, pcm, now_s):
            await self.send(answer)
        self.line.session_id = self._hearing.session_id
        self._changed.set()

    def _log(self, sender: str, event: dict[str, Any]) -> None:
        logged = LoggedEvent(
            at_s=self.now_s,
            wall_s=self._clock.wall_s(),
            sender=sender,
            type=str(event.get("type", "")),
            body=event,
            caller_ms=self.line.sent_samples * 1000 // self._rate_hz,
            agent_ms=self._received_samples * 1000 // self._rate_hz,
        )
        self._events.append(logged)
        if self._listener is not None:
            self._listener(logged)

    def _noise(self, count: int) -> Int16Array:
        return self._random.normal(0, NOISE_LSB, count).astype(np.int16)

    def _note_audible(self, agent: Int16Array) -> None:
        """Where, after its first delta, each reply first rises above silence."""
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
    """Call a Realtime server; the line is closed when the block ends.

    Args:
        options: whom, and how.
        listener: told of each event but audio appends, as it is sent or read.
        source: gives so many samples at the line's rate between scripted lines; faint noise by default.
        clock: the line's; the machine's by default.

    Raises:
        CallFailed: no server there, or it refused.
    """
    more = {"resume": "1"} if options.resumes else {}
    url = socket_url(options.base_url, options.model, wants_trace=options.wants_trace, **more)
    try:
        socket = await connect_to(url, options, OPEN_TIMEOUT_S)
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
        raise CallFailed(
            f"no Realtime server answers at {options.base_url} ({error}). Start one with `agentvoicebox serve`, "
            "or give its address with --url."
        ) from error
    call = LiveCall(socket, options, listener, source, clock or SystemClock())
    tasks = [asyncio.create_task(call.keep_listening())]
    try:
        await call.negotiate()
        tasks.append(asyncio.create_task(call.keep_speaking()))
        yield call
    finally:
        for task in tasks[1:]:
            task.cancel()
        await call.hang_up()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()  # a server that breaks the protocol must not pass for a silent one
