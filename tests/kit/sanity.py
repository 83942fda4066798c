"""Sanity for tests without a network: scripted answers, and time that passes only in waits."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import msgspec

from agentvoicebox.clock import ManualClock
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus
from agentvoicebox_delivery.sources.sanity import WAITS, SanityShipments, SanityTimeouts
from agentvoicebox_delivery.sources.sanity_query import SanityDataset

DATASET = SanityDataset("abc123", "production", "sk-test-token")
TENANT = "acme"

DOCUMENT: dict[str, Any] = {
    "_id": "shipment-1",
    "_updatedAt": "2025-11-20T10:00:00Z",
    "trackingId": "PKG001",
    "trackingIdNorm": "PKG001",
    "status": "in_transit",
    "eta": "2025-11-24",
    "carrier": "DHL",
    "last": {"status": "in_transit", "at": "2025-11-20T09:30:00Z", "location": "Leipzig"},
}
SHIPMENT = Shipment(
    "PKG001",
    ShipmentStatus.IN_TRANSIT,
    "DHL",
    date(2025, 11, 24),
    ShipmentEvent(ShipmentStatus.IN_TRANSIT, datetime(2025, 11, 20, 9, 30, tzinfo=UTC), "Leipzig"),
    datetime(2025, 11, 20, 10, tzinfo=UTC),
)

Step = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def document(tracking_id: str, **fields: object) -> dict[str, Any]:
    """A good document, with other fields."""
    ids = {"_id": f"shipment-{tracking_id}", "trackingId": tracking_id, "trackingIdNorm": tracking_id}
    return DOCUMENT | ids | fields


def ok(*documents: object) -> httpx.Response:
    """An answer with these documents."""
    return httpx.Response(200, json={"result": list(documents), "ms": 1})


class ScriptedSanity:
    """Answers as told, step by step, the last step for ever; exceptions are raised as the network would."""

    def __init__(self, *steps: Step, script: Iterable[Step] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._steps = iter(script) if script is not None else self._last_for_ever(list(steps))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):  # a response is read once
            return httpx.Response(step.status_code, headers=step.headers, content=step.content)
        return step(request)

    @staticmethod
    def _last_for_ever(steps: list[Step]) -> Any:
        yield from steps
        while True:
            yield steps[-1]


class Waits:
    """A sleep that moves the clock, and remembers."""

    def __init__(self, clock: ManualClock) -> None:
        self.waited_s: list[float] = []
        self._clock = clock

    async def __call__(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self._clock.advance(seconds)


def sanity(scripted: ScriptedSanity, clock: ManualClock, **options: Any) -> SanityShipments:
    """A client on it. Its waits have no spread."""
    options.setdefault("sleep", Waits(clock))
    options.setdefault("timeouts", SanityTimeouts(waits=msgspec.structs.replace(WAITS, spread=0.0)))
    return SanityShipments(
        options.pop("dataset", DATASET), clock=clock, transport=httpx.MockTransport(scripted), **options
    )


async def let_go() -> None:
    """Some turns of the loop, in which it ends the generators that httpx leaves when a body is not read to its end."""
    for _ in range(10):
        await asyncio.sleep(0)
