"""One call of a browser: its peer connection on one side, a Realtime session on the other.

The session is an ordinary one, and this is its client, so the call survives its gateway's death. Audio goes by the media tracks,
events by the data channel. This server plays the agent's audio, so it tells the session what the caller heard of an answer that
he interrupted.
"""

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any, Literal

from agentvoicebox.audio.pcm import Int16Array, samples_of
from agentvoicebox.clock import Clock
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.webrtc.agent_voice import AgentVoice
from agentvoicebox.webrtc.call_request import CallRequest, WebPlan
from agentvoicebox.webrtc.call_session import CallSession
from agentvoicebox.webrtc.caller_voice import CallerVoice
from agentvoicebox.webrtc.client_events import CUT_ID, MAX_EVENT_BYTES, ClientEvent, EventReader, for_client
from agentvoicebox.webrtc.jitter_buffer import Packet
from agentvoicebox.webrtc.peer import Peer
from agentvoicebox.webrtc.playout import PlayoutQueue
from agentvoicebox.webrtc.refusal import CallRefused

CONNECT_S = 30.0  # a browser that is not connected by then has gone
MAX_FRAMES = 500  # of the caller's audio that the session has not taken: ten seconds
MAX_EVENTS = 200  # of clients that the session has not taken
FLUSH_S = 0.5  # for the last events of a call
OWN_EVENT = "agentvoicebox."
LOST_MESSAGE = "The session was lost. Call again."
SHUTDOWN_MESSAGE = "This media server is shutting down. Call again."

Outcome = Literal["caller_left", "hung_up", "never_connected", "session_ended", "shutdown"]
Listener = Callable[[str], None]

log = get_logger(__name__)


