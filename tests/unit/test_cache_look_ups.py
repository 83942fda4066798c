"""The memory in front of a backend: how long what is fresh, who waits for whom, and what stands in when the backend fails."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from tests.kit.sanity import SHIPMENT, TENANT
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import AgentVoiceBoxError, BadProviderAnswer, ProviderTimeout, ProviderUnavailable
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.sources.budget import OUT_OF_TIME, Answer, AnswerSource, outcome
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.sources.unreadable import UnreadableRecord

pytestmark = pytest.mark.requirement("B2.1", "B2.4")

ID = "PKG001"
OTHER = Shipment("PKG002", ShipmentStatus.DELIVERED)
IMPATIENT_S = 0.001


class Backend:
    """Holds shipments; may be made to wait, to fail, or to hold records that can't be read."""

    def __init__(self, *shipments: Shipment) -> None:
        self.shipments = {each.tracking_id: each for each in shipments}
        self.unreadable: set[str] = set()
        self.failure: Exception | None = None
        self.asked: list[tuple[str, ...]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()
        self.reached_twice = asyncio.Event()

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        self.asked.append(tuple(tracking_ids))
        found = [self.shipments[each] for each in tracking_ids if each in self.shipments]
        (self.reached_twice if self.reached.is_set() else self.reached).set()
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        unreadable = [each for each in tracking_ids if each in self.unreadable]
        if unreadable:
            raise UnreadableRecord(unreadable, [each for each in found if each.tracking_id not in unreadable])
        return found


async def soon(event: asyncio.Event) -> None:
    """Wait for it, and not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        await event.wait()


class CacheSetup:
    """A backend, its memory and a clock."""

    def __init__(self, *shipments: Shipment, most: int = 100) -> None:
        self.clock = ManualClock()
        self.backend = Backend(*shipments)
        self.cache = CachedShipments(self.backend, clock=self.clock, most=most)

    async def ask(self, *tracking_ids: str, budget_s: float = PATIENCE_S, tenant_id: str = TENANT) -> Answer:
        return await self.cache.find_within(tenant_id, tracking_ids or (ID,), budget_s)


async def test_an_answer_is_fresh_for_a_minute() -> None:
    setup = CacheSetup(SHIPMENT)
    assert await setup.ask() == Answer(AnswerSource.FETCHED, (SHIPMENT,))
    setup.clock.advance(59.9)
    assert await setup.ask() == Answer(AnswerSource.CACHED, (SHIPMENT,), cast(float, pytest.approx(59.9)))
    setup.clock.advance(0.1)
    assert (await setup.ask()).source is AnswerSource.FETCHED
    assert len(setup.backend.asked) == 2


async def test_no_such_parcel_is_fresh_for_ten_seconds() -> None:
    setup = CacheSetup()
    assert await setup.ask() == Answer(AnswerSource.FETCHED, ())
    setup.clock.advance(9.9)
    assert await setup.ask() == Answer(AnswerSource.CACHED, ())
    setup.clock.advance(0.1)
    setup.backend.shipments[ID] = SHIPMENT
    assert (await setup.ask()).shipments == (SHIPMENT,)


async def test_an_answer_with_its_look_alikes_is_remembered_as_a_whole() -> None:
    setup = CacheSetup(SHIPMENT)
    await setup.ask(ID, "PKG0O1", "PKG00I")
    setup.clock.advance(30.0)
    assert (await setup.ask(ID, "PKG0O1", "PKG00I")).source is AnswerSource.CACHED
    assert (await setup.ask("PKG0O1")).source is AnswerSource.FETCHED  # by itself it is a question of its own


async def test_each_number_is_remembered_for_itself() -> None:
    setup = CacheSetup(SHIPMENT, OTHER)
    await setup.ask(ID)
    assert await setup.ask(ID, "PKG002") == Answer(AnswerSource.FETCHED, (SHIPMENT, OTHER))
    assert await setup.ask("PKG002", ID) == Answer(AnswerSource.CACHED, (OTHER, SHIPMENT))
    assert setup.backend.asked == [(ID,), ("PKG002",)]


async def test_tenants_share_nothing() -> None:
    setup = CacheSetup(SHIPMENT)
    await setup.ask()
    await setup.ask(tenant_id="another")
    assert len(setup.backend.asked) == 2


async def test_the_memory_is_bounded_and_keeps_what_is_asked_for() -> None:
    setup = CacheSetup(most=3)
    for tracking_id in ("PKG001", "PKG002", "PKG003", "PKG001", "PKG004"):
        await setup.ask(tracking_id)
    assert setup.cache.stats.size == 3
    asked = len(setup.backend.asked)
    await setup.ask("PKG001")
    assert len(setup.backend.asked) == asked
    await setup.ask("PKG002")
    assert len(setup.backend.asked) == asked + 1


async def test_what_was_not_asked_is_not_remembered_as_absent() -> None:
    setup = CacheSetup()
    await setup.ask(*(f"PKG{number:03}" for number in range(40)))
    assert len(setup.backend.asked[0]) == setup.cache.stats.size == 16


async def test_a_hundred_look_ups_of_one_number_are_one_request() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.open.clear()
    waiting = [asyncio.create_task(setup.ask()) for _ in range(100)]
    await soon(setup.backend.reached)
    setup.backend.open.set()
    assert {(await each).shipments for each in waiting} == {(SHIPMENT,)}
    assert setup.backend.asked == [(ID,)]
    assert (setup.cache.stats.misses, setup.cache.stats.joins) == (100, 99)


async def test_a_caller_who_leaves_takes_nobody_along() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.open.clear()
    first, second = asyncio.create_task(setup.ask()), asyncio.create_task(setup.ask())
    await soon(setup.backend.reached)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    setup.backend.open.set()
    assert (await second).shipments == (SHIPMENT,)
    assert len(setup.backend.asked) == 1


async def test_overlapping_questions_ask_for_each_number_once() -> None:
    setup = CacheSetup(SHIPMENT, OTHER)
    setup.backend.open.clear()
    one, two = asyncio.create_task(setup.ask(ID)), asyncio.create_task(setup.ask("PKG002", ID))
    await soon(setup.backend.reached_twice)
    setup.backend.open.set()
    assert (await one).shipments == (SHIPMENT,)
    assert (await two).shipments == (OTHER, SHIPMENT)
    assert setup.backend.asked == [(ID,), ("PKG002",)]


async def test_a_failure_reaches_all_who_wait_and_is_not_remembered() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.failure = ProviderUnavailable("away")
    answers = await asyncio.gather(*(setup.ask() for _ in range(10)))
    assert set(answers) == {Answer(AnswerSource.NOWHERE, None, failure="provider_unavailable")}
    setup.backend.failure = None
    assert (await setup.ask()).source is AnswerSource.FETCHED


async def test_after_the_budget_the_request_goes_on_and_fills_the_memory() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.open.clear()
    assert await setup.ask(budget_s=IMPATIENT_S) == Answer(AnswerSource.NOWHERE, None, failure=OUT_OF_TIME)
    later = asyncio.create_task(setup.ask())  # joins what is still under way
    setup.backend.open.set()
    assert (await later).shipments == (SHIPMENT,)
    assert (await setup.ask()).source is AnswerSource.CACHED
    assert len(setup.backend.asked) == 1


async def test_the_last_known_answer_stands_in_with_its_age_for_an_hour() -> None:
    setup = CacheSetup(SHIPMENT)
    await setup.ask()
    setup.backend.failure = ProviderTimeout("slow")
    setup.clock.advance(300.0)
    last_known = await setup.ask()
    assert last_known == Answer(AnswerSource.LAST_KNOWN, (SHIPMENT,), 300.0, "provider_timeout")
    told = outcome(track.wanted(ID), last_known)
    assert told.code == track.FOUND
    assert "about five minutes ago" in told.speech
    setup.clock.advance(3299.9)
    assert (await setup.ask()).source is AnswerSource.LAST_KNOWN
    setup.clock.advance(0.1)
    assert (await setup.ask()).source is AnswerSource.NOWHERE


async def test_an_age_counts_from_the_question_not_from_the_answer() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.open.clear()
    slow = asyncio.create_task(setup.ask())
    await soon(setup.backend.reached)
    setup.clock.advance(4.0)
    setup.backend.open.set()
    assert (await slow).age_s == 4.0


async def test_a_stale_absence_never_stands_in() -> None:
    setup = CacheSetup()
    await setup.ask()
    setup.clock.advance(11.0)
    setup.backend.failure = ProviderUnavailable("away")
    assert (await setup.ask()).source is AnswerSource.NOWHERE


async def test_half_an_answer_never_stands_in() -> None:
    setup = CacheSetup(SHIPMENT)
    await setup.ask(ID)
    setup.backend.failure = ProviderUnavailable("away")
    setup.clock.advance(100.0)
    assert (await setup.ask(ID, "PKG301")).source is AnswerSource.NOWHERE  # the caller may have meant the other


@pytest.mark.parametrize("failure", [ProviderUnavailable("a"), ProviderTimeout("b"), BadProviderAnswer("c")])
async def test_the_port_itself_gives_fresh_answers_or_raises(failure: AgentVoiceBoxError) -> None:
    setup = CacheSetup(SHIPMENT)
    assert await setup.cache.find(TENANT, [ID]) == [SHIPMENT]
    setup.backend.failure = failure
    setup.clock.advance(61.0)
    with pytest.raises(type(failure)):
        await setup.cache.find(TENANT, [ID])


async def test_a_fault_of_ours_is_not_taken_for_an_outage() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await setup.ask()


async def test_an_unreadable_record_is_neither_absent_nor_unavailable() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.unreadable = {ID}
    for _ in range(2):
        answer = await setup.ask()
        assert answer == Answer(AnswerSource.NOWHERE, None, failure="unreadable_record")
        assert outcome(track.wanted(ID), answer) == track.error()


async def test_an_unreadable_look_alike_does_not_hide_the_parcel_that_was_asked_for() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.unreadable = {"PKG002"}
    assert (await setup.ask(ID, "PKG002")).shipments == (SHIPMENT,)
    assert (await setup.ask("PKG002")).failure == "unreadable_record"  # and was not remembered as absent
    assert (await setup.ask("PKG002", ID)).failure == "unreadable_record"


async def test_an_invalidated_number_is_asked_for_anew_for_every_tenant() -> None:
    setup = CacheSetup(SHIPMENT, OTHER)
    for tenant_id in ("one", "two"):
        await setup.ask(tenant_id=tenant_id)
    await setup.ask("PKG002")
    assert setup.cache.invalidate(ID) == 2
    asked = len(setup.backend.asked)
    await setup.ask(tenant_id="one")
    await setup.ask("PKG002")
    assert len(setup.backend.asked) == asked + 1
    assert setup.cache.invalidate() == 2
    assert setup.cache.stats.size == 0


async def test_what_was_on_its_way_when_it_was_invalidated_is_not_remembered() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.open.clear()
    early = asyncio.create_task(setup.ask())
    await soon(setup.backend.reached)
    setup.backend.shipments[ID] = Shipment(ID, ShipmentStatus.DELIVERED)
    setup.cache.invalidate(ID)
    late = asyncio.create_task(setup.ask())  # must not join the flight that left before the change
    await soon(setup.backend.reached_twice)
    setup.backend.open.set()
    await early
    assert [each.status for each in (await late).shipments or ()] == [ShipmentStatus.DELIVERED]
    assert [each.status for each in (await setup.ask()).shipments or ()] == [ShipmentStatus.DELIVERED]


async def test_the_counts_tell_each_kind_of_ending() -> None:
    setup = CacheSetup(SHIPMENT)
    await setup.ask()  # miss
    await setup.ask()  # hit
    await setup.ask("PKG404")  # miss
    await setup.ask("PKG404")  # hit, negative
    setup.clock.advance(61.0)
    setup.backend.failure = ProviderUnavailable("away")
    await setup.ask()  # miss, stale
    await setup.ask("PKG404")  # miss, unavailable
    stats = setup.cache.stats
    assert (stats.hits, stats.negative, stats.misses, stats.stale, stats.unavailable) == (2, 1, 4, 1, 1)
    assert (stats.joins, stats.size) == (0, 2)
    assert stats.hit_ratio == pytest.approx(1 / 3)


async def test_closing_ends_requests_under_way_and_tells_who_waits() -> None:
    setup = CacheSetup(SHIPMENT)
    setup.backend.open.clear()
    waiting = asyncio.create_task(setup.ask())
    await soon(setup.backend.reached)
    await setup.cache.close()
    assert (await waiting).source is AnswerSource.NOWHERE


async def test_no_number_is_no_look_up() -> None:
    setup = CacheSetup(SHIPMENT)
    assert await setup.cache.find_within(TENANT, []) == Answer(AnswerSource.CACHED, ())
    assert setup.backend.asked == []
