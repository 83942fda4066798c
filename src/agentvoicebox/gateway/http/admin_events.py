"""`/v1/admin/tenants/{tenant_id}/destinations`: where a tenant's events go. Part of the administration (`admin`).

Only webhooks are added here: a topic of the deployment's Kafka cluster is added on the machine (`agentvoicebox events add`).
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentvoicebox.events.destinations import (
    LONGEST_TARGET,
    MOST_TYPES,
    Destinations,
    ListedDestination,
    new_destination_id,
)
from agentvoicebox.gateway.http.admin_bodies import MAX_LIFETIME_S
from agentvoicebox.gateway.http.admin_context import AdminContext
from agentvoicebox.http_server.described import refusals
from agentvoicebox.ports.event_sink import DestinationKind
from agentvoicebox.tenancy.tenants import Tenants

TenantId = Annotated[str, Path(description="Id of the tenant.")]
DestinationId = Annotated[str, Path(description="Id of the destination (`dest_…`).")]
Pattern = Annotated[str, Field(max_length=64)]


class NewDestination(BaseModel):
    """A webhook to add."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=LONGEST_TARGET, description="Where events are posted.")
    types: list[Pattern] = Field(
        default=[], max_length=MOST_TYPES, description="Types of event, or groups (`agentvoicebox.tool.*`); none: all."
    )
    secret: str = Field(
        default="", max_length=128, description="`whsec_…`, 24 to 64 bytes in base64; absent: a new one."
    )


class DestinationBody(BaseModel):
    """A destination, and what it has not had."""

    object: Literal["event_destination"] = "event_destination"
    id: str
    kind: DestinationKind
    target: str = Field(description="Of a webhook its URL, of Kafka the topic.")
    types: list[str] = Field(description="None: every type.")
    created_at: int
    waiting: int = Field(description="Events that it has not had yet.")
    dead: int = Field(description="Events that it did not take within AVB_EVENTS_RETRY_HOURS.")
    problem: str = Field(description="Why the latest of them was not taken.")

    @classmethod
    def of(cls, found: ListedDestination) -> "DestinationBody":
        """From the stored form."""
        return cls(
            id=found.destination_id,
            kind=found.kind,
            target=found.target,
            types=list(found.types),
            created_at=int(found.created_at.timestamp()),
            waiting=found.waiting,
            dead=found.dead,
            problem=found.problem,
        )


class ShownDestination(DestinationBody):
    """A new destination, with the secret that signs its events."""

    secret: str = Field(description="Verifies signatures. It is stored encrypted and never shown again.")


class DestinationList(BaseModel):
    """All destinations of a tenant."""

    object: Literal["list"] = "list"
    data: list[DestinationBody]


class EventReplay(BaseModel):
    """Which events are sent again: either since a time, or the dead ones."""

    model_config = ConfigDict(extra="forbid")

    since: float | None = Field(default=None, ge=0, le=10 * MAX_LIFETIME_S, description="Seconds since 1970.")
    dead: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> "EventReplay":
        if (self.since is not None) == self.dead:
            raise ValueError("give `since`, or `dead`")
        return self


class StartedReplay(BaseModel):
    """How many events are sent again."""

    object: Literal["event_replay"] = "event_replay"
    events: int


class StartedTest(BaseModel):
    """A test event that is on its way; the destination's `problem` says when it was not taken."""

    object: Literal["event_test"] = "event_test"
    event_id: str


def add_destinations(router: APIRouter, admin: AdminContext, tenants: Tenants, destinations: Destinations) -> None:
    """Add the routes."""

    async def listed(tenant_id: str) -> list[DestinationBody]:
        return [DestinationBody.of(each) for each in await destinations.list_all(tenant_id)]

    @router.get(
        "/tenants/{tenant_id}/destinations",
        summary="Where a tenant's events go, the oldest first",
        responses=refusals(404),
    )
    async def list_destinations(request: Request, tenant_id: TenantId) -> DestinationList:
        await admin.require(request, "admin.event.read", tenant_id)
        await tenants.get(tenant_id)
        return DestinationList(data=await listed(tenant_id))

    @router.post(
        "/tenants/{tenant_id}/destinations",
        summary="Add a webhook; only this answer shows its secret",
        status_code=201,
        responses=refusals(400, 404),
    )
    async def add_destination(request: Request, tenant_id: TenantId, body: NewDestination) -> ShownDestination:
        await admin.require(request, "admin.event.change", tenant_id)
        await tenants.get(tenant_id)
        destination_id = new_destination_id()
        made = await destinations.add(
            tenant_id,
            "webhook",
            body.url,
            types=tuple(body.types),
            secret=body.secret,
            destination_id=destination_id,
            audit_entry=admin.audit_entry(request, "destination.added", destination_id, types=body.types),
        )
        (found,) = [each for each in await listed(tenant_id) if each.id == made.destination_id]
        return ShownDestination(**found.model_dump(), secret=made.secret)

    @router.delete(
        "/tenants/{tenant_id}/destinations/{destination_id}",
        summary="Remove a destination; what it has not had is not sent",
        status_code=204,
        responses=refusals(404),
    )
    async def remove_destination(request: Request, tenant_id: TenantId, destination_id: DestinationId) -> Response:
        await admin.require(request, "admin.event.change", tenant_id, destination_id)
        entry = admin.audit_entry(request, "destination.removed", destination_id)
        await destinations.remove(tenant_id, destination_id, audit_entry=entry)
        return Response(status_code=204)

    @router.post(
        "/tenants/{tenant_id}/destinations/{destination_id}/test",
        summary="Send a test event",
        status_code=202,
        responses=refusals(404),
    )
    async def try_out(request: Request, tenant_id: TenantId, destination_id: DestinationId) -> StartedTest:
        await admin.require(request, "admin.event.change", tenant_id, destination_id)
        return StartedTest(event_id=await destinations.try_out(tenant_id, destination_id))

    @router.post(
        "/tenants/{tenant_id}/destinations/{destination_id}/replay",
        summary="Send events again, since a time or the dead ones",
        status_code=202,
        responses=refusals(400, 404),
    )
    async def replay(
        request: Request, tenant_id: TenantId, destination_id: DestinationId, body: EventReplay
    ) -> StartedReplay:
        await admin.require(request, "admin.event.change", tenant_id, destination_id)
        entry = admin.audit_entry(request, "destination.replayed", destination_id, dead=body.dead)
        if body.since is None:
            return StartedReplay(events=await destinations.replay_dead(tenant_id, destination_id, audit_entry=entry))
        since = datetime.fromtimestamp(body.since, UTC)
        return StartedReplay(
            events=await destinations.replay_since(tenant_id, destination_id, since, audit_entry=entry)
        )
