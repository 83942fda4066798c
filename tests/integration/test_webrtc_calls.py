"""Offers of WebRTC at a real gateway, whose media role keeps the internal API, or breaks it in every way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from openai import APIStatusError, AsyncOpenAI
from tests.kit.fake_media_role import ANSWER, OFFER, fault, media_role
from tests.kit.gateway import Gateway, gateway
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.cli.local_server import free_port
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.media import media_roles
from agentvoicebox.gateway.media.call_ids import mark_in, mark_of_role, new_call_id
from agentvoicebox.gateway.media.media_roles import MediaRoles

pytestmark = pytest.mark.requirement("C10")

KEY = "a-key-of-some-length"
CALLS = "/v1/realtime/calls"
SDP = {"content-type": "application/sdp"}


@asynccontextmanager
async def serving(broker: RedisBroker, *urls: str, token: str = "", answer_s: float = 20.0) -> AsyncIterator[Gateway]:
    """A gateway with one key, and these media roles."""
    media = MediaRoles(urls, token=token, answer_s=answer_s)
    try:
        async with gateway(broker, admission=AdmissionConfig((KEY,)), media=media) as served:
            yield served
    finally:
        await media.close()


@asynccontextmanager
async def town_with(town: TenantGateway, *urls: str) -> AsyncIterator[TenantGateway]:
    """The same with tenants."""
    media = town.served.state.media = MediaRoles(urls)
    try:
        yield town
    finally:
        await media.close()


async def post(
    served: Gateway, path: str = CALLS, content: str | bytes = OFFER, *, key: str = KEY, **headers: str
) -> httpx.Response:
    shown = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as web:
        return await web.post(
            f"http://127.0.0.1:{served.port}{path}", content=content, headers={**SDP, **shown, **headers}
        )


def official(served: Gateway) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{served.port}/v1", max_retries=0)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# -- as it should be -------------------------------------------------------------------------------------------------


async def test_an_offer_is_answered_with_sdp_and_the_place_of_the_call(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        answer = await post(served, **{"X-Correlation-ID": "corr-1"})
        assert (answer.status_code, answer.text) == (201, ANSWER)
        assert answer.headers["content-type"] == "application/sdp"
        lead, _, call_id = answer.headers["location"].rpartition("/")
        assert lead == CALLS and mark_in(call_id) == mark_of_role(role.url)
    assert role.asked == [
        {
            "call_id": call_id,
            "sdp": OFFER,
            "session": None,
            "credential": KEY,
            "tenant": "default",
            "model": "delivery",
            "caller_headers": {"X-Correlation-ID": "corr-1"},
        }
    ]


@pytest.mark.parametrize("path", [CALLS, "/openai/v1/realtime/calls", "/realtime/calls/", "/v1/realtime"])
async def test_each_base_address_takes_offers_and_beta_took_them_at_the_sockets(
    redis_broker: RedisBroker, path: str
) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        assert (await post(served, f"{path}?model=assistant")).status_code == 201
    assert role.asked[0]["model"] == "assistant"


async def test_a_form_brings_the_session_along(redis_broker: RedisBroker) -> None:
    session = {
        "type": "realtime",
        "model": "assistant",
        "instructions": "Be brief.",
        "audio": {"output": {"speed": 1.2}},
    }
    async with media_role() as role, serving(redis_broker, role.url) as served:
        base = f"http://127.0.0.1:{served.port}{CALLS}"
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as web:
            parts = {
                "sdp": (None, OFFER, "application/sdp"),
                "session": (None, json.dumps(session), "application/json"),
            }
            typed = await web.post(base, files=parts)
            plain = await web.post(base, files={"sdp": (None, OFFER), "session": (None, json.dumps(session))})
        assert (typed.status_code, plain.status_code) == (201, 201)
    for asked in role.asked:
        assert asked["sdp"] == OFFER and asked["model"] == "assistant"
        assert asked["session"] == {name: value for name, value in session.items() if name != "model"}


async def test_the_official_client_makes_a_call_and_hangs_up(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served, official(served) as client:
        raw = await client.realtime.calls.with_raw_response.create(
            sdp=OFFER, session={"type": "realtime", "instructions": "Be brief."}
        )
        assert raw.status_code == 201 and raw.text == ANSWER
        call_id = raw.headers["location"].rpartition("/")[2]
        assert list(role.calls) == [call_id]
        await client.realtime.calls.hangup(call_id)
        assert role.calls == {}
        with pytest.raises(APIStatusError) as gone:
            await client.realtime.calls.hangup(call_id)
        assert (gone.value.status_code, gone.value.code) == (404, "call_not_found")


async def test_the_verbs_of_sip_are_refused_with_what_webrtc_has_instead(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served, official(served) as client:
        call_id, calls = (await post(served)).headers["location"].rpartition("/")[2], client.realtime.calls
        for asking in (
            calls.accept(call_id, type="realtime"),
            calls.reject(call_id, status_code=486),
            calls.refer(call_id, target_uri="tel:+14155550123"),
        ):
            with pytest.raises(APIStatusError) as refused:
                await asking
            assert (refused.value.status_code, refused.value.code) == (404, "sip_not_served")
            assert "hangup ends it" in refused.value.message
        assert list(role.calls) == [call_id]


# -- whose call ------------------------------------------------------------------------------------------------------


async def test_an_ephemeral_secret_makes_a_call_of_its_tenant_and_of_its_model(town: TenantGateway) -> None:
    key = (await town.key()).text
    async with media_role() as role, town_with(town, role.url), town.openai(key) as client:
        secret = await client.realtime.client_secrets.create(session={"type": "realtime", "model": "assistant"})
        assert (await post(town.served, key=secret.value)).status_code == 201
        other = await post(town.served, f"{CALLS}?model=delivery", key=secret.value)
        assert code_of(other) == (400, "invalid_model")
    (asked,) = role.asked
    assert (asked["tenant"], asked["model"], asked["credential"]) == ("acme", "assistant", secret.value)


async def test_a_secret_ends_no_call(town: TenantGateway) -> None:
    key = (await town.key()).text
    async with media_role() as role, town_with(town, role.url), town.openai(key) as client:
        secret = await client.realtime.client_secrets.create(session={"type": "realtime"})
        place = (await post(town.served, key=secret.value)).headers["location"]
        assert code_of(await post(town.served, f"{place}/hangup", "", key=secret.value)) == (
            403,
            "insufficient_permissions",
        )
        assert len(role.calls) == 1
        assert (await post(town.served, f"{place}/hangup", "", key=key)).status_code == 200


async def test_another_tenants_key_can_not_hang_up(town: TenantGateway) -> None:
    ours, theirs = (await town.key()).text, (await town.key("rival")).text
    async with media_role() as role, town_with(town, role.url):
        place = (await post(town.served, key=ours)).headers["location"]
        for key in (theirs, CONFIGURED):
            refused = await post(town.served, f"{place}/hangup", "", key=key)
            unknown = await post(town.served, f"{CALLS}/{new_call_id(mark_of_role(role.url))}/hangup", "", key=key)
            assert code_of(refused) == (404, "call_not_found") and refused.content == unknown.content
        assert len(role.calls) == 1
        assert (await post(town.served, f"{place}/hangup", "", key=ours)).status_code == 200


@pytest.mark.parametrize(("key", "status"), [("", 401), ("wrong", 401)])
async def test_a_role_never_sees_an_offer_of_a_stranger(redis_broker: RedisBroker, key: str, status: int) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        assert (await post(served, key=key)).status_code == status
        assert (await post(served, f"{CALLS}/rtc_1/hangup", "", key=key)).status_code == status
    assert not role.asked and not role.shown


@pytest.mark.parametrize("headers", [{"Origin": "https://app.example"}, {"Host": "box.example"}, {"Via": "1.1 p"}])
async def test_a_server_without_keys_takes_offers_of_this_machine_alone(
    redis_broker: RedisBroker, headers: dict[str, str]
) -> None:
    async with media_role() as role:
        media = MediaRoles([role.url])
        async with gateway(redis_broker, media=media) as served:
            assert (await post(served, key="any key", Origin="http://localhost:5173")).status_code == 201
            assert (await post(served, key="")).status_code == 201
            for path in (CALLS, f"{CALLS}/{new_call_id(mark_of_role(role.url))}/hangup"):
                refused = await post(served, path, **headers)
                assert refused.status_code == 403 and refused.json()["error"]["code"].endswith("_not_allowed")
                assert "access-control-allow-origin" not in refused.headers
        await media.close()
    assert [asked["credential"] for asked in role.asked] == ["any key", ""]


async def test_a_page_may_make_calls_and_read_where_they_are(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        answer = await post(served, Origin="https://app.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Location" in answer.headers["access-control-expose-headers"]


# -- what can't be an offer ------------------------------------------------------------------------------------------

TRANSCRIPTION = {"type": "transcription"}
BAD: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"content": b""}, 400, "missing_required_parameter", "sdp"),
    ({"content": b"{}"}, 400, "invalid_offer", "sdp"),
    ({"content": b"v=0\xff"}, 400, "invalid_offer", "sdp"),
    ({"content": OFFER.replace("audio", "video").encode()}, 400, "invalid_offer", "sdp"),
    ({"content": OFFER.encode() + b"a=x\r\n" * 20_000}, 413, "request_too_large", None),
    ({"files": {"session": (None, "{}")}}, 400, "missing_required_parameter", "sdp"),
    ({"files": {"sdp": (None, OFFER), "session": (None, "{")}}, 400, "invalid_json", "session"),
    ({"files": {"sdp": (None, OFFER), "session": (None, "[1]")}}, 400, "invalid_value", "session"),
    ({"files": {"sdp": (None, OFFER), "session": (None, '{"volume": 9}')}}, 400, "unknown_parameter", "session.volume"),
    (
        {"files": {"sdp": (None, OFFER), "session": (None, json.dumps(TRANSCRIPTION))}},
        400,
        "invalid_value",
        "session.type",
    ),
    (
        {"files": {"sdp": (None, OFFER), "session": (None, '{"model": "nobody"}')}},
        400,
        "invalid_model",
        "session.model",
    ),
    ({"files": {"sdp": (None, OFFER), "session": (None, '{"model": 7}')}}, 400, "invalid_value", "session.model"),
    ({"files": {"sdp": (None, OFFER), "session": (None, json.dumps("x" * 300_000))}}, 413, "request_too_large", None),
    ({"files": {"sdp": (None, OFFER + "a" * 70_000)}}, 413, "request_too_large", None),
    ({"content": OFFER.encode(), "params": {"model": "nobody"}}, 400, "invalid_model", "model"),
    ({"content": OFFER.encode(), "params": {"model": "x" * 7_000}}, 400, "invalid_model", "model"),
]


async def test_what_can_not_be_an_offer_is_refused_and_no_role_sees_it(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        base = f"http://127.0.0.1:{served.port}{CALLS}"
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as web:
            for body, status, code, param in BAD:
                answer = await web.post(base, **body)
                error = answer.json()["error"]
                assert (answer.status_code, error["code"], error["param"]) == (status, code, param), (body, error)
    assert role.asked == []


# -- a role that is away, slow, full or mad --------------------------------------------------------------------------


async def test_a_role_that_is_away_is_passed_over_and_named_when_all_are(redis_broker: RedisBroker) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    async with media_role() as role, serving(redis_broker, gone, role.url, f"http://127.0.0.1:{free_port()}") as served:
        for _ in range(4):  # whoever's turn it is
            assert (await post(served)).status_code == 201
    async with serving(redis_broker, gone) as served:
        refused = await post(served)
        assert code_of(refused) == (503, "webrtc_unavailable")
        assert "AVB_WEBRTC_URLS" in refused.json()["error"]["message"]
        ended = await post(served, f"{CALLS}/{new_call_id(mark_of_role(gone))}/hangup", "")
        assert code_of(ended) == (503, "webrtc_unavailable")


async def test_a_full_role_is_passed_over_and_its_refusal_is_told_when_all_are_full(redis_broker: RedisBroker) -> None:
    full = fault("too_many_calls", "All 8 lines are busy.", "rate_limit_error")
    async with media_role(answer=(429, full)) as busy, media_role() as free:
        async with serving(redis_broker, busy.url, free.url) as served:
            assert [(await post(served)).status_code for _ in range(4)] == [201] * 4
        async with serving(redis_broker, busy.url, f"http://127.0.0.1:{free_port()}") as served:
            refused = await post(served)
            assert code_of(refused) == (429, "too_many_calls")
            assert refused.headers["retry-after"] == "5" and "lines are busy" in refused.text
    assert len({asked["call_id"] for asked in busy.asked}) == len(busy.asked) > 1


REFUSED: list[tuple[tuple[int, Any], int, str]] = [
    ((400, fault("invalid_offer", "No codec in common.", "invalid_request_error")), 400, "invalid_offer"),
    ((503, fault("overloaded", "All lines are busy.")), 503, "overloaded"),
    ((503, fault("rate_limit_exceeded", "Too many calls.", "rate_limit_error")), 429, "rate_limit_exceeded"),
    ((429, fault("rate_limit_exceeded", "Too many calls.", "rate_limit_error")), 429, "rate_limit_exceeded"),
    ((401, fault("invalid_api_key", "Revoked meanwhile.", "invalid_request_error")), 401, "invalid_api_key"),
    ((403, fault("account_deactivated", "Suspended.", "invalid_request_error")), 403, "account_deactivated"),
    ((413, fault("request_too_large", "Too long.", "invalid_request_error")), 413, "request_too_large"),
    ((503, fault("store_full", "x" * 9_000)), 503, "store_full"),
    # what a role should never answer
    ((201, {"sdp": "hello"}), 503, "webrtc_unavailable"),
    ((201, {"sdp": 7}), 503, "webrtc_unavailable"),
    ((201, b"{"), 503, "webrtc_unavailable"),
    ((201, b"[" * 200_000), 503, "webrtc_unavailable"),
    ((200, {"sdp": ANSWER}), 503, "webrtc_unavailable"),
    ((302, b""), 503, "webrtc_unavailable"),
    ((400, b"<html>"), 503, "webrtc_unavailable"),
    ((503, {"error": "no"}), 503, "webrtc_unavailable"),
    ((500, fault("internal_error", "Traceback: secret of the role")), 503, "webrtc_unavailable"),
    ((403, fault("invalid_token", "Wrong token.")), 503, "webrtc_unavailable"),
]


@pytest.mark.parametrize(("given", "status", "code"), REFUSED, ids=[f"{row[0][0]}-{row[2]}" for row in REFUSED])
async def test_a_refusal_is_passed_on_and_nonsense_is_not(
    redis_broker: RedisBroker, given: tuple[int, Any], status: int, code: str
) -> None:
    async with media_role(answer=given) as role, serving(redis_broker, role.url) as served:
        answer = await post(served)
        assert code_of(answer) == (status, code)
        assert len(answer.content) < 1_000 and "secret of the role" not in answer.text


async def test_a_huge_answer_is_cut_off(redis_broker: RedisBroker) -> None:
    async with media_role(is_huge=True) as role, serving(redis_broker, role.url) as served:
        assert code_of(await post(served)) == (503, "webrtc_unavailable")
        assert role.sent_bytes < 32 * 1024 * 1024  # a few of them wait in sockets


async def test_a_role_that_does_not_answer_costs_a_bounded_wait_and_the_call_is_ended_there(
    redis_broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with media_role(is_slow=True) as role, serving(redis_broker, role.url, answer_s=0.3) as served:
        assert code_of(await post(served)) == (503, "webrtc_unavailable")
        await until(lambda: role.calls, "the call goes on at the role")
        monkeypatch.setattr(media_roles, "MOST_WAITING", 0)
        assert code_of(await post(served)) == (503, "overloaded")


async def test_a_role_that_hangs_delays_nobody_else(redis_broker: RedisBroker) -> None:
    async with media_role(is_slow=True) as role, serving(redis_broker, role.url) as served:
        waiting = [asyncio.create_task(post(served)) for _ in range(8)]
        await until(lambda: len(role.asked) < 8, "offers have not come")
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as web:
            assert (await web.get(f"http://127.0.0.1:{served.port}/v1/models")).status_code == 200
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        role.over.set()


async def test_a_role_is_shown_its_token_and_a_wrong_one_is_the_operators_fault(redis_broker: RedisBroker) -> None:
    async with media_role(token="right") as role:
        async with serving(redis_broker, role.url, token="right") as served:
            assert (await post(served)).status_code == 201
        async with serving(redis_broker, role.url, token="wrong") as served:
            assert code_of(await post(served)) == (503, "webrtc_unavailable")
            known = next(iter(role.calls))
            assert code_of(await post(served, f"{CALLS}/{known}/hangup", "")) == (503, "webrtc_unavailable")
    assert set(role.shown) == {"Bearer right", "Bearer wrong"}


async def test_a_gateway_that_drains_takes_no_offer(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        served.state.sessions.is_draining = True
        assert code_of(await post(served)) == (503, "shutting_down")
    assert role.asked == []


async def test_a_server_without_webrtc_says_what_to_do(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker, admission=AdmissionConfig((KEY,))) as served:
        for content in (OFFER, ""):
            refused = await post(served, content=content)
            assert code_of(refused) == (404, "webrtc_not_served")
            assert "docs/webrtc.md" in refused.text and "WebSocket transport" in refused.text
        assert code_of(await post(served, f"{CALLS}/rtc_1/hangup", "")) == (404, "call_not_found")
