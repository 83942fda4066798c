"""The client on a scripted Sanity: which failures are tried again, after which waits, within which time, told as what."""

import asyncio
import random
from collections.abc import Iterator

import httpx
import pytest
from tests.kit.sanity import DOCUMENT, SHIPMENT, TENANT, ScriptedSanity, Step, Waits, document, let_go, ok, sanity
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BadProviderAnswer, ProviderError, ProviderTimeout, ProviderUnavailable
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox_delivery.sources.sanity import (
    DEADLINE_S,
    LONGEST_ANSWER_BYTES,
    WAITS,
    SanityShipments,
    SanityTimeouts,
)
from agentvoicebox_delivery.sources.sanity_answer import Kind
from agentvoicebox_delivery.sources.sanity_query import SanityDataset
from agentvoicebox_delivery.sources.unreadable import RefusedRequest, UnreadableRecord

pytestmark = pytest.mark.requirement("B2.2")

TRANSIENT: list[Step] = [
    *(httpx.Response(status) for status in (429, 500, 502, 503, 504)),
    httpx.ConnectError("refused"),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("hung up"),
    httpx.ConnectTimeout("slow"),
    httpx.ReadTimeout("slow"),
    httpx.PoolTimeout("full"),
]
FINAL = [400, 401, 403, 404, 405, 409, 413, 418, 301, 501]


def name_of(step: Step) -> str:
    return str(step.status_code) if isinstance(step, httpx.Response) else type(step).__name__


async def failure(shipments: SanityShipments) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        await shipments.find(TENANT, ["PKG001"])
    return error.value


@pytest.mark.parametrize("fault", TRANSIENT, ids=name_of)
async def test_what_may_pass_is_tried_again_up_to_three_times(fault: Step, manual_clock: ManualClock) -> None:
    once = ScriptedSanity(fault, ok(DOCUMENT))
    assert await sanity(once, manual_clock).find(TENANT, ["PKG001"]) == [SHIPMENT]
    always, waits = ScriptedSanity(fault), Waits(manual_clock)
    await failure(sanity(always, manual_clock, sleep=waits))
    assert len(always.requests) == 3
    assert waits.waited_s == [0.1, 0.2]


