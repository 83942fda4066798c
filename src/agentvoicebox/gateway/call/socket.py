"""The two ends of one WebSocket: frames in become inputs, events out become frames.

Reader: one frame at a time. Audio goes to the input audio at once; before any other event, everything sent so far must have been
judged, so that the event's position among the samples is exact. While the input audio or the store is behind, or the client sends
more events than its rate, nothing is read, and TCP slows the client down.
Writer: a buffer with water marks. Above the high mark no further audio is fetched for this caller; at the limit the caller is too
slow to be served and the connection closes. Control events are never dropped.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import UNSET
from starlette.websockets import WebSocket, WebSocketDisconnect

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.engine.inputs import ClientEventReceived, ClientEventRejected, Input
from agentvoicebox.errors import ClientError, RateLimited
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.audio.arrival_times import TakenAt
from agentvoicebox.gateway.audio.ingest import Ingest
from agentvoicebox.gateway.call.item_audio import without_audio
from agentvoicebox.gateway.call.mailbox import Mailbox
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.pace import ServingPace
from agentvoicebox.http_server.websocket_connection import FRAGMENTS, WAITING_SINCE
from agentvoicebox.resilience.token_bucket import TokenBucket
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.wire.client_events import ClientEvent, InputAudioBufferAppend, ResponseCreate
from agentvoicebox.wire.codec import decode_client, encode_for
from agentvoicebox.wire.dialect import Dialect
from agentvoicebox.wire.large_append import MAX_EVENT_BYTES, NoAppend, read_large_append
from agentvoicebox.wire.server_events import RateLimitsUpdated, ServerEvent, SessionResumed, TurnTrace

HIGH_WATER_BYTES = 512 * 1024  # 8 s of PCM as base64: more than any client needs ahead
LIMIT_BYTES = 4 * 1024 * 1024  # a minute of PCM; a caller that far behind can't follow the conversation any more
STALLED_S = 20.0  # timeout for writing one frame; the client's own pings time out after the same time
FLUSH_S = 5.0  # timeout for the last events of a closing connection
EVENTS_BURST_S = 5.0  # of events at that rate: a client may bring its history along
EVENT_BYTES = 8 * 1024  # of one event count as one more
RESPONSE_EVENTS = 20  # as many as one `response.create` counts: it makes work in the workers, too
POLICY_VIOLATION = 1008
SLOW_READER = "slow_reader"
OUTSIDE_THE_ENGINE = (
    RateLimitsUpdated,
    SessionResumed,
    TurnTrace,
)  # in no log: a client can't resume after one of these

log = get_logger(__name__)


class Writer:
    """The outgoing half. `send` never waits; one task writes.

    Attributes:
        last_event_id: of the last event that the engine made; a client that resumes is sent what follows it.
        on_slow: called when the caller reads too slowly to be served.
    """

    def __init__(self, websocket: WebSocket, dialect: Dialect) -> None:
        self._websocket = websocket
        self._dialect = dialect
        self.on_slow: Callable[[], None] = _ignore
        self._frames: list[bytes | Callable[[], bytes]] = []  # a function makes its frame, in a thread
        self._bytes = 0
        self._has_some = LightEvent()
        self._has_room = LightEvent()
        self._has_room.set()
        self._close: tuple[int, str] | None = None
        self._is_gone = False
        self.last_event_id = ""

    def send(self, event: ServerEvent) -> None:
        """Queue an event. Ignored after the close, or when the caller is gone."""
        if self._is_gone or self._close is not None:
            return
        if not isinstance(event, OUTSIDE_THE_ENGINE):
            self.last_event_id = event.event_id
        for frame in encode_for(self._dialect, event):
            self._frames.append(frame)
            self._bytes += len(frame)
        self._queued()

    def send_later(self, event_id: str, make: Callable[[], ServerEvent]) -> None:
        """Queue an event that is made in a thread when its turn comes."""
        if self._is_gone or self._close is not None:
            return
        self.last_event_id = event_id
        self._frames.append(lambda: b"\n".join(encode_for(self._dialect, make())))
        self._queued()

    def _queued(self) -> None:
        if self._bytes > LIMIT_BYTES:
            self.close(POLICY_VIOLATION, SLOW_READER)
            self._drop_frames()
            self.on_slow()
        elif self._bytes > HIGH_WATER_BYTES:
            self._has_room.clear()
        self._has_some.set()

    def close(self, code: int, reason: str) -> None:
        """Close after everything queued so far. The first close counts."""
        if self._close is None:
            self._close = (code, reason.encode()[:123].decode(errors="ignore"))
            self._has_some.set()

    def disconnect(self) -> None:
        """The caller is gone, maybe to resume elsewhere: later events are dropped."""
        self._is_gone = True
        self._drop_frames()

    async def wait_for_room(self) -> None:
        """Wait until the buffer is below its high water mark, or the caller is gone."""
        await self._has_room.wait()

    async def run(self) -> None:
        """Write until the close is written or the caller is gone."""
        try:
            while True:
                await self._has_some.wait()
                while self._frames:
                    frame = self._frames.pop(0)
                    if not isinstance(frame, bytes):
                        frame = await asyncio.to_thread(frame)
                        self._bytes += len(frame)
                    if frame:
                        await self._write(frame)
                if self._close is not None:
                    code, reason = self._close
                    async with asyncio.timeout(FLUSH_S):
                        await self._websocket.close(code, reason)
                    return
                self._has_some.clear()
        except TimeoutError:
            log.warning("caller reads too slowly", waiting_bytes=self._bytes)
            self.on_slow()
        except (WebSocketDisconnect, RuntimeError):
            # Starlette raises RuntimeError for a frame after the other side's close; the reader sees that, too
            log.debug("caller is gone, events dropped", frames=len(self._frames))
        finally:
            self._is_gone = True
            self._drop_frames()

    async def _write(self, frame: bytes) -> None:
        self._bytes -= len(frame)
        async with asyncio.timeout(STALLED_S):
            await self._websocket.send({"type": "websocket.send", "text": frame.decode()})
        if self._bytes <= HIGH_WATER_BYTES // 2:
            self._has_room.set()

    def _drop_frames(self) -> None:
        self._frames.clear()
        self._bytes = 0
        self._has_room.set()


class Reader:
    """The incoming half.

    Attributes:
        left_code: the close code with which the caller left; None before.
    """

    def __init__(
        self,
        websocket: WebSocket,
        dialect: Dialect,
        mailbox: Mailbox,
        outbox: Outbox,
        *,
        input_audio: Ingest,
        quota: Quota,
        metrics: Metrics,
        pace: ServingPace,
    ) -> None:
        self._websocket = websocket
        self._dialect = dialect
        self._quota = quota
        self._events = TokenBucket(pace.events_per_s, pace.events_per_s * EVENTS_BURST_S)
        self._input_audio = input_audio
        self._mailbox = mailbox
        self._outbox = outbox
        self._metrics = metrics
        self._audio_ids = itertools.count()
        self.left_code: int | None = None

    async def run(self) -> None:
        """Read until the caller is gone."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self.left_code = message.get("code")
                return
            await self._take(message)

    async def _take(self, message: Any) -> None:
        fragments, text = message.get(FRAGMENTS), message.get("text")
        since_s = message.get(WAITING_SINCE)
        try:
            if fragments is not None:
                await self._take_large(fragments, since_s)
            elif text is not None:
                await self._take_text(text, since_s)
            else:
                decode_client(b"", is_text=False)  # raises
        except ClientError as error:
            size = len(text or b"") if fragments is None else sum(map(len, fragments))
            await self._reject(error, size, self._input_audio.arrivals.message_came(waiting_since_s=since_s))

    async def _take_text(self, text: str | bytes, since_s: float | None) -> None:
        event = decode_client(text, dialect=self._dialect)
        if isinstance(event, InputAudioBufferAppend):
            self._input_audio.require_room(len(event.audio))
            await self._append_audio(event.audio, since_s)
        else:
            came = self._input_audio.arrivals.message_came(waiting_since_s=since_s)
            await self._pass_on(event, len(text), came)

    async def _take_large(self, fragments: Sequence[bytes], since_s: float | None) -> None:
        """An append in a long frame is read in slices, all of them before any is used."""
        try:
            _, slices = read_large_append(fragments, dialect=self._dialect)
        except NoAppend:
            if sum(map(len, fragments)) > MAX_EVENT_BYTES:
                raise
            await self._take_text(b"".join(fragments), since_s)
            return
        audio: list[bytes] = []
        for each in slices:
            audio.append(each)
            await asyncio.sleep(0)
        self._input_audio.require_room(sum(map(len, audio)))
        for each in audio:
            await self._append_audio(each, since_s)
            await asyncio.sleep(0)

    async def _pass_on(self, event: ClientEvent, size: int, came: TakenAt) -> None:
        kind = str(type(event).__struct_config__.tag)
        await self._wait_for_turn(size, RESPONSE_EVENTS if isinstance(event, ResponseCreate) else 1)
        taken = await without_audio(event, self._input_audio, self._audio_ids)
        await self._input_audio.drain()
        given = ClientEventReceived(taken.event, self._input_audio.position_samples, taken.described or UNSET)
        await self._offer(given, kind, event.event_id, size, came, taken.samples)

    async def _reject(self, error: ClientError, size: int, came: TakenAt) -> None:
        await self._wait_for_turn(size, 1)  # reading what is refused took as long as reading anything
        await self._input_audio.drain()
        rejected = ClientEventRejected(error.message, error.code, error.param, error.event_id, error.error_type)
        await self._offer(rejected, "invalid", error.event_id, size, came)

    async def _offer(
        self,
        given: Input,
        kind: str,
        event_id: str | None,
        size: int,
        came: TakenAt,
        item_audio: Mapping[int, Int16Array] = {},
    ) -> None:
        try:
            await self._quota.take()
        except RateLimited as refusal:
            given = ClientEventRejected(refusal.message, refusal.code, None, event_id, refusal.error_type)
        await self._mailbox.offer(given, client_event=kind, size=size, came=came, item_audio=item_audio)

    async def _wait_for_turn(self, size: int, events: int) -> None:
        """Keep to the client's rate. `size`: of its event, in characters or bytes; `events`: as how many it counts."""
        wait_s = self._events.take(asyncio.get_running_loop().time(), events + size / EVENT_BYTES)
        if wait_s:
            await asyncio.sleep(wait_s)

    async def _append_audio(self, audio: bytes, since_s: float | None) -> None:
        self._metrics.audio_read(len(audio))
        self._quota.charge_audio()
        await self._input_audio.feed(audio, since_s)
        if self._outbox.is_full:
            await self._outbox.flush()


def _ignore() -> None:
    pass
