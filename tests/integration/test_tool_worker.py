"""The tool worker over a real Valkey and a real PostgreSQL: true sentences, whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.delivery import reply, tool_schema
from agentvoicebox.delivery.shipment import Shipment
from agentvoicebox.delivery.tool_result import read
from agentvoicebox.engine.inputs import ToolReturned
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.settings import Settings
from agentvoicebox.shipments import demo_data
from agentvoicebox.shipments.catalogue import Catalogue
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.workers.tool import ToolWork, read_arguments, serve_tool

LONG_S = 10.0
CALLER = SessionRef("acme", "sess_1")


@pytest.fixture
async def catalogue(postgres_url: str) -> AsyncIterator[Catalogue]:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url)
    await demo_data.seed(postgres, "acme")
    yield Catalogue(postgres)
    await postgres.close()


async def run(
    shipments: object, arguments: str, *, tenant: str = "acme", name: str = tool_schema.NAME, **kwargs: float
) -> tuple[str, str]:
    work = ToolWork(shipments, deadline_s=kwargs.get("deadline_s", LONG_S))  # type: ignore[arg-type]
    outcome = await work.run(tenant, name, arguments)
    return outcome.code, outcome.speech


async def test_the_role_looks_up_and_returns(catalogue: Catalogue, postgres_url: str, redis_url: str) -> None:
    broker = RedisBroker(redis_url)
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve_tool(Settings(redis_url=redis_url, postgres_url=postgres_url), ready.set, stop))
    stream = await broker.results(CALLER)
    records = aiter(stream)
    try:
        async with asyncio.timeout(LONG_S):
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
    parcel = next(each for each in demo_data.parcels(datetime.now(UTC).date()) if each.tracking_id == "PKG004")
    assert record.is_last and read(returned.output).speech == reply.found(parcel)


async def test_every_demo_parcel_can_be_asked_for(catalogue: Catalogue) -> None:
    for parcel in demo_data.parcels(datetime.now(UTC).date()):
        arguments = msgspec.json.encode({"tracking_id": parcel.tracking_id}).decode()
        assert await run(catalogue, arguments) == ("FOUND", reply.found(parcel))


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
        ("", "INVALID_ARGUMENTS"),
        ("[]", "INVALID_ARGUMENTS"),
        ("[" * 100_000, "INVALID_ARGUMENTS"),
    ],
)
async def test_arguments_of_every_kind_have_an_outcome(catalogue: Catalogue, arguments: str, code: str) -> None:
    assert (await run(catalogue, arguments))[0] == code


async def test_an_unknown_tool_is_no_crash(catalogue: Catalogue) -> None:
    assert (await run(catalogue, "{}", name="launch_rocket"))[0] == "UNKNOWN_TOOL"


async def test_an_absent_backend_is_one_true_sentence() -> None:
    postgres = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    assert await run(Catalogue(postgres), '{"tracking_id":"PKG004"}') == ("UNAVAILABLE", reply.unavailable())
    await postgres.close()


async def test_a_backend_that_hangs_is_the_same_sentence_in_time() -> None:
    class Hanging:
        async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
            await asyncio.Event().wait()
            return []

    async with asyncio.timeout(LONG_S):
        assert await run(Hanging(), '{"tracking_id":"PKG004"}', deadline_s=0.02) == ("UNAVAILABLE", reply.unavailable())


async def test_a_broken_backend_is_an_apology() -> None:
    class Broken:
        async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
            raise KeyError("status")

    assert await run(Broken(), '{"tracking_id":"PKG004"}') == ("ERROR", reply.error())


def test_an_id_that_never_ends_is_cut() -> None:
    read_back = read_arguments(msgspec.json.encode({"tracking_id": "1 " * 100_000}).decode())
    assert read_back is not None and len(read_back[0]) == 512
