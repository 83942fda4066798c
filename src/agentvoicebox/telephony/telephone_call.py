"""One telephone call: the line on one side, a Realtime session on the other.

The session is an ordinary one, and this is its client: the call survives its gateway's death (the session is resumed at any
gateway), and is recorded, limited and scored like any other. The audio stays G.711 on both sides. What the caller heard of an
answer that he interrupted is reported to the session by the line's own marks, not by an estimate.
"""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from agentvoicebox.clock import Clock
from agentvoicebox.realtime_client.dialing import CallFailed
from agentvoicebox.realtime_client.reconnecting_socket import ReconnectingSocket
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telephony.call_plan import CallPlan
from agentvoicebox.telephony.call_tools import DONE, LEFT, NO_SUCH_TOOL, OUTCOMES, Outcome, call_tools
from agentvoicebox.telephony.keypad import Keypad
from agentvoicebox.telephony.line import (
    CallerAudio,
    FlowChanged,
    KeyPressed,
    LineEnded,
    LineEvent,
    LineStarted,
    MarkPlayed,
)
from agentvoicebox.telephony.line_writer import LineWriter
from agentvoicebox.telephony.played_audio import PlayedAudio

RATE_HZ = 8_000  # of G.711, one byte a sample
FRAME_BYTES = 160  # 20 ms
KEPT_FRAMES = 1_500  # 30 s: more than a session waits for its client
LAST_WORDS_S = 15.0  # how long a call that hangs up waits until its last words were played
MS_A_BYTE = 1000 / RATE_HZ
NO_VOICE = "speech_synthesis_unavailable"  # in `degraded` of a session

Receive = Callable[[], Awaitable[list[LineEvent]]]

log = get_logger(__name__)


class _Encoded:
    """G.711 as it came: nothing to encode."""

    rate_hz = RATE_HZ

    def encode(self, frame: Any) -> bytes:
        """See `reconnecting_socket.Codec`."""
        return bytes(frame)


