"""Credentials at a real gateway over real sockets: stored keys, ephemeral secrets, rotation, and refusals that leave nothing."""

import asyncio
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog
from openai import PermissionDeniedError
from redis import Redis
from tests.kit.client import calling, until
from tests.kit.gateway import Workers, gateway
from tests.kit.resuming_client import reconnected, refusal, resume_token, return_query, session_id
from tests.kit.store import looking_into
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway, as_key, bearer
from tests.kit.waiting import PATIENCE_S
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BadCredentials
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.realtime_client.dialing import CallOptions, connect_to, socket_url
from agentvoicebox.realtime_client.reconnecting_socket import ReconnectingSocket
from agentvoicebox.realtime_client.wire_audio import WireAudio
from agentvoicebox.sessions.directory import RESUME
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.telemetry.logs import configure
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.tenancy.key_format import new_key
from agentvoicebox.tenancy.last_answers import FRESH_S
from agentvoicebox.tenancy.principal import Principal

pytestmark = pytest.mark.requirement("A12.1")


async def test_a_stored_key_opens_a_session_of_its_own_tenant(town: TenantGateway) -> None:
    key = await town.key()
    async with calling(town.url(), **as_key(key.text)) as client:
        (session,) = await town.served.state.directory.live()
        assert (session.tenant_id, session.session_id) == ("acme", session_id(client))
        await client.send("response.create")
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_both_keys_of_a_rotation_open_and_go_on_with_a_session_until_the_old_one_is_over(
    town: TenantGateway,
) -> None:
    old, new = await town.key(), new_key()
    async with calling(town.url("model=delivery&resume=1"), **as_key(old.text)) as client:
        await town.keys.rotate("acme", old.prefix, new, grace_s=3600)
        client.ws.transport.abort()
    async with reconnected(town.url(return_query(client)), client, **as_key(new.text)) as client:
        assert (await client.next())["type"] == "agentvoicebox.resumed"
        client.ws.transport.abort()
    town.clock.advance(3600)
    error, code, _ = await refusal(town.url(return_query(client)), **as_key(old.text))
    assert (error["code"], code) == ("invalid_api_key", 3000)
    stranger = await town.key()  # of the same tenant
    error, code, _ = await refusal(town.url(return_query(client)), **as_key(stranger.text))
    assert (error["code"], code) == ("session_not_found", 4000)


async def test_the_official_client_mints_a_secret_and_another_connects_with_it(town: TenantGateway) -> None:
    server = town.openai((await town.key()).text)
    minted = await server.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."},
    )
    assert minted.value.startswith("ek_") and minted.session.type == "realtime"
    browser = town.openai(minted.value)
    async with browser.realtime.connect(model="gpt-realtime") as connection, asyncio.timeout(PATIENCE_S):
        created = await connection.recv()
        assert created.type == "session.created" and created.session.type == "realtime"
        assert created.session.instructions == "Be brief."
        (session,) = await town.served.state.directory.live()
        assert session.tenant_id == "acme"
    with pytest.raises(PermissionDeniedError):
        await browser.realtime.client_secrets.create()
    for each in (server, browser):
        await each.close()


async def test_a_secret_opens_what_it_was_minted_for_until_it_is_over(town: TenantGateway, redis_url: str) -> None:
    async with town.http((await town.key()).text) as http:
        session = {"type": "realtime", "model": "delivery"}
        answer = (await http.post("/v1/realtime/client_secrets", json={"session": session})).json()
        beta = (await http.post("/v1/realtime/sessions", json={"model": "gpt-realtime"})).json()
        heard = (await http.post("/v1/realtime/transcription_sessions", json={})).json()
    for query in ("", "model=delivery", "model=gpt-realtime"):  # these two names mean one agent
        async with calling(town.url(query), **as_key(answer["value"])):
            pass
    error, code, _ = await refusal(town.url("model=assistant"), **as_key(answer["value"]))
    assert (error["code"], error["param"], code) == ("invalid_model", "model", 4000)
    error, code, _ = await refusal(town.url("intent=transcription"), **as_key(answer["value"]))
    assert (error["code"], code) == ("invalid_parameter", 4000)
    async with calling(town.url("model=gpt-realtime"), **as_key(beta["client_secret"]["value"])):
        pass
    async with calling(town.url(""), **as_key(heard["client_secret"]["value"])) as client:
        assert client.events[0]["session"]["type"] == "transcription"
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter("avb:secret:*"):
            redis.pexpire(key, 0)  # its time is over
    error, code, _ = await refusal(town.url(), **as_key(answer["value"]))
    assert (error["code"], code) == ("invalid_api_key", 3000)


