"""The upgrade, over a real server with real clients: who is let in, and how others are sent away (protocol page §1)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from tests.kit.client import until
from tests.kit.gateway import Gateway, gateway
from tests.kit.waiting import PATIENCE_S
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.http.app import create_app
from agentvoicebox.gateway.http.internal import create_internal_app
from agentvoicebox.telemetry.metrics_page import metrics_page

pytestmark = pytest.mark.requirement("A4.2")

KEY = "avb-test-key"


@pytest.fixture
async def broker(redis_url: str) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(redis_url)
    yield made
    await made.close()


@pytest.fixture
async def guarded(broker: RedisBroker) -> AsyncIterator[Gateway]:
    """A gateway with a key."""
    async with gateway(broker, admission=AdmissionConfig(("another-key", KEY))) as served:
        yield served


@pytest.fixture
async def open_house(broker: RedisBroker) -> AsyncIterator[Gateway]:
    """A gateway on loopback without keys."""
    async with gateway(broker) as served:
        yield served


async def first_event(ws: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        event: dict[str, Any] = json.loads(await ws.recv())
        return event


async def turned_away(url: str, **options: Any) -> tuple[dict[str, Any], int, str]:
    """Connect, expect exactly one `error` event and then a close: its error, the code and the reason."""
    async with connect(url, **options) as ws:
        event = await first_event(ws)
        assert event["type"] == "error"
        assert event["event_id"].startswith("event_")
        assert set(event["error"]) == {"type", "code", "message", "param", "event_id"}
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(PATIENCE_S):
                await ws.recv()
        assert ws.close_code is not None
        return event["error"], ws.close_code, ws.close_reason or ""


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_wrong_key_is_told_so_and_closed_with_3000(guarded: Gateway) -> None:
    error, code, reason = await turned_away(guarded.url(), additional_headers=bearer("wrong"))
    assert (error["code"], code, reason) == ("invalid_api_key", 3000, "invalid_request_error.invalid_api_key")


async def refused_upgrade(url: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Connect, expect an HTTP answer instead of an upgrade: its status and its error."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, **options):
            pass
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"")["error"]


async def test_a_request_without_any_key_is_refused_before_the_upgrade(guarded: Gateway) -> None:
    status, error = await refused_upgrade(guarded.url())
    assert (status, error["code"], error["type"]) == (401, None, "invalid_request_error")


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", "missing_model"), ("model=gpt-4o-transcribe", "invalid_model"), ("model=nobody", "invalid_model")],
)
async def test_a_query_that_makes_no_session_is_closed_with_4000(
    open_house: Gateway, query: str, expected: str
) -> None:
    error, code, reason = await turned_away(open_house.url(query))
    assert (error["code"], code, reason) == (expected, 4000, f"invalid_request_error.{expected}")
    assert error["param"] == "model"


@pytest.mark.parametrize("headers", [bearer(KEY), {"api-key": KEY}, {"Authorization": f"bearer {KEY}"}])
async def test_a_good_key_in_either_header_is_let_in(guarded: Gateway, headers: dict[str, str]) -> None:
    async with connect(guarded.url(), additional_headers=headers) as ws:
        assert (await first_event(ws))["type"] == "session.created"
        assert ws.subprotocol is None


async def test_a_browser_shows_its_key_as_a_subprotocol_which_is_never_echoed(guarded: Gateway) -> None:
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{KEY}")]
    async with connect(guarded.url(), subprotocols=offered) as ws:
        assert ws.subprotocol == "realtime"
        assert (await first_event(ws))["type"] == "session.created"


async def test_without_keys_any_key_and_none_is_let_in(open_house: Gateway) -> None:
    for headers in (bearer("whatever"), {}):
        async with connect(open_house.url(), additional_headers=headers) as ws:
            assert (await first_event(ws))["type"] == "session.created"


async def test_without_keys_a_page_of_a_foreign_site_is_turned_away(open_house: Gateway) -> None:
    status, error = await refused_upgrade(open_house.url(), origin="https://elsewhere.example")
    assert (status, error["code"]) == (403, "origin_not_allowed")
    async with connect(open_house.url(), origin="http://localhost:3000") as ws:  # type: ignore[arg-type]
        assert (await first_event(ws))["type"] == "session.created"


async def test_the_session_is_shown_whole_and_with_the_model_as_asked(open_house: Gateway) -> None:
    async with connect(open_house.url("model=gpt-realtime&temperature=0.8&unknown=1")) as ws:
        session = (await first_event(ws))["session"]
    assert session["model"] == "gpt-realtime"
    assert session["type"] == "realtime"
    assert session["id"].startswith("sess_")
    assert session["audio"]["input"]["turn_detection"]["create_response"] is True
    assert session["audio"]["output"]["voice"] == "alloy"


async def test_a_transcription_session_needs_no_model_and_wins_over_one(open_house: Gateway) -> None:
    for query in ("intent=transcription", "intent=transcription&model=gpt-realtime"):
        async with connect(open_house.url(query)) as ws:
            event = await first_event(ws)
        assert event["type"] == "session.created"
        assert event["session"]["type"] == "transcription"
        assert "model" not in event["session"]


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("model=delivery", {"additional_headers": {"OpenAI-Beta": "realtime=v1"}}),
        ("model=delivery", {"subprotocols": ["realtime", "openai-beta.realtime-v1"]}),
        ("deployment=delivery&api-version=2024-10-01-preview", {}),
    ],
)
async def test_who_asks_for_beta_is_spoken_to_in_beta(open_house: Gateway, query: str, options: Any) -> None:
    async with connect(open_house.url(query), **options) as ws:
        session = (await first_event(ws))["session"]
    assert session["modalities"] == ["audio", "text"]
    assert "type" not in session


async def test_a_beta_transcription_session_is_named_as_it_was(open_house: Gateway) -> None:
    headers = {"OpenAI-Beta": "realtime=v1"}
    async with connect(open_house.url("intent=transcription"), additional_headers=headers) as ws:
        assert (await first_event(ws))["type"] == "transcription_session.created"


async def test_the_caller_who_is_one_too_many_may_try_later(broker: RedisBroker) -> None:
    async with gateway(broker, max_calls=1) as served:
        async with connect(served.url()) as first:
            await first_event(first)
            error, code, reason = await turned_away(served.url())
            assert (error["type"], error["code"], code) == ("server_error", "overloaded", 1013)
            assert reason == "server_error.overloaded"

        async def nobody() -> bool:
            return len(served.state.sessions) == 0

        await until(nobody)
        async with connect(served.url()) as second:
            assert (await first_event(second))["type"] == "session.created"


async def test_the_openai_client_connects_unmodified(guarded: Gateway) -> None:
    client = AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{guarded.port}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection, asyncio.timeout(PATIENCE_S):
        created = await connection.recv()
        assert created.type == "session.created"
        await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        updated = await connection.recv()
        assert updated.type == "session.updated"
        assert updated.session.type == "realtime"
        assert updated.session.instructions == "Be brief."
    await client.close()


async def test_the_pages_beside_the_socket(guarded: Gateway) -> None:
    base = f"http://127.0.0.1:{guarded.port}"
    async with httpx.AsyncClient(base_url=base) as http:
        assert (await http.get("/health")).json() == {"status": "ok"}
        ready = await http.get("/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        for internal in ("/metrics", "/docs", "/openapi.json"):
            assert (await http.get(internal, headers=bearer(KEY))).status_code == 404
        refused = await http.get("/v1/models", headers=bearer("wrong"))
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
        models = (await http.get("/v1/models", headers=bearer(KEY))).json()
        assert {"delivery", "assistant"} <= {model["id"] for model in models["data"]}
        assert (await http.get("/v1/voices", headers=bearer(KEY))).status_code == 200
        async with connect(guarded.url(), additional_headers=bearer(KEY)) as ws:
            session_id = (await first_event(ws))["session"]["id"]
            found = await http.get(f"/v1/sessions/{session_id}", headers=bearer(KEY))
            assert found.json()["agent"] == "delivery"
            numbers = metrics_page(guarded.state.metrics.registry)[0].decode()
            assert "avb_connections 1.0" in numbers
            assert 'avb_refusals_total{code="invalid_api_key"}' not in numbers
        for unknown in ("sess_00000000000000000000", "%7Bx%7D", "nobody"):
            assert (await http.get(f"/v1/sessions/{unknown}", headers=bearer(KEY))).status_code == 404


async def test_the_internal_port_describes_the_api_and_loads_nothing_from_elsewhere(guarded: Gateway) -> None:
    app = create_internal_app(guarded.state, create_app(guarded.state))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        ready = (await http.get("/ready")).json()
        assert ready["dependencies"]["store"]["status"] == "ok"
        assert "avb_connections 0.0" in (await http.get("/metrics")).text
        assert "/v1/models" in (await http.get("/openapi.json")).json()["paths"]
        page = (await http.get("/docs")).text
        assert "/v1/voices" in page
        assert "http:" not in page
        assert "https:" not in page
        assert "<script" not in page


async def test_a_shutdown_ends_calls_with_their_closing_events_and_lets_nobody_in(guarded: Gateway) -> None:
    async with connect(guarded.url(), additional_headers=bearer(KEY)) as ws:
        await first_event(ws)
        guarded.stop.set()
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(PATIENCE_S):
                await ws.recv()
        assert (ws.close_code, ws.close_reason) == (1001, "shutdown")
    assert guarded.state.sessions.is_draining


async def test_without_the_store_a_caller_is_told_to_try_later_and_the_gateway_is_not_ready() -> None:
    broker = RedisBroker("redis://127.0.0.1:1/0", retry_for_s=0.1)
    async with gateway(broker) as served:
        error, code, _ = await turned_away(served.url())
        assert (error["type"], error["code"], code) == ("server_error", "broker_lost", 1013)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
            assert (await http.get("/ready")).status_code == 503
            assert (await http.get("/health")).status_code == 200
        assert len(served.state.sessions) == 0
    await broker.close()
