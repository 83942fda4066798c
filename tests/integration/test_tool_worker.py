"""The tool worker over a real Valkey and a real PostgreSQL: true sentences, and side effects once, whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from tests.kit.fault_proxy import FaultProxy, Reply, Request
from tests.kit.kits import look_up, migrate
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import ToolReturned
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.errors import SettingsError
from agentvoicebox.policy.bundle import shipped_rules
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.policy.opa import OpaPolicy
from agentvoicebox.ports.broker import Cancel, Job, JobKind, JobResult, SessionRef, Submit
from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.tools.definition import Definition, Outcome, Tool, ToolContext
from agentvoicebox.tools.ledger import RedisLedger
from agentvoicebox.tools.registry import Registry
from agentvoicebox.workers.runner import Runner
from agentvoicebox.workers.tool import ToolWork, serve_tool, tools_of_agents
from agentvoicebox_delivery.parcels import reply, tool_schema
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.parcels.tool_result import read
from agentvoicebox_delivery.sources import demo_data
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.sources.catalogue import Catalogue
from agentvoicebox_delivery.tool import Find, delivery_status

CALLER = SessionRef("acme", "sess_1")
TODAY = date(2026, 11, 22)


@pytest.fixture
async def catalogue(postgres_url: str) -> AsyncIterator[Catalogue]:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url)
    await demo_data.seed(postgres, "acme", today=TODAY)
    yield Catalogue(postgres)
    await postgres.close()


async def run(
    shipments: Any, arguments: str, *, tenant: str = "acme", name: str = tool_schema.NAME, find: Find | None = None
) -> tuple[str, str]:
    cache = CachedShipments(shipments)
    registry = Registry([delivery_status(find or look_up(cache), today=lambda: TODAY)])
    outcome = await registry.run(name, arguments, ToolContext(tenant))
    await cache.close()
    return outcome.code, outcome.speech


@pytest.mark.requirement("C2")
async def test_the_role_looks_up_and_returns(catalogue: Catalogue, postgres_url: str, redis_url: str) -> None:
    broker = RedisBroker(redis_url)
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(
        serve_tool(Settings(redis_url=redis_url, postgres_url=postgres_url), ready.set, stop, ProcessReport())
    )
    stream = await broker.results(CALLER)
    records = aiter(stream)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
            request = CallTool("resp_1", "call_1", tool_schema.NAME, '{"tracking_id":"P K G zero zero four"}')
            await broker.dispatch([Submit(Job("job_1", JobKind.TOOL, CALLER, msgspec.msgpack.encode(request), 0.0))])
            record = await anext(records)
            stop.set()
            await serving
    finally:
        await stream.close()
        await records.aclose()  # type: ignore[attr-defined]
        await broker.close()
    returned = msgspec.msgpack.decode(record.body, type=ToolReturned)
    parcel = next(each for each in demo_data.parcels(TODAY) if each.tracking_id == "PKG004")
    told = read(returned.output)
    assert record.is_last and told.speech == reply.found(parcel, told.today)


async def test_every_demo_parcel_can_be_asked_for(catalogue: Catalogue) -> None:
    for parcel in demo_data.parcels(TODAY):
        arguments = msgspec.json.encode({"tracking_id": parcel.tracking_id}).decode()
        assert await run(catalogue, arguments) == ("FOUND", reply.found(parcel, TODAY))


async def test_a_tenant_never_hears_of_anothers_parcels(catalogue: Catalogue) -> None:
    assert (await run(catalogue, '{"tracking_id":"PKG004"}', tenant="umbra"))[0] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"tracking_id":"PKG004"}', "FOUND"),
        ('{"tracking_id":"P K G zero zero four"}', "FOUND"),
        ('{"tracking_id":"PKG004","candidates":["PKG004","PKG999"]}', "FOUND"),
        ('{"trackingId":"PKG004","caller":"x"}', "FOUND"),
        ('{"tracking_id":123456789012}', "FOUND"),
        ('"{\\"tracking_id\\":\\"PKG004\\"}"', "FOUND"),
        ('{"tracking_id":"ORD3121","candidates":["ORD3121","ORD30121"]}', "AMBIGUOUS"),
        ('{"tracking_id":"BKG004"}', "CONFIRM"),
        ('{"tracking_id":"PKG999"}', "NOT_FOUND"),
        ('{"tracking_id":"PKG004\' OR 1=1 --"}', "FOUND"),
        ('{"tracking_id":"hello"}', "INVALID_ID"),
        ('{"tracking_id":true}', "INVALID_ID"),
        ('{"tracking_id":null}', "INVALID_ID"),
        ('{"tracking_id":1e30}', "INVALID_ID"),
        ("{}", "INVALID_ID"),
        ('{"tracking_id":"PKG0', "INVALID_ARGUMENTS"),
        ("", "INVALID_ID"),
        ("[]", "INVALID_ARGUMENTS"),
        ("[" * 100_000, "INVALID_ARGUMENTS"),
    ],
)
async def test_arguments_of_every_kind_have_an_outcome(catalogue: Catalogue, arguments: str, code: str) -> None:
    assert (await run(catalogue, arguments))[0] == code


async def test_an_unknown_tool_is_no_crash(catalogue: Catalogue) -> None:
    assert (await run(catalogue, "{}", name="launch_rocket"))[0] == "unknown_tool"


async def test_an_absent_backend_is_one_true_sentence() -> None:
    postgres = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    assert await run(Catalogue(postgres), '{"tracking_id":"PKG004"}') == ("UNAVAILABLE", reply.unavailable())
    await postgres.close()


async def test_a_backend_that_hangs_is_the_same_sentence_in_time() -> None:
    class Hanging:
        async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
            await asyncio.Event().wait()
            return []

    async with asyncio.timeout(PATIENCE_S):
        assert await run(Hanging(), '{"tracking_id":"PKG004"}') == ("UNAVAILABLE", reply.unavailable())


async def test_a_broken_backend_is_an_apology() -> None:
    class Broken:
        async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
            raise KeyError("status")

    assert await run(Broken(), '{"tracking_id":"PKG004"}') == ("ERROR", reply.error())


async def test_an_id_that_never_ends_is_cut() -> None:
    endless = msgspec.json.encode({"tracking_id": "1 " * 100_000}).decode()
    async with asyncio.timeout(PATIENCE_S):
        assert (await run(_Empty(), endless))[0] == "INVALID_ID"


class _Empty:
    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        return []


# -- side effects ----------------------------------------------------------------------------------------------------

BOOK = Definition(name="book", description="Book.", arguments={}, timeout_s=PATIENCE_S)


class Bookings:
    """A tool whose effect ends when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.registry = Registry([Tool(BOOK, self.book)])

    async def book(self, arguments: dict[str, Any], context: ToolContext) -> Outcome:
        self.begun += 1
        self.has_begun.set()
        await self.may_end.wait()
        return Outcome("OK", f"booking {self.begun}")