@pytest.mark.parametrize("status", FINAL)
async def test_what_will_not_pass_is_not_tried_again(status: int, manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(httpx.Response(status))
    await failure(sanity(scripted, manual_clock))
    assert len(scripted.requests) == 1


def test_the_waits_are_those_of_the_plan_less_a_little_chance() -> None:
    four = Backoff(WAITS.first_s, WAITS.factor, WAITS.longest_s, tries=4, spread=WAITS.spread)
    assert [four.wait_s(failures) for failures in (1, 2, 3, 4)] == [0.1, 0.2, 0.4, None]
    assert four.wait_s(2, chance=1.0) == pytest.approx(0.16)
    assert WAITS.tries == 3


@pytest.mark.parametrize("retry_after", ["2", "Tue, 14 Nov 2023 22:13:22 GMT"])  # the manual clock's wall time, and 2 s
async def test_retry_after_is_obeyed(retry_after: str, manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(httpx.Response(429, headers={"retry-after": retry_after}), ok(DOCUMENT))
    waits = Waits(manual_clock)
    assert await sanity(scripted, manual_clock, sleep=waits).find(TENANT, ["PKG001"]) == [SHIPMENT]
    assert waits.waited_s == [pytest.approx(2.0)]


@pytest.mark.parametrize("retry_after", ["3.96", "60", "9" * 400])
async def test_a_retry_after_beyond_the_deadline_is_not_waited_for(retry_after: str, manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(httpx.Response(429, headers={"retry-after": retry_after}))
    waits = Waits(manual_clock)
    error = await failure(sanity(scripted, manual_clock, sleep=waits))
    assert isinstance(error, ProviderUnavailable)
    assert waits.waited_s == []


async def test_all_tries_together_keep_the_deadline(manual_clock: ManualClock) -> None:
    def drag(request: httpx.Request) -> httpx.Response:
        manual_clock.advance(1.9)
        raise httpx.ReadTimeout("slow", request=request)

    scripted = ScriptedSanity(drag)
    assert isinstance(await failure(sanity(scripted, manual_clock)), ProviderTimeout)
    assert len(scripted.requests) == 2  # a third would begin after the deadline
    assert manual_clock.monotonic_s() <= DEADLINE_S


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        (httpx.Response(503), ProviderUnavailable, Kind.SERVER_ERROR),
        (httpx.Response(429), ProviderUnavailable, Kind.LIMITED),
        (httpx.ReadTimeout("slow"), ProviderTimeout, Kind.TIMEOUT),
        (httpx.ConnectError("refused"), ProviderUnavailable, Kind.UNREACHABLE),
        (httpx.DecodingError("bad gzip"), BadProviderAnswer, Kind.GARBAGE),
        (httpx.LocalProtocolError("bad header"), RefusedRequest, Kind.REFUSED),
        (httpx.Response(401), RefusedRequest, Kind.REFUSED),
        (httpx.Response(404), RefusedRequest, Kind.REFUSED),
        (httpx.Response(400), RefusedRequest, Kind.REFUSED),
        (httpx.Response(200, html="<html>"), BadProviderAnswer, Kind.GARBAGE),
        (httpx.Response(200, json={"result": None}), BadProviderAnswer, None),
        (httpx.Response(200, json={"result": [DOCUMENT] * 64}), BadProviderAnswer, None),
    ],
    ids=str,
)
async def test_each_failure_is_told_in_our_terms_with_its_cause(
    fault: Step, error: type[ProviderError], kind: Kind | None, manual_clock: ManualClock
) -> None:
    attempts: list[Kind] = []
    shipments = sanity(ScriptedSanity(fault), manual_clock, on_attempt=lambda how, _: attempts.append(how))
    raised = await failure(shipments)
    assert type(raised) is error
    assert set(attempts) == {kind or Kind.ANSWERED}
    assert raised.__cause__ is not None or kind is None
    assert "sk-test-token" not in raised.message


async def test_an_answer_beyond_the_limit_is_not_read_to_its_end(manual_clock: ManualClock) -> None:
    read = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            nonlocal read
            while True:
                read += 65_536
                yield b"x" * 65_536

    reply = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    shipments = SanityShipments(SanityDataset("p"), transport=reply, clock=manual_clock)
    assert isinstance(await failure(shipments), BadProviderAnswer)
    assert read < LONGEST_ANSWER_BYTES + 2 * 65_536
    await let_go()


async def test_candidates_are_one_question_and_come_back_in_the_order_asked(manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(ok(document("PKG002"), DOCUMENT))
    found = await sanity(scripted, manual_clock).find(TENANT, ["PKG001", "PKG009", "PKG002"])
    assert [each.tracking_id for each in found] == ["PKG001", "PKG002"]
    assert len(scripted.requests) == 1


async def test_no_ids_and_no_tenant_of_the_dataset_ask_nothing(manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(ok(DOCUMENT))
    shipments = sanity(scripted, manual_clock, tenants=frozenset({TENANT}))
    assert await shipments.find(TENANT, []) == []
    assert await shipments.find("someone else", ["PKG001"]) == []
    assert scripted.requests == []


async def test_an_unreadable_record_carries_the_others_and_is_no_illness_of_sanity(manual_clock: ManualClock) -> None:
    shipments = sanity(ScriptedSanity(ok(document("PKG002", status="?"), DOCUMENT)), manual_clock)
    for _ in range(6):
        with pytest.raises(UnreadableRecord) as error:
            await shipments.find(TENANT, ["PKG001", "PKG002", "PKG003"])
        assert error.value.tracking_ids == ("PKG002",)
        assert error.value.shipments == (SHIPMENT,)
    assert shipments.breaker_state is BreakerState.CLOSED


async def test_five_failed_look_ups_open_the_breaker_and_one_request_probes_it(manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(httpx.Response(503))
    told: list[tuple[BreakerState, BreakerState]] = []
    shipments = sanity(scripted, manual_clock, on_change=lambda _, before, after: told.append((before, after)))
    for _ in range(5):
        await failure(shipments)
    asked = len(scripted.requests)
    await failure(shipments)
    assert len(scripted.requests) == asked == 15  # shut: nobody knocks
    manual_clock.advance(30.0)
    await failure(shipments)
    assert len(scripted.requests) == asked + 1  # a probe is not tried again
    assert [after.value for _, after in told] == ["open", "half_open", "open"]
    shipments.reset()
    await failure(shipments)
    assert len(scripted.requests) == asked + 4


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_refusals_never_open_the_breaker(status: int, manual_clock: ManualClock) -> None:
    shipments = sanity(ScriptedSanity(httpx.Response(status)), manual_clock)
    for _ in range(20):
        await failure(shipments)
    assert shipments.breaker_state is BreakerState.CLOSED


async def test_a_caller_who_leaves_says_nothing_about_sanity(manual_clock: ManualClock) -> None:
    reached = asyncio.Event()

    async def never(_: httpx.Request) -> httpx.Response:
        reached.set()
        return await asyncio.Future()

    attempts: list[Kind] = []
    shipments = SanityShipments(
        SanityDataset("p"), transport=httpx.MockTransport(never), on_attempt=lambda how, _: attempts.append(how)
    )
    for _ in range(6):
        reached.clear()
        asked = asyncio.create_task(shipments.find(TENANT, ["PKG001"]))
        async with asyncio.timeout(PATIENCE_S):
            await reached.wait()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert attempts == []
    assert shipments.breaker_state is BreakerState.CLOSED


def faults(seed: int, rate: float) -> Iterator[Step]:
    """Each request is lost with the same chance, in any way that may pass."""
    chance = random.Random(seed)
    while True:
        yield chance.choice(TRANSIENT) if chance.random() < rate else ok(DOCUMENT)


async def recovery(seed: int, rate: float, tries: int) -> tuple[float, float]:
    """(share of 1000 look-ups answered, share answered of those that met a fault)."""
    clock = ManualClock()
    waits = Backoff(WAITS.first_s, WAITS.factor, WAITS.longest_s, tries, WAITS.spread)
    scripted = ScriptedSanity(script=faults(seed, rate))
    shipments = sanity(scripted, clock, timeouts=SanityTimeouts(waits=waits))
    answered = met = recovered = 0
    for _ in range(1000):
        before = len(scripted.requests)
        try:
            is_answered = await shipments.find(TENANT, ["PKG001"]) == [SHIPMENT]
        except ProviderError:
            is_answered = False
        has_met = len(scripted.requests) - before > 1 or not is_answered
        answered += is_answered
        met += has_met
        recovered += has_met and is_answered
    return answered / 1000, recovered / met


@pytest.mark.parametrize("seed", range(3))
async def test_nineteen_of_twenty_look_ups_are_answered_while_three_requests_in_ten_are_lost(seed: int) -> None:
    answered, _ = await recovery(seed, rate=0.3, tries=3)
    assert answered >= 0.95


@pytest.mark.parametrize("seed", range(3))
async def test_of_the_look_ups_that_met_a_fault_nineteen_of_twenty_recover_at_one_in_seven(seed: int) -> None:
    _, recovered = await recovery(seed, rate=0.15, tries=3)
    assert recovered >= 0.95


async def test_a_check_counts_what_we_may_see_and_lasts_five_seconds(manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(httpx.Response(200, json={"result": 40}))
    shipments = sanity(scripted, manual_clock)
    for _ in range(3):
        await asyncio.gather(*(shipments.check() for _ in range(5)))
    assert len(scripted.requests) == 1
    manual_clock.advance(5.0)
    await shipments.check()
    assert len(scripted.requests) == 2


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        (httpx.Response(200, json={"result": 0}), "AVB_SANITY_TOKEN"),
        (httpx.Response(200, json={"result": None}), "number"),
        (httpx.Response(200, json={"result": True}), "number"),
        (httpx.Response(401, json={"message": "Session not found"}), "AVB_SANITY_TOKEN"),
        (httpx.Response(401, json={"message": "Session does not match project host"}), "AVB_SANITY_PROJECT_ID"),
        (httpx.Response(404, json={"message": "Dataset not found"}), "AVB_SANITY_DATASET"),
        (httpx.ConnectError("no such host"), "AVB_SANITY_PROJECT_ID"),
    ],
    ids=str,
)
async def test_a_check_names_the_setting_to_look_at_also_from_its_memory(
    reply: Step, names: str, manual_clock: ManualClock
) -> None:
    shipments = sanity(ScriptedSanity(reply, httpx.Response(200, json={"result": 1})), manual_clock)
    for _ in range(2):
        with pytest.raises(ProviderError, match=names):
            await shipments.check()
    manual_clock.advance(5.0)
    await shipments.check()


async def test_a_check_does_not_knock_at_a_shut_gate(manual_clock: ManualClock) -> None:
    scripted = ScriptedSanity(httpx.Response(503))
    shipments = sanity(scripted, manual_clock)
    for _ in range(5):
        await failure(shipments)
    asked = len(scripted.requests)
    with pytest.raises(ProviderUnavailable):
        await shipments.check()
    assert len(scripted.requests) == asked
