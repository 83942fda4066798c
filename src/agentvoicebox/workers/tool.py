"""The tool worker: runs the kits' tools, and calls the tools that agents declare.

Decides which tools an agent has. A side effect is registered in the ledger first, so that it happens once even if this worker or
the call ends. A tool never fails a call: every fault has an outcome.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import ToolReturned
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.errors import BadProviderAnswer, InfrastructureError, SettingsError
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.kits.services import KitContext
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.tool_calls import deciding, refusal
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.tools.addresses import Addresses
from agentvoicebox.tools.definition import ToolContext
from agentvoicebox.tools.http_tool import HttpTool
from agentvoicebox.tools.ledger import CallKey, Ledger, RedisLedger
from agentvoicebox.tools.once import Once
from agentvoicebox.tools.registry import Registry
from agentvoicebox.workers.health import backend_check
from agentvoicebox.workers.runner import Runner, Task, store_check, worker_name

STARTING = Backoff(first_s=0.05, factor=2.0, longest_s=1.0, tries=1_000_000)
LAST_WAIT_S = 1.0  # for side effects, after the runner has drained; the supervisor kills after ten seconds

_log = structlog.get_logger(__name__)


class ToolWork:
    """Runs CallTool jobs.

    Args:
        own: the tools of the kits; jobs without a known agent may call them.
        ledger: of side effects.
        of_agents: the tools of each agent, by its name.
        decisions: decide which tools a tenant may call; None: all of them.
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
        """The output of a call; a side effect that happened before is not repeated.

        Raises:
            BrokerLost: the ledger can't be reached; nothing was begun.
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

    async def drain(self) -> None:
        """Wait up to a second for running side effects."""
        if self._once.running:
            _log.info("waiting for side effects", count=self._once.running)
        await self._once.drain(LAST_WAIT_S)


async def serve_tool(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: ready once the store and the backends of the kits answer, then work until `stop` is set.

    Raises:
        BrokerLost: the store can't be reached at the start. StorageRefused: the tables are missing.
        SettingsError: an agent's file or the policy is invalid, or a variable that it needs is not set.
    """
    async with AsyncExitStack() as stack:
        broker = RedisBroker(settings.redis_url, on_dead_letter=report.workers.dead_letter)
        stack.push_async_callback(broker.close)
        await broker.queue_age_s(JobKind.TOOL)
        context = KitContext(report.registry, breakers=report.breakers)
        kits = tuple(kits_of(settings))
        served = [await stack.enter_async_context(kit.serve(settings, context)) for kit in kits]
        for each in served:
            if each.check is not None and not await _wait_until_it_answers(each.check, stop):
                return
        own = Registry([tool for each in served for tool in each.tools])
        of_agents = await stack.enter_async_context(tools_of_agents(settings, own, report.breakers))
        decisions = await stack.enter_async_context(deciding(settings))
        work = ToolWork(own, RedisLedger(broker.connection), of_agents=of_agents, decisions=decisions)
        stack.push_async_callback(work.drain)
        report.breakers.watch(decisions.breakers)
        runner = Runner(
            broker,
            JobKind.TOOL,
            worker_name(JobKind.TOOL),
            slots=settings.tool_slots,
            work=work,
            metrics=report.workers,
        )
        report.needs("store", store_check(broker, JobKind.TOOL))
        for kit, each in zip(kits, served, strict=True):
            if each.check is not None:
                report.needs(f"backend of {kit.name}", backend_check(each.check))
        announce_ready()
        await runner.run(stop)


@asynccontextmanager
async def tools_of_agents(
    settings: Settings, own: Registry, breakers: BreakerMetrics | None = None
) -> AsyncIterator[dict[str, Registry]]:
    """The tools of each agent; HTTP tools are closed at the end of the block. Their breakers are exported in `breakers`.

    Raises:
        SettingsError: lists every tool with an invalid declaration.
    """
    agents = Agents.load(settings)
    breakers = breakers or BreakerMetrics(CollectorRegistry())
    addresses = Addresses(is_local=settings.is_one_machine, private=settings.tool_networks)
    registries: dict[str, Registry] = {}
    faults: list[str] = []
    async with AsyncExitStack() as stack:
        for name, agent in agents.by_name.items():
            over_http: list[HttpTool] = []
            for declaration in agent.declared_tools:
                try:
                    tool = HttpTool(declaration, addresses, secret=settings.tool_secret, on_change=breakers.changed)
                    over_http.append(tool)
                except ValueError as error:
                    faults.append(f"{name}.toml: {error}")
                    continue
                stack.push_async_callback(tool.close)
                breakers.watch(partial(_breaker_of, declaration.name, tool))
            if over_http and not settings.tool_secret:
                _log.warning("calls of an agent's tools are not signed; set AVB_TOOL_SECRET", agent=name)
            declared = {each.name for each in agent.declared_tools}
            names = [each for each in agent.tool_names if each not in declared]
            registries[name] = own.for_agent(names, [each.tool() for each in over_http])
        if faults:
            raise SettingsError("invalid agents:\n  " + "\n  ".join(faults))
        yield registries


def _breaker_of(name: str, tool: HttpTool) -> dict[str, BreakerState]:
    return {name: tool.breaker_state}


async def _wait_until_it_answers(check: Callable[[], Awaitable[None]], stop: asyncio.Event) -> bool:
    """Wait for a kit's backend; False if `stop` was set first."""
    failures = 0
    while not stop.is_set():
        try:
            await check()
            return True
        except InfrastructureError as error:
            if not error.retryable:
                raise
            failures += 1
            _log.warning("waiting for a backend", error=error.message)
            try:
                async with asyncio.timeout(STARTING.wait_s(failures)):
                    await stop.wait()
            except TimeoutError:
                continue
    return False
