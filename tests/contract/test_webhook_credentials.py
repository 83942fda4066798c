"""Who is let in: every kind of credential, alone and together, right, wrong, missing, strange, stale and replayed."""

import json
import time
from typing import Any

import httpx
import pytest
from tests.kit.webhook import Backend, WebhookClients, asking, code, over, parcel

from agentvoicebox.clock import ManualClock
from agentvoicebox.webhook.signatures import HmacScheme

BODY = json.dumps(asking()).encode()
KEY = "test-secret"


def now(offset_s: float = 0.0, *, unit: int = 1000) -> bytes:
    return str(round((time.time() + offset_s) * unit)).encode()


def signed(scheme: HmacScheme, timestamp: bytes, body: bytes = BODY) -> dict[bytes, bytes]:
    signature = scheme.sign(body, timestamp=timestamp, message_id=b"msg_1")
    return {
        scheme.header.encode(): signature,
        scheme.timestamp_header.encode(): timestamp,
        scheme.id_header.encode(): b"msg_1",
    }


async def send(
    line: WebhookClients, headers: dict[bytes, bytes] | list[tuple[bytes, bytes]], path: str = "/vapi/webhook"
) -> int:
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    response = await line.public.post(path, content=BODY, headers=[(b"content-type", b"application/json"), *pairs])
    return response.status_code


SECRET = {b"x-vapi-secret": b"hush"}
BEARER = {b"authorization": b"Bearer token-b"}
SETTINGS: dict[str, Any] = {
    "vapi_secrets": "other, hush",
    "vapi_bearer_tokens": "token-a,token-b",
    "vapi_hmac_secret": KEY,
}


async def test_each_configured_kind_alone_is_enough() -> None:
    async with over(Backend(parcel()), **SETTINGS) as line:
        assert await send(line, SECRET) == 200
        assert await send(line, BEARER) == 200
        assert await send(line, {b"authorization": b"bearer  token-a"}) == 200
        assert await send(line, signed(HmacScheme(KEY.encode()), now())) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"x-vapi-secret": b""},
        {b"x-vapi-secret": b"hus"},
        {b"x-vapi-secret": b"hush2"},
        {b"x-vapi-secret": "hüsh".encode()},
        {b"x-vapi-secret": b"\xff\xfe"},
        {b"authorization": b"token-b"},
        {b"authorization": b"Basic token-b"},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Bearer \xc3\xa9"},
        {b"authorization": b"Bearer other"},
        {b"x-signature": b"00"},
        {b"x-signature": b"\xff" * 64, b"x-timestamp": b"1"},
        [(b"x-vapi-secret", b"hush"), (b"x-vapi-secret", b"wrong")],
        {**SECRET, b"authorization": b"Bearer wrong"},  # one that is shown must be right
        {**BEARER, b"x-signature": b"00"},
    ],
)
async def test_whatever_is_wrong_is_a_401_before_the_body_is_read(headers: Any) -> None:
    async with over(Backend(parcel()), **SETTINGS) as line:
        assert await send(line, headers) == 401
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        response = await line.public.post(
            "/vapi/webhook", content=b"no json", headers=[(b"content-type", b"application/json"), *pairs]
        )
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "invalid_credentials"


@pytest.mark.parametrize(
    "scheme",
    [
        HmacScheme(KEY.encode()),
        HmacScheme(KEY.encode(), prefix="sha256=", header="x-vapi-signature"),
        HmacScheme(KEY.encode(), encoding="base64"),
        HmacScheme(KEY.encode(), algorithm="sha512", timestamp_header="x-at"),
        HmacScheme(KEY.encode(), algorithm="sha1"),
        HmacScheme(KEY.encode(), payload_format="{svix-id}.{timestamp}.{method}.{body}"),
    ],
    ids=lambda scheme: f"{scheme.header} {scheme.encoding} {scheme.algorithm} {scheme.payload_format}",
)
async def test_a_signature_of_any_configured_form_fits_and_no_other(scheme: HmacScheme) -> None:
    settings: dict[str, Any] = {
        "vapi_hmac_secret": KEY,
        "vapi_hmac_header": scheme.header,
        "vapi_hmac_prefix": scheme.prefix,
        "vapi_hmac_encoding": scheme.encoding,
        "vapi_hmac_algorithm": scheme.algorithm,
        "vapi_hmac_payload_format": scheme.payload_format,
        "vapi_hmac_timestamp_header": scheme.timestamp_header,
    }
    async with over(Backend(parcel()), **settings) as line:
        assert await send(line, signed(scheme, now(-1))) == 200
        assert await send(line, signed(scheme, now(-2, unit=1))) == 200  # seconds
        assert await send(line, signed(scheme, now(-301))) == 401
        assert await send(line, signed(scheme, now(+302))) == 401
        assert await send(line, signed(scheme, b"soon")) == 401
        assert await send(line, signed(scheme, b"9" * 40)) == 401
        assert await send(line, signed(scheme, now(-3), BODY + b" ")) == 401
        other = HmacScheme(b"other", scheme.header, scheme.prefix, scheme.encoding, scheme.algorithm)
        assert await send(line, signed(other, now(-4))) == 401
        moved = signed(scheme, now(-5)) | {scheme.timestamp_header.encode(): now(-6)}
        assert await send(line, moved) == 401


async def test_a_signed_request_is_accepted_once() -> None:
    async with over(Backend(parcel()), vapi_hmac_secret=KEY) as line:
        headers = signed(HmacScheme(KEY.encode()), now())
        assert await send(line, headers) == 200
        assert await send(line, headers) == 401
        upper = headers | {b"x-signature": headers[b"x-signature"].upper()}
        assert await send(line, upper) == 401
        assert await send(line, signed(HmacScheme(KEY.encode()), now(+1))) == 200


