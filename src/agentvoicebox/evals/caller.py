"""A caller on a live Realtime line: speaks in real time, listens as a person would, and measures what it notices.

Decides what a well-behaved client sends: 20 ms frames on a clock that does not drift, faint noise between the lines.
Speaks the OpenAI Realtime protocol and works against any server of it; ours is asked for its account of each turn
(`trace=1`), others ignore that. Leaves the meaning of events to `hearing`, words to the script, the voice to
`caller_voice`.

When the line breaks, or the server sends it elsewhere, the caller comes back with its session and its last event, sends again
what the server has not got, and goes on (`docs/resume.md`); only servers of ours know how.
"""

import asyncio
import base64
import contextlib
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from agentvoicebox.audio import g711
from agentvoicebox.audio.pcm import OUTPUT_RATE_HZ, Int16Array, SampleCutter, bytes_of
from agentvoicebox.audio.resample import resample
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.evals.call_record import CallRecord, LoggedEvent, Turn
from agentvoicebox.evals.hearing import Hearing
from agentvoicebox.evals.line import Line, voiced_range

FRAME_S = 0.02  # what telephones and browsers send
NOISE_LSB = 8  # about -72 dBFS: a real line is never digitally silent
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
RETURN_S = 15.0  # how long it tries to come back; sessions wait at least twenty seconds
RETURN_PAUSES_S = (0.02, 0.5)  # between two tries: the first, growing to the last
RETURN_TIMEOUT_S = 5.0  # for one try
COME_BACK = (1006, 1012, 1013)  # the line broke; the server goes; it is too busy just now
GONE_ELSEWHERE = "session_taken"  # another connection of ours goes on with the session
OWN_EVENT = "agentvoicebox."
KEPT_EVENTS = 100  # of our own, to be sent again if the server never got them
MAX_FRAME_BYTES = 24 * 1024 * 1024  # `conversation.item.retrieved` carries audio
WIRE_FORMATS = {
    "pcm": ({"type": "audio/pcm", "rate": OUTPUT_RATE_HZ}, OUTPUT_RATE_HZ),
    "pcmu": ({"type": "audio/pcmu"}, 8_000),
    "pcma": ({"type": "audio/pcma"}, 8_000),
}

Listener = Callable[[LoggedEvent], None]
Source = Callable[[int], Int16Array]


class CallFailed(InfrastructureError):
    """The line could not be opened. The message says what to do."""

    code = "call_failed"


@dataclass(frozen=True)
class CallOptions:
    """Whom to call, and how.

    Attributes:
        base_url: as given to an OpenAI client (`http://127.0.0.1:8000/v1`), or the socket's own URL.
        api_key: any text for a server on loopback without keys.
        audio: format on the wire, both ways.
        session: further fields of the first `session.update`, over ours at the top level.
        reply_timeout_s: how long a reply may take before the turn counts as unanswered.
        resumes: come back when the line breaks.
        other_urls: where else the caller may come back to, tried in turn.
    """

    base_url: str = "http://127.0.0.1:8000/v1"
    api_key: str = "local"
    model: str = "delivery"
    audio: Literal["pcm", "pcmu", "pcma"] = "pcm"
    session: dict[str, Any] = field(default_factory=dict)
    wants_trace: bool = True
    reply_timeout_s: float = 30.0
    resumes: bool = True
    other_urls: tuple[str, ...] = ()


def socket_url(base_url: str, model: str, *, wants_trace: bool, **more: str) -> str:
    """The socket's URL for a base URL as OpenAI clients know it; `more` is added to its query.

    Raises:
        CallFailed: it is no http(s) or ws(s) URL.
    """
    parts = urlsplit(base_url if "://" in base_url else f"http://{base_url}")
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise CallFailed(f"{base_url!r} is no server address; one looks like http://127.0.0.1:8000/v1")
    path = parts.path.rstrip("/")
    if not path.endswith("/realtime"):
        path = f"{path or '/v1'}/realtime"
    query = dict(parse_qsl(parts.query))
    query.setdefault("model", model)
    if wants_trace:
        query["trace"] = "1"
    return urlunsplit((scheme, parts.netloc, path, urlencode(query | more), ""))


