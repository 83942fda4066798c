"""The Realtime session of a call: an ordinary one, opened with what the browser showed, resumed when its gateway dies."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.exceptions import InvalidHandshake, InvalidStatus

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.clock import Clock
from agentvoicebox.realtime_client.dialing import DEFAULT_MODEL, CallOptions, connect_to, in_turn, socket_url
from agentvoicebox.realtime_client.reconnecting_socket import ReconnectingSocket
from agentvoicebox.realtime_client.wire_audio import WireAudio
from agentvoicebox.webrtc.call_request import CallRequest, WebPlan
from agentvoicebox.webrtc.refusal import CallRefused

OPEN_TIMEOUT_S = 5.0
KEPT_FRAMES = 1_500  # 30 s: more than a session waits for its client
FORMAT = {"type": "audio/pcm", "rate": 24_000}
FIRST_UPDATE = "call_session"  # event id of the update that the call came with

OnEvent = Callable[[dict[str, Any]], Awaitable[None]]


class CallSession:
    """One call's. `open` first, then `listen` until it returns.

    Args:
        request: the call.
        plan: where the gateways are.
        on_event: called with each event after the session is open, in order.
        clock: for resuming.
    """

    def __init__(self, request: CallRequest, plan: WebPlan, on_event: OnEvent, clock: Clock) -> None:
        self._request = request
        self._plan = plan
        self._on_event = on_event
        self._clock = clock
        self._socket: ReconnectingSocket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._is_open = False
        self._first: dict[str, Any] = {}

    @property
    def session_id(self) -> str:
        """Its id; "" before it is open."""
        return self._socket.session_id if self._socket else ""

    async def open(self) -> dict[str, Any]:
        """Open the session and bring it into the state that the call asks for. Returns its first event, `session.created`.

        Raises:
            CallRefused: no gateway opened it.
        """
        refused = CallRefused("No gateway is configured: set AVB_WEBRTC_GATEWAYS.", status=503, code="no_gateway")
        for base_url, others in in_turn(self._plan.gateways):
            try:
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    return await self._open_at(base_url, others)
            except CallRefused as error:
                refused = error
                if error.status not in (500, 503):
                    break  # another gateway would say the same
            except (OSError, InvalidHandshake, TimeoutError) as error:
                message = f"The gateway did not answer ({type(error).__name__}); see AVB_WEBRTC_GATEWAYS."
                refused = CallRefused(message, status=503, code="gateway_unavailable")
            await self.close()
            self._opened = asyncio.get_running_loop().create_future()
        raise refused

    async def listen(self) -> None:
        """Until the session has ended for good."""
        assert self._listening is not None
        await asyncio.wait([self._listening])
        self._listening.result()  # a bug of ours is not hidden

    async def send(self, event: dict[str, Any]) -> None:
        """Send a client's event; it needs an `event_id`."""
        assert self._socket is not None
        await self._socket.send(event)

    async def hear(self, frame: Int16Array) -> None:
        """The caller's next 20 ms, shape (480,)."""
        assert self._socket is not None
        await self._socket.send_frame(frame)

    async def close(self) -> None:
        """End the session."""
        if self._socket is not None:
            await self._socket.hang_up()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        self._socket = self._listening = None

    async def _open_at(self, base_url: str, others: tuple[str, ...]) -> dict[str, Any]:
        request = self._request
        options = CallOptions(
            base_url=base_url,
            api_key=request.credential,
            model=request.model or DEFAULT_MODEL,
            wants_trace=False,
            other_urls=others,
            ca_file=self._plan.ca_file,
            headers=request.caller_headers,
        )
        url = socket_url(base_url, options.model, wants_trace=False, resume="1")
        try:
            first = await connect_to(url, options, OPEN_TIMEOUT_S)
        except InvalidStatus as error:
            raise _refused_upgrade(error) from error
        self._socket = ReconnectingSocket(
            first,
            options,
            WireAudio("pcm"),
            on_event=self._event,
            now_s=self._clock.monotonic_s,
            most_frames=KEPT_FRAMES,
        )
        self._listening = asyncio.create_task(self._socket.listen(), name="webrtc session")
        waited: list[asyncio.Future[Any]] = [self._opened, self._listening]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not self._opened.done():
            raise CallRefused(f"No session: {self._socket.ended}.", status=503, code="session_lost")
        return self._opened.result()

    async def _event(self, event: dict[str, Any]) -> None:
        if self._is_open:
            await self._on_event(event)
            return
        match event.get("type"):
            case "session.created":
                await self._created(event)
            case "session.updated":
                self._opens({**self._first, "session": event["session"]})
            case "error":
                assert self._socket is not None
                if not self._opened.done():
                    self._opened.set_exception(_refused(event["error"]))
            case _:
                pass  # nothing that a caller has to know comes before

    async def _created(self, event: dict[str, Any]) -> None:
        assert self._socket is not None
        self._first = event
        self._socket.session_id = event["session"]["id"]
        update = first_update(event["session"], self._request.session)
        if update:
            await self._socket.send({"type": "session.update", "event_id": FIRST_UPDATE, "session": update})
        else:
            self._opens(event)

    def _opens(self, event: dict[str, Any]) -> None:
        self._is_open = True
        if not self._opened.done():
            self._opened.set_result(event)


def first_update(session: dict[str, Any], asked: dict[str, Any] | None) -> dict[str, Any]:
    """The update that a call begins with; empty when none is needed.

    Args:
        session: as the gateway opened it; a secret may have brought another format of audio.
        asked: what the call came with.
    """
    update = without_formats(asked or {})
    audio = session.get("audio", {})
    for side in ("input", "output"):
        if audio.get(side, {}).get("format", FORMAT) != FORMAT:
            update.setdefault("audio", {}).setdefault(side, {})["format"] = FORMAT
    update.pop("model", None)  # it has chosen the agent already
    if set(update) <= {"type"}:
        return {}
    return {"type": "realtime", **update}


def without_formats(session: dict[str, Any]) -> dict[str, Any]:
    """A session's fields without formats of audio: those of a WebRTC call are its own."""
    audio = session.get("audio")
    if not isinstance(audio, dict):
        return dict(session)
    kept: dict[str, Any] = {}
    for side, fields in audio.items():
        kept[side] = (
            {key: value for key, value in fields.items() if key != "format"} if isinstance(fields, dict) else fields
        )
    audio = {side: fields for side, fields in kept.items() if fields != {}}
    return {**{key: value for key, value in session.items() if key != "audio"}, **({"audio": audio} if audio else {})}


def _refused(error: dict[str, Any]) -> CallRefused:
    """What the gateway's `error` event says, as a status: its family and code tell which."""
    kind, code = str(error.get("type", "server_error")), error.get("code")
    match kind, code:
        case "rate_limit_error", _:
            status = 429
        case "server_error", _:
            status = 503
        case _, None | "invalid_api_key":
            status = 401
        case _, "insufficient_permissions" | "account_deactivated" | "policy_denied":
            status = 403
        case _:
            status = 400
    return CallRefused(str(error.get("message", "")), status=status, code=code, error_type=kind)


def _refused_upgrade(error: InvalidStatus) -> CallRefused:
    status = error.response.status_code
    try:
        body = json.loads(error.response.body or b"")["error"]
        message, code, kind = str(body["message"]), body.get("code"), str(body.get("type", ""))
    except (ValueError, KeyError, TypeError):
        message, code, kind = f"The gateway answered {status}.", "gateway_unavailable", ""
    return CallRefused(message, status=status if 400 <= status < 500 else 503, code=code, error_type=kind)
