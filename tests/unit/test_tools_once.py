"""A side effect happens once, whoever dies or leaves; and nobody guesses what a dead worker has done."""

import asyncio

import msgspec
import pytest
from tests.kit.memory_ledger import MemoryLedger
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.tools.definition import Definition
from agentvoicebox.tools.ledger import CallKey
from agentvoicebox.tools.once import Once

KEY = CallKey(SessionRef("acme", "sess_1"), "call_1", "book", '{"at":"10:00"}', "resp_1")
TOOL = Definition(name="book", description="Book.", arguments={}, timeout_s=5.0)


class Bookings:
    """A side effect that ends when the test says so."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.begun = 0
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()
        if is_open:
            self.may_end.set()

    async def act(self) -> str:
        self.begun += 1
        self.has_begun.set()
        await self.may_end.wait()
        return f"booked {self.begun}"


def once(ledger: MemoryLedger, margin_s: float = 1.0) -> Once:
    return Once(ledger, poll_interval_s=0.01, margin_s=margin_s)


async def test_the_same_call_twice_is_one_act_with_one_result() -> None:
    ledger, bookings = MemoryLedger(), Bookings(is_open=True)
    assert await once(ledger).run(KEY, TOOL, bookings.act) == "booked 1"
    assert await once(ledger).run(KEY, TOOL, bookings.act) == "booked 1"
    assert bookings.begun == 1


async def test_another_worker_waits_for_the_one_that_acts() -> None:
    ledger, bookings = MemoryLedger(), Bookings()
    first = asyncio.create_task(once(ledger).run(KEY, TOOL, bookings.act))
    await bookings.has_begun.wait()
    second = asyncio.create_task(once(ledger).run(KEY, TOOL, bookings.act))
    bookings.may_end.set()
    async with asyncio.timeout(PATIENCE_S):
        assert list(await asyncio.gather(first, second)) == ["booked 1", "booked 1"]
    assert bookings.begun == 1


async def test_an_act_goes_on_when_its_asker_is_cancelled_and_its_result_is_kept() -> None:
    ledger, bookings = MemoryLedger(), Bookings()
    effects = once(ledger)
    asker = asyncio.create_task(effects.run(KEY, TOOL, bookings.act))
    await bookings.has_begun.wait()
    asker.cancel()
    await asyncio.gather(asker, return_exceptions=True)
    assert effects.running == 1
    bookings.may_end.set()
    await effects.drain(PATIENCE_S)
    assert await once(ledger).run(KEY, TOOL, bookings.act) == "booked 1"
    assert bookings.begun == 1


async def test_nobody_knows_what_a_dead_worker_has_done() -> None:
    ledger, bookings = MemoryLedger(), Bookings(is_open=True)
    await ledger.begin(KEY, 0.0)  # whoever this was died long ago
    assert await once(ledger).run(KEY, TOOL, bookings.act) == '{"error":"outcome_unknown"}'
    assert bookings.begun == 0


async def test_what_is_as_good_twice_is_done_again_after_a_crash() -> None:
    ledger, bookings = MemoryLedger(), Bookings(is_open=True)
    await ledger.begin(KEY, 0.0)
    tool = Definition(name="book", description="Book.", arguments={}, is_idempotent=True)
    assert await once(ledger).run(KEY, tool, bookings.act) == "booked 1"


async def test_a_drain_that_takes_too_long_leaves_it_unknown() -> None:
    ledger, bookings = MemoryLedger(), Bookings()
    effects = once(ledger, margin_s=-5.99)
    asker = asyncio.create_task(effects.run(KEY, TOOL, bookings.act))
    await bookings.has_begun.wait()
    await effects.drain(0.01)
    await asyncio.gather(asker, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        assert await once(ledger).run(KEY, TOOL, bookings.act) == '{"error":"outcome_unknown"}'
    assert bookings.begun == 1


async def test_without_the_book_nothing_is_begun() -> None:
    class Away(MemoryLedger):
        async def begin(self, key: CallKey, until_s: float) -> "msgspec.Struct":  # type: ignore[override]
            raise BrokerLost("the store is away")

    bookings = Bookings(is_open=True)
    with pytest.raises(BrokerLost):
        await once(Away()).run(KEY, TOOL, bookings.act)
    assert bookings.begun == 0


async def test_a_result_that_cannot_be_written_down_still_reaches_its_asker() -> None:
    class Full(MemoryLedger):
        async def finish(self, session: SessionRef, call: str, output: str) -> None:
            raise BrokerLost("the store is away")

    assert await once(Full()).run(KEY, TOOL, Bookings(is_open=True).act) == "booked 1"
