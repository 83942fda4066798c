"""Against real GROQ: the local Sanity server, alone and behind a proxy that goes wrong."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import ServerLoop
from tests.kit import fault_proxy as fp
from tests.kit.fault_proxy import FaultProxy
from tests.kit.sanity import TENANT, document
from tests.kit.webhook import code, item, running, tool_calls

from agentvoicebox.errors import BadProviderAnswer, ProviderError, ProviderUnavailable, SettingsError
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox_delivery.numbers.slips import one_slip_away
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.sources.demo_data import parcels
from agentvoicebox_delivery.sources.sanity import SanityShipments, SanityTimeouts
from agentvoicebox_delivery.sources.sanity_demo import demo_file
from agentvoicebox_delivery.sources.sanity_local import FOLDER, SanityLocal, missing, too_old
from agentvoicebox_delivery.sources.sanity_query import SanityDataset, shipments_of
from agentvoicebox_delivery.sources.unreadable import UnreadableRecord

pytestmark = pytest.mark.requirement("B2.2", "B4.4-4.6")

absent = missing() or asyncio.run(too_old())
needs_node = pytest.mark.skipif(bool(absent), reason=absent or "the local Sanity server is there")

TOKEN, FOREIGN = "right-token", "other-project-token"
STORED: list[dict[str, Any]] = [
    {"_id": "carrier-dhl", "_type": "carrier", "name": "DHL"},
    {"_id": "secret-1", "_type": "secret", "trackingId": "PKG900", "status": "delivered"},
    *(
        {**document(each), "_type": "shipment", "carrier": {"_type": "reference", "_ref": "carrier-dhl"}}
        for each in ("PKG001", "PKG002", "PKG003", "PKG004", "PKG005")
    ),
    # An older event after the newer; a reference to nothing; an editor's draft; one number twice, with two stories.
    {
        **document("PKG010", carrier={"_type": "reference", "_ref": "nobody"}),
        "_type": "shipment",
        "events": [
            {"status": "in_transit", "at": "2025-11-20T09:30:00Z", "location": "Leipzig"},
            {"status": "picked_up", "at": "2025-11-19T09:30:00Z", "location": "Halle"},
        ],
    },
    {**document("PKG001", status="delivered"), "_id": "drafts.shipment-PKG001", "_type": "shipment"},
    {**document("PKG011"), "_type": "shipment"},
    {**document("PKG011", status="delivered"), "_id": "shipment-again", "_type": "shipment"},
    {**document("PKG013"), "_type": "shipment", "trackingId": " pkg-013 "},
    {**document("RB123456789GB"), "_type": "shipment", "trackingIdEnding": "6789"},
    {**document("ORD77182"), "_type": "shipment"},
    {"_id": "shipment-typed", "_type": "shipment", "trackingId": "PKG012", "status": "Out for delivery", "eta": "soon"},
]
INJECTIONS = [
    '"] | *[_type == "secret"]{...} //',
    '"]) || true || ("',
    "PKG001' || true || '",
    "*",
    "$ids",
    "PKG*",
    "PKG001\u0000",
    "1Z+999",
    "\\u0022",
    "pkg001",
]


@pytest.fixture(scope="module")
def stored(server_loop: ServerLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SanityLocal]:
    """A private dataset with the documents of this file."""
    path = tmp_path_factory.mktemp("sanity") / "documents.json"
    path.write_text(json.dumps(STORED))
    server = SanityLocal(documents=path, token=TOKEN, options=(f"--foreign-token={FOREIGN}",))
    server_loop.run(server.start())
    yield server
    server_loop.run(server.stop())


@pytest.fixture
async def shipments(stored: SanityLocal) -> AsyncIterator[SanityShipments]:
    client = SanityShipments(SanityDataset(base_url=stored.url, token=TOKEN))
    yield client
    await client.close()


@needs_node
async def test_a_parcel_is_found_with_its_carrier_and_its_newest_event(shipments: SanityShipments) -> None:
    [plain] = await shipments.find(TENANT, ["PKG001"])
    assert (plain.carrier, plain.status) == ("DHL", ShipmentStatus.IN_TRANSIT)  # and not the draft's state
    [odd] = await shipments.find(TENANT, ["PKG010"])
    assert odd.carrier is None
    assert odd.last_event is not None
    assert odd.last_event.location == "Leipzig"
    assert [each.tracking_id for each in await shipments.find(TENANT, ["PKG013"])] == ["PKG013"]
    [typed] = await shipments.find(TENANT, ["PKG012"])
    assert typed == Shipment("PKG012", ShipmentStatus.OUT_FOR_DELIVERY)


@needs_node
async def test_sixteen_candidates_are_one_question(shipments: SanityShipments) -> None:
    ids = [f"PKG{number:03}" for number in range(8, -8, -1)]
    assert [each.tracking_id for each in await shipments.find(TENANT, ids)] == [
        "PKG005", "PKG004", "PKG003", "PKG002", "PKG001",
    ]  # fmt: skip


@needs_node
async def test_numbers_alike_are_found_by_name_by_beginning_and_by_stored_ending(shipments: SanityShipments) -> None:
    async def near(beginnings: Sequence[str], endings: Sequence[str], ids: Collection[str]) -> set[str]:
        return {each.tracking_id for each in await shipments.find_near(TENANT, beginnings, endings, ids)}

    assert await near((), (), ("PKG001", "PKG004", "PKG012", "PKG999")) == {
        "PKG001",
        "PKG004",
        "PKG012",
    }  # the draft adds none
    assert await near(("PKG01",), (), ()) == {"PKG010", "PKG011", "PKG013"}  # PKG012 has no compact number stored
    assert await near((), ("6789",), ()) == {"RB123456789GB"}
    assert await near((), (), ("PKG011",)) == {"PKG011"}  # it exists, whatever its state
    assert await near((), (), ()) == set()
    assert await near(("PKG9", '") || true || ("'), ("*",), ("*", "PKG900")) == set()  # no shipment, and no injection
    assert len(await near((), (), one_slip_away("1Z999AA10123456784") | {"PKG002"})) == 1  # long: by POST


@needs_node
async def test_a_spoken_number_is_compared_with_its_neighbours_in_sanity(stored: SanityLocal) -> None:
    settings = {"shipments": "sanity", "sanity_base_url": stored.url, "sanity_token": TOKEN}
    async with running(**settings) as line:

        async def outcome(*heard: str) -> str:
            (result,) = await line.results(tool_calls(item({"tracking_id": heard[-1], "heard": list(heard)})))
            return code(result)

        assert await outcome("P K G zero zero four. My phone is 07700 900123.") == "CONFIRM"  # PKG005 is one slip away
        assert (
            await outcome("R B one two three four five six seven eight nine G B") == "CONFIRM"
        )  # its check digit is wrong
        assert await outcome("ORD seven seven one eight two") == "FOUND"
        assert await outcome("ORD seven seven one eight") == "CONFIRM"  # a misheard number is found


@needs_node
async def test_a_wrong_token_promises_nothing_for_the_next_minutes(stored: SanityLocal) -> None:
    async with running(shipments="sanity", sanity_base_url=stored.url, sanity_token="wrong") as line:
        (result,) = await line.results(tool_calls(item({"tracking_id": "PKG004"})))
    assert code(result) == "ERROR"
    assert "again" not in result["message"]["content"]


@needs_node
async def test_two_stories_about_one_number_are_unreadable(shipments: SanityShipments) -> None:
    with pytest.raises(UnreadableRecord) as error:
        await shipments.find(TENANT, ["PKG011", "PKG002"])
    assert error.value.tracking_ids == ("PKG011",)


@needs_node
@pytest.mark.parametrize("injected", INJECTIONS)
async def test_an_injected_id_matches_nothing(injected: str, shipments: SanityShipments) -> None:
    assert await shipments.find(TENANT, [injected]) == []
    assert await shipments.find(TENANT, [injected, "PKG900"]) == []


@needs_node
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_both_methods_give_the_same_answer(method: str, stored: SanityLocal) -> None:
    dataset = SanityDataset(base_url=stored.url, token=TOKEN)
    request = shipments_of(["PKG001", "1Z+9"]).request(dataset, longest_url=11_264 if method == "GET" else 0)
    assert request.method == method
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.send(request)).json()
    assert [each["trackingId"] for each in answer["result"]] == ["PKG001"]
    assert "query" not in answer


@needs_node
@pytest.mark.parametrize(
    ("token", "dataset", "error", "names"),
    [
        ("", "production", ProviderUnavailable, "set AVB_SANITY_TOKEN"),  # looks empty, with status 200
        ("wrong", "production", BadProviderAnswer, "AVB_SANITY_TOKEN"),
        (FOREIGN, "production", BadProviderAnswer, "AVB_SANITY_PROJECT_ID"),
        (TOKEN, "staging", BadProviderAnswer, "AVB_SANITY_DATASET"),
    ],
    ids=["no token", "wrong token", "another project's", "unknown dataset"],
)
async def test_a_check_sees_what_is_wrong_and_says_what_to_look_at(
    token: str, dataset: str, error: type[ProviderError], names: str, stored: SanityLocal
) -> None:
    client = SanityShipments(SanityDataset(base_url=stored.url, token=token, dataset=dataset))
    try:
        with pytest.raises(error, match=names):
            await client.check()
    finally:
        await client.close()


@needs_node
async def test_a_check_of_a_good_dataset_is_content(shipments: SanityShipments) -> None:
    await shipments.check()


async def ask(server: SanityLocal, query: str, version: str = "v2025-02-19", **options: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(
            f"{server.url}/{version}/data/query/production",
            params={"query": query, **options},
            headers={"authorization": f"Bearer {TOKEN}"},
        )


@needs_node
async def test_the_server_answers_as_sanity_does(stored: SanityLocal) -> None:
    whole = (await ask(stored, "count(*)")).json()
    assert set(whole) == {"query", "result", "ms"}
    missing_parameter = await ask(stored, "*[_id == $t]")
    assert missing_parameter.status_code == 400
    assert missing_parameter.json()["error"]["description"] == "param $t referenced, but not provided"
    unquoted = await ask(stored, "*[_id == $t]", **{"$t": "1Z"})
    assert unquoted.status_code == 400
    assert "Please quote" in unquoted.json()["error"]["description"]
    broken = await ask(stored, "*[_id ==")
    assert broken.json()["error"]["type"] == "queryParseError"
    assert (await ask(stored, "*[_id == 'none'][0]")).json()["result"] is None


@needs_node
async def test_the_perspective_follows_the_version_unless_it_is_asked_for(stored: SanityLocal) -> None:
    count = 'count(*[_type == "shipment" && trackingId == "PKG001"])'
    assert (await ask(stored, count)).json()["result"] == 1
    assert (await ask(stored, count, version="v2024-01-01")).json()["result"] == 2
    assert (await ask(stored, count, version="v2024-01-01", perspective="published")).json()["result"] == 1
    drafted = await ask(stored, '*[_type == "shipment" && trackingId == "PKG001"].status', perspective="drafts")
    assert drafted.json()["result"] == ["delivered"]


@needs_node
async def test_the_demo_parcels_stand_as_of_today() -> None:
    before = datetime.now(UTC).date()
    server = SanityLocal()
    await server.start()
    client = SanityShipments(SanityDataset(base_url=server.url))
    try:
        known = [each.tracking_id for each in parcels(before)]
        found: list[Shipment] = []
        for start in range(0, len(known), 16):
            found += await client.find(TENANT, known[start : start + 16])
        after = datetime.now(UTC).date()  # another day when midnight passes during this test
        assert found in (list(parcels(before)), list(parcels(after)))
    finally:
        await client.close()
        await server.stop()
    assert server.process is not None
    assert server.process.returncode == 0


def test_the_demo_file_holds_the_facts_of_the_catalogue() -> None:
    stale = "type: python -m agentvoicebox_delivery.sources.sanity_demo > deploy/sanity-local/documents.json"
    assert (FOLDER / "documents.json").read_bytes() == demo_file(), stale


@needs_node
async def test_a_killed_server_comes_back_at_its_address_and_look_ups_with_it() -> None:
    server = SanityLocal()
    await server.start()
    client = SanityShipments(
        SanityDataset(base_url=server.url), timeouts=SanityTimeouts(waits=Backoff(first_s=0.001, tries=3))
    )
    try:
        assert len(await client.find(TENANT, ["PKG004"])) == 1
        url = server.url
        server.kill()
        assert server.process is not None
        assert await server.process.wait() == -signal.SIGKILL
        with pytest.raises(ProviderUnavailable):
            await client.find(TENANT, ["PKG004"])
        await server.start()
        assert server.url == url
        assert len(await client.find(TENANT, ["PKG004"])) == 1
    finally:
        await client.close()
        await server.stop()


@needs_node
async def test_every_passing_trouble_in_front_of_the_real_thing_is_outlived(stored: SanityLocal) -> None:
    faults: list[fp.Fault] = [
        fp.too_many("0"), fp.server_error(500), fp.GATEWAY_PAGE, fp.server_error(503), fp.server_error(504),
        fp.Break.RESET, fp.Break.HANG_UP, fp.Break.CUT,
    ]  # fmt: skip
    plan: list[fp.Fault | None] = [step for fault in faults for step in (fault, None)]
    async with FaultProxy(stored.url, plan) as proxy:
        client = SanityShipments(
            SanityDataset(base_url=proxy.url, token=TOKEN),
            timeouts=SanityTimeouts(waits=Backoff(first_s=0.001, tries=3)),
        )
        for _ in faults:
            assert [each.tracking_id for each in await client.find(TENANT, ["PKG002"])] == ["PKG002"]
        await client.close()
        assert len(proxy.requests) == len(plan)


async def test_without_node_or_its_packages_it_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "source tree" in missing(tmp_path)
    (tmp_path / "server.mjs").touch()
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert "no node on the PATH" in missing(tmp_path)
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v12.0.0\n")
    node.chmod(0o755)
    assert "npm ci" in missing(tmp_path)
    (tmp_path / "node_modules" / "groq-js").mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"v12\.0\.0"):
        await SanityLocal(folder=tmp_path).start()