async def test_a_secret_that_is_bound_to_a_session_goes_on_with_that_one_alone(town: TenantGateway) -> None:
    key = await town.key()
    async with calling(town.url("model=delivery&resume=1"), **as_key(key.text)) as client:
        principal = Principal("acme", f"key_{key.prefix}")
        bound, _ = await town.served.state.admission.secrets.mint(principal, {}, session_id=session_id(client))
        client.ws.transport.abort()
    for query in ("model=delivery", "session_id=sess_" + "0" * 20):
        error, code, _ = await refusal(town.url(query), **as_key(bound))
        assert (error["code"], code) == ("invalid_api_key", 3000)
    async with reconnected(town.url(return_query(client)), client, **as_key(bound)) as client:
        assert (await client.next())["type"] == "agentvoicebox.resumed"


async def test_a_suspension_ends_an_open_session_with_its_reason_and_no_other(town: TenantGateway) -> None:
    key, other = await town.key(), await town.key("umbra")
    async with (
        calling(town.url(), **as_key(key.text)) as client,
        calling(town.url(), **as_key(other.text)) as bystander,
    ):
        await town.keys.suspend("acme")
        town.clock.advance(FRESH_S)
        told = await client.until("error")
        assert told["error"]["code"] == "account_deactivated"
        with pytest.raises(ConnectionClosed):
            await client.next()
        reason = "invalid_request_error.account_deactivated"
        assert (client.ws.close_code, client.ws.close_reason) == (1008, reason)
        await bystander.nothing_but()
        assert await refusal(town.url(), **as_key(key.text)) == (told["error"], 1008, reason)


async def test_a_revoked_key_ends_the_sessions_of_its_secrets_too(town: TenantGateway) -> None:
    key = await town.key()
    secret, _ = await town.served.state.admission.secrets.mint(Principal("acme", f"key_{key.prefix}"), {})
    async with calling(town.url(), **as_key(secret)) as client:
        await town.keys.revoke("acme", key.prefix)
        town.clock.advance(FRESH_S)
        assert (await client.until("error"))["error"]["code"] == "invalid_api_key"
        with pytest.raises(ConnectionClosed):
            await client.next()
        assert client.ws.close_code == 3000


async def test_a_source_that_guesses_is_slowed_down_and_its_good_key_is_not(
    redis_broker: RedisBroker, manual_clock: ManualClock
) -> None:
    admission = AdmissionConfig((CONFIGURED,), wrong_credentials=3, trusted_proxy_header="X-Forwarded-For")

    def of(address: str, key: str) -> dict[str, str]:
        return bearer(key) | {"X-Forwarded-For": f"203.0.113.9, {address}"}

    async with (
        gateway(redis_broker, admission=admission, clock=manual_clock) as served,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http,
    ):
        guesser, neighbour = "2001:db8::1", "2001:db8:0:0:1::2"
        tries = ["guess", new_key().text, "ek_guess", "guess"]
        found = [(await http.get("/v1/models", headers=of(guesser, each))).status_code for each in tries]
        assert found == [401, 401, 401, 429]
        manual_clock.advance(20)
        for address in (guesser, neighbour):
            answer = await http.get("/v1/models", headers={"X-Forwarded-For": address})
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "40")
            assert answer.json()["error"]["code"] == "too_many_wrong_credentials"
        error, code, _ = await refusal(served.url(), additional_headers=of(guesser, "guess"))
        assert (error["code"], code) == ("too_many_wrong_credentials", 1013)
        async with calling(served.url(), additional_headers=of(guesser, CONFIGURED)):
            pass
        assert (await http.get("/v1/models", headers=of("2001:db8:0:1::1", "guess"))).status_code == 401
        manual_clock.advance(40)
        assert (await http.get("/v1/models", headers=of(guesser, "guess"))).status_code == 401