async def test_a_signature_that_was_turned_away_by_the_limit_may_come_again(manual_clock: ManualClock) -> None:
    scheme = HmacScheme(KEY.encode())
    async with over(Backend(parcel()), vapi_hmac_secret=KEY, webhook_source_limit=1, clock=manual_clock) as line:
        assert await send(line, signed(scheme, str(round(manual_clock.wall_s())).encode())) == 200
        headers = signed(scheme, str(round(manual_clock.wall_s()) + 1).encode())
        assert await send(line, headers) == 429
        manual_clock.advance(60)
        assert [await send(line, headers) for _ in range(2)] == [200, 401]


async def test_without_a_signed_time_a_replay_is_answered_from_memory() -> None:
    scheme = HmacScheme(KEY.encode(), payload_format="{body}")
    async with over(Backend(parcel()), vapi_hmac_secret=KEY, vapi_hmac_payload_format="{body}") as line:
        assert [await send(line, signed(scheme, b"")) for _ in range(2)] == [200, 200]


class TestOpen:
    """Nothing is configured."""

    async def test_this_machine_is_let_in(self) -> None:
        async with over(Backend(parcel())) as line:
            assert await send(line, {}) == 200

    @pytest.mark.parametrize("name", [b"x-forwarded-for", b"Forwarded", b"cf-connecting-ip", b"via", b"x-real-ip"])
    async def test_nothing_is_let_in_through_a_tunnel(self, name: bytes) -> None:
        async with over(Backend(parcel())) as line:
            assert await send(line, {name: b"127.0.0.1"}) == 401


class TestRest:
    """`/v1/track` takes the same, the server's own keys, and Retell's signature."""

    async def test_an_api_key_opens_it_and_not_the_webhook(self) -> None:
        async with over(Backend(parcel()), vapi_secrets="hush", api_keys="key-1") as line:
            assert await send(line, {b"authorization": b"Bearer key-1"}, "/v1/track") == 422
            assert await send(line, SECRET, "/v1/track") == 422
            assert await send(line, {}, "/v1/track") == 401
            assert await send(line, {b"authorization": b"Bearer key-1"}) == 401

    async def test_retell_signs_in_its_own_way(self) -> None:
        import hashlib
        import hmac

        body = json.dumps({"name": "track_shipment", "call": {}, "args": {"tracking_id": "PKG004"}}).encode()
        async with over(Backend(parcel("PKG004")), retell_api_key="rk") as line:

            async def post(at: bytes, key: bytes = b"rk") -> httpx.Response:
                digest = hmac.new(key, body + at, hashlib.sha256).hexdigest()
                headers = {"content-type": "application/json", "x-retell-signature": f"v={at.decode()},d={digest}"}
                return await line.public.post("/v1/track", content=body, headers=headers)

            at = now()
            assert (await post(at)).json()["code"] == "FOUND"
            assert [(await post(*each)).status_code for each in ((at,), (now(-400),), (now(-1), b"other"))] == [401] * 3


@pytest.mark.requirement("B4.2")
class TestLimit:
    """100 a minute of one source; 429 with when to come again."""

    async def test_the_next_is_a_429_that_says_when(self) -> None:
        async with over(Backend(parcel()), webhook_source_limit=100) as line:
            answers = [await line.vapi(asking()) for _ in range(101)]
        assert [each.status_code for each in answers] == [200] * 100 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"

    async def test_sources_do_not_use_up_each_other(self) -> None:
        async with over(Backend(parcel()), vapi_secrets="a,b", webhook_source_limit=2) as line:
            got = [await send(line, {b"x-vapi-secret": each}) for each in (b"a", b"a", b"a", b"b")]
            assert got == [200, 200, 429, 200]

    async def test_wrong_credentials_are_limited_by_address_and_hurt_nobody_else(self) -> None:
        async with over(Backend(parcel()), vapi_secrets="a", limit_wrong_credentials=2) as line:
            got = [await send(line, {b"x-vapi-secret": each}) for each in (b"x", b"y", b"z", b"a")]
            assert got == [401, 401, 429, 200]

    async def test_a_header_that_names_a_sender_is_not_believed_without_a_proxy_of_ours(self) -> None:
        async with over(Backend(parcel()), vapi_secrets="a", limit_wrong_credentials=2) as line:
            got = [await send(line, {b"x-forwarded-for": each}) for each in (b"1.1.1.1", b"2.2.2.2", b"3.3.3.3")]
            assert got == [401, 401, 429]

    async def test_a_proxy_of_ours_tells_the_sender(self) -> None:
        settings: dict[str, Any] = {
            "vapi_secrets": "a",
            "limit_wrong_credentials": 1,
            "trusted_proxy_header": "X-Forwarded-For",
        }
        async with over(Backend(parcel()), **settings) as line:
            forged = [
                await send(line, {b"x-forwarded-for": each}) for each in (b"1.1.1.1, 9.9.9.9", b"2.2.2.2, 9.9.9.9")
            ]
            assert forged == [401, 429]
            assert await send(line, {b"x-forwarded-for": b"9.9.9.8"}) == 401

    async def test_messages_that_want_no_answer_leave_room_for_tool_calls(self) -> None:
        async with over(Backend(parcel()), webhook_source_limit=2) as line:
            for _ in range(5):
                assert (await line.vapi({"message": {"type": "conversation-update"}})).status_code == 200
            (result,) = await line.results(asking())
            assert code(result) == "FOUND"

    async def test_what_cannot_be_read_counts_like_any_request(self) -> None:
        async with over(Backend(parcel()), webhook_source_limit=2) as line:
            assert [(await line.vapi(b"x")).status_code for _ in range(3)] == [422, 422, 429]
