"""The source of parcels in Sanity, over its HTTP query API: one deadline for all attempts, and errors of this project's types.

A look-up is one query for all its candidates. `sanity_answer` checks the answer, `sanity_documents` reads the documents, and the
gate admits calls. The breaker counts look-ups, not attempts: at 30 % lost requests, five consecutive losses happen every few
minutes, but five consecutive failed look-ups do not. Caching is in `cache`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NoReturn

import httpx
import msgspec
import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadProviderAnswer, ProviderError, ProviderTimeout, ProviderUnavailable
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import BreakerPolicy, BreakerState
from agentvoicebox_delivery.numbers.tracking import MOST_CANDIDATES, is_tracking_id
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.sources.gate import Gate, OnChange, Verdict
from agentvoicebox_delivery.sources.sanity_answer import BREAKER_KINDS, AttemptFailed, Kind, garbage, result_of
from agentvoicebox_delivery.sources.sanity_documents import numbers_of, read
from agentvoicebox_delivery.sources.sanity_query import (
    MOST_DOCUMENTS,
    Question,
    SanityDataset,
    how_many,
    numbers_near,
    shipments_of,
)
from agentvoicebox_delivery.sources.unreadable import RefusedRequest, UnreadableRecord

NAME = "sanity"
DEADLINE_S = 4.0  # a hosted voice platform may wait 5 s; the rest is for the answer
ATTEMPT_S = 1.5
CONNECT_S = 0.5
WAITS = Backoff(first_s=0.1, factor=2.0, longest_s=0.4, tries=3, spread=0.2)  # requirement B2.2
LEAST_USEFUL_S = 0.05  # an attempt with less time can't succeed
LONGEST_ANSWER_BYTES = 1_000_000  # 64 documents have about 30 kB
CONNECTIONS = 50
CHECK_LASTS_S = 5.0

_log = structlog.get_logger(__name__)


class SanityTimeouts(msgspec.Struct, frozen=True):
    """How long a look-up waits for Sanity.

    Attributes:
        deadline_s: for a look-up with all its attempts and waits.
        attempt_s, connect_s: timeouts of one attempt, and of its connection.
        waits: number of attempts and the waits between them.
    """

    deadline_s: float = DEADLINE_S
    attempt_s: float = ATTEMPT_S
    connect_s: float = CONNECT_S
    waits: Backoff = WAITS


class SanityShipments:
    """Shipments in Sanity. Implements parcels.port.Shipments and NearShipments. Close it after use.

    Args:
        dataset: the dataset of the shipments.
        tenants: tenants whose parcels are in the dataset; others find nothing. None: all tenants.
        timeouts: of a look-up, its attempts and the waits between them.
        breaker: policy of the circuit breaker for failures.
        on_change: called at each change of a breaker: (`sanity` or `sanity_rate_limit`, before, after).
        on_attempt: called after each request: (kind of result, duration in seconds).
        clock: for deadlines and breakers.
        sleep: waits for a number of seconds.
        transport: replaces the network in tests.
    """

    def __init__(
        self,
        dataset: SanityDataset,
        *,
        tenants: frozenset[str] | None = None,
        timeouts: SanityTimeouts | None = None,
        breaker: BreakerPolicy | None = None,
        on_change: OnChange | None = None,
        on_attempt: Callable[[Kind, float], None] | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._dataset = dataset
        self._tenants = tenants
        self._timeouts = timeouts or SanityTimeouts()
        self._on_attempt = on_attempt
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._gate = Gate(NAME, self._clock, policy=breaker, on_change=on_change)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(
                self._timeouts.attempt_s, connect=min(self._timeouts.connect_s, self._timeouts.attempt_s)
            ),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            follow_redirects=False,
            transport=transport,
        )
        self._checked: tuple[float, ProviderError | None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._warning = ""

    @property
    def breaker_state(self) -> BreakerState:
        """State of the breaker for failures, for health and metrics."""
        return self._gate.state

    @property
    def breakers(self) -> dict[str, BreakerState]:
        """The state of the breakers for failures and for the rate limit, by name."""
        return self._gate.states

    def reset(self) -> None:
        """Close the breakers, and discard the result of the last check."""
        self._gate.reset()
        self._checked = None

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See parcels.port. At most 4 s.

        Raises:
            ProviderTimeout, ProviderUnavailable: Sanity can't answer now.
            BadProviderAnswer: its answer is invalid.
            RefusedRequest: it refuses the request; the message names the setting to check.
            UnreadableRecord: some of the requested parcels exist, but their state can't be read; it has the other parcels.
        """
        wanted = list(tracking_ids)[:MOST_CANDIDATES]
        if not wanted or (self._tenants is not None and tenant_id not in self._tenants):
            return []
        documents = await self._query(shipments_of(wanted))
        if not isinstance(documents, list):
            raise BadProviderAnswer("Sanity answered a look-up with something other than a list")
        if len(documents) >= MOST_DOCUMENTS:
            raise BadProviderAnswer("Sanity has too many documents for these numbers; some may be missing")
        reading = read(documents, wanted)
        shipments = [reading.shipments[each] for each in dict.fromkeys(wanted) if each in reading.shipments]
        if reading.unreadable:
            raise UnreadableRecord([each for each in wanted if each in reading.unreadable], shipments)
        return shipments

    async def find_near(
        self, tenant_id: str, beginnings: Sequence[str], endings: Sequence[str], ids: Collection[str] = ()
    ) -> list[Shipment]:
        """See parcels.port.NearShipments; only the numbers are read, so the states of these shipments mean nothing.

        Raises:
            The errors of `find`.
        """
        if not (beginnings or endings or ids) or (self._tenants is not None and tenant_id not in self._tenants):
            return []
        answer = await self._query(numbers_near(beginnings, endings, ids))
        named, alike = (answer.get("named"), answer.get("alike")) if isinstance(answer, dict) else (None, None)
        if not isinstance(named, list) or not isinstance(alike, list):
            raise BadProviderAnswer("Sanity answered a look-up of similar numbers with something other than two lists")
        found = numbers_of([*named, *alike])
        return [Shipment(each, ShipmentStatus.EXCEPTION) for each in found if is_tracking_id(each)]

    async def check(self) -> None:
        """Check that look-ups can be answered; the result is cached for 5 s. Detects a private dataset, which looks empty.

        Raises:
            ProviderTimeout, ProviderUnavailable, BadProviderAnswer: look-ups can't be answered now; the message names the
                setting to check.
        """
        if self._gate.state is BreakerState.OPEN:
            raise ProviderUnavailable("Sanity has failed too often; no requests are sent for a while")
        if self._checked is None or self._clock.monotonic_s() - self._checked[0] >= CHECK_LASTS_S:
            if self._checking is None:
                self._checking = asyncio.create_task(self._check(), name="sanity-check")
            await asyncio.shield(self._checking)
        if self._checked is not None and self._checked[1] is not None:
            failed = self._checked[1]
            raise type(failed)(failed.message, code=failed.code) from failed

    async def close(self) -> None:
        """Close connections. Idempotent."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        await self._client.aclose()

    async def _check(self) -> None:
        failed: ProviderError | None = None
        try:
            count = await self._attempt(how_many().request(self._dataset), self._timeouts.attempt_s)
            if not isinstance(count, int) or isinstance(count, bool):
                failed = BadProviderAnswer("Sanity answered the count of shipments with something other than a number")
            elif count == 0:
                failed = ProviderUnavailable(
                    f"Sanity shows no shipment in {self._dataset.place}: "
                    + (
                        "it is empty, or AVB_SANITY_TOKEN has no read access"
                        if self._dataset.token
                        else "it is empty, or it is private: then set AVB_SANITY_TOKEN"
                    )
                )
        except AttemptFailed as failure:
            failed = failure.error
        finally:
            self._checking = None
        self._checked = (self._clock.monotonic_s(), failed)

    async def _query(self, question: Question) -> Any:
        """Run a query through the gate, with retries."""
        ticket = self._gate.admit()
        verdict = Verdict.RELEASED
        try:
            # A probe is a single attempt: callers should not wait for a backend that has just failed.
            result = await self._try(question, tries=1 if ticket.is_probe else self._timeouts.waits.tries)
            verdict = Verdict.SUCCEEDED
            return result
        except AttemptFailed as failure:
            if failure.kind in BREAKER_KINDS:
                verdict = Verdict.FAILED
            elif failure.kind is Kind.LIMITED:
                verdict = Verdict.LIMITED
            _raise(failure)
        finally:
            self._gate.report(ticket, verdict)

    async def _try(self, question: Question, *, tries: int) -> Any:
        until_s = self._clock.monotonic_s() + self._timeouts.deadline_s
        failures = 0
        while True:
            left_s = until_s - self._clock.monotonic_s()
            try:
                return await self._attempt(question.request(self._dataset), min(self._timeouts.attempt_s, left_s))
            except AttemptFailed as failure:
                failures += 1
                wait_s = self._timeouts.waits.wait_s(failures, random.random())
                if not failure.may_retry or wait_s is None or failures >= tries:
                    raise
                wait_s = max(wait_s, failure.retry_after_s or 0.0)
                if self._clock.monotonic_s() + wait_s + LEAST_USEFUL_S > until_s:
                    raise  # the answer would be too late
                if self._gate.state is BreakerState.OPEN:
                    raise
                _log.info("retry", why=failure.kind.value, failures=failures, wait_s=round(wait_s, 3))
                await self._sleep(wait_s)

    async def _attempt(self, request: httpx.Request, limit_s: float) -> Any:
        """One request, at most `limit_s`. Raises AttemptFailed."""
        begun_s = self._clock.monotonic_s()
        kind: Kind | None = None  # stays None when the task is cancelled
        try:
            # httpx limits each read, so a slow answer needs a limit for the whole attempt.
            async with asyncio.timeout(limit_s):
                status, headers, body = await self._exchange(request)
            result = result_of(status, headers, body, self._dataset, wall_s=self._clock.wall_s())
            kind = Kind.ANSWERED
            return result
        except AttemptFailed as failure:
            kind = failure.kind
            raise
        except (TimeoutError, httpx.TimeoutException) as error:
            kind = Kind.TIMEOUT
            raise AttemptFailed(kind, ProviderTimeout("Sanity did not answer in time"), may_retry=True) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            kind = Kind.REFUSED
            raise AttemptFailed(kind, RefusedRequest("AVB_SANITY_BASE_URL is not a usable address")) from error
        except httpx.TransportError as error:
            kind = Kind.UNREACHABLE
            where = f"{request.url.scheme}://{request.url.host}"
            unreachable = ProviderUnavailable(f"Sanity can't be reached at {where}; is AVB_SANITY_PROJECT_ID right?")
            raise AttemptFailed(kind, unreachable, may_retry=True) from error
        except httpx.HTTPError as error:
            kind = Kind.GARBAGE
            raise garbage("Sanity's answer can't be decoded") from error
        finally:
            if kind is not None and self._on_attempt is not None:
                self._on_attempt(kind, self._clock.monotonic_s() - begun_s)

    async def _exchange(self, request: httpx.Request) -> tuple[int, httpx.Headers, bytes]:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LONGEST_ANSWER_BYTES:
                    raise garbage(f"Sanity's answer is longer than {LONGEST_ANSWER_BYTES} bytes")
        finally:
            await response.aclose()
        warning = response.headers.get("x-sanity-warning", "")
        if warning and warning != self._warning:  # it is in every answer, and is logged once
            self._warning = warning
            _log.warning("warning from Sanity", warning=warning[:200])
        if response.status_code != 200:
            _log.warning("error from Sanity", status=response.status_code, trace=response.headers.get("traceparent"))
        return response.status_code, response.headers, bytes(body)


def _raise(failure: AttemptFailed) -> NoReturn:
    raise failure.error from (failure.__cause__ or failure)