async def test_p10_without_a_valid_token_there_is_a_fatal_refusal_and_nothing_in_the_store(
    town: TenantGateway, redis_url: str
) -> None:
    good, revoked, shut = [await town.key(tenant) for tenant in ("acme", "acme", "shut")]
    await town.keys.revoke("acme", revoked.prefix)
    await town.keys.suspend("shut")
    tried = {
        "wrong": "nonsense",
        "near": good.text[:-1] + ("A" if good.text[-1] != "A" else "B"),
        "unknown": new_key().text,
        "revoked": revoked.text,
        "secret": "ek_" + "a" * 43,
        "surrogate": b"sk-avb-\xed\xa0\x80".decode("latin-1"),  # no character at all: half of one
        "configured": CONFIGURED + "x",
    }
    for what, text in tried.items():
        error, code, reason = await refusal(town.url(), **as_key(text))
        assert (error["type"], error["code"], code) == ("invalid_request_error", "invalid_api_key", 3000), what
        assert reason == "invalid_request_error.invalid_api_key"
        assert error["message"] == "Incorrect API key provided."
    with pytest.raises(InvalidStatus) as none:
        await refusal(town.url())
    assert none.value.response.status_code == 401
    error, code, _ = await refusal(town.url(), **as_key(shut.text))
    assert (error["code"], code) == ("account_deactivated", 1008)
    with Redis.from_url(redis_url) as redis:
        assert {key.decode() for key in redis.scan_iter()} <= {
            keys.job_stream(kind) for kind in JobKind
        }  # the workers'
    page = metrics_page(town.served.state.metrics.registry)[0].decode()
    for refused in ("no_credentials", "account_deactivated"):
        assert f'avb_refusals_total{{code="{refused}"}} 1.0' in page


