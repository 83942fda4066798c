"""Where the hotline's answers come from: one of the sources of parcels, behind the memory, within a budget.

Decides which source the settings mean and whether it is well. How long an answer is fresh, and what stands in for it, is
`shipments.cache`'s.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.webhook.metrics import HotlineMetrics
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels.port import Shipments
from agentvoicebox_delivery.sources.budget import BUDGET_S, Answer
from agentvoicebox_delivery.sources.cache import CachedShipments, CacheStats

CHECK_EVERY_S = 5.0
CHECK_S = 2.0

log = get_logger(__name__)


class Source(Shipments, Protocol):
    """A source of parcels whose health can be asked."""

    async def check(self) -> None:
        """Raises AgentVoiceBoxError when look-ups could not be answered now."""


class Health(msgspec.Struct, frozen=True):
    """What the last check found.

    Attributes:
        status: `ok`; `away`, when it has answered before and may again; `down`, when somebody must look.
        reason: for people, "" when well.
    """

    status: str
    reason: str = ""
    checked_s: float = 0.0


class LookUp:
    """Answers questions about parcels.

    Args:
        name: of the source, for people.
        source: of parcels.
        cache: over the source.
        metrics: told of each answer.
        reset: closes the source's breaker by hand; None when it has none.
        breaker: its state; None when it has none.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        cache: CachedShipments,
        metrics: HotlineMetrics,
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
        self._was_well = False
        self.health = Health("down", "not asked yet")
        metrics.watch_cache(lambda: cache.stats)

    async def find(self, tenant_id: str, asked: list[Candidate], budget_s: float = BUDGET_S) -> Answer:
        """What is known of the asked parcels, and how old that is, within `budget_s`.

        Raises:
            Whatever a source raises that is no AgentVoiceBoxError.
        """
        answer = await self._cache.find_within(tenant_id, [each.tracking_id for each in asked], budget_s)
        self._metrics.looked_up(answer.source)
        return answer

    @property
    def stats(self) -> CacheStats:
        """Of the memory."""
        return self._cache.stats

    @property
    def breaker(self) -> BreakerState | None:
        """Of the source."""
        return self._breaker() if self._breaker else None

    def reset(self) -> bool:
        """Close the breaker by hand; False when the source has none."""
        if self._reset is None:
            return False
        self._reset()
        return True

    def forget(self, tracking_id: str | None = None) -> int:
        """Forget a parcel (None: all); how many were remembered."""
        return self._cache.invalidate(tracking_id)

    async def check(self) -> Health:
        """Ask the source how it is, at most 2 s."""
        try:
            async with asyncio.timeout(CHECK_S):
                await self._source.check()
            health = Health("ok", checked_s=self._clock.monotonic_s())
            self._was_well = True
        except TimeoutError:
            health = Health(self._ill(True), "no answer in time", self._clock.monotonic_s())
        except AgentVoiceBoxError as error:
            health = Health(self._ill(error.retryable), error.message, self._clock.monotonic_s())
        except Exception as error:
            health = Health("down", type(error).__name__, self._clock.monotonic_s())
        if health.status != self.health.status:
            log.info("source of parcels", source=self.name, status=health.status, reason=health.reason)
        self.health = health
        return health

    async def keep_checking(self, stop: asyncio.Event) -> None:
        """Check every 5 s until `stop`, so that readiness is told without asking anybody."""
        while not stop.is_set():
            await self.check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await stop.wait()

    def _ill(self, may_pass: bool) -> str:
        return "away" if may_pass and self._was_well else "down"


@contextlib.asynccontextmanager
async def look_up(settings: Settings, metrics: HotlineMetrics) -> AsyncIterator[LookUp]:
    """The look-up that the settings mean, closed at the end of the block.

    Raises:
        SettingsError: Sanity's settings can't be meant.
    """
    async with contextlib.AsyncExitStack() as stack:
        source: Source
        more: dict[str, Any] = {}
        if settings.shipments == "sanity":
            from agentvoicebox_delivery.sources.sanity import (
                SanityShipments,  # late: the catalogue needs no HTTP client
            )
            from agentvoicebox_delivery.sources.sanity_query import SanityDataset

            def changed(name: str, before: BreakerState, after: BreakerState) -> None:
                log.warning("breaker changed", breaker=name, before=before.value, after=after.value)
                metrics.breaker_changed(name, after)

            sanity = SanityShipments(
                SanityDataset(
                    settings.sanity_project_id,
                    settings.sanity_dataset,
                    settings.sanity_token,
                    settings.sanity_api_version,
                    settings.sanity_base_url,
                ),
                on_change=changed,
                on_attempt=metrics.sanity_attempt,
            )
            stack.push_async_callback(sanity.close)
            source = sanity
            more = {"reset": sanity.reset, "breaker": lambda: sanity.breaker_state}
        else:
            from agentvoicebox.storage.postgres import Postgres
            from agentvoicebox_delivery.sources.catalogue import Catalogue

            postgres = await Postgres.open(settings.postgres_url)
            stack.push_async_callback(postgres.close)
            source = Catalogue(postgres)
        cache = CachedShipments(source, fresh_s=settings.cache_ttl_s, most=settings.cache_size)
        stack.push_async_callback(cache.close)
        yield LookUp(settings.shipments, source, cache, metrics, **more)
