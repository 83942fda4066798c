"""Where events go. Adapters: signed webhooks, and topics of a Kafka cluster.

A sink sends one event and says what became of it. Order, retries and dead letters are the deliverer's (`events.deliverer`).
"""

from typing import Literal, Protocol

import msgspec

DestinationKind = Literal["webhook", "kafka"]


class Destination(msgspec.Struct, frozen=True):
    """Where a tenant's events go.

    Attributes:
        target: of a webhook its URL, of Kafka the topic.
        types: patterns of event types (`agentvoicebox.tool.*`); empty: every type.
        secret: signs webhooks (`whsec_…`).
    """

    tenant_id: str
    destination_id: str
    kind: DestinationKind
    target: str
    types: tuple[str, ...] = ()
    secret: str = ""

    def __repr__(self) -> str:
        """Without the secret, and without the target, whose query may hold one."""
        return f"Destination({self.tenant_id!r}, {self.destination_id!r}, {self.kind!r})"


class EventMessage(msgspec.Struct, frozen=True):
    """One event to send.

    Attributes:
        key: events of one key stay in order: the session's id.
        body: its CloudEvents form, JSON.
    """

    event_id: str
    type: str
    key: str
    body: str


class SendResult(msgspec.Struct, frozen=True):
    """What became of an event.

    Attributes:
        problem: why it was not taken, for operators, without content; "" when it was.
        retry_after_s: how long the receiver wants nothing at all; None: it did not say.
    """

    problem: str = ""
    retry_after_s: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return not self.problem


class EventSink(Protocol):
    """Sends events to destinations of one kind."""

    async def send(self, destination: Destination, message: EventMessage) -> SendResult:
        """Send one event, within a bounded time. Raises CancelledError, and nothing else."""

    async def close(self) -> None:
        """Close its connections. Idempotent."""
