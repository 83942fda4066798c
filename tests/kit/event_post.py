"""A tenant's outbox with a deliverer over it, the records of a call, and a receiver that misbehaves as planned."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.events.deliverer import RETRIES, Deliverer
from agentvoicebox.events.destinations import Destinations
from agentvoicebox.events.lanes import Lanes
from agentvoicebox.events.webhook_sink import WebhookSink
from agentvoicebox.ports.event_sink import Destination
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.outgoing_event import SESSION_ENDED, SESSION_STARTED
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.vault import Vault
from agentvoicebox.tools.addresses import Addresses
from tests.kit.fault_proxy import Fault, FaultProxy, Reply, Request
from tests.kit.waiting import PATIENCE_S

T0 = 1_800_000_000.0
TAKEN = Reply(body=b"ok")
KEY = b"k" * 32
VAULT = Vault([KEY])


def message(number: int) -> Persist:
    text = f"message {number}"
    item = {"type": "message", "role": "user", "status": "completed", "content": [{"type": "input_text", "text": text}]}
    return Persist(f"item_{number}", "item", {"item": item})


def call(session: str = "sess_1", *, messages: int = 3, tenant: str = "acme", owner: str = "gw_1") -> list[TimedBatch]:
    """The records of a whole call, one a batch, as its gateway numbers them."""
    records = [
        Persist(session, "session_opened", {"agent": "delivery", "model": "delivery"}),
        *(message(number) for number in range(messages)),
        Persist(session, "session_closed", {"code": 1000, "reason": "client_left"}),
    ]
    return [
        TimedBatch(RecordBatch(tenant, session, "", (record,), owner=owner, number=number), T0 + number)
        for number, record in enumerate(records)
    ]


class Post:
    """A tenant's outbox with a deliverer over it, and what became of its events."""

    def __init__(
        self,
        postgres: Postgres,
        clock: ManualClock,
        *,
        addresses: Addresses | None = None,
        timeout_s: float = PATIENCE_S,
    ) -> None:
        self.postgres = postgres
        self.clock = clock
        self.conversations = Conversations(postgres)
        self.destinations = Destinations(postgres, VAULT, clock=clock)
        self.lanes = Lanes(postgres, clock=clock)
        self.sink = WebhookSink(addresses or Addresses(is_local=True), timeout_s=timeout_s, clock=clock)

    def deliverer(self, **more: Any) -> Deliverer:
        return Deliverer(self.lanes, self.destinations, {"webhook": self.sink}, chance=lambda: 0.0, **more)

    async def deliver(self, **more: Any) -> None:
        """Whatever is due, once."""
        await self.catch_up()
        await self.deliverer(**more).deliver_due()

    async def catch_up(self) -> None:
        """The clock is never behind the database's."""
        async with self.postgres.tenant_transaction("") as connection:
            now = await connection.fetchval("SELECT clock_timestamp()")
        self.clock.advance(max(0.0, now.timestamp() - self.clock.wall_s()))

    async def deliver_all(self, *, rounds: int = 40) -> None:
        """Until nothing is left, moving the clock past every wait."""
        for _ in range(rounds):
            await self.deliver()
            if not await self.rows("event_lanes"):
                return
            self.clock.advance(RETRIES.longest_s)
        raise AssertionError(f"still waiting: {await self.rows('event_deliveries')}")

    async def record(self, *batches: TimedBatch) -> None:
        for each in batches:
            await self.conversations.write([each])

    async def to(self, url: str, *, types: tuple[str, ...] = (), tenant: str = "acme") -> Destination:
        return await self.destinations.add(tenant, "webhook", url, types=types)

    async def rows(self, table: str, tenant: str = "acme") -> list[dict[str, Any]]:
        async with self.postgres.tenant_transaction(tenant) as connection:
            return [dict(row) for row in await connection.fetch(f"SELECT * FROM {table}")]


@asynccontextmanager
async def receiver(plan: Callable[[Request], Fault | None] | list[Fault | None]) -> AsyncIterator[FaultProxy]:
    """A receiver that follows the plan, and then takes everything."""
    if isinstance(plan, list):
        steps = iter(plan)
        async with FaultProxy(plan=lambda _: next(steps, None) or TAKEN) as server:
            yield server
    else:
        async with FaultProxy(plan=plan) as server:
            yield server


def body(request: Request) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(request.body)
    return decoded


def by_session(requests: list[Request]) -> dict[str, list[str]]:
    """What each session's events told, each once, in the order in which they first arrived."""
    told: dict[str, list[str]] = defaultdict(list)
    seen: set[str] = set()
    for request in requests:
        event = body(request)
        if event["id"] not in seen:
            seen.add(event["id"])
            told[event["partitionkey"]].append(event["data"].get("item_id") or event["type"])
    return told


WHOLE = [SESSION_STARTED, "item_0", "item_1", "item_2", SESSION_ENDED]
