"""What every sink of events does: the same suite over signed webhooks and over a real Kafka-compatible broker."""

import abc
import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from tests.kit.fault_proxy import FaultProxy, Reply
from tests.kit.kafka_broker import KafkaBroker
from tests.kit.outgoing_examples import RECORDS, events
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.events.kafka_sink import KafkaSink
from agentvoicebox.events.webhook_sink import WebhookSink
from agentvoicebox.ports.event_sink import Destination, DestinationKind, EventMessage, EventSink
from agentvoicebox.tools.addresses import Addresses

pytestmark = pytest.mark.requirement("A0")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TIMEOUT_S = 2.0
MESSAGES = [EventMessage(each.event_id, each.type, each.lane, each.body) for each in events(*RECORDS)]


class Receiver(abc.ABC):
    """A receiver, and a sink for it."""

    kind: DestinationKind
    sink: EventSink
    target = ""

    @property
    def destination(self) -> Destination:
        return Destination("acme", "dest_1", self.kind, self.target, (), SECRET if self.kind == "webhook" else "")

    @abc.abstractmethod
    async def begin(self) -> None: ...

    @abc.abstractmethod
    async def go_away(self) -> None: ...

    @abc.abstractmethod
    async def received(self, count: int) -> list[tuple[str, str]]:
        """Key and body of each event, in order."""


class WebhookReceiver(Receiver):
    kind = "webhook"

    def __init__(self) -> None:
        self.sink = WebhookSink(Addresses(is_local=True), timeout_s=TIMEOUT_S)

    async def begin(self) -> None:
        self.server = FaultProxy(plan=lambda _: Reply(body=b"ok"))
        await self.server.__aenter__()
        self.target = self.server.url

    async def go_away(self) -> None:
        await self.server.__aexit__(None, None, None)

    async def received(self, count: int) -> list[tuple[str, str]]:
        await self.server.arrived(count)
        bodies = [request.body.decode() for request in self.server.requests]
        return [(msgspec.json.decode(body)["partitionkey"], body) for body in bodies]


class KafkaReceiver(Receiver):
    kind = "kafka"
    target = "calls"

    def __init__(self) -> None:
        self.broker = KafkaBroker()
        self.sink = KafkaSink([self.broker.address], timeout_s=TIMEOUT_S)

    async def begin(self) -> None:
        await self.broker.start()
        await self.broker.create(self.target)

    async def go_away(self) -> None:
        await self.broker.stop()

    async def received(self, count: int) -> list[tuple[str, str]]:
        found = await self.broker.read(self.target, count)
        assert all(headers["content-type"].startswith("application/cloudevents+json") for *_, headers in found)
        assert len({partition for partition, *_ in found}) == 1  # one session, one partition
        return [(key, value) for _, key, value, _ in found]


@pytest.fixture(params=[WebhookReceiver, KafkaReceiver], ids=["webhook", "kafka"])
async def receiver(request: pytest.FixtureRequest) -> AsyncIterator[Receiver]:
    made: Receiver = request.param()
    await made.begin()
    yield made
    await made.sink.close()
    await made.sink.close()  # twice is once
    await made.go_away()


async def test_events_arrive_as_they_are_and_in_order(receiver: Receiver) -> None:
    for message in MESSAGES:
        result = await receiver.sink.send(receiver.destination, message)
        assert result.is_taken, result.problem
    assert await receiver.received(len(MESSAGES)) == [(each.key, each.body) for each in MESSAGES]


async def test_a_receiver_that_is_away_is_a_problem_within_the_time_and_takes_events_when_it_is_back(
    receiver: Receiver,
) -> None:
    assert (await receiver.sink.send(receiver.destination, MESSAGES[0])).is_taken
    await receiver.go_away()
    async with asyncio.timeout(PATIENCE_S):
        result = await receiver.sink.send(receiver.destination, MESSAGES[1])
    assert result.problem and MESSAGES[1].body not in result.problem and "127.0.0.1" not in result.problem
    await receiver.begin()
    async with asyncio.timeout(PATIENCE_S):
        tries = [await receiver.sink.send(receiver.destination, MESSAGES[2])]
        while not tries[-1].is_taken:
            tries.append(await receiver.sink.send(receiver.destination, MESSAGES[2]))
    assert (receiver.destination.kind, MESSAGES[2].body) in {
        (receiver.kind, body) for _, body in await receiver.received(1)
    }


async def test_a_sink_is_closed_while_its_receiver_is_away(receiver: Receiver) -> None:
    await receiver.go_away()
    assert not (await receiver.sink.send(receiver.destination, MESSAGES[0])).is_taken
    await receiver.sink.close()
    await receiver.begin()


async def test_the_librarys_own_verifier_takes_the_signature_and_no_other() -> None:
    receiver = WebhookReceiver()
    await receiver.begin()
    assert (await receiver.sink.send(receiver.destination, MESSAGES[0])).is_taken
    (request,) = receiver.server.requests
    assert Webhook(SECRET).verify(request.body, request.headers) == msgspec.json.decode(request.body)
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    for body, secret in ((request.body + b" ", SECRET), (request.body, "whsec_" + "A" * 32)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, request.headers)
    await receiver.sink.close()
    await receiver.go_away()
