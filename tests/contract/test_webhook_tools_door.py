"""`POST /v1/tools/<name>`: the same core as the other doors, each tool by its own name."""

import json
from typing import Any

import pytest
from tests.kit.webhook import UPS, Backend, WebhookClients, asking, over, parcel, running

from agentvoicebox.errors import StorageLost

PATH = "/v1/tools/get_delivery_status"


@pytest.fixture
async def line(parcels_url: str) -> Any:
    async with running(postgres_url=parcels_url) as made:
        yield made


@pytest.mark.requirement("C2")
@pytest.mark.parametrize("tracking_id", [UPS, "P K G double zero four", "PKG999", "1Z999AA10123456785"])
async def test_every_door_gives_one_id_the_same_outcome(line: WebhookClients, tracking_id: str) -> None:
    at_tools = (await line.public.post(PATH, json={"tracking_id": tracking_id})).json()
    at_track = (await line.public.post("/v1/track", json={"tracking_id": tracking_id})).json()
    (result,) = await line.results(asking(tracking_id))
    output = json.loads(at_tools.pop("output"))
    assert at_tools == at_track == json.loads(result["result"])
    assert (output["code"], output["speech"]) == (at_track["code"], at_track["speech"])


@pytest.mark.requirement("C2")
@pytest.mark.parametrize("fails", [StorageLost("away"), ZeroDivisionError("a fault of ours")])
async def test_every_door_tells_the_same_failure(fails: Exception) -> None:
    async with over(Backend(fails=fails)) as line:
        at_tools = await line.public.post(PATH, json={"tracking_id": UPS})
        at_track = await line.public.post("/v1/track", json={"tracking_id": UPS})
        (result,) = await line.results(asking())
    assert at_tools.status_code == at_track.status_code == 200
    assert {**at_tools.json(), "output": ""} == {**at_track.json(), "output": ""}
    assert json.loads(result["result"]) == at_track.json()


@pytest.mark.parametrize(
    ("body", "kind", "where"),
    [
        ({}, "missing", ["body", "tracking_id"]),
        ({"tracking_id": None}, "missing", ["body", "tracking_id"]),
        ({"tracking_id": 1.5}, "missing", ["body", "tracking_id"]),
        ([], "dict_type", ["body"]),
        ("x", "dict_type", ["body"]),
    ],
)
async def test_arguments_that_do_not_fit_are_a_422(
    line: WebhookClients, body: Any, kind: str, where: list[str]
) -> None:
    response = await line.public.post(PATH, json=body)
    assert response.status_code == 422
    (fault,) = response.json()["detail"]
    assert (fault["type"], fault["loc"]) == (kind, where)


async def test_words_without_a_number_are_an_outcome(line: WebhookClients) -> None:
    response = await line.public.post(PATH, json={"tracking_id": "hello there"})
    assert (response.status_code, response.json()["code"]) == (200, "INVALID_ID")


@pytest.mark.parametrize("name", ["order_pizza", "track", "", "get_delivery_status/x"])
async def test_an_unknown_tool_is_a_404(line: WebhookClients, name: str) -> None:
    assert (await line.public.post(f"/v1/tools/{name}", json={})).status_code == 404


async def test_it_asks_for_the_credential_and_keeps_the_limit_of_v1_track() -> None:
    async with over(Backend(parcel()), vapi_bearer_tokens="hush", webhook_source_limit=2) as line:
        key = {"authorization": "Bearer hush"}
        statuses = [
            (await line.public.post(path, json={"tracking_id": UPS}, headers=headers)).status_code
            for path, headers in ((PATH, {}), (PATH, key), ("/v1/track", key), (PATH, key))
        ]
    assert statuses == [401, 200, 200, 429]


async def test_another_method_is_a_405(line: WebhookClients) -> None:
    assert (await line.public.get(PATH)).status_code == 405


async def test_a_name_of_the_dashboard_is_the_same_tool() -> None:
    async with over(Backend(parcel()), vapi_tools="where_is_it") as line:
        body = asking()
        for name in ("where_is_it", "get_delivery_status"):
            body["message"]["toolCallList"][0]["function"]["name"] = name
            (result,) = await line.results(body)
            assert json.loads(result["result"])["code"] == "FOUND"
        body["message"]["toolCallList"][0]["function"]["name"] = "track_shipment"
        (result,) = await line.results(body)
        assert result["error"] == "unknown tool track_shipment"


async def test_half_a_surrogate_pair_in_a_name_is_an_unknown_tool() -> None:
    async with over(Backend(parcel())) as line:
        body = {"message": {"type": "tool-calls", "toolCallList": [{"id": "x", "name": "a\ud83d", "arguments": {}}]}}
        (result,) = await line.results(json.dumps(body).encode())
    assert result["error"].startswith("unknown tool")
