"""Whole calls by WebRTC: a real peer connection, the public routes, the media server, a session. Only speech is scripted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from openai import APIStatusError
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, silence, tone
from tests.kit.media_server import MediaServer, media_server
from tests.kit.tenant_gateway import TenantGateway, as_key, bearer
from tests.kit.waiting import PATIENCE_S, until
from tests.kit.web_caller import WebCaller
from websockets.asyncio.client import connect

from agentvoicebox.audio.pcm import samples_of
from agentvoicebox.gateway.media.media_roles import MediaRoles

pytestmark = pytest.mark.requirement("C10")

CALLS = "/v1/realtime/calls"
ANSWER_MS = 2 * CHUNK_SAMPLES / 24


@asynccontextmanager
async def with_media(served: Gateway, *, most: int = 24) -> AsyncIterator[MediaServer]:
    """A gateway and a media server that know each other."""
    async with media_server((f"http://127.0.0.1:{served.port}/v1",), most=most) as place:
        media = served.state.media = MediaRoles([f"http://127.0.0.1:{place.port}"])
        try:
            yield place
        finally:
            await media.close()


@pytest.fixture
async def place(town: TenantGateway) -> AsyncIterator[MediaServer]:
    async with with_media(town.served) as made:
        yield made


class PublicCall:
    """A call that was begun by the public route. `call_id` from its `Location`."""

    def __init__(self, caller: WebCaller, call_id: str) -> None:
        self.caller = caller
        self.call_id = call_id


@asynccontextmanager
async def calling(town: TenantGateway, key: str) -> AsyncIterator[PublicCall]:
    caller = WebCaller()
    try:
        answer = await post(town, key, await caller.offer())
        assert answer.status_code == 201, answer.text
        await caller.take_answer(answer.text)
        yield PublicCall(caller, answer.headers["location"].rpartition("/")[2])
    finally:
        await caller.close()


async def post(town: TenantGateway, key: str, sdp: str) -> httpx.Response:
    url = f"http://127.0.0.1:{town.served.port}{CALLS}?model=delivery"
    headers = {**bearer(key), "content-type": "application/sdp"}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as web:
        return await web.post(url, content=sdp, headers=headers)


async def refused(town: TenantGateway, key: str) -> tuple[int, str]:
    """The refusal of an offer that is right."""
    caller = WebCaller()
    try:
        answer = await post(town, key, await caller.offer())
        return answer.status_code, answer.json()["error"]["code"]
    finally:
        await caller.close()


async def test_the_official_client_calls_listens_takes_part_and_hangs_up(
    town: TenantGateway, place: MediaServer, workers: Workers
) -> None:
    key, caller = (await town.key()).text, WebCaller()
    try:
        async with town.openai(key) as client:
            made = await client.realtime.calls.with_raw_response.create(
                sdp=await caller.offer(), session={"type": "realtime", "instructions": "Be brief.", "model": "delivery"}
            )
            call_id = made.headers["location"].rpartition("/")[2]
            await caller.take_answer(made.text)
            created = await caller.event("session.created")
            assert created["session"]["instructions"] == "Be brief."
            async with client.realtime.connect(call_id=call_id) as sideband:
                joined = await sideband.recv()
                assert json.loads(joined.to_json())["session"]["id"] == created["session"]["id"]
                caller.microphone.say(samples_of(tone(400) + silence(900)))
                await caller.event("response.done")
                async with asyncio.timeout(PATIENCE_S):
                    while (event := await sideband.recv()).type != "response.done":
                        assert event.type != "response.output_audio.delta"
                await sideband.response.create()
                await caller.event("response.done", 2)
                await caller.until(lambda: caller.loud_ms() >= 2 * ANSWER_MS - 80, "both answers are heard")
            (session,) = await town.served.state.directory.live()
            assert (session.tenant_id, session.session_id) == ("acme", created["session"]["id"])
            await client.realtime.calls.hangup(call_id)
            await caller.until(lambda: caller.is_closed, "the caller is hung up on")
            await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
            with pytest.raises(APIStatusError) as over:
                await client.realtime.calls.hangup(call_id)
            assert over.value.code == "call_not_found"
    finally:
        await caller.close()


async def test_a_secret_has_as_many_calls_as_it_has_sessions(town: TenantGateway, place: MediaServer) -> None:
    async with town.openai((await town.key()).text) as client:
        secret = await client.realtime.client_secrets.create(session={"type": "realtime", "model": "delivery"})
    async with calling(town, secret.value) as call:
        await call.caller.event("session.created")
        assert await refused(town, secret.value) == (429, "rate_limit_exceeded")
    await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
    async with calling(town, secret.value) as call:
        await call.caller.event("session.created")


async def test_another_tenant_can_neither_hang_up_nor_listen(town: TenantGateway, place: MediaServer) -> None:
    ours, theirs = (await town.key()).text, (await town.key("rival")).text
    async with calling(town, ours) as call:
        await call.caller.event("session.created")
        async with town.openai(theirs) as client:
            with pytest.raises(APIStatusError) as refusal:
                await client.realtime.calls.hangup(call.call_id)
        assert (refusal.value.status_code, refusal.value.code) == (404, "call_not_found")
        async with connect(town.url(f"call_id={call.call_id}"), **as_key(theirs), proxy=None) as line:
            error = json.loads(await line.recv())
            await line.wait_closed()
        assert (error["error"]["code"], line.close_code) == ("call_not_found", 4000)
        assert place.count("avb_webrtc_calls") == 1 and not call.caller.is_closed


async def test_a_long_event_from_beside_reaches_the_session(town: TenantGateway, place: MediaServer) -> None:
    key = (await town.key()).text
    async with calling(town, key) as call:
        await call.caller.event("session.created")
        async with connect(town.url(f"call_id={call.call_id}"), **as_key(key), proxy=None) as line:
            instructions = "é" * 30_000  # 180 kB as JSON
            update = {"type": "session.update", "session": {"type": "realtime", "instructions": instructions}}
            await line.send(json.dumps(update))
            updated = await call.caller.event("session.updated")
            assert updated["session"]["instructions"] == instructions


async def test_a_media_server_that_is_full_is_told_to_the_caller(town: TenantGateway) -> None:
    async with with_media(town.served, most=0):
        assert await refused(town, (await town.key()).text) == (429, "too_many_calls")


async def test_a_media_server_without_a_gateway_says_so(town: TenantGateway) -> None:
    async with media_server(("http://127.0.0.1:1/v1",)) as place:
        media = town.served.state.media = MediaRoles([f"http://127.0.0.1:{place.port}"])
        assert await refused(town, (await town.key()).text) == (503, "gateway_unavailable")
        await media.close()
