"""What a session hands to the store: one order, few round trips, and nothing silently lost."""

import asyncio
from collections.abc import Sequence

from tests.kit.memory_broker import MemoryBroker
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.call.outbox import CAPACITY, Outbox
from agentvoicebox.ports.broker import AppendLog, Dispatch, Job, JobKind, SessionRef, Submit

CALL = SessionRef("acme", "sess_1")


class Store(MemoryBroker):
    """A memory broker that notes each round trip, and can be slow or away."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[list[Dispatch]] = []
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.has_been = asyncio.Event()

    async def dispatch(self, actions: Sequence[Dispatch], *, owner: str = "") -> None:
        await self.gate.wait()
        if self.is_away:
            raise BrokerLost("away")
        self.trips.append(list(actions))
        self.has_been.set()
        await super().dispatch(actions, owner=owner)


def entry(number: int) -> AppendLog:
    return AppendLog(CALL, str(number).encode())


def submit(kind: JobKind) -> Submit:
    return Submit(Job(f"job_{kind}", kind, CALL, b"", 0.0))


async def test_what_waits_while_the_store_is_busy_goes_together() -> None:
    store = Store()
    outbox = Outbox(store, CALL)
    store.gate.clear()
    outbox.put(entry(0))
    first = asyncio.create_task(outbox.flush())
    await asyncio.sleep(0)
    for number in range(1, 5):
        outbox.put(entry(number))
    rest = [asyncio.create_task(outbox.flush()) for _ in range(3)]
    store.gate.set()
    await asyncio.gather(first, *rest)
    assert [len(trip) for trip in store.trips] == [1, 4]
    assert store.log(CALL) == [b"0", b"1", b"2", b"3", b"4"]


async def test_what_nobody_waits_for_is_sent_too() -> None:
    store = Store()
    outbox = Outbox(store, CALL)
    running = asyncio.create_task(outbox.run())
    outbox.put(entry(1))
    async with asyncio.timeout(PATIENCE_S):
        await store.has_been.wait()
    outbox.close()
    await running
    assert store.trips == [[entry(1)]]


async def test_a_lost_store_loses_the_batch_but_owes_the_records() -> None:
    store = Store()
    lost: list[Dispatch] = []
    outbox = Outbox(store, CALL)
    outbox.on_lost = lost.extend
    store.is_away = True
    outbox.put(entry(1), submit(JobKind.STT), submit(JobKind.RECORD))
    await outbox.flush()
    assert len(lost) == 3
    assert outbox.has_lost
    store.is_away = False
    await outbox.flush()
    assert [action.job.kind for trip in store.trips for action in trip if isinstance(action, Submit)] == ["record"]
    assert store.log(CALL) == []


async def test_it_says_when_too_much_waits() -> None:
    outbox = Outbox(Store(), CALL)
    outbox.put(*(entry(number) for number in range(CAPACITY - 1)))
    assert not outbox.is_full
    outbox.put(entry(CAPACITY))
    assert outbox.is_full
    await outbox.flush()
    assert not outbox.is_full
