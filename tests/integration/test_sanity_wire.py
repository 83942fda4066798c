"""The client over real HTTP against a server that goes wrong: every failure, with nothing known and with something known."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec
import pytest
from tests.kit import fault_proxy as fp
from tests.kit.fault_proxy import Break, Fault, FaultProxy, Request, answer
from tests.kit.sanity import DOCUMENT, SHIPMENT, TENANT, let_go
from tests.kit.waiting import FACTOR, PATIENCE_S

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.sources.budget import LASTING, OUT_OF_TIME, AnswerSource, outcome
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.sources.sanity import SanityShipments, SanityTimeouts
from agentvoicebox_delivery.sources.sanity_answer import Kind
from agentvoicebox_delivery.sources.sanity_query import SanityDataset

QUICK = Backoff(first_s=0.001, longest_s=0.004, tries=3)
SHORT_S = 1.0 * FACTOR  # of an attempt that meets silence; any other ends by what it gets

UNAVAILABLE, TIMEOUT, BAD = "provider_unavailable", "provider_timeout", "bad_provider_answer"
REFUSED = "source_refused"
WEATHER: list[tuple[str, Fault, str, int]] = [
    ("429 with seconds", fp.too_many("3600"), UNAVAILABLE, 1),
    ("429 with a date", fp.too_many(format_datetime(datetime(2030, 1, 1, tzinfo=UTC), usegmt=True)), UNAVAILABLE, 1),
    ("429 without a word", fp.too_many(), UNAVAILABLE, 3),
    ("500", fp.server_error(500), UNAVAILABLE, 3),
    ("502 page", fp.GATEWAY_PAGE, UNAVAILABLE, 3),
    ("503", fp.server_error(503), UNAVAILABLE, 3),
    ("504", fp.server_error(504), UNAVAILABLE, 3),
    ("reset", Break.RESET, UNAVAILABLE, 3),
    ("hang up", Break.HANG_UP, UNAVAILABLE, 3),
    ("cut in the middle", Break.CUT, UNAVAILABLE, 3),
    ("silence", Break.SILENCE, TIMEOUT, 3),
    ("slow first byte", msgspec.structs.replace(answer([]), delay_s=30.0), TIMEOUT, 3),
    ("slow drip", fp.DRIP, TIMEOUT, 3),
    ("page", fp.HTML_PAGE, BAD, 1),
    ("truncated", fp.TRUNCATED, BAD, 1),
    ("empty", fp.EMPTY, BAD, 1),
    ("wrong type", fp.WRONG_TYPE, BAD, 1),
    ("ten megabytes", fp.HUGE, BAD, 1),
    ("unknown token", fp.Reply(401, b'{"statusCode":401,"message":"Session not found"}'), REFUSED, 1),
    ("no query", fp.Reply(400, b'{"error":{"type":"queryParseError","description":"no"}}'), REFUSED, 1),
    ("gone", fp.Reply(404, b'{"message":"Dataset not found"}'), REFUSED, 1),
    ("elsewhere", fp.Reply(302, b"", headers={"location": "/elsewhere"}), REFUSED, 1),
    ("no list", answer({"a": 1}), BAD, 1),
    ("no known state", answer([DOCUMENT | {"status": "?"}]), "unreadable_record", 1),
    ("two stories", answer([DOCUMENT, DOCUMENT | {"_id": "b", "status": "delivered"}]), "unreadable_record", 1),
    ("null document", answer([None]), "unreadable_record", 1),
]


class FaultyBackend:
    """A server that goes wrong, a client, a memory; time for ages moves by hand, for the wire by itself."""

    def __init__(self, proxy: FaultProxy, clock: ManualClock, kinds: list[Kind], attempt_s: float) -> None:
        self.proxy, self.clock, self.kinds = proxy, clock, kinds
        self.sanity = SanityShipments(
            SanityDataset(base_url=proxy.url, token="t"),
            timeouts=SanityTimeouts(attempt_s=attempt_s, deadline_s=3 * PATIENCE_S, waits=QUICK),
            clock=clock,
            on_attempt=lambda kind, _: kinds.append(kind),
        )
        self.cache = CachedShipments(self.sanity, clock=clock)


@asynccontextmanager
async def faulty_backend(*plan: Fault | None, attempt_s: float = PATIENCE_S) -> AsyncIterator[FaultyBackend]:
    async with FaultProxy(plan=plan) as proxy:
        built = FaultyBackend(proxy, ManualClock(), [], attempt_s)
        try:
            yield built
        finally:
            await built.cache.close()
            await built.sanity.close()
            await let_go()


@pytest.mark.parametrize(("fault", "code", "requests"), [row[1:] for row in WEATHER], ids=[row[0] for row in WEATHER])
async def test_any_failure_ends_in_one_certain_sentence(fault: Fault, code: str, requests: int) -> None:
    asked = track.wanted("PKG001")[:1]
    attempt_s = SHORT_S if code == TIMEOUT else PATIENCE_S
    async with faulty_backend(attempt_s=attempt_s) as cold:
        cold.proxy.follow(lambda _: fault)
        nothing = await cold.cache.find_within(TENANT, ["PKG001"], PATIENCE_S)
        assert (nothing.source, nothing.failure) == (AnswerSource.NOWHERE, code)
        assert outcome(asked, nothing) == (track.error() if code in LASTING else track.unavailable())
        assert len(cold.kinds) == requests >= len(cold.proxy.requests)
    async with faulty_backend(attempt_s=attempt_s) as warm:
        warm.proxy.follow(lambda _: answer([DOCUMENT]))
        assert (await warm.cache.find_within(TENANT, ["PKG001"], PATIENCE_S)).shipments == (SHIPMENT,)
        warm.proxy.follow(lambda _: fault)
        warm.clock.advance(120.0)
        warm.kinds.clear()
        known = await warm.cache.find_within(TENANT, ["PKG001"], PATIENCE_S)
        assert (known.source, known.failure, known.age_s) == (AnswerSource.LAST_KNOWN, code, 120.0)
        assert outcome(asked, known) == track.outcome(asked, [SHIPMENT], age_s=120.0)
        assert len(warm.kinds) == requests


@pytest.mark.parametrize(
    ("fault", "code"),
    [row[1:3] for row in WEATHER if row[3] == 3],
    ids=[row[0] for row in WEATHER if row[3] == 3],
)
async def test_what_passes_after_two_tries_is_not_noticed_by_the_caller(fault: Fault, code: str) -> None:
    attempt_s = SHORT_S if code == TIMEOUT else PATIENCE_S
    async with faulty_backend(fault, fault, answer([DOCUMENT]), attempt_s=attempt_s) as recovering:
        found = await recovering.cache.find_within(TENANT, ["PKG001"], PATIENCE_S)
        assert (found.source, found.shipments) == (AnswerSource.FETCHED, (SHIPMENT,))


@pytest.mark.parametrize("fault", [Break.SILENCE, fp.DRIP], ids=["silence", "drip"])
async def test_the_budget_ends_the_wait_and_not_the_request(fault: Fault) -> None:
    async with faulty_backend(fault, answer([DOCUMENT]), attempt_s=SHORT_S) as slow:
        early = await slow.cache.find_within(TENANT, ["PKG001"], 0.05)
        assert (early.source, early.failure) == (AnswerSource.NOWHERE, OUT_OF_TIME)
        later = await slow.cache.find_within(TENANT, ["PKG001"], PATIENCE_S)
        assert later.shipments == (SHIPMENT,)
        assert slow.cache.stats.joins == 1


async def test_a_hundred_callers_are_one_request_on_the_wire() -> None:
    async with faulty_backend(answer([DOCUMENT])) as busy:
        answers = await asyncio.gather(*(busy.cache.find_within(TENANT, ["PKG001"], PATIENCE_S) for _ in range(100)))
        assert {each.shipments for each in answers} == {(SHIPMENT,)}
        assert len(busy.proxy.requests) == 1


async def test_nobody_at_the_address_is_unreachable() -> None:
    async with FaultProxy() as gone:
        url = gone.url
    shipments = SanityShipments(SanityDataset(base_url=url), timeouts=SanityTimeouts(waits=QUICK))
    with pytest.raises(ProviderUnavailable, match="can't be reached"):
        await shipments.find(TENANT, ["PKG001"])
    await shipments.close()


async def test_a_caller_who_leaves_does_not_break_the_connections() -> None:
    async with faulty_backend(*[Break.SILENCE] * 5) as backend:
        for count in range(5):
            leaving = asyncio.create_task(backend.sanity.find(TENANT, ["PKG001"]))
            await backend.proxy.arrived(count + 1)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        backend.proxy.follow([answer([DOCUMENT])])
        assert await backend.sanity.find(TENANT, ["PKG001"]) == [SHIPMENT]
        assert backend.kinds == [Kind.ANSWERED]


async def test_the_token_travels_in_its_header_alone() -> None:
    async with faulty_backend(answer([])) as backend:
        await backend.sanity.find(TENANT, ["PKG001"])
        request: Request = backend.proxy.requests[0]
        assert request.headers["authorization"] == "Bearer t"
        assert "Bearer" not in request.target
        assert request.headers["accept-encoding"] == "identity"
