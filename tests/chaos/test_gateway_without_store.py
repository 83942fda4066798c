"""The store goes away in the middle of a call: the call goes on as far as it can, and heals when the store is back."""

import pytest
from tests.kit.client import calling, until
from tests.kit.gateway import gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey

pytestmark = pytest.mark.requirement("A1.3")


async def test_a_call_outlives_its_store_and_is_restorable_again_afterwards(own_data_folder: DataFolder) -> None:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    broker = RedisBroker(server.url, retry_for_s=0.3)
    try:
        async with gateway(broker) as served, calling(served.url()) as client:
            session = SessionRef("default", client.events[0]["session"]["id"])
            await server.stop()
            # what needs no worker still works; what needs one fails with its proper events
            assert (await client.use(instructions="Be kind."))["instructions"] == "Be kind."
            await client.send("response.create")
            done = await client.until("response.done")
            assert done["response"]["status"] == "failed"
            assert done["response"]["status_details"]["error"]["code"] == "broker_lost"
            await server.start()

            async def is_restorable() -> bool:
                await client.use(instructions="Be kind.")
                return (await served.state.session_log.load(session))[0] is not None

            await until(is_restorable)
    finally:
        await broker.close()
        await server.stop()
