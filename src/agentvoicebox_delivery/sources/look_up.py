"""The look-up of parcels: one of the sources with the cache, within a time budget.

Builds the source from the settings and checks its health. `sources.cache` decides how long an answer is fresh and what replaces
it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import AgentVoiceBoxError, StorageLost
from agentvoicebox.kits.services import DependencyState
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics
from agentvoicebox_delivery.numbers.inquiry import Keys
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels.port import NearShipments, Shipments
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.settings import DeliverySettings
from agentvoicebox_delivery.sources.budget import BUDGET_S, Answer
from agentvoicebox_delivery.sources.cache import CachedShipments, CacheStats
from agentvoicebox_delivery.sources.catalogue import Catalogue
from agentvoicebox_delivery.sources.metrics import LookUpMetrics
from agentvoicebox_delivery.tool import Near

CHECK_EVERY_S = 5.0
CHECK_S = 2.0

_log = structlog.get_logger(__name__)


class CheckedSource(Shipments, Protocol):
    """A source of parcels whose health can be checked."""

    async def check(self) -> None:
        """Raises AgentVoiceBoxError if look-ups can't be answered now."""


class LookUp:
    """Looks up parcels. Implements kits.services.Dependency.

    Args:
        name: name of the source, for operators.
        source: the source, for health checks.
        cache: the cache of the source.
        metrics: counts each answer.
        reset: closes the source's circuit breaker; None if it has none.
        breaker: returns its state; None if it has none.
        clock: for the time of checks.
    """

    label = "shipments"

    def __init__(
        self,
        name: str,
        source: CheckedSource,
        cache: CachedShipments,
        metrics: LookUpMetrics,
        *,
        reset: Callable[[], None] | None = None,
        breaker: Callable[[], BreakerState] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._source = source
        self._cache = cache
        self._metrics = metrics
        self._reset = reset
        self._breaker = breaker
        self._clock = clock or SystemClock()
        self._was_ok = False
        self.state = DependencyState("down", "not checked yet")
        metrics.watch_cache(lambda: cache.stats)

    async def find(self, tenant_id: str, asked: list[Candidate], budget_s: float = BUDGET_S) -> Answer:
        """Look up candidates within `budget_s`.

        Raises:
            Only exceptions of a source that are not AgentVoiceBoxErrors (bugs).
        """
        answer = await self._cache.find_within(tenant_id, [each.tracking_id for each in asked], budget_s)
        self._metrics.looked_up(answer.source)
        return answer

    def report(self) -> dict[str, Any]:
        """See kits.services.Dependency."""
        report: dict[str, Any] = {"source": self.name, "status": self.state.status}
        report |= {"reason": self.state.reason} if self.state.reason else {}
        return report | ({"breaker": self.breaker.value} if self.breaker is not None else {})

    @property
    def stats(self) -> CacheStats:
        """Counts of the cache."""
        return self._cache.stats

    @property
    def breaker(self) -> BreakerState | None:
        """State of the source's circuit breaker; None if it has none."""
        return self._breaker() if self._breaker else None

    def reset(self) -> bool:
        """Close the breaker; False if the source has none."""
        if self._reset is None:
            return False
        self._reset()
        return True

    def forget(self, tracking_id: str | None = None) -> int:
        """Remove a parcel (None: all) from the cache; returns the number of removed entries."""
        return self._cache.invalidate(tracking_id)

    async def source_check(self) -> None:
        """Raises AgentVoiceBoxError if the source can't answer now."""
        await self._source.check()

    async def check(self) -> DependencyState:
        """Check the source, within 2 s."""
        try:
            async with asyncio.timeout(CHECK_S):
                await self._source.check()
            state = DependencyState("ok", checked_s=self._clock.monotonic_s())
            self._was_ok = True
        except TimeoutError:
            state = DependencyState(self._away_or_down(True), "no answer in time", self._clock.monotonic_s())
        except AgentVoiceBoxError as error:
            state = DependencyState(self._away_or_down(error.retryable), error.message, self._clock.monotonic_s())
        except Exception as error:
            state = DependencyState("down", type(error).__name__, self._clock.monotonic_s())
        if state.status != self.state.status:
            _log.info("source of parcels", source=self.name, status=state.status, reason=state.reason)
        self.state = state
        return state

    async def keep_checking(self, stop: asyncio.Event) -> None:
        """See kits.services.Dependency. Checks every 5 s."""
        while not stop.is_set():
            await self.check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await stop.wait()

    def _away_or_down(self, may_pass: bool) -> str:
        return "away" if may_pass and self._was_ok else "down"


class _RetriedOnce:
    """Retries a look-up once: a pooled connection may have died with a restarted server. Implements parcels.port.Shipments."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See parcels.port."""
        try:
            return await self._catalogue.find(tenant_id, tracking_ids)
        except StorageLost:
            return await self._catalogue.find(tenant_id, tracking_ids)

    async def check(self) -> None:
        """See CheckedSource."""
        await self._catalogue.check()


@contextlib.asynccontextmanager
async def open_look_up(
    settings: DeliverySettings,
    postgres_url: str,
    metrics: LookUpMetrics,
    clock: Clock,
    breakers: BreakerMetrics,
) -> AsyncIterator[tuple[LookUp, Near]]:
    """Open the look-up of the settings, and its look-up of similar numbers.

    Raises:
        SettingsError: Sanity's settings are invalid.
    """
    async with contextlib.AsyncExitStack() as stack:
        source: CheckedSource
        alike: NearShipments
        more: dict[str, Any] = {}
        if settings.shipments == "sanity":
            from agentvoicebox_delivery.sources.sanity import (
                SanityShipments,  # late: the catalogue needs no HTTP client
            )
            from agentvoicebox_delivery.sources.sanity_query import SanityDataset

            def changed(name: str, before: BreakerState, after: BreakerState) -> None:
                _log.warning("breaker changed", breaker=name, before=before.value, after=after.value)
                breakers.changed(name, after)

            dataset = SanityDataset(
                settings.sanity_project_id,
                settings.sanity_dataset,
                settings.sanity_token,
                settings.sanity_api_version,
                settings.sanity_base_url,
            )
            sanity = SanityShipments(dataset, on_change=changed, on_attempt=metrics.sanity_attempt)
            breakers.watch(lambda: sanity.breakers)
            stack.push_async_callback(sanity.close)
            source = alike = sanity
            more = {"reset": sanity.reset, "breaker": lambda: sanity.breaker_state}
        else:
            postgres = await Postgres.open(postgres_url)
            stack.push_async_callback(postgres.close)
            catalogue = Catalogue(postgres)
            source, alike = _RetriedOnce(catalogue), catalogue
        cache = CachedShipments(source, fresh_s=settings.cache_ttl_s, most=settings.cache_size, clock=clock)
        stack.push_async_callback(cache.close)

        async def near(tenant_id: str, keys: Keys) -> list[Shipment]:
            return await alike.find_near(tenant_id, keys.beginnings, keys.endings, keys.ids)

        yield LookUp(settings.shipments, source, cache, metrics, clock=clock, **more), near