class TelephoneCall:
    """One call. `run` once.

    Args:
        started: what the line said at its start.
        receive: the line's next events; an empty list when its connection has ended.
        line: to the caller.
        plan: how calls are answered.
        clock: for the keys and for what was heard.
    """

    def __init__(self, started: LineStarted, receive: Receive, line: LineWriter, plan: CallPlan, clock: Clock) -> None:
        self._started = started
        self._receive = receive
        self._line = line
        self._plan = plan
        self._clock = clock
        self._heard = PlayedAudio()
        self._keypad = Keypad()
        self._rest = b""
        self._event_count = 0
        self._turn_detection: dict[str, Any] | None = None
        self._is_greeting = False  # and can't be interrupted
        self._is_greeting_sent = False
        self._greeting_mark = ""  # of its last piece so far
        self._is_answering = False
        self._spoken: set[str] = set()  # items of the present response that have sound
        self._unspoken: list[str] = []  # items with words and no sound, because no voice was there
        self._changed = asyncio.Event()  # keys, marks, or the call is to end
        self._ending: Outcome | None = None
        self._session: ReconnectingSocket | None = None

    async def run(self) -> Outcome:
        """Until either side has left; returns how it ended. The line stays open."""
        try:
            first, options = await self._plan.connect(self._started.parameters.get("agent", ""))
        except CallFailed as failure:
            log.warning("a telephone call has no session", reason=failure.message)
            return "no_session"
        session = ReconnectingSocket(
            first,
            options,
            _Encoded(),
            on_event=self._on_event,
            now_s=self._clock.monotonic_s,
            most_frames=KEPT_FRAMES,
        )
        self._session = session
        listening = asyncio.create_task(session.listen(), name="telephone session")
        reading = asyncio.create_task(self._read_line(), name="telephone line")
        watching = asyncio.create_task(self._watch(), name="telephone keys")
        tasks = (listening, reading, watching)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a bug of ours is not hidden
        finally:
            await session.hang_up()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if reading in done:
            return "caller_left"
        return self._ending or "session_lost"

    # -- the session -------------------------------------------------------------------------------------------------

    async def _send(self, kind: str, **fields: Any) -> None:
        assert self._session is not None
        self._event_count += 1
        await self._session.send({"type": kind, "event_id": f"line_{self._event_count}", **fields})

    async def _on_event(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "session.created":
                await self._begin(event["session"])
            case "response.output_audio.delta":
                await self._play(event)
            case "input_audio_buffer.speech_started":
                if not self._is_greeting:
                    await self._interrupt()
            case "response.created":
                self._is_answering = True
            case "response.done":
                self._is_answering = False
                self._heard.response_over()
                await self._line.finish()
                await self._response_done(event["response"])
            case "session.updated":
                if NO_VOICE not in event["session"].get("degraded", ()):
                    await self._speak_unspoken()
            case "error":
                log.warning("the session refused an event", code=event["error"].get("code"))
            case _:
                pass

    async def _begin(self, session: dict[str, Any]) -> None:
        assert self._session is not None
        self._session.session_id = session["id"]
        log.info("telephone call has a session", session_id=session["id"], line_call_id=self._started.call_id)
        format = {"type": self._started.format}
        given: dict[str, Any] = {"format": format}
        detection = session["audio"]["input"].get("turn_detection")
        self._is_greeting = self._plan.greets and self._plan.greeting_is_whole and bool(detection)
        if self._is_greeting:
            self._turn_detection = detection
            given["turn_detection"] = {**detection, "interrupt_response": False}
        tools = call_tools(has_transfer=self._plan.has_transfer and self._started.asks_afterwards)
        update = {"type": "realtime", "audio": {"input": given, "output": {"format": format}}, "tools": tools}
        await self._send("session.update", session=update)
        if self._plan.greets:
            await self._send("response.create")

    async def _play(self, event: dict[str, Any]) -> None:
        audio = base64.b64decode(event["delta"])
        length_ms = len(audio) * MS_A_BYTE
        mark = self._heard.sent(event["item_id"], event["content_index"], length_ms, self._clock.monotonic_s())
        self._spoken.add(event["item_id"])
        if not self._is_greeting_sent:
            self._greeting_mark = mark
        await self._line.play(audio, mark)

    async def _interrupt(self) -> None:
        """The caller speaks or presses a key: silence at once, and tell the session what was heard."""
        heard = self._heard.cleared(self._clock.monotonic_s())
        if not heard:
            return
        if self._ending == "agent_left":  # the caller has more to say than goodbye
            self._ending = None
            self._changed.set()
        await self._line.clear()
        for each in heard:
            await self._send(
                "conversation.item.truncate",
                item_id=each.item_id,
                content_index=each.content_index,
                audio_end_ms=each.audio_end_ms,
            )

    async def _response_done(self, response: dict[str, Any]) -> None:
        for item in response.get("output", ()):
            if item.get("type") == "function_call":
                await self._run_tool(item, is_interrupted=response["status"] == "cancelled")
            elif item["id"] not in self._spoken and response["status"] == "completed":
                self._unspoken.append(item["id"])
        self._spoken.clear()
        self._is_greeting_sent = True
        self._changed.set()  # `_watch` waits until it was played

    async def _speak_unspoken(self) -> None:
        """A voice is there again: an answer without sound was none on a telephone, so it is given once more."""
        unspoken, self._unspoken = self._unspoken, []
        for item_id in unspoken:
            await self._send("conversation.item.delete", item_id=item_id)
        if unspoken and not self._is_answering:
            await self._send("response.create")

    async def _run_tool(self, call: dict[str, Any], *, is_interrupted: bool) -> None:
        """Carry out a call of a tool. One whose response was interrupted is left: the caller's own words are answered next."""
        outcome = OUTCOMES.get(call.get("name", ""))
        output = LEFT if is_interrupted else DONE if outcome else NO_SUCH_TOOL
        item = {"type": "function_call_output", "call_id": call.get("call_id"), "output": output}
        await self._send("conversation.item.create", item=item)
        if is_interrupted:
            return
        self._ending = outcome or self._ending
        if self._ending is None:
            await self._send("response.create")
        self._changed.set()

    # -- the line ----------------------------------------------------------------------------------------------------

    async def _read_line(self) -> None:
        """Until the line has ended."""
        while events := await self._receive():
            for event in events:
                if isinstance(event, LineEnded):
                    return
                await self._on_line(event)

    async def _on_line(self, event: LineEvent) -> None:
        match event:
            case CallerAudio(data=data):
                await self._hear(data)
            case KeyPressed(key=key):
                await self._interrupt()
                await self._type(self._keypad.press(key, self._clock.monotonic_s()))
                self._changed.set()
            case MarkPlayed(name=name):
                self._heard.played(name, self._clock.monotonic_s())
                await self._line.played(name)
                self._changed.set()
            case FlowChanged(is_open=is_open):
                await self._line.set_open(is_open)
            case _:
                pass

    async def _hear(self, data: bytes) -> None:
        assert self._session is not None
        if not self._session.session_id:
            return  # the caller's first breath, before the session is open
        self._rest += data
        while len(self._rest) >= FRAME_BYTES:
            frame, self._rest = self._rest[:FRAME_BYTES], self._rest[FRAME_BYTES:]
            await self._session.send_frame(np.frombuffer(frame, dtype=np.uint8))

    async def _type(self, number: str) -> None:
        """The caller typed a number: an item of his, and its answer."""
        if not number:
            return
        part = {"type": "input_text", "text": number}
        if self._is_answering:
            await self._send("response.cancel")
        item = {"type": "message", "role": "user", "content": [part]}
        await self._send("conversation.item.create", item=item)
        await self._send("response.create")

    async def _watch(self) -> None:
        """Complete numbers after a pause, make the greeting's end known, and return when the call is to end."""
        while True:
            wait_s = self._keypad.waits_s(self._clock.monotonic_s())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            self._changed.clear()
            await self._type(self._keypad.due(self._clock.monotonic_s()))
            if self._is_greeting and self._is_greeting_sent and not self._heard.waits_for(self._greeting_mark):
                await self._end_greeting()
            if self._ending is not None and await self._last_words():
                return

    async def _end_greeting(self) -> None:
        self._is_greeting = False
        audio = {"input": {"turn_detection": self._turn_detection}}
        await self._send("session.update", session={"type": "realtime", "audio": audio})

    async def _last_words(self) -> bool:
        """Wait until everything was played. Returns whether the call has ended: the caller may speak meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while self._heard.is_playing:
                    self._changed.clear()
                    await self._changed.wait()
        return self._ending is not None
