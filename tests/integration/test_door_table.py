"""The door: which address takes what, and what every other request is told (protocol page §1.3, C11).

One table over a real server: path, method, origin, upgrade headers → status and `error.code`. Each row is sent as bytes,
because clients correct what they send.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, NotFoundError
from tests.kit.client import calling
from tests.kit.gateway import Gateway, gateway
from tests.kit.http_line import Answer, ask
from tests.kit.kits import DELIVERY
from websockets.asyncio.client import connect

from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig

pytestmark = pytest.mark.requirement("A4.2")

KEY = "a-key-of-some-length"
PAGE = "https://app.example"
WS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
SWITCHED, OK = 101, 200


@pytest.fixture
async def door(redis_broker: RedisBroker) -> AsyncIterator[Gateway]:
    """A gateway with a key, and one page that may read its answers."""
    async with gateway(redis_broker, admission=AdmissionConfig((KEY,)), cors_origins=(PAGE,)) as served:
        yield served


async def told(served: Gateway, method: str, path: str, **headers: str) -> Answer:
    shown = {"Host": "localhost", "Authorization": f"Bearer {KEY}"} | headers
    return await ask(served.port, method, path, shown)


SOCKETS = ("/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime")
DOOR: list[tuple[str, str, dict[str, str], int, str | None]] = [
    # the socket: with a slash at its end, by every base address
    *[("GET", f"{path}{slash}?model=delivery", WS, SWITCHED, None) for path in SOCKETS for slash in ("", "/")],
    # what a proxy sends that does not pass Upgrade, or half of it
    ("GET", "/v1/realtime?model=delivery", {}, 426, "upgrade_required"),
    ("GET", "/v1/realtime/", {}, 426, "upgrade_required"),
    ("GET", "/openai/realtime", {}, 426, "upgrade_required"),
    ("GET", "/v1/realtime", {"Upgrade": "websocket"}, 426, "upgrade_required"),
    ("GET", "/v1/realtime", {"Upgrade": "h2c", "Connection": "Upgrade"}, 426, "upgrade_required"),
    ("GET", "/v1/realtime", {"Connection": "Upgrade"}, 426, "upgrade_required"),
    ("HEAD", "/v1/realtime", {}, 426, None),
    # an upgrade that is none
    ("GET", "/v1/realtime", WS | {"Sec-WebSocket-Version": "12"}, 400, "bad_upgrade"),
    ("GET", "/v1/realtime", WS | {"Sec-WebSocket-Key": "short"}, 400, "bad_upgrade"),
    # a socket somewhere else
    ("GET", "/api/v1/realtime", WS, 404, "unknown_url"),
    ("GET", "//v1/realtime", WS, 404, "unknown_url"),
    ("GET", "/v1/realtime/realtime", WS, 404, "unknown_url"),
    ("GET", "/v1/v1/realtime", WS, 404, "unknown_url"),
    ("GET", "/v1/models", WS, 404, "unknown_url"),
    ("GET", "/", WS, 404, "unknown_url"),
    ("GET", "/api/v1/realtime", {}, 404, "unknown_url"),
    # WebRTC and SIP
    ("POST", "/v1/realtime?model=gpt-realtime", {}, 404, "webrtc_not_served"),
    ("POST", "/v1/realtime/calls", {}, 404, "webrtc_not_served"),
    ("POST", "/v1/realtime/calls/", {}, 404, "webrtc_not_served"),
    ("POST", "/openai/v1/realtime/calls", {}, 404, "webrtc_not_served"),
    *[("POST", f"/v1/realtime/calls/rtc_1/{verb}", {}, 404, "sip_not_served") for verb in ("accept", "reject")],
    ("POST", "/v1/realtime/calls/rtc_1/refer", {}, 404, "sip_not_served"),
    ("POST", "/v1/realtime/calls/rtc_1/hangup", {}, 404, "call_not_found"),
    ("POST", "/v1/realtime/calls", {"Authorization": ""}, 401, None),
    ("POST", "/v1/realtime/calls/rtc_1/sing", {}, 404, "unknown_url"),
    # REST
    *[(method, path, {}, OK, None) for path in ("/health", "/v1/models", "/v1/voices") for method in ("GET", "HEAD")],
    ("GET", "/v1/models/", {}, OK, None),
    ("GET", "/v1/models/delivery", {}, OK, None),
    ("HEAD", "/v1/models/delivery", {}, OK, None),
    ("GET", "/v1/models/gpt-realtime", {}, OK, None),
    ("GET", "/v1/models/nobody", {}, 404, "model_not_found"),
    ("GET", "/v1/models/openai/gpt-realtime", {}, 404, "model_not_found"),
    ("GET", "/v1/nope", {}, 404, "unknown_url"),
    ("HEAD", "/v1/nope", {}, 404, None),
    ("POST", "/v1/nope", {}, 404, "unknown_url"),
    # the console
    *[(method, "/", {}, OK, None) for method in ("GET", "HEAD")],
    ("GET", "/", {"Authorization": ""}, OK, None),
    ("POST", "/", {}, 405, "method_not_allowed"),
    ("GET", "/console/nothing.js", {}, 404, "unknown_url"),
    ("GET", "/console/..%2f__init__.py", {}, 404, "unknown_url"),
    ("GET", "/%ff%00%0d%0a", {}, 404, "unknown_url"),
    ("GET", "/" + "x" * 8_000, {}, 404, "unknown_url"),
    ("GET", "/%2e%2e/v1/realtime", WS, 404, "unknown_url"),
    ("GET", "/v1/realtime//", WS, SWITCHED, None),
    ("POST", "/v1/models", {}, 405, "method_not_allowed"),
    ("DELETE", "/v1/models/delivery", {}, 405, "method_not_allowed"),
    ("GET", "/v1/realtime/client_secrets", {}, 405, "method_not_allowed"),
    ("HEAD", "/v1/realtime/client_secrets", {}, 405, None),
    ("PUT", "/v1/realtime", {}, 405, "method_not_allowed"),
    ("GET", "/v1/realtime/calls", {}, 405, "method_not_allowed"),
    ("BREW", "/health", {}, 400, None),  # no method of HTTP; the parser refuses it
    # keys come first where there is something to see
    ("GET", "/v1/models", {"Authorization": ""}, 401, None),
    ("GET", "/v1/models/nobody", {"Authorization": ""}, 401, None),
    ("GET", "/v1/realtime?model=delivery", WS | {"Authorization": ""}, 401, None),
]


@pytest.mark.parametrize("origin", [None, PAGE, "https://elsewhere.example", "null"])
async def test_every_request_gets_the_status_and_the_error_of_the_table(door: Gateway, origin: str | None) -> None:
    shown = {} if origin is None else {"Origin": origin}
    for method, path, headers, status, code in DOOR:
        row = (method, path, headers)
        answer = await told(door, method, path, **headers, **shown)
        assert answer.status == status, (row, answer)
        if method == "HEAD":
            assert answer.body == b"", row
        elif code is not None:
            error = answer.json()["error"]
            param = {"model_not_found": "model", "call_not_found": "call_id"}.get(code)
            assert (error["code"], error["type"], error["param"]) == (code, "invalid_request_error", param), row
            assert error["message"].endswith((".", "?")), row


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/models", "GET, HEAD"),
        ("PATCH", "/v1/models/delivery", "GET, HEAD"),
        ("DELETE", "/v1/realtime", "GET, HEAD, POST"),  # of two routes
        ("GET", "/v1/realtime/client_secrets", "POST"),
        ("HEAD", "/v1/realtime/calls", "POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(door: Gateway, method: str, path: str, allowed: str) -> None:
    answer = await told(door, method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/api/v1/realtime", "//v1/realtime", "/v1/realtime/v1/realtime", "/v1/models"])
async def test_a_socket_that_missed_its_address_is_told_it(door: Gateway, path: str) -> None:
    message = (await told(door, "GET", path, **WS)).json()["error"]["message"]
    assert "The Realtime WebSocket is at /v1/realtime;" in message


async def test_a_get_of_the_socket_says_which_protocol_it_takes(door: Gateway) -> None:
    answer = await told(door, "GET", "/v1/realtime")
    assert answer.headers["upgrade"] == "websocket"
    assert "does your proxy pass Upgrade?" in answer.json()["error"]["message"]


# -- pages of other origins ------------------------------------------------------------------------------------------

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.mark.parametrize(
    "path", ["/v1/realtime", "/v1/realtime/calls", "/v1/realtime/calls/", "/openai/v1/realtime/calls"]
)
@pytest.mark.parametrize("origin", [PAGE, "https://elsewhere.example", "null"])
async def test_any_page_can_show_that_webrtc_is_not_served(door: Gateway, path: str, origin: str) -> None:
    asked = await told(door, "OPTIONS", path, Origin=origin, **PREFLIGHT)
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, "*")
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type"
    answer = await told(door, "POST", path, Origin=origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (404, "*")
    assert "use the WebSocket transport" in answer.json()["error"]["message"]


SHARED = ["/v1/models", "/v1/models/delivery", "/v1/voices", "/v1/realtime/client_secrets", "/v1/sessions/sess_1"]


@pytest.mark.parametrize("path", SHARED)
async def test_a_page_of_the_setting_reads_the_rest_api_and_no_other_page_does(door: Gateway, path: str) -> None:
    asked = await told(door, "OPTIONS", path, Origin=PAGE, Authorization="", **PREFLIGHT)
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, PAGE)
    for origin in ("https://elsewhere.example", f"{PAGE}.elsewhere.example", "http://app.example", "null"):
        refused = await told(door, "OPTIONS", path, Origin=origin, **PREFLIGHT)
        assert refused.status == 405 and "access-control-allow-origin" not in refused.headers
        answer = await told(door, "GET", path, Origin=origin)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("path", "key"), [("/v1/models", KEY), ("/v1/models", "wrong"), ("/v1/nope", KEY)])
async def test_a_page_of_the_setting_reads_errors_too(door: Gateway, path: str, key: str) -> None:
    answer = await told(door, "GET", path, Origin=PAGE, Authorization=f"Bearer {key}")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize("path", ["/v1/admin/tenants", "/v1/admin/x/../tenants", "/health", "/ready"])
async def test_the_setting_does_not_open_the_rest_of_the_server(door: Gateway, path: str) -> None:
    answer = await told(door, "GET", path, Origin=PAGE)
    assert "access-control-allow-origin" not in answer.headers


async def test_without_the_setting_no_page_reads_the_rest_api(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker, admission=AdmissionConfig((KEY,))) as served:
        for method in ("GET", "OPTIONS"):
            answer = await told(served, method, "/v1/models", Origin=PAGE, **PREFLIGHT)
            assert "access-control-allow-origin" not in answer.headers


async def test_a_star_lets_every_page_read(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker, admission=AdmissionConfig((KEY,)), cors_origins=("*",)) as served:
        assert (await told(served, "GET", "/v1/models", Origin=PAGE)).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origins", [(PAGE,), ("*",)])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/realtime/calls", "/v1/realtime"])
@pytest.mark.parametrize("headers", [{"Origin": PAGE}, {"Origin": "null"}, {"Host": "box.example"}])
async def test_a_server_without_keys_stays_closed_to_other_sites(
    redis_broker: RedisBroker, origins: tuple[str, ...], path: str, headers: dict[str, str]
) -> None:
    async with gateway(redis_broker, cors_origins=origins) as served:
        for method in ("GET", "POST", "OPTIONS"):
            answer = await told(served, method, path, **headers, **PREFLIGHT)
            assert answer.status == 403 and "access-control-allow-origin" not in answer.headers


async def test_a_server_without_keys_serves_a_local_page_of_the_setting(redis_broker: RedisBroker) -> None:
    here = "http://localhost:5173"
    async with gateway(redis_broker, cors_origins=(here,)) as served:
        answer = await told(served, "GET", "/v1/models", Origin=here)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, here)


# -- models ----------------------------------------------------------------------------------------------------------


async def test_the_official_client_finds_a_model_by_every_name_that_calls_it(door: Gateway) -> None:
    async with AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{door.port}/v1", max_retries=0) as client:
        for name in ("delivery", "assistant", "gpt-realtime", "gpt-4o-mini-realtime-preview"):
            found = await client.models.retrieve(name)
            assert (found.id, found.object, found.owned_by) == (name, "model", "agentvoicebox")
        for name in ("nobody", "gpt-4o-transcribe", "openai/gpt-realtime"):
            with pytest.raises(NotFoundError) as refused:
                await client.models.retrieve(name)
            assert refused.value.code == "model_not_found"


UNKNOWN = ["", "model=", "model=nobody", "model=local", "model=GPT-Realtime", "model=openai%2Fgpt-realtime"]


@pytest.mark.parametrize("query", UNKNOWN)
async def test_an_unknown_model_gets_the_default_agent_where_the_setting_says_so(
    redis_broker: RedisBroker, query: str
) -> None:
    agents = Agents(kits=DELIVERY, default="assistant", is_any_model_known=True)
    async with gateway(redis_broker, agents=agents) as served, calling(served.url(query)) as client:
        session = client.events[0]["session"]
        assert session["instructions"].startswith("You are a helpful voice assistant.")
        assert session["model"] == (httpx.QueryParams(query).get("model") or "assistant")


async def test_an_agent_of_that_name_is_called_before_the_default_one(redis_broker: RedisBroker) -> None:
    agents = Agents(kits=DELIVERY, default="assistant", is_any_model_known=True)
    async with gateway(redis_broker, agents=agents) as served, calling(served.url("model=delivery")) as client:
        assert "delivery company" in client.events[0]["session"]["instructions"]


@pytest.mark.parametrize("query", UNKNOWN)
async def test_an_unknown_model_is_refused_otherwise(redis_broker: RedisBroker, query: str) -> None:
    async with gateway(redis_broker) as served, connect(served.url(query)) as ws:
        error: dict[str, Any] = json.loads(await ws.recv())["error"]
        await ws.wait_closed()
    assert error["code"] == ("missing_model" if query in ("", "model=") else "invalid_model")
    assert ws.close_code == 4000
