"""An answer whose body is made while it is sent: its first bytes decide the status, and a client that leaves ends the work."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.http_server.admit import abort
from agentvoicebox.telemetry.logs import get_logger

STALLED_S = 60.0  # without the client reading anything
SLICE_BYTES = 64 * 1024

log = get_logger(__name__)


class Work(Protocol):
    """What makes a body.

    Attributes:
        content_type: of the body; read when its first bytes are there.
    """

    content_type: str

    def body(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes, as they are made. An error before the first ones is the answer; later it breaks the body off."""

    def error_body(self, error: AgentVoiceBoxError) -> bytes:
        """How the client learns of an error in the middle; empty: the connection is closed, so that it notices."""


class _Stalled(Exception):
    """The client reads nothing."""


class StreamedAnswer(Response):
    """Sends what `work` makes.

    Args:
        work: makes the body.
        held: what must be released at the end, whatever happens.
        on_over: gets the outcome: `done`, `failed`, or `left` by the client.
    """

    def __init__(self, work: Work, held: AsyncExitStack, on_over: Callable[[str], None]) -> None:
        super().__init__()
        self._work = work
        self._held = held
        self._on_over = on_over
        self._has_started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Raises AgentVoiceBoxError before the answer has begun."""
        leaving = asyncio.create_task(_left(receive), name="client leaves")
        sending = asyncio.create_task(self._send(send), name="streamed answer")
        outcome = "left"
        try:
            await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                outcome = "failed"
                outcome = sending.result()
        except _Stalled:
            outcome = "left"
            log.warning("an answer was broken off: its client does not read")
            abort(scope)
        finally:
            for task in (leaving, sending):
                task.cancel()
            await asyncio.gather(leaving, sending, return_exceptions=True)
            self._on_over(outcome)
            await self._held.aclose()

    async def _send(self, send: Send) -> str:
        """The outcome. Raises _Stalled, and what the work raises before it has begun."""
        outcome = "done"
        try:
            async with aclosing(self._work.body()) as parts:
                async for part in parts:
                    await self._start(send)
                    await _send_part(send, part)
        except AgentVoiceBoxError as error:
            if not self._has_started:
                raise
            log.warning("an answer was broken off", code=error.code, reason=error.message)
            outcome, last = "failed", self._work.error_body(error)
            if not last:
                return outcome  # without the end of the body, the server closes the connection
            await _send_part(send, last)
        await self._start(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return outcome

    async def _start(self, send: Send) -> None:
        if not self._has_started:
            self._has_started = True
            headers = [(b"content-type", self._work.content_type.encode()), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _send_part(send: Send, part: bytes) -> None:
    """In slices, so that a client that reads slowly is not taken for one that reads nothing. Raises _Stalled."""
    for at in range(0, len(part), SLICE_BYTES):
        try:
            async with asyncio.timeout(STALLED_S):
                await send({"type": "http.response.body", "body": part[at : at + SLICE_BYTES], "more_body": True})
        except TimeoutError as error:
            raise _Stalled from error


async def _left(receive: Receive) -> None:
    """Return when the client has left. The body was read."""
    with suppress(RuntimeError):
        while (await receive())["type"] != "http.disconnect":
            pass