class WebCall:
    """One call. `open` once, then `run` once.

    Args:
        request: what the gateway passed on.
        plan: how calls are made.
        clock: of the audio.

    Attributes:
        voice: the caller's.
        listeners: called with each event of the session, as text.
        session: as the session's last event describes it.
        ended: set when the call is over.
    """

    def __init__(self, request: CallRequest, plan: WebPlan, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._session = CallSession(request, plan, self._on_event, clock)
        self._playout = PlayoutQueue()
        self._peer = Peer(plan.ice, AgentVoice(self._next_frame, clock), hear=self._hear, read=self.read)
        self._reader = EventReader()
        self._frames: asyncio.Queue[Int16Array] = asyncio.Queue(MAX_FRAMES)
        self._events: asyncio.Queue[ClientEvent] = asyncio.Queue(MAX_EVENTS)
        self._due: asyncio.TimerHandle | None = None
        self._hung_up: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._count = itertools.count(1)
        self.voice = CallerVoice()
        self.listeners: list[Listener] = []
        self.session: dict[str, Any] = {}
        self.ended = asyncio.Event()

    @property
    def tenant(self) -> str:
        """Whose call it is."""
        return self._request.tenant

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session.session_id

    @property
    def state(self) -> Literal["connecting", "connected"]:
        """Whether audio flows."""
        return "connected" if self._peer.connected.is_set() else "connecting"

    async def open(self) -> str:
        """Open the session and return the answer to the browser's offer.

        Raises:
            CallRefused: no session, or an offer that can't be answered. Nothing is left.
        """
        try:
            first = await self._session.open()
            self.session = first["session"]
            self._tell(first)  # before any event that comes while the offer is answered
            return await self._peer.answer(self._request.sdp)
        except BaseException:
            await self._close()
            raise

    async def run(self) -> Outcome:
        """Until it has ended."""
        tasks = [
            asyncio.create_task(self._session.listen(), name="webrtc session ends"),
            asyncio.create_task(self._peer.closed.wait(), name="webrtc peer ends"),
            asyncio.create_task(self._send_frames(), name="webrtc frames"),
            asyncio.create_task(self._send_events(), name="webrtc events"),
            asyncio.create_task(self._wait_for_peer(), name="webrtc connect"),
        ]
        leaving = tasks[1]
        try:
            ending: list[asyncio.Future[Any]] = [*tasks[:4], self._hung_up]
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # a bug of ours is not hidden
            if self._hung_up.done():
                outcome = self._hung_up.result()
                if outcome == "shutdown":
                    self._fail("shutting_down", SHUTDOWN_MESSAGE)
            elif leaving.done():
                outcome = "caller_left"
            else:
                outcome = "session_ended"
                self._fail("session_lost", LOST_MESSAGE)
            await self._peer.flush(FLUSH_S)
            return outcome
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    def hang_up(self, outcome: Outcome = "hung_up") -> None:
        """End the call."""
        if not self._hung_up.done():
            self._hung_up.set_result(outcome)

    def greeting(self) -> str:
        """The first event for who joins the call later: the session as it is now."""
        return json.dumps({"type": "session.created", "event_id": self._next_id(), "session": self.session})

    def read(self, text: str, max_bytes: int = MAX_EVENT_BYTES) -> None:
        """A client sent an event, by the data channel or beside it."""
        found = self._reader.read(text, max_bytes)
        if not isinstance(found, ClientEvent):
            self._tell({"type": "error", "event_id": self._next_id(), "error": found})
            return
        try:
            self._events.put_nowait(found)
        except asyncio.QueueFull:
            message = "Events come faster than the session takes them."
            error = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": message, "param": None}
            error["event_id"] = found.event.get("event_id")
            self._tell({"type": "error", "event_id": self._next_id(), "error": error})

    # -- from the caller -----------------------------------------------------------------------------------------------

    def _hear(self, packet: Packet) -> None:
        self._enqueue(self.voice.hear(packet, self._clock.monotonic_s()))

    def _enqueue(self, frames: list[Int16Array]) -> None:
        for frame in frames:
            if self._frames.full():
                self._frames.get_nowait()  # the oldest: the session has stopped reading
            self._frames.put_nowait(frame)
        if self._due is not None:
            self._due.cancel()
            self._due = None
        due_s = self.voice.packets.due_s
        if due_s is not None:
            wait_s = max(0.0, due_s - self._clock.monotonic_s())
            self._due = asyncio.get_running_loop().call_later(wait_s, self._give_up)

    def _give_up(self) -> None:
        self._due = None
        self._enqueue(self.voice.due(self._clock.monotonic_s()))

    async def _send_frames(self) -> None:
        while True:
            await self._session.hear(await self._frames.get())

    async def _send_events(self) -> None:
        while True:
            found = await self._events.get()
            if found.is_clear:
                await self._cut()
            else:
                await self._session.send(found.event)

    async def _wait_for_peer(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._peer.connected.wait()
        except TimeoutError:
            self.hang_up("never_connected")

    # -- from the session ----------------------------------------------------------------------------------------------

    async def _on_event(self, event: dict[str, Any]) -> None:
        kind = event.get("type", "")
        if kind == "response.output_audio.delta":
            samples = samples_of(base64.b64decode(event["delta"]))
            self._playout.add(event["response_id"], event["item_id"], event["content_index"], samples)
            return
        if kind.startswith(OWN_EVENT):  # the connection to the gateway is not the client's
            if kind == f"{OWN_EVENT}resumed" and not event["is_complete"]:
                self._playout.all_over()
            return
        shown = for_client(event)
        if shown is None:
            log.warning("the session refused to truncate an item", code=event["error"].get("code"))
            return
        self._tell(shown)
        match kind:
            case "session.updated":
                self.session = event["session"]
            case "input_audio_buffer.speech_started" if self._interrupts:
                await self._cut()
            case "response.done":
                self._playout.response_over(event["response"]["id"])
            case _:
                pass

    @property
    def _interrupts(self) -> bool:
        """Whether a caller who speaks silences the agent."""
        detection = self.session.get("audio", {}).get("input", {}).get("turn_detection") or {}
        return bool(detection.get("interrupt_response", True))

    async def _cut(self) -> None:
        """Silence at once. The client learns of it, and the session learns what was heard."""
        playing = self._playout.playing
        heard = self._playout.clear()
        if playing:
            self._buffer_event("cleared", playing)
        for each in heard:
            event = {
                "type": "conversation.item.truncate",
                "event_id": f"{CUT_ID}{next(self._count)}",
                "item_id": each.item_id,
                "content_index": each.content_index,
                "audio_end_ms": each.audio_end_ms,
            }
            await self._session.send(event)

    # -- to the caller -------------------------------------------------------------------------------------------------

    def _next_frame(self) -> Int16Array | None:
        playout = self._playout
        before = playout.playing
        frame = playout.take()
        if frame is None and before and playout.is_drained(before):
            playout.playing = ""
        if before != playout.playing:
            if before:
                self._buffer_event("stopped", before)
            if playout.playing:
                self._buffer_event("started", playout.playing)
        return frame

    def _buffer_event(self, what: str, response_id: str) -> None:
        kind = f"output_audio_buffer.{what}"
        self._tell({"type": kind, "event_id": self._next_id(), "response_id": response_id})

    def _tell(self, event: dict[str, Any]) -> None:
        text = json.dumps(event)
        self._peer.send(text)
        for listener in tuple(self.listeners):
            listener(text)

    def _fail(self, code: str, message: str) -> None:
        error = {"type": "server_error", "code": code, "message": message, "param": None, "event_id": None}
        self._tell({"type": "error", "event_id": self._next_id(), "error": error})

    def _next_id(self) -> str:
        return f"event_{self._request.call_id[-12:]}_{next(self._count)}"

    async def _close(self) -> None:
        self.ended.set()
        if self._due is not None:
            self._due.cancel()
        with contextlib.suppress(CallRefused):
            await self._peer.close()
        await self._session.close()
