"""Parcels whose numbers are like one that was misheard, from a real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from agentvoicebox.delivery.inquiry import Inquiry, Keys
from agentvoicebox.delivery.shipment import Shipment, ShipmentStatus
from agentvoicebox.evals import id_corpus
from agentvoicebox.shipments.catalogue import MOST_NEAR, Catalogue
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres

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
        Keys(("PKG0",), ()), Keys((), ("6785",)), Keys((), ("004",)), Keys(("1Z99", "98657"), ("4000",)), Keys(("ZZZZ",), ("0000",)),
    ):  # fmt: skip
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
