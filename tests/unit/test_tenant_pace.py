"""REST requests of one tenant wait for each other, not their neighbours for them (C11)."""

import asyncio

import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import RateLimited
from agentvoicebox.gateway.admission.tenant_pace import TenantPace

pytestmark = pytest.mark.requirement("C11")


async def test_a_tenant_waits_for_itself_and_another_one_does_not() -> None:
    pace = TenantPace(100, clock=ManualClock())
    for _ in range(200):
        await pace.wait("busy")
    waiting = asyncio.create_task(pace.wait("busy"))
    other = asyncio.create_task(pace.wait("other"))
    await asyncio.sleep(0)
    assert other.done() and not waiting.done()
    await waiting


async def test_one_that_would_wait_too_long_is_refused_and_not_charged() -> None:
    clock = ManualClock()
    pace = TenantPace(1, clock=clock)
    waiting = [asyncio.create_task(pace.wait("busy")) for _ in range(7)]
    await asyncio.sleep(0)
    for _ in range(10):
        with pytest.raises(RateLimited, match="AVB_LIMIT_TENANT_RATE"):
            await pace.wait("busy")
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    clock.advance(7.0)
    await pace.wait("busy")
