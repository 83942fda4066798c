"""The webhook server for tests: the running role on free ports, and messages as the platform writes them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from agentvoicebox.clock import Clock
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.http_server.serving import serving
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.kits.services import KitServices
from agentvoicebox.webhook.app import WebhookServer, create_app
from agentvoicebox.webhook.role import build, metrics_of, webhook_server
from agentvoicebox_delivery.parcels import tool_schema
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.routes import notice_routes, track_route
from agentvoicebox_delivery.settings import DeliverySettings
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.sources.look_up import LookUp
from agentvoicebox_delivery.sources.metrics import LookUpMetrics
from agentvoicebox_delivery.tool import delivery_status
from tests.kit.described_answers import described_answers
from tests.kit.reference import openapi
from tests.kit.waiting import PATIENCE_S

UPS = "1Z999AA10123456784"
CALL = "b1223960-1b4d-4585-91b8-a69b0f57ec2f"


class WebhookClients:
    """One that runs: clients for its two ports."""

    def __init__(self, public: httpx.AsyncClient, internal: httpx.AsyncClient) -> None:
        self.public = public
        self.internal = internal

    async def vapi(self, body: Any, **headers: str) -> httpx.Response:
        """Post to Vapi's door; bytes go as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.public.post(
            "/vapi/webhook", content=content, headers={"content-type": "application/json", **headers}
        )

    async def results(self, body: Any) -> list[dict[str, Any]]:
        """The results of a message that must get some."""
        response = await self.vapi(body)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["results"]
        return found


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[WebhookClients]:
    """The role as `serve` runs it, with these settings."""
    settings = {"webhook_port": 0, "internal_port": 0, "webhook_source_limit": 0, **settings}
    async with (
        webhook_server(load_settings(**settings), asyncio.Event()) as ports,
        _clients(ports.public, ports.internal) as clients,
    ):
        yield clients


@asynccontextmanager
async def over(
    source: Any, *, clock: Clock | None = None, recorder: InteractionRecorder | None = None, **settings: Any
) -> AsyncIterator[WebhookClients]:
    """The public port over another source of parcels."""
    async with (
        server_over(source, clock=clock, recorder=recorder, **settings) as (server, _),
        serving(create_app(server), host="127.0.0.1", port=0, drain_s=5.0, setting="AVB_WEBHOOK_PORT") as port,
        _clients(port, port) as clients,
    ):
        yield clients


@asynccontextmanager
async def server_over(
    source: Any, *, clock: Clock | None = None, recorder: InteractionRecorder | None = None, **settings: Any
) -> AsyncIterator[tuple[WebhookServer, LookUp]]:
    """What the routes share, over another source of parcels, and its look-up."""
    registry = CollectorRegistry()
    loaded = load_settings(**{"webhook_source_limit": 0, **settings})
    cache = CachedShipments(source, clock=clock)
    look_up = LookUp("test", source, cache, LookUpMetrics(registry))
    own = DeliverySettings.of(loaded)
    services = KitServices(
        tools=(delivery_status(look_up.find),),
        aliases=dict.fromkeys(own.tool_names, tool_schema.NAME),
        dependencies=(look_up,),
        tool_routes=(track_route(),),
        notice_routes=notice_routes(look_up, own.sanity_webhook_secret),
    )
    server = build(loaded, [services], metrics_of([services], registry), clock=clock, recorder=recorder)
    try:
        yield server, look_up
    finally:
        await server.dispatch.close()
        await cache.close()


@asynccontextmanager
async def _clients(public: int, internal: int) -> AsyncIterator[WebhookClients]:
    async with (
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{public}",
            trust_env=False,
            timeout=PATIENCE_S,
            event_hooks=described_answers(openapi.WEBHOOK),
        ) as outside,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{internal}",
            trust_env=False,
            timeout=PATIENCE_S,
            event_hooks=described_answers(openapi.WEBHOOK_INTERNAL),
        ) as inside,
    ):
        yield WebhookClients(outside, inside)


class Backend:
    """A source of parcels that does what a test wants.

    Args:
        parcels: that exist.
        fails: raised instead of an answer.
        waits: a look-up ends only when it is set.
    """

    def __init__(
        self,
        *parcels: Shipment,
        fails: Exception | None = None,
        waits: asyncio.Event | None = None,
    ) -> None:
        self.parcels = {parcel.tracking_id: parcel for parcel in parcels}
        self.fails = fails
        self.waits = waits
        self.asked: list[Sequence[str]] = []
        self.was_asked = asyncio.Event()

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        self.asked.append(list(tracking_ids))
        self.was_asked.set()
        if self.waits is not None:
            await self.waits.wait()
        if self.fails is not None:
            raise self.fails
        return [self.parcels[each] for each in tracking_ids if each in self.parcels]

    async def check(self) -> None:
        if isinstance(self.fails, AgentVoiceBoxError):
            raise self.fails


def parcel(tracking_id: str = UPS, **fields: Any) -> Shipment:
    """A parcel on its way."""
    return Shipment(tracking_id, ShipmentStatus.IN_TRANSIT, **fields)


def tool_calls(*items: Any, **fields: Any) -> dict[str, Any]:
    """A `tool-calls` message with these items in its list."""
    return {"message": {"type": "tool-calls", "toolCallList": list(items), **fields}}


def item(arguments: Any, call_id: Any = "call_51kj", name: str = "track_shipment") -> dict[str, Any]:
    """A tool call as captured."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def asking(tracking_id: Any = UPS, **fields: Any) -> dict[str, Any]:
    """A message that asks for one parcel."""
    return tool_calls(item({"tracking_id": tracking_id}), **fields)


def code(result: dict[str, Any]) -> str:
    """The outcome in one entry of `results`."""
    outcome: str = json.loads(result["result"])["code"]
    return outcome


def captured(arguments: Any) -> dict[str, Any]:
    """Shape A as it was captured: one call in three lists, nulls, secrets and a phone number."""
    call = item(arguments)
    schema = {"type": "object", "properties": {"tracking_id": {"type": "string"}}, "required": ["tracking_id"]}
    tool = {
        "type": "function",
        "async": False,
        "messages": [],
        "function": {"name": "track_shipment", "description": "...", "parameters": schema},
        "server": {"url": "https://x/vapi", "secret": "SENSITIVE-7f3a", "timeoutSeconds": 20},
        "toolCall": call,
    }
    return {
        "message": {
            "type": "tool-calls",
            "timestamp": 1767225600000,
            "toolCalls": [call],
            "toolCallList": [call],
            "toolWithToolCallList": [tool],
            "call": {
                "id": CALL,
                "orgId": "uuid",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "type": "inboundPhoneCall",
                "status": "ringing",
                "assistantId": None,
                "squadId": None,
                "customer": {"number": "+14155550123"},
            },
            "phoneNumber": {"id": "uuid", "number": "+19255550100", "twilioAuthToken": "TWILIO-9c1d", "name": None},
            "customer": {"number": "+14155550123"},
            "artifact": {
                "messages": [
                    {"role": "bot", "message": "Hi", "time": 1722032450480, "secondsFromStart": 1.52},
                    {"role": "user", "message": "where is my parcel, says Wilhelmina", "time": 1722032455940},
                ],
                "messagesOpenAIFormatted": [],
            },
            "assistant": {"name": "..."},
            "assistantVersion": None,
            "chat": None,
        }
    }
