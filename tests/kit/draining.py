"""P6's world: a gateway with callers in every state is told to stop, and what each of them, and the store, are left with.

A stock client must get the end of whatever was begun, and a clean close; one that can come back must find its call at another
gateway, or have got the same. What becomes of a call between the two is not looked at, so the gateway is free in how it drains.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.ports.broker import JobKind, SessionRef
from tests.kit.client import SERVER_VAD, Client, calling
from tests.kit.gateway import Gateway, Workers, gateway, tone
from tests.kit.property_search import brokers
from tests.kit.resuming_client import audio_of, ids_of, reconnected, return_query, session_id
from tests.kit.waiting import PATIENCE_S

DOING = ("nothing", "speaks", "listens", "asks")
BEGUN: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "response.created": ("response.done", lambda event: event["response"]["id"]),
    "response.output_item.added": ("response.output_item.done", lambda event: event["item"]["id"]),
    "response.content_part.added": (
        "response.content_part.done",
        lambda event: (event["item_id"], event["content_index"]),
    ),
    "conversation.item.added": ("conversation.item.done", lambda event: event["item"]["id"]),
}
RECORD_JOB = f"{keys.PREFIX}job:{JobKind.RECORD}:"
CHUNKS, PACE_S = 12, 0.03  # of each answer: a third of a second during which the gateway is stopped

Who = tuple[str, bool]  # what the caller does as the gateway stops; whether he can come back


class Draining:
    """The world.

    Attributes:
        drained_s: from the wish to stop until the gateway was gone.
        closed_s: until each caller's line was closed.
    """

    def __init__(self, url: str, workers: Workers, other: Gateway) -> None:
        self.url = url
        self.workers = workers
        self.other = other
        self.drained_s = 0.0
        self.closed_s: list[float] = []

    async def stop(self, leaving: contextlib.AbstractAsyncContextManager[Gateway], callers: list[Who]) -> None:
        """Let them call, stop the gateway, see what each of them has, and let those who can go on elsewhere."""
        clients: list[Client] = []
        async with AsyncExitStack() as lines:
            async with leaving as served:
                for doing, can_return in callers:
                    query = "model=delivery&resume=1" if can_return else "model=delivery"
                    clients.append(await lines.enter_async_context(calling(served.url(query))))
                    await _do(clients[-1], doing)
                began_s = time.perf_counter()
                served.stop.set()
                closing = [asyncio.create_task(self._until_closed(client, began_s)) for client in clients]
                await _knock(served)
                async with asyncio.timeout(PATIENCE_S):
                    await asyncio.gather(*closing)
            self.drained_s = time.perf_counter() - began_s
            assert len(served.state.sessions) == 0, "calls are left in a gateway that is gone"
            for client, (_, can_return) in zip(clients, callers, strict=True):
                is_over = not can_return or await self._is_over(client)
                if not is_over:
                    await self._go_on(client)
                self._assert_ended(client, is_whole=not is_over)
            await self._assert_clean(clients)

    async def _until_closed(self, client: Client, began_s: float) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.next()
        self.closed_s.append(time.perf_counter() - began_s)
        assert client.ws.close_code not in (None, 1005, 1006), "a line was cut"

    async def _is_over(self, client: Client) -> bool:
        return await self.other.state.directory.get(SessionRef(DEFAULT_TENANT, session_id(client))) is None

    async def _go_on(self, client: Client) -> None:
        async with reconnected(self.other.url(return_query(client)), client) as client_there:
            while any(open_of(client.events)):
                await client_there.next()

    def _assert_ended(self, client: Client, *, is_whole: bool) -> None:
        left = open_of(client.events)
        assert not left, f"never ended: {left}"
        assert len(set(ids_of(client))) == len(ids_of(client)), "an event came twice"
        audio = audio_of(client)
        spoken = [b"".join(chunks) for chunks in self.workers.spoken.values()]
        if is_whole and client.of("response.done"):
            assert audio in spoken, "a gap or a repeat where the call went on"
        else:
            assert any(each.startswith(audio) for each in [*spoken, b""]), "a gap or a repeat before the end"

    async def _assert_clean(self, clients: list[Client]) -> None:
        """No key of any of the sessions is left, soon after; but what PostgreSQL has still to get outlives them."""
        tags = [keys.tag(SessionRef(DEFAULT_TENANT, session_id(client))) for client in clients]
        async with Redis.from_url(self.url, decode_responses=True) as redis:
            deadline_s = time.monotonic() + PATIENCE_S / 10
            while left := [
                key
                async for key in redis.scan_iter(count=1000)
                if any(tag in key for tag in tags) and not key.startswith(RECORD_JOB)
            ]:
                assert time.monotonic() < deadline_s, f"left behind: {left}"
                await asyncio.sleep(0.01)


def open_of(events: list[dict[str, Any]]) -> Counter[Any]:
    """What was begun in these events and not ended."""
    count: Counter[Any] = Counter()
    for event in events:
        for begins, (ends, name_of) in BEGUN.items():
            if event["type"] == begins:
                count[begins, name_of(event)] += 1
            elif event["type"] == ends:
                count[begins, name_of(event)] -= 1
    return +count


async def _do(client: Client, doing: str) -> None:
    match doing:
        case "speaks":
            await client.use(audio=SERVER_VAD)
            await client.append(tone(400))
            await client.until("input_audio_buffer.speech_started")
        case "listens":
            await client.send("response.create")
            await client.until("response.output_audio.delta")
        case "asks":
            await client.send("response.create")
        case _:
            pass


async def _knock(served: Gateway) -> None:
    """A new caller is told that this gateway goes, or finds the door shut."""
    with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed):
        async with connect(served.url()) as ws:
            event = json.loads(await ws.recv())
            assert event["type"] == "error", f"a new caller was let in: {event['type']}"


@contextlib.asynccontextmanager
async def draining(url: str) -> AsyncIterator[tuple[Draining, RedisBroker]]:
    """Workers, another gateway, and the line of the one that is to go."""
    async with brokers(url, 3) as (behind, beside, leaving):
        workers = Workers(behind)
        workers.chunks, workers.pace_s, workers.is_distinct = CHUNKS, PACE_S, True
        stop = asyncio.Event()
        running = asyncio.create_task(workers.run(stop))
        try:
            async with gateway(beside) as other:
                yield Draining(url, workers, other), leaving
        finally:
            stop.set()
            await running