async def test_a_key_that_lets_a_request_pass_as_foreign_is_the_key_that_is_checked(redis_broker: RedisBroker) -> None:
    smuggled = {"sec-websocket-protocol": "realtime, openai-insecure-api-key.sk-avb-x", "via": "1.1 proxy"}
    async with (
        gateway(redis_broker) as served,  # without keys: for this machine alone
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}/v1", headers=smuggled) as stranger,
    ):
        answers = [
            await stranger.get("/models"),
            await stranger.get("/admin/status"),
            await stranger.post("/realtime/client_secrets", json={}),
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_a_surrogate_is_refused_like_any_other_text(town: TenantGateway) -> None:
    with pytest.raises(BadCredentials):
        await town.served.state.admission.authorize({"authorization": "Bearer sk-avb-\ud800"})


async def test_rest_answers_faults_with_a_status_and_the_same_body(town: TenantGateway) -> None:
    key = await town.key()
    secret, _ = await town.served.state.admission.secrets.mint(Principal("acme", f"key_{key.prefix}"), {})
    async with town.http(key.text) as http, town.http(secret) as browser, town.http("wrong") as stranger:
        answers = [
            await http.post("/v1/realtime/client_secrets", content=b"{"),
            await http.post("/v1/realtime/client_secrets", json={"session": {"type": "realtime", "model": "nobody"}}),
            await http.post("/v1/realtime/client_secrets", content=b" " * 300_000),
            await browser.get("/v1/models"),
            await stranger.get("/v1/models"),
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 413, 403, 401]
    errors = [answer.json()["error"] for answer in answers]
    assert [error["code"] for error in errors] == [
        "invalid_json", "invalid_model", "request_too_large", "insufficient_permissions", "invalid_api_key"
    ]  # fmt: skip
    assert errors[1]["param"] == "session.model"
    assert all(set(error) == {"message", "type", "param", "code"} for error in errors)


async def test_without_the_database_configured_keys_and_their_secrets_still_call(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    away = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    admission = AdmissionConfig((CONFIGURED,), recheck_s=0.01)
    async with gateway(redis_broker, admission=admission, postgres=away) as served:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", headers=bearer(CONFIGURED)) as http:
            secret = (await http.post("/v1/realtime/client_secrets")).json()["value"]
        for key in (CONFIGURED, secret):
            async with calling(served.url(), **as_key(key)) as client:
                await client.send("response.create")
                assert (await client.until("response.done"))["response"]["status"] == "completed"
        error, code, _ = await refusal(served.url(), **as_key(new_key().text))
        assert (error["type"], error["code"], code) == ("server_error", "storage_lost", 1013)
    await away.close()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Every line of this process, debug lines too; afterwards logging is as before."""
    root, lines = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    configure(service="gateway", level="debug", out=lines)
    yield lines
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()


async def test_no_key_and_no_secret_is_in_any_log_line(log: io.StringIO, town: TenantGateway) -> None:
    key, unknown = await town.key(), new_key().text
    async with town.http(key.text) as http:
        secret = (await http.post("/v1/realtime/client_secrets")).json()["value"]
        await http.get(f"/v1/sessions/{unknown}")
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{secret}")]
    async with calling(town.url(), subprotocols=offered):
        pass
    async with calling(town.url(f"model=delivery&api_key={key.text}"), **as_key(key.text)):
        pass
    for query in (f"model={unknown}", f"session_id={unknown}"):
        await refusal(town.url(query), **as_key(key.text))
    await refusal(town.url(), **as_key(unknown))
    await refusal(town.url(), additional_headers={"api-key": "wrong-" + unknown, "x-correlation-id": "mine"})
    written = log.getvalue()
    assert "call refused" in written and "call ended" in written
    for text in (key.text, unknown, secret):
        assert text[-43:] not in written and text[-20:] not in written


def everything_in(redis_url: str) -> str:
    """All keys and values of the store."""
    with looking_into(redis_url, as_text=False) as redis:
        reads: dict[Any, Callable[[Any], Any]] = {
            b"string": redis.get,
            b"hash": redis.hgetall,
            b"stream": redis.xrange,
            b"set": redis.smembers,
            b"zset": lambda key: redis.zrange(key, 0, -1),
        }
        return str([(key, reads[redis.type(key)](key)) for key in redis.scan_iter()])


async def test_a_browser_resumes_its_session_by_a_token_that_only_its_first_connection_got(
    town: TenantGateway, redis_url: str, log: io.StringIO
) -> None:
    key = await town.key()
    mint = town.served.state.admission.secrets.mint
    mine, theirs = [(await mint(Principal("acme", f"key_{key.prefix}"), {}))[0] for _ in range(2)]
    query = "model=delivery&resume=1"
    async with calling(town.url(query), **as_key(mine)) as client, calling(town.url(query), **as_key(theirs)) as other:
        token, wrong = resume_token(client), resume_token(other)
        assert len(token) == len(wrong) == 43 and token != wrong
        for shown in ({}, {"resume_token": ""}, {"resume_token": wrong}, {"resume_token": token[:-1]}):
            attempt = "&".join(
                ["resume=1", f"session_id={session_id(client)}", *(f"{k}={v}" for k, v in shown.items())]
            )
            error, code, _ = await refusal(town.url(attempt), **as_key(theirs))
            assert (error["code"], code) == ("session_not_found", 4000)
        await client.nothing_but()
        async with town.http(key.text) as http:
            shown = (await http.get(f"/v1/sessions/{session_id(client)}")).json()
        assert "resume" not in shown
        client.ws.transport.abort()
        async with reconnected(town.url(return_query(client)), client, **as_key(mine)) as client:
            assert (await client.next())["type"] == "agentvoicebox.resumed"
            await client.nothing_but()
            assert [each for each in client.events if "agentvoicebox" in each] == client.events[:1]
            client.ws.transport.abort()
        everything = everything_in(redis_url) + log.getvalue()
        assert session_id(client) in everything and token not in everything and mine not in everything
        server_side = f"resume=1&session_id={session_id(client)}"  # with the key itself, no token is needed
        async with reconnected(town.url(server_side), client, **as_key(key.text)) as client:
            assert (await client.next())["type"] == "agentvoicebox.resumed"


async def test_a_session_that_was_opened_with_a_key_is_not_resumed_with_a_browsers_secret(town: TenantGateway) -> None:
    key = await town.key()
    secret, _ = await town.served.state.admission.secrets.mint(Principal("acme", f"key_{key.prefix}"), {})
    async with calling(town.url("model=delivery&resume=1"), **as_key(key.text)) as client:
        assert resume_token(client) == ""
        error, code, _ = await refusal(town.url(return_query(client)), **as_key(secret))
        assert (error["code"], code) == ("session_not_found", 4000)
    async with calling(town.url("model=delivery"), **as_key(secret)) as client:
        assert resume_token(client) == "", "strict clients did not ask for it"


async def test_a_session_of_the_version_before_is_resumed_without_a_token(town: TenantGateway, redis_url: str) -> None:
    key = await town.key()
    secret, _ = await town.served.state.admission.secrets.mint(Principal("acme", f"key_{key.prefix}"), {})
    async with calling(town.url("model=delivery&resume=1"), **as_key(secret)) as client:
        with Redis.from_url(redis_url) as redis:
            assert redis.hdel(keys.session_hash(SessionRef("acme", session_id(client))), RESUME) == 1
        client.ws.transport.abort()
    async with reconnected(town.url(return_query(client, resume_token="unknown")), client, **as_key(secret)) as client:
        assert (await client.next())["type"] == "agentvoicebox.resumed"


async def test_a_secret_opens_one_session_at_a_time_and_a_page_that_lost_its_own_opens_another(
    town: TenantGateway,
) -> None:
    async with town.http((await town.key()).text) as http:
        minted = (await http.post("/v1/realtime/client_secrets")).json()["value"]
        wide = (await http.post("/v1/realtime/client_secrets", json={"max_concurrent_sessions": 2})).json()["value"]
        beta = {"model": "gpt-realtime", "client_secret": {"max_concurrent_sessions": 2}}
        wide_too = (await http.post("/v1/realtime/sessions", json=beta)).json()["client_secret"]["value"]
        for wrong in (0, 101, "2", True, 1.5):
            answer = await http.post("/v1/realtime/client_secrets", json={"max_concurrent_sessions": wrong})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "max_concurrent_sessions")
    query, secret = town.url("model=delivery&resume=1"), as_key(minted)
    async with calling(query, **secret) as client:
        error, code, _ = await refusal(query, **secret)
        assert (error["code"], code) == ("rate_limit_exceeded", 1013)
        assert error["message"].startswith("Limit secret.sessions is reached: 1 is open.")
        assert "max_concurrent_sessions" in error["message"]
        client.ws.transport.abort()
        async with calling(query, **secret) as again:  # the former session still waits for its caller
            error, code, _ = await refusal(town.url(return_query(client)), **secret)
            assert (error["code"], code) == ("rate_limit_exceeded", 1013), "its place is taken"
            again.ws.transport.abort()
        async with reconnected(town.url(return_query(again)), again, **secret) as again:
            assert (await again.next())["type"] == "agentvoicebox.resumed"
            await again.ws.close(1000)
    for each in (wide, wide_too):
        async with calling(query, **as_key(each)), calling(query, **as_key(each)):
            error, _, _ = await refusal(query, **as_key(each))
            assert error["code"] == "rate_limit_exceeded"


async def has_resumed(line: ReconnectingSocket) -> bool:
    return bool(line.pauses_s)


async def test_our_own_client_resumes_with_a_secret_and_shows_nobody_the_token(town: TenantGateway) -> None:
    async with town.http((await town.key()).text) as http:
        secret = (await http.post("/v1/realtime/client_secrets")).json()["value"]
    options = CallOptions(base_url=f"http://127.0.0.1:{town.served.port}/v1", api_key=secret, wants_trace=False)
    url = socket_url(options.base_url, "delivery", wants_trace=False, resume="1")
    socket = await connect_to(url, options, PATIENCE_S)
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    line = ReconnectingSocket(
        socket, options, WireAudio("pcm"), on_event=events.put, now_s=asyncio.get_running_loop().time
    )
    listening = asyncio.create_task(line.listen())
    async with asyncio.timeout(PATIENCE_S):
        created = await events.get()
        assert created["type"] == "session.created" and "resume_token" not in str(created)
        line.session_id = created["session"]["id"]
        socket.transport.abort()
        while (await events.get())["type"] != "agentvoicebox.resumed":
            pass
        await until(lambda: has_resumed(line))
        await line.hang_up()
        await listening
