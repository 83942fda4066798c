"""After the store lost inputs, a snapshot closes the hole in the log; one that could not be saved is still owed."""

from tests.kit.conversation import Talk
from tests.kit.memory_broker import MemoryBroker

from agentvoicebox.broker.connection import Connection
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.call.session_log_writer import SessionLogWriter
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.log import SessionLog

CALL = SessionRef("acme", "sess_1")


async def test_a_snapshot_that_could_not_be_saved_is_still_owed() -> None:
    no_store = Connection("redis://127.0.0.1:1/0", retry_for_s=0.0)
    broker = MemoryBroker()
    outbox = Outbox(broker, CALL)
    writer = SessionLogWriter(CALL, "owner", SessionLog(no_store), outbox)
    outbox.has_lost = True
    await writer.save_if_due(Talk().engine, 1.0)
    assert outbox.has_lost
    await no_store.close()
    await broker.close()
