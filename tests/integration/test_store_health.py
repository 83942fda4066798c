"""What a look at the store tells of its workers and of itself, on one server and on a cluster."""

from collections.abc import AsyncIterator

import pytest
from tests.kit.client import until
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor, memory_share
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit

pytestmark = pytest.mark.requirement("A1.1")


@pytest.fixture
async def broker(store_url: str) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(store_url)
    yield made
    await made.close()


async def test_a_look_tells_who_works_what_ails_them_and_how_long_jobs_wait(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "ALIVE_FOR_S", PATIENCE_S)  # a busy machine must not look like a dead worker
    signs = StoreHealthMonitor(broker.connection)
    seen = await signs.read()
    assert all(not crew.alive and crew.queue_age_s == 0 for crew in seen.worker_pools.values())
    assert 0 < seen.memory_share < 0.5
    for kind in (JobKind.LLM, JobKind.TTS):
        await broker.claim(kind, f"{kind}_1", slots=1, wait_s=0)
    await signs.report_unhealthy(JobKind.TTS, "tts_1", frozenset({"piper"}))
    await broker.dispatch([Submit(Job("job_1", JobKind.LLM, SessionRef("acme", "sess_1"), b"", 0.0))])

    async def waits() -> bool:
        return (await signs.read()).worker_pools[JobKind.LLM].queue_age_s > 0

    await until(waits)
    crews = (await signs.read()).worker_pools
    assert crews[JobKind.LLM].alive == {"llm_1"} and not crews[JobKind.LLM].unhealthy
    assert crews[JobKind.TTS].alive == {"tts_1"} and crews[JobKind.TTS].lacks("piper")
    assert crews[JobKind.TTS].queue_age_s == 0 and not crews[JobKind.STT].alive


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+cluster://127.0.0.1:1"])
async def test_a_store_that_is_away_is_lost_at_once(url: str) -> None:
    broker = RedisBroker(url)
    with pytest.raises(BrokerLost, match="away"):
        await StoreHealthMonitor(broker.connection).read()
    await broker.close()


def test_buffers_that_evict_nothing_do_not_make_the_store_full() -> None:
    buffered = {"maxmemory": 100, "used_memory": 95, "mem_not_counted_for_evict": 50}
    assert memory_share(buffered) == 0.45
    assert memory_share(buffered | {"mem_not_counted_for_evict": 0}) == 0.95
    assert memory_share({"maxmemory": 0, "used_memory": 95}) == 0.0
