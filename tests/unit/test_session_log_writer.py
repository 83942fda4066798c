"""After the store lost inputs, a snapshot closes the hole in the log; one that could not be saved is still owed."""

import asyncio

from tests.kit.conversation import Talk
from tests.kit.memory_broker import MemoryBroker

from agentvoicebox.broker.connection import Connection
from agentvoicebox.engine.inputs import ClientEventRejected
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.call.session_log_writer import REPLAY_S, SNAPSHOT_EVERY_BYTES, SessionLogWriter
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


class Noting(SessionLog):
    """Notes what each snapshot covers."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.covered: list[int] = []

    async def save_snapshot(
        self, session: SessionRef, state: bytes, through_entry: int, *, ledger: bytes = b"", owner: str = ""
    ) -> None:
        self.covered.append(through_entry)


async def test_a_few_large_inputs_are_covered_by_a_snapshot_as_many_small_ones_are() -> None:
    no_store = Connection("redis://127.0.0.1:1/0", retry_for_s=0.0)
    broker, log = MemoryBroker(), Noting(no_store)
    writer = SessionLogWriter(CALL, "owner", log, Outbox(broker, CALL))
    for _ in range(5):
        writer.append(0.0, ClientEventRejected("x" * (SNAPSHOT_EVERY_BYTES // 4)))
    await writer.save_if_due(Talk().engine, 1.0)
    await writer.save_if_due(Talk().engine, 1.0 + REPLAY_S)
    await asyncio.sleep(0)
    assert log.covered == [5]
    await writer.close()
    await no_store.close()
    await broker.close()
