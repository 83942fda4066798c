"""Parcels whose numbers are like one that was misheard, from a real PostgreSQL."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.kit.kits import look_up, migrate

from agentvoicebox.errors import StorageLost
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tools.definition import ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox_delivery.evals import id_corpus, id_sentences
from agentvoicebox_delivery.numbers.inquiry import Inquiry, Keys
from agentvoicebox_delivery.parcels import tool_schema
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.sources.catalogue import MOST_NEAR, Catalogue
from agentvoicebox_delivery.tool import Near, delivery_status

IDS = ("PKG004", "PKG0044", "RB123456785GB", "1Z999AA10123456784", "986578788855", "TBA502887274000")


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Postgres]:
    await migrate(postgres_url)
    opened = await Postgres.open(postgres_url)
    yield opened
    await opened.close()


async def put(postgres: Postgres, tenant: str, ids: tuple[str, ...]) -> Catalogue:
    catalogue = Catalogue(postgres)
    await catalogue.put(tenant, [Shipment(each, ShipmentStatus.IN_TRANSIT) for each in ids])
    return catalogue


async def found(
    catalogue: Catalogue, beginnings: tuple[str, ...], endings: tuple[str, ...], tenant: str = "acme"
) -> set[str]:
    return {each.tracking_id for each in await catalogue.find_near(tenant, beginnings, endings)}


async def test_beginnings_and_last_digits_find_what_the_keys_fit_and_nothing_else(postgres: Postgres) -> None:
    catalogue = await put(postgres, "acme", IDS)
    for keys in (
        Keys(("PKG0",), ()),
        Keys((), ("6785",)),
        Keys((), ("004",)),
        Keys(("1Z99", "98657"), ("4000",)),
        Keys(("ZZZZ",), ("0000",)),
    ):
        assert await found(catalogue, keys.beginnings, keys.endings) == {each for each in IDS if keys.fit(each)}
    assert await found(catalogue, (), ()) == set()


async def test_another_tenants_parcels_are_never_near(postgres: Postgres) -> None:
    catalogue = await put(postgres, "acme", IDS)
    assert await found(catalogue, ("PKG0",), ("6785",), tenant="umbra") == set()


async def test_keys_are_values_and_not_patterns(postgres: Postgres) -> None:
    catalogue = await put(postgres, "acme", IDS)
    assert await found(catalogue, ("%", "_KG0", "' OR 1=1 --"), ("%", "....")) == set()


async def test_of_very_many_alike_only_some_come_back(postgres: Postgres) -> None:
    catalogue = await put(postgres, "acme", tuple(f"PKG0{number:05}" for number in range(2000)))
    assert 0 < len(await found(catalogue, ("PKG0", "PKG00", "PKG01"), ())) <= MOST_NEAR


async def test_a_misheard_number_is_found_among_thousands(postgres: Postgres) -> None:
    people = id_corpus.people(20)
    catalogue = await put(postgres, "acme", tuple(id_corpus.parcels(people, 2000)))
    for person in people:
        mine = person.tracking_id
        heard = " ".join(mine[:-2] + mine[-1])  # one character was lost
        question = Inquiry.of({"heard": [heard]})
        assert question is not None
        keys = question.keys()
        near = await catalogue.find_near("acme", keys.beginnings, keys.endings)
        assert mine in {each.tracking_id for each in near}


async def test_the_tool_reads_back_what_was_misheard_and_tells_what_was_confirmed(postgres: Postgres) -> None:
    catalogue = await put(postgres, "acme", IDS)
    cache = CachedShipments(catalogue)

    async def near(tenant_id: str, keys: Keys) -> list[Shipment]:
        return await catalogue.find_near(tenant_id, keys.beginnings, keys.endings)

    async def lost(tenant_id: str, keys: Keys) -> list[Shipment]:
        raise StorageLost("away")

    async def code(arguments: str, near: Near | None) -> str:
        tool = delivery_status(look_up(cache), near)
        return (await Registry([tool]).run(tool.definition.name, arguments, ToolContext("acme"))).code

    misheard = '{"tracking_id":"986578878855","heard":["nine eight six five seven eight 878855"]}'
    plain = '{"tracking_id":"986578788855","heard":["9865 7878 8855"]}'
    assert await code(misheard, near) == "CONFIRM"
    assert await code(plain, near) == "FOUND"
    assert await code('{"tracking_id":"PKG004","heard":["P K G zero zero four"]}', near) == "CONFIRM"  # PKG0044 is near
    assert await code('{"tracking_id":"PKG004"}', near) == "FOUND"
    for unsure in (lost, None):
        assert await code(plain, unsure) == "CONFIRM"
    await cache.close()


async def test_a_number_one_slip_away_comes_back_however_many_are_alike(postgres: Postgres) -> None:
    many = tuple(f"PKG0{number:05}" for number in range(2000))
    catalogue = await put(postgres, "acme", (*many, "PKG90777", "P0777"))
    question = Inquiry.of({"heard": ["PKG00777"]})
    assert question is not None
    keys = question.keys()
    near = await catalogue.find_near("acme", keys.beginnings, keys.endings, keys.ids)
    assert {"PKG90777", "PKG000777"} <= {each.tracking_id for each in near}
    assert {each.tracking_id for each in near} <= {each for each in (*many, "PKG90777", "P0777") if keys.fit(each)}


async def test_callers_with_other_numbers_are_never_told_a_neighbours_parcel(postgres: Postgres) -> None:
    callers = id_sentences.people(len(id_sentences.SENTENCES), seed=11)
    catalogue = await put(postgres, "acme", tuple(id_sentences.parcels(callers, 1500, seed=11)))
    cache = CachedShipments(catalogue)

    async def near(tenant_id: str, keys: Keys) -> list[Shipment]:
        return await catalogue.find_near(tenant_id, keys.beginnings, keys.endings, keys.ids)

    registry = Registry([delivery_status(look_up(cache), near)])
    for caller in callers:
        arguments = msgspec.json.encode({"tracking_id": caller.heard, "heard": [caller.first_words]}).decode()
        outcome = await registry.run(tool_schema.NAME, arguments, ToolContext("acme"))
        assert outcome.code != "FOUND", (caller.first_words, outcome.output)
    await cache.close()