def booking(job_id: str = "job_1", call_id: str = "call_1", response_id: str = "resp_1") -> Submit:
    request = CallTool(response_id, call_id, "book", "{}", "waiter")
    return Submit(Job(job_id, JobKind.TOOL, CALLER, msgspec.msgpack.encode(request), 0.0))


@asynccontextmanager
async def worker(redis_url: str, bookings: Bookings, name: str, **more: Any) -> AsyncIterator[Callable[[], None]]:
    """A tool worker. What it gives kills it: it says nothing more to anybody, and its side effects die with it."""
    broker = RedisBroker(redis_url, reclaim_idle_s=0.3)
    work = ToolWork(bookings.registry, RedisLedger(broker.connection))
    runner = Runner(broker, JobKind.TOOL, name, slots=4, work=work, heartbeat_s=0.05, **more)
    stop = asyncio.Event()
    running = asyncio.create_task(runner.run(stop))

    def kill() -> None:
        for task in [running, *runner._running, *work._once._running]:
            task.cancel()

    yield kill
    stop.set()
    await asyncio.gather(running, return_exceptions=True)
    await work.drain()
    await broker.close()


@asynccontextmanager
async def results(redis_url: str) -> AsyncIterator[tuple[RedisBroker, Callable[[], Any]]]:
    broker = RedisBroker(redis_url)
    stream = await broker.results(CALLER)
    records = aiter(stream)

    async def returned() -> tuple[str, str]:
        async with asyncio.timeout(PATIENCE_S):
            record: JobResult = await anext(records)
        given = msgspec.msgpack.decode(record.body, type=ToolReturned)
        return given.job_id, given.output

    yield broker, returned
    await stream.close()
    await records.aclose()  # type: ignore[attr-defined]
    await broker.close()


async def test_the_same_call_in_two_jobs_of_a_response_is_one_booking_with_two_answers(redis_url: str) -> None:
    bookings = Bookings()
    async with (
        worker(redis_url, bookings, "w1"),
        worker(redis_url, bookings, "w2"),
        results(redis_url) as (
            broker,
            returned,
        ),
    ):
        await broker.dispatch([booking("job_1", "call_1"), booking("job_2", "call_2")])
        await bookings.has_begun.wait()
        bookings.may_end.set()
        got = sorted([await returned(), await returned()])
    assert got == [("job_1", "booking 1"), ("job_2", "booking 1")]
    assert bookings.begun == 1


async def test_a_worker_that_dies_in_the_act_leaves_an_honest_unknown_and_nothing_is_done_twice(redis_url: str) -> None:
    bookings = Bookings()
    short = Registry([Tool(Definition(name="book", description="Book.", arguments={}, timeout_s=0.1), bookings.book)])
    bookings.registry = short
    async with results(redis_url) as (broker, returned):
        async with worker(redis_url, bookings, "w1") as kill:
            await broker.dispatch([booking()])
            await bookings.has_begun.wait()
            kill()
        async with worker(redis_url, bookings, "w2"):
            assert await returned() == ("job_1", '{"error":"outcome_unknown"}')
    assert bookings.begun == 1


async def test_a_worker_that_dies_between_the_act_and_its_word_loses_nothing(redis_url: str) -> None:
    bookings = Bookings()
    bookings.may_end.set()
    async with results(redis_url) as (broker, returned):
        ledger = RedisLedger(broker.connection)
        request = msgspec.msgpack.decode(booking().job.payload, type=CallTool)
        assert await ToolWork(bookings.registry, ledger).run(CALLER, request) == "booking 1"  # and it died here
        async with worker(redis_url, bookings, "w2"):
            await broker.dispatch([booking()])
            assert await returned() == ("job_1", "booking 1")
    assert bookings.begun == 1


async def test_a_caller_who_hangs_up_does_not_stop_a_booking_half_way(redis_url: str) -> None:
    bookings = Bookings()
    async with results(redis_url) as (broker, _):
        async with worker(redis_url, bookings, "w1"):
            await broker.dispatch([booking()])
            await bookings.has_begun.wait()
            await broker.dispatch([Cancel("job_1", JobKind.TOOL, CALLER)])
            await broker.forget(CALLER)
            bookings.may_end.set()
        again = msgspec.msgpack.decode(booking().job.payload, type=CallTool)
        assert await ToolWork(bookings.registry, RedisLedger(broker.connection)).run(CALLER, again) == "booking 1"
    assert bookings.begun == 1


async def test_a_worker_that_is_told_to_stop_lets_a_booking_end(redis_url: str) -> None:
    bookings = Bookings()
    async with results(redis_url) as (broker, returned):
        async with worker(redis_url, bookings, "w1"):
            await broker.dispatch([booking()])
            await bookings.has_begun.wait()
            asyncio.get_running_loop().call_soon(bookings.may_end.set)
        assert await returned() == ("job_1", "booking 1")


WAITER = """
instructions = "You take bookings."
[[tools]]
name = "book"
description = "Book a table."
url = "{url}/book"
headers = {{ authorization = "Bearer ${{TABLES_TOKEN}}" }}
"""


async def test_the_role_calls_an_agents_own_tool_and_the_caller_gets_its_answer_once(
    redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(postgres_url)
    monkeypatch.setenv("TABLES_TOKEN", "t0k3n")
    async with FaultProxy(plan=_tables) as server, results(redis_url) as (broker, returned):
        (tmp_path / "waiter.toml").write_text(WAITER.format(url=server.url))
        settings = Settings(
            redis_url=redis_url, postgres_url=postgres_url, agents_dir=str(tmp_path), tool_secret="secret"
        )
        ready, stop = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve_tool(settings, ready.set, stop, ProcessReport()))
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
            await broker.dispatch([booking("job_1", "call_1"), booking("job_2", "call_2")])
            got = sorted([await returned(), await returned()])
            stop.set()
            await serving
        assert got == [("job_1", '{"booked":true}'), ("job_2", '{"booked":true}')]
        (request,) = server.requests
        assert request.headers["authorization"] == "Bearer t0k3n"
        assert msgspec.json.decode(request.body)["tenant_id"] == "acme"


def _tables(request: Request) -> Reply:
    return Reply(body=b'{"booked": true}')


async def test_the_breaker_of_an_agents_tool_is_exported_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABLES_TOKEN", "t0k3n")
    (tmp_path / "waiter.toml").write_text(WAITER.format(url="https://tables.example"))
    registry = CollectorRegistry()
    own = Registry([delivery_status(_nowhere)])
    async with tools_of_agents(Settings(agents_dir=str(tmp_path)), own, BreakerMetrics(registry)):
        assert b'avb_breaker_open{name="book"} 0.0' in metrics_page(registry)[0]


async def test_a_secret_that_is_not_set_is_said_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABLES_TOKEN", raising=False)
    (tmp_path / "waiter.toml").write_text(WAITER.format(url="https://tables.example"))
    with pytest.raises(SettingsError, match="TABLES_TOKEN is not set"):
        async with tools_of_agents(Settings(agents_dir=str(tmp_path)), Registry([delivery_status(_nowhere)])):
            pass


async def _nowhere(tenant_id: str, asked: list[Any]) -> Any:
    raise AssertionError("nothing is looked up here")


async def test_a_tool_that_the_policy_forbids_is_not_run_and_the_call_goes_on(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "access.rego").write_text((shipped_rules() / "access.rego").read_text())
    own_rule = 'package agentvoicebox.access\n\ndeny contains "not this one" if input.resource.id == "forbidden"\n'
    (tmp_path / "own.rego").write_text(own_rule)
    broker, ran = RedisBroker(redis_url), list[str]()

    def tool(name: str) -> Tool:
        async def act(arguments: Any, context: ToolContext) -> Outcome:
            ran.append(name)
            return Outcome("OK", "{}")

        return Tool(Definition(name=name, description="", arguments={}), act)

    registry = Registry([tool("forbidden"), tool("allowed")])
    for policy, ran_then, told in (
        (EmbeddedPolicy(str(tmp_path)), ["allowed"], "not_allowed"),
        (OpaPolicy("http://127.0.0.1:1"), [], "tool_unavailable"),  # no answer is a no
    ):
        ran.clear()
        work = ToolWork(registry, RedisLedger(broker.connection), decisions=Decisions(policy))
        output = await work.run(CALLER, CallTool("r1", "c1", "forbidden", "{}"))
        assert msgspec.json.decode(output) == {"error": told, "tool": "forbidden"}
        await work.run(CALLER, CallTool("r1", "c2", "allowed", "{}"))
        assert ran == ran_then
        await policy.close()
    await broker.close()