async def connect_to(url: str, options: CallOptions, timeout_s: float) -> ClientConnection:
    """A connection to the socket's URL. Raises OSError, InvalidHandshake, InvalidURI or TimeoutError."""
    return await connect(
        url,
        additional_headers={"Authorization": f"Bearer {options.api_key}"},
        max_size=MAX_FRAME_BYTES,
        open_timeout=timeout_s,
        close_timeout=CLOSE_TIMEOUT_S,
        compression=None,
        proxy=None,
    )


class LiveCall:
    """A call in progress; made by `open_call`. One coroutine at a time speaks or waits on it.

    Attributes:
        pauses_s: how long each break of the line lasted, until the server had taken the caller back.
        missed: how often the server no longer had what was said meanwhile.
    """

    def __init__(
        self,
        socket: ClientConnection,
        options: CallOptions,
        listener: Listener | None,
        source: Source | None,
        clock: Clock,
    ) -> None:
        self._socket = socket
        self._options = options
        self._listener = listener
        self._clock = clock
        self._source = source or self._noise
        self._wire_format, self._rate_hz = WIRE_FORMATS[options.audio]
        self._hearing = Hearing(self._rate_hz)
        self._events: list[LoggedEvent] = []
        self._started_s = clock.monotonic_s()
        self._started_wall_s = clock.wall_s()
        self._sent: list[Int16Array] = []
        self._sent_samples = 0
        self._received_samples = 0
        self._unsent: Int16Array = np.zeros(0, dtype=np.int16)
        self._cutter = SampleCutter()
        self._random = np.random.default_rng(0)
        self._changed = asyncio.Event()
        self._ended = ""  # why the line is gone
        self._is_standing = True
        self._is_leaving = False
        self._last_event_id = ""
        self._own_events: deque[dict[str, Any]] = deque(maxlen=KEPT_EVENTS)
        self._own_count = 0
        self.pauses_s: list[float] = []
        self.missed = 0

    # -- what a script does ------------------------------------------------------------------------------------------

    @property
    def turns(self) -> list[Turn]:
        """The turns so far, in order."""
        return self._hearing.turns

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
        begin_s = (self._sent_samples + len(self._unsent)) / self._rate_hz
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
        await self._send({"type": "conversation.item.create", "item": item})
        turn.start_s = turn.end_s = self.now_s
        turn.end_wall_s = self._clock.wall_s()
        await self._send({"type": "response.create"})
        await self.hear_reply(turn)
        return turn

    async def hear_reply(self, turn: Turn) -> None:
        """Listen until the reply to `turn` was heard to its end; a missing one is noted in `turn.problem`."""
        await self._until(lambda: self.now_s >= turn.end_s)
        await self._until(lambda: self._hearing.is_reply_over(turn, self.now_s), self._options.reply_timeout_s)
        if not self._hearing.is_reply_over(turn, self.now_s) and not turn.problem:
            turn.problem = self._ended or f"no whole reply within {self._options.reply_timeout_s:g} s"

    async def hear_for(self, seconds: float) -> None:
        """Listen until the agent has been heard for so long from now on, or stops: the moment to break in."""
        await self._until(lambda: self._hearing.playout.end_s > self.now_s, self._options.reply_timeout_s)
        until_s = self.now_s + seconds
        await self._until(lambda: self.now_s >= min(until_s, self._hearing.playout.end_s))

    async def stay(self, seconds: float) -> None:
        """Keep the line open, silent or still speaking, for so long."""
        until_s = self.now_s + seconds
        await self._until(lambda: self.now_s >= until_s)

    async def until_closed(self) -> None:
        """Keep the line open until the server ends the call."""
        await self._until(lambda: False)

    def heard_now(self, count: int) -> Int16Array:
        """The `count` samples of the agent that are heard from this moment on: for a loudspeaker."""
        return self._hearing.playout.piece(round(self.now_s * self._rate_hz), count)

    async def hang_up(self, *, is_abrupt: bool = False) -> None:
        """End the call; an abrupt end drops the line without a closing handshake, mid-word if need be."""
        self._is_leaving = True
        if is_abrupt:
            self._socket.transport.abort()
        else:
            await self._socket.close()

    def record(self) -> CallRecord:
        """Everything known of the call so far."""
        agent = self._hearing.playout.track(self._sent_samples)
        self._note_audible(agent)
        return CallRecord(
            url=self._options.base_url,
            model=self._options.model,
            rate_hz=self._rate_hz,
            session_id=self._hearing.session_id,
            started_wall_s=self._started_wall_s,
            turns=self.turns,
            events=self._events,
            caller_pcm=np.concatenate([*self._sent, np.zeros(len(agent) - self._sent_samples, dtype=np.int16)]),
            agent_pcm=agent,
            gap_ms=self._hearing.playout.gap_samples * 1000 / self._rate_hz,
            problems=self._hearing.problems,
        )

    # -- the line ----------------------------------------------------------------------------------------------------

    async def negotiate(self) -> None:
        """Agree on formats. Raises CallFailed when the server refuses or says nothing."""
        ours: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": self._wire_format, "transcription": {"model": "whisper-1"}},
                "output": {"format": self._wire_format},
            },
        }
        await self._send({"type": "session.update", "session": {**ours, **self._options.session}})
        await self._until(lambda: self._hearing.is_ready or bool(self._hearing.problems), OPEN_TIMEOUT_S)
        if self._hearing.problems:
            raise CallFailed(f"the server refused the call: {self._hearing.problems[0]}")
        if not self._hearing.is_ready:
            raise CallFailed(self._ended or f"{self._options.base_url} does not answer session.update")
        negotiated_s = self.now_s
        self._started_s, self._started_wall_s = self._started_s + negotiated_s, self._clock.wall_s()
        self._events[:] = [replace(event, at_s=event.at_s - negotiated_s) for event in self._events]

    async def keep_speaking(self) -> None:
        """Send a frame every 20 ms of the line's clock while the line stands; late frames go out at once."""
        frame_samples = round(FRAME_S * self._rate_hz)
        while not self._ended:
            # A frame leaves once it is whole, as from a sound card.
            wait_s = (self._sent_samples + frame_samples) / self._rate_hz - self.now_s
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            frame = self._source(frame_samples)
            speech, self._unsent = self._unsent[:frame_samples], self._unsent[frame_samples:]
            frame[: len(speech)] = speech
            self._sent.append(frame)
            self._sent_samples += frame_samples
            if self._is_standing:  # else it is sent again with all that the server lacks
                with contextlib.suppress(ConnectionClosed):  # `keep_listening` tells why
                    await self._socket.send(self._append(frame))

    async def keep_listening(self) -> None:
        """Read events until the line ends for good, and note why it ended."""
        try:
            while not self._ended:
                why = await self._listen()
                self._is_standing = False
                if self._is_leaving or not await self._come_back():
                    self._ended = why
        finally:
            self._ended = self._ended or "the line was left"
            self._changed.set()

    async def _listen(self) -> str:
        """Read events until the line ends; why it did. One after which nobody comes back is noted as the call's end."""
        try:
            async for message in self._socket:
                await self._receive(json.loads(message))
            why, comes_back = "the line was closed", False
        except ConnectionClosed as closed:
            frame = closed.rcvd
            why = f"the server closed the line: {frame.code} {frame.reason}" if frame else "the line broke"
            comes_back = (frame.code if frame else 1006) in COME_BACK and (not frame or frame.reason != GONE_ELSEWHERE)
        if not comes_back:
            self._ended = why
        return why

    async def _come_back(self) -> bool:
        """Go on with the session, wherever it is taken; False when nobody takes it, or nobody knows it any more."""
        if self._ended or not self._options.resumes or not self._hearing.session_id:
            return False
        broke_s, pause_s = self.now_s, RETURN_PAUSES_S[0]
        for base_url in itertools.cycle((self._options.base_url, *self._options.other_urls)):
            if self._is_leaving or self.now_s - broke_s > RETURN_S:
                return False
            url = socket_url(
                base_url,
                self._options.model,
                wants_trace=self._options.wants_trace,
                resume="1",
                session_id=self._hearing.session_id,
                last_event_id=self._last_event_id,
                audio_from_ms="0",
                audio_until_ms=str(self._sent_samples * 1000 // self._rate_hz),
            )
            try:
                socket = await connect_to(url, self._options, RETURN_TIMEOUT_S)
                async with asyncio.timeout(RETURN_TIMEOUT_S):
                    answer = json.loads(await socket.recv())
                if answer.get("type") == "agentvoicebox.resumed":
                    await self._go_on(socket, answer)
                    self.pauses_s.append(self.now_s - broke_s)
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
        self._log("server", resumed)
        self.missed += not resumed["is_complete"]
        sent, frame_samples = resumed["audio_start_ms"] * self._rate_hz // 1000, round(FRAME_S * self._rate_hz)
        while sent < self._sent_samples:  # frames come meanwhile, too
            frame = self._sent[sent // frame_samples][sent % frame_samples :]
            await socket.send(self._append(frame))
            sent += len(frame)
        self._socket, self._is_standing = socket, True
        ids = [event["event_id"] for event in self._own_events]
        known = resumed.get("last_client_event_id")
        for event in list(self._own_events)[ids.index(known) + 1 if known in ids else 0 :]:
            await socket.send(json.dumps(event))

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait for the condition, the end of the line, or the time; looks after each event and each frame's time."""
        deadline_s = None if timeout_s is None else self.now_s + timeout_s
        while not is_so() and not self._ended and (deadline_s is None or self.now_s < deadline_s):
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FRAME_S):
                    await self._changed.wait()

    async def _receive(self, event: dict[str, Any]) -> None:
        pcm = None
        if not str(event.get("type", "")).startswith(OWN_EVENT):
            self._last_event_id = event.get("event_id", "")
        if event.get("type") == "response.output_audio.delta":
            pcm = self._decode(base64.b64decode(event["delta"]))
            self._received_samples += len(pcm)
            event["delta"] = f"<{len(pcm) * 1000 // self._rate_hz} ms>"
        now_s = self.now_s
        self._log("server", event)
        for answer in self._hearing.receive(event, pcm, now_s):
            await self._send(answer)
        self._changed.set()

    async def _send(self, event: dict[str, Any]) -> None:
        self._own_count += 1
        event = {**event, "event_id": f"evt_{self._own_count}"}
        self._own_events.append(event)
        self._log("caller", event)
        with contextlib.suppress(ConnectionClosed):  # `keep_listening` tells why
            await self._socket.send(json.dumps(event))

    def _log(self, sender: str, event: dict[str, Any]) -> None:
        logged = LoggedEvent(
            at_s=self.now_s,
            wall_s=self._clock.wall_s(),
            sender=sender,
            type=str(event.get("type", "")),
            body=event,
            caller_ms=self._sent_samples * 1000 // self._rate_hz,
            agent_ms=self._received_samples * 1000 // self._rate_hz,
        )
        self._events.append(logged)
        if self._listener is not None:
            self._listener(logged)

    def _noise(self, count: int) -> Int16Array:
        return self._random.normal(0, NOISE_LSB, count).astype(np.int16)

    def _append(self, frame: Int16Array) -> str:
        audio = base64.b64encode(self._encode(frame)).decode()
        return json.dumps({"type": "input_audio_buffer.append", "audio": audio})

    def _encode(self, pcm: Int16Array) -> bytes:
        match self._options.audio:
            case "pcm":
                return bytes_of(pcm)
            case "pcmu":
                return g711.encode_ulaw(pcm)
            case "pcma":
                return g711.encode_alaw(pcm)

    def _decode(self, data: bytes) -> Int16Array:
        match self._options.audio:
            case "pcm":
                return self._cutter.feed(data)
            case "pcmu":
                return g711.decode_ulaw(data)
            case "pcma":
                return g711.decode_alaw(data)

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
