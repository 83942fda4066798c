"""One tenant tries everything against another's live session: nothing succeeds, and nothing tells whether it is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.kit.client import Client, calling, until
from tests.kit.gateway import Workers, says
from tests.kit.resuming_client import audio_of, refusal, session_id
from tests.kit.tenant_gateway import TenantGateway, as_key, tenant_gateway

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner

pytestmark = pytest.mark.requirement("A12.3")

NOBODYS = "0" * 20


@asynccontextmanager
async def two(town: TenantGateway, query: str = "model=delivery") -> AsyncIterator[tuple[Client, Client]]:
    """A caller of acme and one of umbra."""
    acme, umbra = await town.key("acme"), await town.key("umbra")
    async with (
        calling(town.url(query), **as_key(acme.text)) as victim,
        calling(town.url(query), **as_key(umbra.text)) as thief,
    ):
        yield victim, thief


def without(answer: Any, *ids: str) -> str:
    """An answer with the ids that were asked for taken out."""
    text = repr(answer)
    for each in ids:
        text = text.replace(each, "<id>")
    return text


async def test_neither_rest_nor_resume_tells_another_tenants_session_from_none(town: TenantGateway) -> None:
    acme, umbra = await town.key("acme"), await town.key("umbra")
    async with calling(town.url("model=delivery&resume=1"), **as_key(acme.text)) as victim:
        real, guessed = session_id(victim), f"sess_{NOBODYS}"
        async with town.http(acme.text) as http:
            assert (await http.get(f"/v1/sessions/{real}")).status_code == 200
        async with town.http(umbra.text) as http:
            answers = [await http.get(f"/v1/sessions/{each}") for each in (real, guessed)]
        shapes = {(each.status_code, without(each.json(), real, guessed), tuple(each.headers)) for each in answers}
        assert len(shapes) == 1 and answers[0].status_code == 404
        for query in ("", "&last_event_id=event_1", "&resume=1&audio_from_ms=0&audio_until_ms=9000"):
            refusals = [
                await refusal(town.url(f"session_id={each}{query}"), **as_key(umbra.text)) for each in (real, guessed)
            ]
            assert refusals[0] == refusals[1]
            assert (refusals[0][0]["code"], refusals[0][1]) == ("session_not_found", 4000)
        await victim.nothing_but()  # it never noticed
    for each in (real, guessed):  # nor later, when it is over
        assert (await refusal(town.url(f"session_id={each}"), **as_key(umbra.text))) == refusals[0]


@pytest.mark.parametrize("id_of", ["item", "response"])
async def test_another_tenants_items_and_responses_are_as_unknown_as_invented_ones(
    town: TenantGateway, id_of: str
) -> None:
    async with two(town) as (victim, thief):
        await victim.send("response.create")
        response = (await victim.until("response.done"))["response"]
        real = response["output"][0]["id"] if id_of == "item" else response["id"]
        invented = f"{real.split('_')[0]}_{NOBODYS}"[: len(real)]

        async def answer(event_type: str, **fields: Any) -> str:
            await thief.send(event_type, event_id="mine", **fields)
            error = (await thief.until("error"))["error"]
            return without(error, real, invented)

        attempts: dict[str, dict[str, Any]] = {
            "conversation.item.retrieve": {"item_id": ...},
            "conversation.item.delete": {"item_id": ...},
            "conversation.item.truncate": {"item_id": ..., "content_index": 0, "audio_end_ms": 10},
            "conversation.item.create": {
                "previous_item_id": ...,
                "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            },
            "response.cancel": {"response_id": ...},
        }
        if id_of == "response":
            attempts = {"response.cancel": attempts["response.cancel"]}
        for event_type, fields in attempts.items():
            told = [
                await answer(event_type, **{name: each if value is ... else value for name, value in fields.items()})
                for each in (real, invented)
            ]
            assert told[0] == told[1], event_type
        await victim.nothing_but("rate_limits.updated")


async def test_a_running_answer_can_not_be_cancelled_or_heard_by_another_tenant(
    town: TenantGateway, workers: Workers
) -> None:
    workers.writes, workers.chunks, workers.pace_s, workers.is_distinct = says("One. Two. Three."), 10, 0.01, True
    async with two(town) as (victim, thief):
        await victim.send("response.create")
        response_id = (await victim.until("response.created"))["response"]["id"]
        await thief.send("response.cancel", response_id=response_id)
        await thief.send("response.cancel")
        done = (await victim.until("response.done"))["response"]
        assert done["status"] == "completed"
        assert audio_of(victim) == b"".join(b"".join(chunks) for chunks in workers.spoken.values())
        await thief.nothing_but("error")
        assert not thief.of("response.output_audio.delta") and {
            each["error"]["code"] for each in thief.of("error")
        } == {"response_cancel_not_active"}


async def test_the_same_session_id_at_two_tenants_is_two_sessions(
    town: TenantGateway, redis_broker: RedisBroker
) -> None:
    """Even whoever knew an id and could make the store hold it for himself would hear nothing of the other."""
    key = await town.key("acme")
    async with calling(town.url(), **as_key(key.text)) as victim:
        theirs, mine = [SessionRef(tenant, session_id(victim)) for tenant in ("acme", "umbra")]
        results = await redis_broker.results(mine)
        await town.served.state.directory.open(mine, {})
        await victim.send("response.create")
        await victim.until("response.done")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(aiter(results))
        await results.close()
        assert await redis_broker.connection.commands.exists(keys.log(theirs))
        assert not await redis_broker.connection.commands.exists(keys.log(mine))
        await redis_broker.forget(mine)
        await town.served.state.directory.close(mine)
        await victim.nothing_but("rate_limits.updated")
        assert await town.served.state.directory.get(theirs)


async def test_nobody_uses_up_another_tenants_limit(
    redis_broker: RedisBroker, workers: Workers, postgres_url: str, manual_clock: ManualClock
) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=2)
    limits = LimitConfig(tenant=Allowance(requests=20, window_s=3_600.0))
    async with (
        tenant_gateway(redis_broker, postgres, manual_clock, limits=limits) as town,
        two(town) as (victim, thief),
    ):
        for _ in range(40):
            await thief.send("session.update", session={})
        while len(thief.of("session.updated")) + len(thief.of("error")) < 40:
            await thief.next()
        assert thief.of("error")
        await victim.send("response.create")
        assert (await victim.until("response.done"))["response"]["status"] == "completed"
        (left,) = (await victim.until("rate_limits.updated"))["rate_limits"]
        assert left["remaining"] == 18, "its own connect and its own event"
    await postgres.close()


async def test_what_was_said_is_recorded_for_its_tenant_alone(
    town: TenantGateway, redis_broker: RedisBroker, postgres_url: str
) -> None:
    postgres = await Postgres.open(postgres_url, most_connections=2)
    history = History(postgres)
    work, stop = RecorderWork(Conversations(postgres), redis_broker), asyncio.Event()
    recording = asyncio.create_task(Runner(redis_broker, JobKind.RECORD, "recorder", slots=8, work=work).run(stop))
    try:
        async with two(town) as (victim, thief):
            ids = {"acme": session_id(victim), "umbra": session_id(thief)}
            for client in (victim, thief):
                await client.send("response.create")
                await client.until("response.done")

            async def all_is_written() -> bool:
                pages = [await history.items(*each) for each in ids.items()]
                return all(page is not None and page.records for page in pages)

            await until(all_is_written)
        async with town.http((await town.key("umbra")).text) as http:
            for tail in ("", "/items"):
                own = await http.get(f"/v1/realtime/sessions/{ids['umbra']}{tail}")
                assert own.status_code == 200
                answers = [
                    await http.get(f"/v1/realtime/sessions/{each}{tail}") for each in (ids["acme"], f"sess_{NOBODYS}")
                ]
                told = [(each.status_code, without(each.json(), ids["acme"], f"sess_{NOBODYS}")) for each in answers]
                assert told[0] == told[1] and told[0][0] == 404
            listed = (await http.get("/v1/realtime/sessions")).json()["data"]
            assert [each["id"] for each in listed] == [ids["umbra"]]
        for tenant, other in (("acme", "umbra"), ("umbra", "acme")):
            assert await history.items(tenant, ids[other]) is None
            async with postgres.tenant_transaction(tenant) as connection:
                for table in ("sessions", "conversation_items", "responses"):
                    seen = {row["tenant_id"] for row in await connection.fetch(f"SELECT tenant_id FROM {table}")}
                    assert seen == {tenant}, table
    finally:
        stop.set()
        await recording
        await work.close()
        await postgres.close()
