"""Sends events to topics of a Kafka cluster: CloudEvents in structured mode, keyed by session.

The deliverer sends the next event of a session only after the cluster has acknowledged the one before, so a partition has them in
order. There is no idempotent producer, which not every compatible broker has: an event whose acknowledgement was lost is sent
again, with the same id (at least once).
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agentvoicebox.ports.event_sink import Destination, EventMessage, SendResult
from agentvoicebox.storage.outgoing_event import CONTENT_TYPE

TIMEOUT_S = 10.0
MOST_EVENT_BYTES = 4 * 1024 * 1024  # the cluster's own limit (`max.message.bytes`) may be lower


class KafkaSink:
    """All topics of one cluster. It connects when there is something to send.

    Args:
        brokers: `host:port` of some of its brokers.
        timeout_s: for one event, the connection included.
    """

    def __init__(self, brokers: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> None:
        self._brokers = list(brokers)
        self._timeout_s = timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def send(self, destination: Destination, message: EventMessage) -> SendResult:
        """See EventSink."""
        try:
            async with asyncio.timeout(self._timeout_s):
                producer = await self._connected()
                await producer.send_and_wait(
                    destination.target,
                    message.body.encode(),
                    key=message.key.encode(),
                    headers=[("content-type", CONTENT_TYPE.encode())],
                )
        except TimeoutError:
            return SendResult(f"no acknowledgement within {self._timeout_s:g} s")
        except (KafkaError, OSError, ValueError) as error:
            return SendResult(f"the cluster refuses it, or can't be reached ({type(error).__name__})")
        return SendResult()

    async def close(self) -> None:
        """See EventSink."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._brokers,
                    acks="all",
                    client_id="agentvoicebox",
                    max_request_size=MOST_EVENT_BYTES,
                    request_timeout_ms=int(self._timeout_s * 1000),
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer
