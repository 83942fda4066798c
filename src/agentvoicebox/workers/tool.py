"""The tool worker: runs the tools that the server owns, and calls those that agents declare.

Decides which tools an agent has here, and that a side effect is begun through the book, so that it happens once whatever
becomes of this worker or of the call. A tool never fails a call: every fault has its own true answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import ToolReturned
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.errors import BadProviderAnswer, SettingsError, StorageLost
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.tool_calls import deciding, refusal
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.settings import Settings, is_loopback
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tools.addresses import Addresses
from agentvoicebox.tools.definition import ToolContext
from agentvoicebox.tools.http_tool import HttpTool
from agentvoicebox.tools.ledger import CallKey, Ledger, RedisLedger
from agentvoicebox.tools.once import Once
from agentvoicebox.tools.registry import Registry
from agentvoicebox.workers.runner import Runner, Task, worker_name
from agentvoicebox_delivery.numbers.inquiry import Keys
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels.port import Shipments
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.budget import Answer
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.sources.catalogue import Catalogue
from agentvoicebox_delivery.tool import Find, Near, delivery_status

STARTING = Backoff(first_s=0.05, factor=2.0, longest_s=1.0, tries=1_000_000)
LAST_WAIT_S = 1.0  # for side effects, once the runner has drained; the supervisor kills after ten seconds

_log = structlog.get_logger(__name__)


class ToolWork:
    """Sees one CallTool job to its end.

    Args:
        own: the server's own tools; what a job that names no known agent may call.
        ledger: the book of side effects.
        of_agents: the tools of each agent, by its name.
        decisions: which tools a tenant may call; None: all of them.
    """

    def __init__(
        self,
        own: Registry,
        ledger: Ledger,
        *,
        of_agents: Mapping[str, Registry] | None = None,
        decisions: Decisions | None = None,
    ) -> None:
        self._own = own
        self._of_agents = of_agents or {}
        self._once = Once(ledger)
        self._decisions = decisions

    async def __call__(self, task: Task) -> None:
        """For Runner."""
        request = task.request
        if not isinstance(request, CallTool):
            raise BadProviderAnswer(f"not a tool job: {type(request).__name__}")
        output = await self.run(task.claim.job.session, request)
        await task.publish(ToolReturned(task.claim.job.job_id, output), is_last=True)

    async def run(self, session: SessionRef, request: CallTool) -> str:
        """What a call returned; a side effect that happened before is not repeated.

        Raises:
            BrokerLost: the book of side effects can't be reached; nothing was begun.
        """
        refused = await refusal(self._decisions, session.tenant_id, session.session_id, request.name)
        if refused is not None:
            return refused.output
        registry = self._of_agents.get(request.agent, self._own)
        context = ToolContext(session.tenant_id, session.session_id, request.call_id)

        async def act() -> str:
            return (await registry.run(request.name, request.arguments, context)).output

        tool = registry.get(request.name)
        if tool is None or tool.definition.is_read_only:
            return await act()
        key = CallKey(session, request.call_id, request.name, request.arguments, request.response_id)
        return await self._once.run(key, tool.definition, act)

    async def settle(self) -> None:
        """Give side effects under way a last moment to end."""
        if self._once.under_way:
            _log.info("waiting for side effects", count=self._once.under_way)
        await self._once.settle(LAST_WAIT_S)


class _TwiceIfLost:
    """A pooled connection may have died with a restarted server; the next one is fresh. Implements ports.shipments."""

    def __init__(self, shipments: Shipments) -> None:
        self._shipments = shipments

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See ports.shipments."""
        try:
            return await self._shipments.find(tenant_id, tracking_ids)
        except StorageLost:
            return await self._shipments.find(tenant_id, tracking_ids)


def look_up(cache: CachedShipments) -> Find:
    """How the delivery tool finds parcels: within the budget, the last known answer in time of need."""

    async def find(tenant_id: str, asked: list[Candidate]) -> Answer:
        return await cache.find_within(tenant_id, [each.tracking_id for each in asked])

    return find


async def serve_tool(settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """The role: say that it is ready once the store and the source of parcels answer, then work until `stop` is set.

    Raises:
        BrokerLost: the store can't be reached at the start. StorageRefused: the tables are not there.
        SettingsError: an agent's file or the policy is at fault, or a variable that it needs is not set.
    """
    async with AsyncExitStack() as stack:
        broker = RedisBroker(settings.redis_url)
        stack.push_async_callback(broker.close)
        await broker.queue_age_s(JobKind.TOOL)
        source, check, near = await stack.enter_async_context(_parcels(settings))
        if not await _is_reachable(check, stop):
            return
        cache = CachedShipments(source, fresh_s=settings.cache_ttl_s, most=settings.cache_size)
        stack.push_async_callback(cache.close)
        own = Registry([delivery_status(look_up(cache), near)])
        of_agents = await stack.enter_async_context(tools_of_agents(settings, own))
        decisions = await stack.enter_async_context(deciding(settings))
        work = ToolWork(own, RedisLedger(broker.connection), of_agents=of_agents, decisions=decisions)
        stack.push_async_callback(work.settle)
        runner = Runner(broker, JobKind.TOOL, worker_name(JobKind.TOOL), slots=settings.tool_slots, work=work)
        announce_ready()
        await runner.run(stop)


@asynccontextmanager
async def tools_of_agents(settings: Settings, own: Registry) -> AsyncIterator[dict[str, Registry]]:
    """The tools of each agent; those over HTTP are closed at the end of the block.

    Raises:
        SettingsError: naming every tool that can't be called as it is declared.
    """
    agents = Agents(folder=settings.agents_dir, default=settings.default_agent)
    addresses = Addresses(is_local=is_loopback(settings.host), private=settings.tool_networks)
    registries: dict[str, Registry] = {}
    faults: list[str] = []
    async with AsyncExitStack() as stack:
        for name, agent in agents.by_name.items():
            theirs: list[HttpTool] = []
            for declaration in agent.declared_tools:
                try:
                    theirs.append(HttpTool(declaration, addresses, secret=settings.tool_secret))
                except ValueError as error:
                    faults.append(f"{name}.toml: {error}")
                    continue
                stack.push_async_callback(theirs[-1].close)
            if theirs and not settings.tool_secret:
                _log.warning("calls of an agent's tools are not signed; set AVB_TOOL_SECRET", agent=name)
            declared = {each.name for each in agent.declared_tools}
            names = [each for each in agent.tool_names if each not in declared]
            registries[name] = own.for_agent(names, [each.tool() for each in theirs])
        if faults:
            raise SettingsError("these agents need mending:\n  " + "\n  ".join(faults))
        yield registries


@asynccontextmanager
async def _parcels(
    settings: Settings,
) -> AsyncIterator[tuple[Shipments, Callable[[], Awaitable[None]] | None, Near | None]]:
    """Where parcels are looked up, what tells that it answers (None when a call need not wait for that), and numbers alike."""
    if settings.shipments == "sanity":
        from agentvoicebox_delivery.sources.sanity import SanityShipments  # late: the catalogue needs no HTTP client
        from agentvoicebox_delivery.sources.sanity_query import SanityDataset

        sanity = SanityShipments(
            SanityDataset(
                settings.sanity_project_id,
                settings.sanity_dataset,
                settings.sanity_token,
                settings.sanity_api_version,
                settings.sanity_base_url,
            )
        )
        try:
            yield sanity, None, None
        finally:
            await sanity.close()
        return
    postgres = await Postgres.open(settings.postgres_url)
    try:
        catalogue = Catalogue(postgres)

        async def near(tenant_id: str, keys: Keys) -> list[Shipment]:
            return await catalogue.find_near(tenant_id, keys.beginnings, keys.endings)

        yield _TwiceIfLost(catalogue), catalogue.check, near
    finally:
        await postgres.close()


async def _is_reachable(check: Callable[[], Awaitable[None]] | None, stop: asyncio.Event) -> bool:
    """Wait for the catalogue; False when `stop` came first."""
    failures = 0
    while not stop.is_set():
        try:
            if check is not None:
                await check()
            return True
        except StorageLost as error:
            failures += 1
            _log.warning("waiting for PostgreSQL", error=error.message)
            try:
                async with asyncio.timeout(STARTING.wait_s(failures)):
                    await stop.wait()
            except TimeoutError:
                continue
    return False
