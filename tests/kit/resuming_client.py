"""A client that resumes, and a gateway in a process of its own that a test may kill."""

import asyncio
import base64
import contextlib
import json
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.process_report import ProcessReport
from tests.kit.client import Client
from tests.kit.gateway import gateway
from tests.kit.role_process import role_process
from tests.kit.waiting import PATIENCE_S

OWN = "agentvoicebox."


def last_event_id(client: Client) -> str:
    """Id of the last event, extensions of ours excluded."""
    return next(str(e["event_id"]) for e in reversed(client.events) if not e["type"].startswith(OWN))


def session_id(client: Client) -> str:
    """The id in `session.created`."""
    return str(client.events[0]["session"]["id"])


def resume_token(client: Client) -> str:
    """The token in `session.created`; empty when there is none."""
    return str(client.events[0].get("agentvoicebox", {}).get("resume_token", ""))


def return_query(client: Client, **more: str | int) -> str:
    """The query of a resume request."""
    fields: dict[str, str | int] = {"session_id": session_id(client), "last_event_id": last_event_id(client), **more}
    if token := resume_token(client):
        fields.setdefault("resume_token", token)
    return "resume=1&" + "&".join(f"{name}={value}" for name, value in fields.items())


@asynccontextmanager
async def reconnected(url: str, client: Client, **options: Any) -> AsyncIterator[Client]:
    """The same caller on a new connection; `events` continue the earlier list, without our own first event."""
    async with connect(url, max_size=None, **options) as ws:
        made = Client(ws)
        made.events = client.events
        yield made


def audio_of(client: Client) -> bytes:
    """All audio that the caller received."""
    return b"".join(base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta"))


def ids_of(client: Client) -> list[str]:
    """Ids of all events, extensions of ours excluded."""
    return [event["event_id"] for event in client.events if not event["type"].startswith(OWN)]


async def refusal(url: str, **options: Any) -> tuple[dict[str, Any], int | None, str]:
    """(the error, close code, close reason) of a refused connection."""
    async with connect(url, **options) as ws, asyncio.timeout(PATIENCE_S):
        event = json.loads(await ws.recv())
        with contextlib.suppress(ConnectionClosed):
            await ws.recv()
        return event["error"], ws.close_code, str(ws.close_reason)


async def serve_gateway_child(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Role: a whole gateway with the energy detector, so that it starts fast."""
    broker = RedisBroker(settings.redis_url)
    try:
        async with gateway(broker, port=settings.port, has_heartbeats=True) as made:
            announce_ready()
            await stop.wait()
            made.stop.set()
    finally:
        await broker.close()


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gateway_process(redis_url: str, port: int) -> AbstractAsyncContextManager[Process]:
    """A real gateway process, ready; killed at the end if it is still alive."""
    settings = {"AVB_REDIS_URL": redis_url, "AVB_PORT": str(port), "AVB_GATEWAY_INTERNAL_PORT": "0"}
    return role_process("gateway", f"{__name__}:serve_gateway_child", settings, stdout=DEVNULL)
