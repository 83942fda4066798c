"""Every error of the catalogue is reached from outside, over a real socket or HTTP; and no code exists that it does not hold."""

import ast
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from redis import Redis
from tests.conftest import ServerLoop
from tests.kit.certificates import certificate
from tests.kit.client import SERVER_VAD, calling
from tests.kit.fake_media_role import OFFER, media_role
from tests.kit.fake_media_role import fault as media_fault
from tests.kit.gateway import Gateway, Workers, calm, gateway, says
from tests.kit.kits import AGENTS, DELIVERY
from tests.kit.media_server import media_server
from tests.kit.waiting import PATIENCE_S, until
from tests.kit.web_caller import WebCaller, web_caller
from websockets.asyncio.client import connect

import agentvoicebox
from agentvoicebox.agents import Agents
from agentvoicebox.broker.keys import MAX_ATTEMPTS
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealth
from agentvoicebox.engine import bounds, requests, session_format
from agentvoicebox.engine.inputs import WorkerInput
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import (
    AgentVoiceBoxError,
    BadProviderAnswer,
    Overloaded,
    PromptTooLong,
    ProviderBrokeOff,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.gateway.admission.request_slots import RequestSlots
from agentvoicebox.gateway.admission.service_health import BAD_CHECKS, ServiceHealth
from agentvoicebox.gateway.call import open_jobs, session_jobs, session_start
from agentvoicebox.gateway.call.effect_executor import EffectExecutor
from agentvoicebox.gateway.media.call_ids import mark_of_role, new_call_id
from agentvoicebox.gateway.media.media_roles import MediaRoles
from agentvoicebox.gateway.state import RecordStores
from agentvoicebox.http_server import http_connection
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.realtime_client import reconnecting_socket
from agentvoicebox.storage.history import History
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.key_format import new_key
from agentvoicebox.wire import faults
from agentvoicebox.wire.faults import CATALOGUE, ErrorDefinition
from agentvoicebox.workers.runner import Runner, Task

pytestmark = pytest.mark.requirement("A14.1")

ROOT = Path(__file__).parents[2]
KEY = "a-key-of-some-length"
GUARDED = AdmissionConfig((KEY,), wait_s=PATIENCE_S, wrong_credentials=1)
GUESSED = "too_many_wrong_credentials"
GONE = "sess_" + "0" * 20
SPOKEN = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA" * 2_000}]}
TEXT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is my parcel"}]}
AWAY = "unix:///nowhere/valkey.sock"
NO_ROLE = "http://127.0.0.1:1"
WITHOUT_LANGUAGE_MODEL = Agents(kits=DELIVERY, servers={})

# -- errors that change nothing: what to send for each ---------------------------------------------------------------


def event(event_type: str, **fields: Any) -> str:
    return json.dumps({"type": event_type, **fields})


def item(**fields: Any) -> str:
    return event("conversation.item.create", item={**TEXT, **fields})


EVENTS: dict[str, list[str | bytes]] = {
    "invalid_json": ["{"],
    "invalid_event": [b"\x00"],
    "invalid_value": [event("session.go_away")],
    "unknown_parameter": [event("session.update", session={"colour": "red"})],
    "missing_required_parameter": [event("session.update")],
    "integer_below_min_value": [event("conversation.item.truncate", item_id="i", content_index=0, audio_end_ms=-11)],
    "string_above_max_length": [item(id="x" * 65)],
    "array_above_max_length": [event("response.create", response={"tools": [{}] * 129})],
    "too_many_responses": [event("response.create", response={"conversation": "none"})] * 2,
    "store_full": [item()],
    "invalid_parameter": [event("session.update", session={"type": "transcription"})],
    "cannot_update_voice": [
        event("response.create"), "response.done", event("session.update", session={"audio": {"output": {"voice": "x"}}})
    ],
    "conversation_already_has_active_response": [event("response.create"), event("response.create")],
    "response_cancel_not_active": [event("response.cancel")],
    "input_audio_buffer_commit_empty": [event("input_audio_buffer.commit")],
    "item_create_invalid_previous_item_id": [event("conversation.item.create", previous_item_id="x", item=TEXT)],
    "item_create_duplicate_item_id": [item(id="twice"), item(id="twice")],
    "item_retrieve_invalid_item_id": [event("conversation.item.retrieve", item_id="x")],
    "item_truncate_invalid_item_id": [
        event("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=1)
    ],
    "item_delete_invalid_item_id": [event("conversation.item.delete", item_id="x")],
    "invalid_tool_call_id": [
        event("conversation.item.create", item={"type": "function_call_output", "call_id": "x", "output": "1"})
    ],
    "rate_limit_exceeded": [item(), item(), item()],
    "event_too_large": [item(content=[{"type": "input_text", "text": "x" * 600_000}])],
    "conversation_too_long": [item(), item(), item()],
}  # fmt: skip


async def reach_event(
    fault: ErrorDefinition, redis_url: str, patch: pytest.MonkeyPatch, database: Callable[[], str]
) -> None:
    patch.setattr(requests, "MAX_ITEMS", 2)
    patch.setattr(bounds, "MAX_SIDE_RESPONSES", 1)
    changes = limited(2) if fault.code == "rate_limit_exceeded" else {}
    if fault.code == "store_full":
        patch.setattr(ServiceHealth, "is_store_full", True)
    async with serving(redis_url, **changes) as (served, workers), calling(served.url()) as client:
        is_slow = fault.code in ("conversation_already_has_active_response", "too_many_responses")
        workers.pace_s = 0.2 if is_slow else 0.0
        for frame in EVENTS[str(fault.code)]:
            if frame == "response.done":
                await client.until("response.done")
            else:
                await client.ws.send(frame)
        assert_is(fault, (await client.until("error"))["error"])
        if not changes:
            await client.send("session.update", session={})
            await client.until("session.updated")


# -- errors that end a connection ------------------------------------------------------------------------------------


@asynccontextmanager
async def unserved(url: str, **changes: Any) -> AsyncIterator[Gateway]:
    """A gateway without workers."""
    broker = RedisBroker(url, retry_for_s=0.1)
    try:
        async with gateway(broker, **changes) as served:
            yield served
    finally:
        await broker.close()


def limited(requests_allowed: int) -> dict[str, Any]:
    """A gateway that allows this many requests to all callers together."""
    limits = LimitConfig(all_tenants=Allowance(requests_allowed, None, 3_600.0))
    return {"admission": AdmissionConfig(limits=limits)}


STORED = {"account_deactivated", "insufficient_permissions", "storage_lost"}  # told of keys that are in PostgreSQL


@asynccontextmanager
async def town(redis_url: str, postgres_url: str, fault: ErrorDefinition) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway over a database, and a key of it that gets the fault: of a suspended tenant, or without the right."""
    key = new_key()
    postgres = await Postgres.open(postgres_url)
    try:
        keys = ApiKeys(postgres)
        is_operator = fault.place == "http" and fault.code not in STORED
        tenant = "default" if is_operator else f"tenant-{key.prefix.lower()}"
        may_call = fault.place == "http" or fault.code != "insufficient_permissions"
        await keys.create(tenant, key, scopes=("realtime",) if may_call and not is_operator else ("admin",))
        if fault.code == "account_deactivated":
            await keys.suspend(tenant)
        asked = (
            await Postgres.open("postgresql://nobody@127.0.0.1:1/none") if fault.code == "storage_lost" else postgres
        )
        records = RecordStores(postgres, History(postgres), UsageReader(postgres))
        agents = WITHOUT_LANGUAGE_MODEL if fault.code == "model_not_configured" else AGENTS
        async with unserved(redis_url, postgres=asked, records=records, admission=GUARDED, agents=agents) as served:
            yield served, key.text
        await asked.close()
    finally:
        await postgres.close()


def without_store() -> ServiceHealth:
    health = ServiceHealth()
    for _ in range(BAD_CHECKS):
        health.store_failed()
    return health


def nearly_full() -> ServiceHealth:
    health = ServiceHealth()
    for _ in range(BAD_CHECKS):
        health.update(StoreHealth({}, 0.76), 0.0)
    return health


async def reach_connect(
    fault: ErrorDefinition, redis_url: str, patch: pytest.MonkeyPatch, database: Callable[[], str]
) -> None:
    queries = {
        "missing_model": "",
        "invalid_model": "model=nobody",
        "model_not_configured": "model=assistant",
        "call_not_found": "model=delivery&call_id=rtc_1",
        "invalid_value": f"session_id={GONE}&audio_from_ms=soon",
        "session_not_found": f"session_id={GONE}",
    }
    changes: dict[str | None, dict[str, Any]] = {
        "invalid_api_key": {"admission": GUARDED},
        GUESSED: {"admission": GUARDED},
        "overloaded": {"max_calls": 0},
        "store_unavailable": {"health": without_store()},
        "store_full": {"health": nearly_full()},
        "rate_limit_exceeded": limited(0),
        "model_not_configured": {"agents": WITHOUT_LANGUAGE_MODEL},
    }
    options: dict[str | None, dict[str, Any]] = {
        "invalid_api_key": {"additional_headers": {"Authorization": "Bearer wrong"}},
        GUESSED: {"additional_headers": {"Authorization": "Bearer wrong"}},
    }
    if fault.code in STORED:
        async with town(redis_url, database(), fault) as (served, key):
            await turned_away(fault, served.url(), additional_headers={"Authorization": f"Bearer {key}"})
        return
    if fault.code == "webrtc_unavailable":
        async with without_media(redis_url) as served:
            await turned_away(fault, served.url(f"call_id={new_call_id(mark_of_role(NO_ROLE))}"))
        return
    url = AWAY if fault.code == "broker_lost" else redis_url
    async with unserved(url, **changes.get(fault.code, {})) as served:
        query = queries.get(str(fault.code), "model=delivery")
        if fault.code == "session_busy":
            query = await contested(served, patch)
        if fault.code == "newer_format":
            query = await begun(served)
            patch.setattr(session_format, "NEWEST_READ", session_format.WRITTEN - 1)
        served.state.sessions.is_draining = fault.code == "shutting_down"
        if fault.code == GUESSED:
            await guess(served)
        await turned_away(fault, served.url(query), **options.get(fault.code, {}))


@asynccontextmanager
async def without_media(redis_url: str) -> AsyncIterator[Gateway]:
    """A gateway whose media role is away."""
    media = MediaRoles([NO_ROLE])
    async with unserved(redis_url, media=media) as served:
        yield served
    await media.close()


async def guess(served: Gateway) -> None:
    """One more wrong credential than one minute may have follows this one."""
    async with httpx.AsyncClient(trust_env=False) as web:
        assert (await web.get(f"http://127.0.0.1:{served.port}/v1/models")).status_code == 401


async def contested(served: Gateway, patch: pytest.MonkeyPatch) -> str:
    """A session that another connection gets hold of whenever one reaches for it."""

    async def lost(*_: object, **__: object) -> bool:
        return False

    query = await begun(served)
    patch.setattr(served.state.directory, "take_over", lost)
    return query


async def begun(served: Gateway) -> str:
    """The query that comes back to a session whose line broke."""
    async with connect(served.url("model=delivery&resume=1")) as ws:
        session = json.loads(await ws.recv())["session"]
        ws.transport.abort()
    return f"session_id={session['id']}&resume=1"


async def reach_close(
    fault: ErrorDefinition, redis_url: str, patch: pytest.MonkeyPatch, database: Callable[[], str]
) -> None:
    if fault.code == "session_idle":
        async with unserved(redis_url, idle_s=0.01) as served:
            await turned_away(fault, served.url())
        return
    if fault.code == "session_expired":
        patch.setattr(session_start, "SESSION_S", 0)
    else:

        def breaks(*_: object) -> None:
            raise ValueError("a fault of ours")

        patch.setattr(Engine, "receive", breaks)
    async with unserved(redis_url) as served:
        await turned_away(fault, served.url(), first=event("response.create"))


async def turned_away(fault: ErrorDefinition, url: str, first: str = "", **options: Any) -> None:
    async with asyncio.timeout(PATIENCE_S), connect(url, **options) as ws:
        if first:
            await ws.send(first)
        told = json.loads(await ws.recv())
        while told["type"] != "error":
            told = json.loads(await ws.recv())
        await ws.wait_closed()
    assert_is(fault, told["error"])
    assert ws.close_code == fault.ends
    reason = fault.error_type if fault.code is None else f"{fault.error_type}.{fault.code}"
    assert ws.close_reason == reason or fault.code == "session_expired"  # OpenAI gives that one its text as reason


# -- errors that a response or a transcript ends with ----------------------------------------------------------------

PROVIDERS: dict[str, Exception] = {
    "provider_unavailable": ProviderUnavailable("away"),
    "provider_timeout": ProviderTimeout("slow"),
    "provider_broke_off": ProviderBrokeOff("half"),
    "bad_provider_answer": BadProviderAnswer("what?"),
    "prompt_too_long": PromptTooLong("long"),
    "internal_error": ValueError("not ours"),
}


async def reach_result(
    fault: ErrorDefinition, redis_url: str, patch: pytest.MonkeyPatch, database: Callable[[], str]
) -> None:
    code = str(fault.code)
    health = calm(absent_s=0.2 if code.endswith("_unavailable") and code not in PROVIDERS else 60.0)
    patch.setitem(open_jobs.TIMEOUT_S, JobKind.LLM, 0.2 if code == "job_timeout" else 30.0)
    kinds = [JobKind.TTS, JobKind.LLM] if code in PROVIDERS or code == "empty_answer" else [JobKind.TTS]
    async with (
        serving(redis_url, kinds, health=health, check_interval_s=0.05) as (served, workers),
        calling(served.url()) as client,
    ):
        if code == "speech_recognition_unavailable":
            await client.use(audio={"input": {"transcription": {"model": "whisper-1"}, **SERVER_VAD["input"]}})
            await client.speak()
            failed = await client.until("conversation.item.input_audio_transcription.failed")
            assert (failed["error"]["type"], failed["error"]["code"]) == ("transcription_error", code)
            return
        workers.writes = says("") if code == "empty_answer" else raises(PROVIDERS.get(code, ValueError()))
        if code == "audio_lost":
            patch.setattr(EffectExecutor, "hold_item_audio", lambda self, audio: None)
            await client.use(audio={"input": {"transcription": {"model": "whisper-1"}}})
            await client.send("conversation.item.create", item=SPOKEN)
            failed = await client.until("conversation.item.input_audio_transcription.failed")
            assert failed["error"]["code"] == code
            return
        if code == "conversation_too_long":
            patch.setattr(session_jobs, "MAX_JOB_BYTES", 10)
        if code == "broker_lost":
            refuses_writes(redis_url, True)
        try:
            await client.send("conversation.item.create", item=TEXT)
            await client.send("response.create")
            if code == "worker_lost":
                await die_with_it(workers.broker)
            done = (await client.until("response.done"))["response"]
        finally:
            refuses_writes(redis_url, False)
        assert done["status"] == "failed"
        assert_is(fault, done["status_details"]["error"])


def refuses_writes(redis_url: str, does: bool) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.config_set("min-replicas-to-write", int(does))


def raises(error: Exception) -> Callable[[Generate, str], Iterator[WorkerInput]]:
    def write(request: Generate, job_id: str) -> Iterator[WorkerInput]:
        raise error
        yield

    return write


async def die_with_it(broker: Any, kind: JobKind = JobKind.LLM) -> None:
    """Every worker that takes the job is lost with it; the next one to ask finds it spent."""
    for _ in range(MAX_ATTEMPTS):
        while not await broker.claim(kind, "mortal", slots=1, wait_s=0.2):
            pass
        await broker.release_consumer(kind, "mortal")
    await broker.claim(kind, "mortal", slots=1, wait_s=0.2)
    await broker.release_consumer(kind, "mortal")


# -- errors of the REST routes ---------------------------------------------------------------------------------------


async def reach_http(
    fault: ErrorDefinition, redis_url: str, patch: pytest.MonkeyPatch, database: Callable[[], str]
) -> None:
    guarded = fault.code in (None, "invalid_api_key", GUESSED)
    headers = {
        "invalid_api_key": {"Authorization": "Bearer wrong"},
        "origin_not_allowed": {"Origin": "https://elsewhere.example"},
        "host_not_allowed": {"Host": "elsewhere.example"},
        "proxy_not_allowed": {"X-Forwarded-For": "192.0.2.1"},
        "request_head_too_large": {"X-Long": "x" * 50_000},
        "bad_upgrade": {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "8"},
    }.get(str(fault.code), {})
    if fault.code in OF_AUDIO:
        await ask_for_audio(fault, redis_url, patch)
        return
    if fault.code == "webrtc_unavailable":
        async with without_media(redis_url) as served, httpx.AsyncClient(trust_env=False) as web:
            assert_answered(fault, await web.post(f"http://127.0.0.1:{served.port}/v1/realtime/calls", content=OFFER))
        return
    if fault.code in OF_MEDIA:
        await offer(fault, redis_url)
        return
    if fault.code in ASKED or fault.code in STORED:
        await ask_over_rest(fault, redis_url, database())
        return
    path = READ.get(fault.code, "/v1/models")
    changes: dict[str, Any] = limited(0) if fault.code == "rate_limit_exceeded" else {}
    if fault.code == "tls_required":
        with tempfile.TemporaryDirectory() as folder:
            changes = {"tls": certificate(Path(folder)).server}
    url = AWAY if fault.code == "broker_lost" else redis_url
    async with (
        unserved(url, **({"admission": GUARDED} if guarded else changes)) as served,
        httpx.AsyncClient(trust_env=False) as web,
    ):
        if fault.code == GUESSED:
            await guess(served)
        if fault.code == "internal_error":
            patch.setattr(served.state, "agents", None)
        if fault.code == "request_timeout":
            patch.setattr(http_connection, "BODY_S", 0.1)
            answer = await half_a_request(served.port)
        else:
            answer = await web.get(f"http://127.0.0.1:{served.port}{path}", headers=headers)
    assert_answered(fault, answer)
    assert ("retry-after" in answer.headers) is (fault.code in ("rate_limit_exceeded", GUESSED))


OF_MEDIA = ("too_many_calls", "gateway_unavailable", "session_lost", "ice_timeout")


async def offer(fault: ErrorDefinition, redis_url: str) -> None:
    """Offer a call to a media server that takes none; its rarer refusals are those of a scripted one."""
    caller = WebCaller()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(caller.close)
        served = await stack.enter_async_context(unserved(redis_url))
        if fault.code in ("session_lost", "ice_timeout"):
            refusal = media_fault(str(fault.code), "No.", fault.error_type)
            url = (await stack.enter_async_context(media_role(answer=(fault.ends, refusal)))).url
        else:
            most = 0 if fault.code == "too_many_calls" else 1
            place = await stack.enter_async_context(media_server((f"{NO_ROLE}/v1",), most=most))
            url = f"http://127.0.0.1:{place.port}"
        media = served.state.media = MediaRoles([url])
        stack.push_async_callback(media.close)
        web = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S))
        sdp = await caller.offer()
        assert_answered(fault, await web.post(f"http://127.0.0.1:{served.port}/v1/realtime/calls", content=sdp))


# -- errors on the data channel of a call by WebRTC ------------------------------------------------------------------


async def reach_channel(
    fault: ErrorDefinition, redis_url: str, patch: pytest.MonkeyPatch, database: Callable[[], str]
) -> None:
    patch.setattr(reconnecting_socket, "RECONNECT_FOR_S", 0.0)
    async with (
        unserved(redis_url) as served,
        media_server((f"http://127.0.0.1:{served.port}/v1",)) as place,
        web_caller(place.port, credential="any") as caller,
    ):
        await caller.event("session.created")
        if fault.code == "shutting_down":
            await place.calls.drain(PATIENCE_S)
        else:
            served.stop.set()
        assert_is(fault, (await caller.event("error"))["error"])


async def half_a_request(port: int) -> httpx.Response:
    """The answer to a request whose body does not come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/realtime/client_secrets HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf")
    async with asyncio.timeout(PATIENCE_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return httpx.Response(int(head.split()[1]), content=body)


READ: dict[str | None, str] = {
    "session_not_found": f"/v1/sessions/{GONE}",
    "broker_lost": f"/v1/sessions/{GONE}",
    "upgrade_required": "/v1/realtime",
    "bad_upgrade": "/v1/realtime",
    "model_not_found": "/v1/models/nobody",
}
SAY = {"model": "tts-1", "input": "Hello.", "voice": "alloy"}
# The codes with which `/v1/audio` answers what is no fault of its client.
OF_AUDIO = {
    "overloaded",
    "store_unavailable",
    "store_full",
    "shutting_down",
    "speech_synthesis_unavailable",
    "speech_recognition_unavailable",
    "provider_unavailable",
    "provider_timeout",
    "worker_lost",
    "job_timeout",
    "bad_provider_answer",
    "internal_error",
}


async def ask_for_audio(fault: ErrorDefinition, redis_url: str, patch: pytest.MonkeyPatch) -> None:
    """Ask for speech, or for a transcript where hearing is the trouble."""
    code = str(fault.code)
    no_worker = code in ("speech_synthesis_unavailable", "speech_recognition_unavailable")
    health = {"store_unavailable": without_store(), "store_full": nearly_full()}.get(code)
    health = health or calm(absent_s=0.1 if no_worker else 60.0)
    slots = RequestSlots(0 if code == "overloaded" else 8)
    patch.setitem(open_jobs.TIMEOUT_S, JobKind.TTS, 0.2 if code == "job_timeout" else 30.0)
    async with AsyncExitStack() as stack:
        changes = {"health": health, "request_slots": slots, "check_interval_s": 0.05 if no_worker else 0.0}
        served, _ = await stack.enter_async_context(serving(redis_url, [JobKind.TOOL], **changes))
        web = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S))
        if code in PROVIDERS:
            await stack.enter_async_context(speaker(redis_url, PROVIDERS[code]))
        served.state.sessions.is_draining = code == "shutting_down"
        if no_worker:
            await until(lambda: len(health.absent) < 2, "nobody is missed")
        base = f"http://127.0.0.1:{served.port}/v1/audio"
        if code == "speech_recognition_unavailable":
            answer = await web.post(f"{base}/transcriptions", files={"file": b"x"})
        else:
            asking = asyncio.ensure_future(web.post(f"{base}/speech", json=SAY))
            if code == "worker_lost":
                await die_with_it(served.state.broker, JobKind.TTS)
            answer = await asking
    assert_answered(fault, answer)


@asynccontextmanager
async def speaker(redis_url: str, error: Exception) -> AsyncIterator[None]:
    """A voice that always fails."""

    async def fail(task: Task) -> None:
        raise error

    broker, stop = RedisBroker(redis_url), asyncio.Event()
    working = asyncio.create_task(Runner(broker, JobKind.TTS, "hoarse", slots=1, work=fail).run(stop))
    try:
        yield
    finally:
        stop.set()
        await working
        await broker.close()


ADMIN = "/v1/admin/tenants"
ASKED: dict[str | None, tuple[str, Any]] = {
    "unknown_url": ("/v1/nothing", None),
    "method_not_allowed": ("/v1/models", None),
    "webrtc_not_served": ("/v1/realtime/calls", None),
    "sip_not_served": ("/v1/realtime/calls/rtc_1/accept", None),
    "invalid_offer": ("/v1/realtime/calls", b"hello"),
    "call_not_found": ("/v1/realtime/calls/rtc_1/hangup", None),
    "invalid_json": (ADMIN, b"{"),
    "invalid_value": (f"{ADMIN}/default/keys", {"expires_after_s": 0}),
    "unknown_parameter": (ADMIN, {"id": "acme", "colour": "red"}),
    "missing_required_parameter": (ADMIN, {}),
    "integer_above_max_value": (
        "/v1/realtime/client_secrets", {"expires_after": {"anchor": "created_at", "seconds": 99_999}}
    ),
    "string_above_max_length": (
        "/v1/realtime/client_secrets", {"session": {"type": "realtime", "instructions": "x" * 70_000}}
    ),
    "array_above_max_length": ("/v1/realtime/client_secrets", {"session": {"type": "realtime", "tools": [{}] * 129}}),
    "invalid_model": ("/v1/realtime/client_secrets", {"session": {"type": "realtime", "model": "nobody"}}),
    "model_not_configured": (
        "/v1/realtime/client_secrets", {"session": {"type": "realtime", "model": "assistant"}}
    ),
    "project_not_found": (f"{ADMIN}/default/keys", {"project_id": "nowhere"}),
    "tenant_not_found": (f"{ADMIN}/nobody/suspend", None),
    "key_not_found": (f"{ADMIN}/default/keys/key_000000000000/rotate", {}),
    "tenant_exists": (ADMIN, {"id": "default"}),
    "own_tenant": (f"{ADMIN}/default/suspend", None),
    "request_too_large": (ADMIN, b" " * 300_000),
}  # fmt: skip


async def ask_over_rest(fault: ErrorDefinition, redis_url: str, postgres_url: str) -> None:
    async with (
        town(redis_url, postgres_url, fault) as (served, key),
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as web,
    ):
        base = f"http://127.0.0.1:{served.port}"
        if fault.code in STORED:
            path = f"{base}{ADMIN}" if fault.code == "insufficient_permissions" else f"{base}/v1/models"
            answer = await web.get(path, headers={"Authorization": f"Bearer {key}"})
        else:
            path, body = ASKED[fault.code]
            shown = KEY if path.startswith("/v1/realtime") else key
            content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
            headers = {"Authorization": f"Bearer {shown}", "content-type": "application/json"}
            answer = await web.post(base + path, content=content, headers=headers)
    assert_answered(fault, answer)


def assert_answered(fault: ErrorDefinition, answer: httpx.Response) -> None:
    assert answer.status_code == fault.ends, answer.text
    error = answer.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert_is(fault, error)


# -- the claim -------------------------------------------------------------------------------------------------------

REACH: dict[str, Callable[[ErrorDefinition, str, pytest.MonkeyPatch, Callable[[], str]], Awaitable[None]]] = {
    "event": reach_event,
    "connect": reach_connect,
    "close": reach_close,
    "result": reach_result,
    "channel": reach_channel,
    "http": reach_http,
}


@asynccontextmanager
async def serving(
    url: str, kinds: list[JobKind] | None = None, **changes: Any
) -> AsyncIterator[tuple[Gateway, Workers]]:
    """A gateway, and instant workers of some kinds (None: all that callers wait for)."""
    async with AsyncExitStack() as stack:
        brokers = [RedisBroker(url), RedisBroker(url)]
        for each in brokers:
            stack.push_async_callback(each.close)
        workers, stop = Workers(brokers[1]), asyncio.Event()
        working = asyncio.create_task(workers.run(stop) if kinds is None else workers.run(stop, kinds))
        try:
            yield await stack.enter_async_context(gateway(brokers[0], **changes)), workers
        finally:
            stop.set()
            await working


def assert_is(fault: ErrorDefinition, error: dict[str, Any]) -> None:
    assert (error["type"], error["code"]) == (fault.error_type, fault.code) and error["message"], error


@pytest.fixture(scope="session")  # a process may leave this module and return to it
def tenants_url(postgres_server: EmbeddedPostgres, server_loop: ServerLoop) -> str:
    """One database for all of them; each makes a key of its own."""
    url = postgres_server.url.replace("/agentvoicebox?", "/catalogue?")

    async def fill() -> None:
        owner = await asyncpg.connect(postgres_server.owner_url)
        try:
            await owner.execute("CREATE DATABASE catalogue OWNER agentvoicebox")
        finally:
            await owner.close()
        await migrate(url)

    server_loop.run(fill())
    return url


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: f"{fault.place}-{fault.code}")
async def test_each_error_is_reached_from_outside(
    fault: ErrorDefinition, redis_url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    def database() -> str:  # only for those that need one
        url: str = request.getfixturevalue("tenants_url")
        return url

    await REACH[fault.place](fault, redis_url, monkeypatch, database)


def codes_in(source: str) -> set[str]:
    """Codes that a source gives to errors: `code = "…"`, `code="…"`, and the second argument of `fault`."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                found.append(value)
            case ast.AnnAssign(target=ast.Name(id="code"), value=value):
                found.append(value)
            case ast.keyword(arg="code", value=value):
                found.append(value)
            case ast.Call(func=ast.Name(id="fault") | ast.Attribute(attr="fault"), args=[_, value, *_]):
                found.append(value)
    return {each.value for each in found if isinstance(each, ast.Constant) and isinstance(each.value, str)}


# Keeps a gateway from starting; and the name of a kind of refusal, of which each has its own.
NOT_TOLD = {"address_unavailable", "conflict"}


def test_no_code_is_told_that_the_catalogue_does_not_hold() -> None:
    known = {fault.code for fault in CATALOGUE}
    told: dict[str, str] = {}
    for room in ("wire", "engine", "gateway", "tenancy", "limits"):
        for path in (Path(agentvoicebox.__file__).parent / room).rglob("*.py"):
            told |= dict.fromkeys(codes_in(path.read_text()), str(path))
    assert "invalid_value" in told and "shutting_down" in told
    assert {code: where for code, where in told.items() if code not in known | NOT_TOLD} == {}
    assert codes_in('raise Overloaded("no", code="planted")') == {"planted"}


@pytest.mark.requirement("A18")
def test_the_reference_is_current() -> None:
    written = (ROOT / "docs/reference/errors.md").read_text()
    assert written == faults.page(), "python -m agentvoicebox.wire.faults > docs/reference/errors.md"


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (Overloaded("busy", retry_after_s=1.2), 503, "2"),
        (RateLimited("slower", retry_after_s=0.01), 429, "1"),
        (BadProviderAnswer("no"), 500, None),
    ],
)
def test_an_answer_says_when_to_try_again(error: AgentVoiceBoxError, status: int, retry_after: str | None) -> None:
    assert faults.status_of(error) == status
    assert faults.headers_of(error).get("Retry-After") == retry_after
