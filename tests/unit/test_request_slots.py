"""Slots for speech and transcripts: who gets one, who waits, who is refused; and each comes back, however its request ends."""

import asyncio

import pytest
from tests.kit.speech import settled
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.errors import Overloaded, RateLimited
from agentvoicebox.gateway.admission.request_slots import WAITING_PER_SLOT, RequestSlots


async def hold(slots: RequestSlots, tenant_id: str, served: list[str], end: asyncio.Event) -> None:
    async with slots.taken(tenant_id):
        served.append(tenant_id)
        await end.wait()


async def test_a_slot_comes_back_however_its_request_ends() -> None:
    slots = RequestSlots(1, wait_s=0.0)
    for _ in range(3):
        with pytest.raises(ValueError, match="ends"):
            async with slots.taken("acme"):
                raise ValueError("it ends")
    async with slots.taken("acme"):
        with pytest.raises(Overloaded, match="All 1 places"):
            async with slots.taken("globex"):
                pass
    await slots.drain(PATIENCE_S)


async def test_one_tenant_has_half_of_the_slots_rounded_up() -> None:
    slots = RequestSlots(3, is_shared=True, wait_s=0.0)
    async with slots.taken("acme"), slots.taken("acme"):
        with pytest.raises(RateLimited, match=r"tenant\.audio_requests .* 2 "):
            async with slots.taken("acme"):
                pass
        async with slots.taken("globex"):
            with pytest.raises(Overloaded):
                async with slots.taken("initech"):
                    pass


async def test_who_waits_longest_and_may_is_next() -> None:
    slots = RequestSlots(2, is_shared=True, wait_s=PATIENCE_S)
    served: list[str] = []
    ends = [asyncio.Event() for _ in range(4)]
    tasks = []
    for tenant_id, end in zip(("acme", "globex", "acme", "initech"), ends, strict=True):
        tasks.append(asyncio.create_task(hold(slots, tenant_id, served, end)))
        await asyncio.sleep(0)
    ends[1].set()  # acme has its share, so initech is before its second request
    await settled(lambda: len(served) == 3)
    assert served == ["acme", "globex", "initech"]
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)
    assert served[3] == "acme"


async def test_who_waits_too_long_or_behind_too_many_is_refused() -> None:
    slots, end = RequestSlots(1, wait_s=0.05), asyncio.Event()
    served: list[str] = []
    first = asyncio.create_task(hold(slots, "acme", served, end))
    await settled(lambda: bool(served))
    others = [asyncio.create_task(hold(slots, "acme", served, end)) for _ in range(WAITING_PER_SLOT + 2)]
    refused = await asyncio.gather(*others, return_exceptions=True)
    assert [type(each) for each in refused] == [Overloaded] * (WAITING_PER_SLOT + 2)
    end.set()
    await first


async def test_one_that_is_cancelled_while_it_waits_keeps_no_slot() -> None:
    slots, end = RequestSlots(1, wait_s=PATIENCE_S), asyncio.Event()
    served: list[str] = []
    first = asyncio.create_task(hold(slots, "acme", served, end))
    await settled(lambda: bool(served))
    second = asyncio.create_task(hold(slots, "acme", served, end))
    await asyncio.sleep(0)
    end.set()
    await first
    second.cancel()  # when it has its slot, and has not begun
    await asyncio.gather(second, return_exceptions=True)
    await slots.drain(PATIENCE_S)
    async with slots.taken("acme"):
        pass


async def test_no_slots_serve_no_one() -> None:
    with pytest.raises(Overloaded):
        async with RequestSlots(0).taken("acme"):
            pass
