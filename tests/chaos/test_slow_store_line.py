"""The line between a gateway and its store is slow and breaks again and again: 50 ms each way, and every fiftieth write is lost.

Calls get slower; no answer fails, no event is lost or doubled, and the session can be restored afterwards.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.kit.client import Client, calling, until
from tests.kit.gateway import Workers, gateway
from tests.kit.slow_line import SlowLine

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.call.replay import replay
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.wire.items import MessageItem

pytestmark = pytest.mark.requirement("A1.2", "C4")

CALLS = 4
TURNS = 6
DELAY_S = 0.05
CUT_SHARE = 0.02
SEED = 11


@pytest.fixture
async def store(own_data_folder: DataFolder) -> AsyncIterator[EmbeddedValkey]:
    """A store of the test's own: connections that break would be counted as left behind in the shared one."""
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    yield server
    await server.stop()


async def talk(client: Client) -> list[str]:
    """Typed turns; how each ended."""
    statuses = []
    for number in range(TURNS):
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"question {number}"}]}
        await client.send("conversation.item.create", item=item)
        await client.send("response.create")
        statuses.append(str((await client.until("response.done"))["response"]["status"]))
    return statuses


async def test_calls_go_on_over_a_slow_line_to_the_store_that_breaks(
    store: EmbeddedValkey, own_data_folder: DataFolder
) -> None:
    direct = RedisBroker(store.url)
    workers, stop = Workers(direct), asyncio.Event()
    working = asyncio.create_task(workers.run(stop), name="workers")
    socket = str(own_data_folder.sockets / "valkey.sock")
    try:
        async with SlowLine(socket, delay_s=DELAY_S, cut_share=CUT_SHARE, seed=SEED) as line:
            broker = RedisBroker(line.url)
            async with gateway(broker, has_heartbeats=True) as served, AsyncExitStack() as stack:
                url = served.url("model=delivery&resume=1")
                clients = [await stack.enter_async_context(calling(url)) for _ in range(CALLS)]
                answers = await asyncio.gather(*(talk(client) for client in clients))
                assert line.cuts > 0
                assert answers == [["completed"] * TURNS] * CALLS
                for client in clients:
                    ids = [event["event_id"] for event in client.events]
                    assert len(ids) == len(set(ids))
                    assert len(client.of("response.created")) == len(client.of("response.done")) == TURNS
                line.heal()
                for client in clients:
                    session = SessionRef("default", str(client.events[0]["session"]["id"]))

                    async def is_restorable(session: SessionRef = session) -> bool:
                        restored = replay(await served.state.session_log.read(session))
                        said = [each.item for each in restored.engine.state.conversation.entries]
                        return sum(isinstance(each, MessageItem) and each.role == "user" for each in said) == TURNS

                    await until(is_restorable)
            await broker.close()
    finally:
        stop.set()
        await working
        await direct.close()
