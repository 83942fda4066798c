"""A cache for a source of parcels: fresh answers at once, one request for one parcel, the last known state as a fallback.

Decides how long an answer is fresh (60 s; "no such parcel" 10 s), how long it may replace a failed look-up (1 h, with its age),
and when a look-up exceeds its budget. A stale "not found" is never used as a fallback: the parcel may exist by now. Knows the
source only through the port.
"""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import AgentVoiceBoxError, ProviderUnavailable
from agentvoicebox_delivery.numbers.tracking import MOST_CANDIDATES
from agentvoicebox_delivery.parcels.port import Shipments
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.budget import BUDGET_S, OUT_OF_TIME, Answer, AnswerSource
from agentvoicebox_delivery.sources.known import Key, Known, KnownParcels
from agentvoicebox_delivery.sources.single_flight import SingleFlight
from agentvoicebox_delivery.sources.unreadable import UnreadableRecord

FRESH_S = 60.0  # requirement B2.1
NEGATIVE_FRESH_S = 10.0  # a new parcel should soon be found
LAST_KNOWN_S = 3600.0
MOST_PARCELS = 10_000  # about 10 MB; a look-up stores up to 16

_log = structlog.get_logger(__name__)


class CacheStats(msgspec.Struct, frozen=True):
    """Counts of look-ups since the start, and the size of the cache.

    Attributes:
        hits: answered from the cache.
        negative: hits with the answer "no such parcel".
        misses: waited for the source.
        joins: misses that shared the request of another look-up.
        stale: misses that were answered with the last known state.
        unavailable: misses without an answer.
        size: parcels in the cache, including numbers without a parcel.
    """

    hits: int = 0
    negative: int = 0
    misses: int = 0
    joins: int = 0
    stale: int = 0
    unavailable: int = 0
    size: int = 0

    @property
    def hit_ratio(self) -> float:
        """0 to 1; 0 before the first look-up."""
        return self.hits / max(1, self.hits + self.misses)


class _Unreadable:
    """Marks a parcel whose record can't be read."""


_UNREADABLE = _Unreadable()
_Fetched = Known | _Unreadable


class CachedShipments:
    """A source of parcels with a cache. Implements parcels.port.Shipments. Close it before the wrapped source.

    Args:
        shipments: the wrapped source.
        fresh_s, negative_fresh_s: how long an answer, or "no such parcel", is fresh.
        last_known_s: how long a parcel's state may replace a failed look-up.
        most: most parcels in the cache.
    """

    def __init__(
        self,
        shipments: Shipments,
        *,
        fresh_s: float = FRESH_S,
        negative_fresh_s: float = NEGATIVE_FRESH_S,
        last_known_s: float = LAST_KNOWN_S,
        most: int = MOST_PARCELS,
        clock: Clock | None = None,
    ) -> None:
        self._shipments = shipments
        self._fresh_s = fresh_s
        self._negative_fresh_s = negative_fresh_s
        self._last_known_s = last_known_s
        self._clock = clock or SystemClock()
        self._known = KnownParcels(most)
        self._flights: SingleFlight[Key, _Fetched] = SingleFlight(self._fetch, self._store)
        self._counts = dict.fromkeys(CacheStats.__struct_fields__, 0)

    @property
    def stats(self) -> CacheStats:
        """Counts since the start."""
        return CacheStats(**self._counts | {"size": len(self._known)})

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See parcels.port. Only fresh answers, because the result has no age.

        Raises:
            The errors of the wrapped source.
        """
        answer = await self._look_up(tenant_id, tracking_ids, budget_s=None)
        if isinstance(answer, AgentVoiceBoxError):
            self._counts["unavailable"] += 1
            raise answer
        return list(answer.shipments or ())

    async def find_within(self, tenant_id: str, tracking_ids: Sequence[str], budget_s: float = BUDGET_S) -> Answer:
        """A fresh answer; if the source fails or `budget_s` is over, the last known one; otherwise an answer without parcels.

        The request continues after the budget, and its answer is cached. Raises no AgentVoiceBoxError.
        """
        answer = await self._look_up(tenant_id, tracking_ids, budget_s=budget_s)
        if isinstance(answer, Answer):
            return answer
        failure = answer.code
        last_known = self._last_known(tenant_id, tracking_ids, failure)
        self._counts["stale" if last_known else "unavailable"] += 1
        return last_known or Answer(AnswerSource.NOWHERE, None, failure=failure)

    def invalidate(self, tracking_id: str | None = None) -> int:
        """Remove a parcel, or all (None), for all tenants; answers of running requests for it are not cached.

        Returns:
            Number of removed entries.
        """
        known = [key for key in self._known.snapshot() if tracking_id in (None, key[1])]
        self._known.forget(known)
        self._flights.forget([key for key in self._flights.keys if tracking_id in (None, key[1])])
        return len(known)

    async def close(self) -> None:
        """Cancel running requests. Idempotent."""
        await self._flights.close()

    async def _look_up(
        self, tenant_id: str, tracking_ids: Sequence[str], *, budget_s: float | None
    ) -> Answer | AgentVoiceBoxError:
        keys = _keys(tenant_id, tracking_ids)
        if not keys:
            return Answer(AnswerSource.CACHED, ())
        fresh = self._fresh(keys)
        missing = [key for key in keys if key not in fresh]
        if not missing:
            answer = self._answer(AnswerSource.CACHED, fresh)
            self._counts["hits"] += 1
            self._counts["negative"] += not answer.shipments
            return answer
        self._counts["misses"] += 1
        flights, is_new = self._flights.join(missing)
        self._counts["joins"] += not is_new
        done, pending = await asyncio.wait(flights, timeout=budget_s)
        failure: AgentVoiceBoxError | None = None
        fetched: dict[Key, _Fetched] = dict(fresh)
        for flight in done:
            if flight.cancelled():
                failure = ProviderUnavailable("look-ups are being shut down")
            elif (error := flight.exception()) is None:
                fetched |= {key: value for key, value in flight.result().items() if key in missing}
            elif isinstance(error, AgentVoiceBoxError):
                failure = error
            else:
                raise error
        if pending:
            return ProviderUnavailable("the look-up took too long", code=OUT_OF_TIME)
        if failure is not None:
            return failure
        readable = {key: value for key, value in fetched.items() if isinstance(value, Known)}
        unreadable = [key[1] for key in keys if key not in readable]
        found = self._answer(AnswerSource.FETCHED, {key: readable[key] for key in keys if key in readable})
        # The first candidate is the most likely one: if its record can't be read, a result for another candidate is no answer.
        if unreadable and (keys[0] not in readable or not found.shipments):
            return UnreadableRecord(unreadable, found.shipments or ())
        return found

    def _fresh(self, keys: Sequence[Key]) -> dict[Key, Known]:
        """The fresh entries of these keys.

        If the parcel of the first key exists, "no such parcel" for the other keys stays fresh as long as the first entry, so
        that an answer expires as a whole.
        """
        now_s = self._clock.monotonic_s()
        first = self._known.get(keys[0])
        is_first_there = first is not None and first.shipment is not None and now_s - first.requested_s < self._fresh_s
        fresh = {}
        for key in keys:
            known = self._known.get(key)
            if known is not None:
                is_lasting = known.shipment is not None or is_first_there
                if now_s - known.requested_s < (self._fresh_s if is_lasting else self._negative_fresh_s):
                    fresh[key] = known
        return fresh

    def _last_known(self, tenant_id: str, tracking_ids: Sequence[str], failure: str | None) -> Answer | None:
        """The last answer to the same look-up, if it is complete and contains a parcel."""
        now_s = self._clock.monotonic_s()
        known: dict[Key, Known] = {}
        for key in _keys(tenant_id, tracking_ids):
            each = self._known.get(key)
            if each is None or now_s - each.requested_s >= self._last_known_s:
                return None
            known[key] = each
        answer = self._answer(AnswerSource.LAST_KNOWN, known)
        return msgspec.structs.replace(answer, failure=failure) if answer.shipments else None

    def _answer(self, source: AnswerSource, known: Mapping[Key, Known]) -> Answer:
        now_s = self._clock.monotonic_s()
        found = [(each.shipment, now_s - each.requested_s) for each in known.values() if each.shipment is not None]
        ages_s = [age_s for _, age_s in found]
        return Answer(source, tuple(shipment for shipment, _ in found), max(ages_s, default=0.0))

    async def _fetch(self, keys: Sequence[Key]) -> Mapping[Key, _Fetched]:
        tenant_id = keys[0][0]  # a look-up belongs to one tenant
        requested_s = self._clock.monotonic_s()
        unreadable: tuple[str, ...] = ()
        try:
            found: Sequence[Shipment] = await self._shipments.find(tenant_id, [tracking_id for _, tracking_id in keys])
        except UnreadableRecord as error:
            found, unreadable = error.shipments, error.tracking_ids
        except AgentVoiceBoxError as error:
            _log.warning("look-up failed", code=error.code, reason=error.message)
            raise
        by_id = {shipment.tracking_id: shipment for shipment in found}
        return {key: _UNREADABLE if key[1] in unreadable else Known(by_id.get(key[1]), requested_s) for key in keys}

    def _store(self, fetched: Mapping[Key, _Fetched]) -> None:
        for key, value in fetched.items():
            if isinstance(value, Known):
                self._known.put(key, value)


def _keys(tenant_id: str, tracking_ids: Sequence[str]) -> list[Key]:
    # The port ignores further ids; they must not be cached as missing.
    return [(tenant_id, each) for each in list(dict.fromkeys(tracking_ids))[:MOST_CANDIDATES]]
