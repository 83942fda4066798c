"""Who may call by WebRTC, how many, with what; joining a call from beside; hanging up; and the faults of both sides."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioice import ice
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, gateway, silence, tone
from tests.kit.media_server import MediaServer, media_server
from tests.kit.waiting import until
from tests.kit.web_caller import WebCaller, web_caller
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from agentvoicebox.audio.pcm import samples_of
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.webrtc import web_call

pytestmark = pytest.mark.requirement("C10")

CALL = "rtc_0_test"
ANSWER_MS = 2 * CHUNK_SAMPLES / 24


def url_of(served: Gateway) -> str:
    return f"http://127.0.0.1:{served.port}/v1"


@pytest.fixture
async def place(served: Gateway) -> AsyncIterator[MediaServer]:
    async with media_server((url_of(served),)) as made:
        yield made


@asynccontextmanager
async def beside(place: MediaServer, call_id: str = CALL, *, tenant: str = "acme") -> AsyncIterator[ClientConnection]:
    """Someone who joins a call by WebSocket."""
    url = f"ws://127.0.0.1:{place.port}/calls/{call_id}/events?tenant={tenant}"
    async with connect(url, proxy=None) as socket:
        yield socket


async def next_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


async def offered(place: MediaServer, **request: Any) -> tuple[int, dict[str, Any]]:
    """Call with an offer that is right; returns the refusal."""
    caller = WebCaller()
    try:
        body = {"call_id": "rtc_0_refused", "sdp": await caller.offer(), "credential": "any", **request}
        answer = await place.request("POST", "/calls", json=body)
        return answer.status_code, answer.json()["error"]
    finally:
        await caller.close()


async def test_a_call_can_be_hung_up_from_beside_by_its_tenant_alone(place: MediaServer, served: Gateway) -> None:
    async with web_caller(place.port, tenant="acme", credential="any") as caller:
        await caller.event("session.created")
        shown = await place.request("GET", f"/calls/{CALL}?tenant=acme")
        assert shown.json() == {"session_id": caller.events[0]["session"]["id"], "state": "connected"}
        for path in (f"/calls/{CALL}/hangup", "/calls/rtc_0_unknown/hangup"):
            assert (await place.request("POST", path, json={"tenant": "globex"})).status_code == 404
        assert (await place.request("GET", f"/calls/{CALL}?tenant=globex")).status_code == 404
        assert (await place.request("POST", f"/calls/{CALL}/hangup", json={"tenant": "acme"})).status_code == 204
        await caller.until(lambda: caller.is_closed, "the caller is told")
    await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
    assert place.count("avb_webrtc_calls_ended_total", outcome="hung_up") == 1
    await until(lambda: len(served.state.sessions), "the session has not ended")


async def test_who_joins_a_call_reads_its_events_and_takes_part(place: MediaServer, workers: Workers) -> None:
    async with web_caller(place.port, tenant="acme", credential="any") as caller, beside(place) as first:
        await caller.event("session.created")
        greeting = await next_of(first, "session.created")
        assert greeting["session"]["id"] == caller.events[0]["session"]["id"]
        update = {
            "type": "realtime",
            "instructions": "Be brief.",
            "audio": {"input": {"format": {"type": "audio/pcmu"}}},
        }
        await first.send(json.dumps({"type": "session.update", "session": update}))
        updated = await next_of(first, "session.updated")
        assert updated["session"]["instructions"] == "Be brief."
        assert updated["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
        assert (await caller.event("session.updated"))["event_id"] == updated["event_id"]
        async with beside(place) as second:
            assert (await next_of(second, "session.created"))["session"]["instructions"] == "Be brief."
            await second.send(json.dumps({"type": "response.create"}))
            assert await next_of(second, "output_audio_buffer.started")
            done = await next_of(first, "response.done")
            assert (await caller.event("response.done"))["response"]["id"] == done["response"]["id"]
        await caller.until(lambda: caller.loud_ms() >= ANSWER_MS - 60, "the answer is heard")
        await caller.close()
        with pytest.raises(ConnectionClosed) as closed:
            await next_of(first, "never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000


async def test_a_call_is_joined_by_four_at_most_and_by_its_tenant_alone(place: MediaServer) -> None:
    async with web_caller(place.port, tenant="acme", credential="any") as caller:
        await caller.event("session.created")
        async with beside(place) as a, beside(place) as b, beside(place) as c, beside(place) as d:
            for each in (a, b, c, d):
                await next_of(each, "session.created")
            assert await close_code(place) == 1013
        assert await close_code(place, tenant="globex") == 4404
        assert await close_code(place, "rtc_0_unknown") == 4404


async def close_code(place: MediaServer, call_id: str = CALL, *, tenant: str = "acme") -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        async with beside(place, call_id, tenant=tenant) as socket:
            await socket.recv()
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_a_full_server_says_so_and_has_room_again_when_a_call_ends(served: Gateway) -> None:
    async with media_server((url_of(served),), most=1) as place:
        async with web_caller(place.port, credential="any") as caller:
            await caller.event("session.created")
            status, error = await offered(place)
            assert (status, error["type"], error["code"]) == (429, "rate_limit_error", "too_many_calls")
            assert "AVB_WEBRTC_MAX_CALLS" in error["message"]
        await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
        async with web_caller(place.port, credential="any") as caller:
            await caller.event("session.created")


async def test_a_wrong_offer_leaves_nothing_and_says_what_is_wrong(place: MediaServer, served: Gateway) -> None:
    for sdp, status in (("v=0\r\nm=audio 9 x 1\r\n", 400), ("v=0\r\n" + "a=x\r\n" * 50, 400), ("x" * 70_000, 400)):
        answer = await place.request("POST", "/calls", json={"call_id": "rtc_0_wrong", "sdp": sdp, "credential": "any"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, "invalid_offer")
    broken = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
    answer = await place.request("POST", "/calls", json={"call_id": "rtc_0_wrong", "sdp": broken, "credential": "any"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_offer")
    for body, status in ((b"{", 400), (b"{}", 400), (b"x" * 1_100_000, 413)):
        assert (await place.request("POST", "/calls", content=body)).status_code == status
    await until(lambda: len(served.state.sessions), "a session is left")
    assert place.count("avb_webrtc_refusals_total", code="invalid_offer") == 4


async def test_what_the_gateway_refuses_is_passed_on(redis_broker: RedisBroker, workers: Workers) -> None:
    async with gateway(redis_broker, admission=AdmissionConfig(keys=("right",))) as served:
        gateways = (url_of(served),)
        async with media_server(gateways) as place:
            assert (await offered(place, credential="wrong"))[0] == 401
            status, error = await offered(place, credential="")
            assert (status, error["type"]) == (401, "invalid_request_error")
            status, error = await offered(place, credential="right", model="no-such-agent")
            assert (status, error["code"]) == (400, "invalid_model")
            session = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "telepathy"}}}}
            status, error = await offered(place, credential="right", session=session)
            assert (status, error["code"]) == (400, "invalid_value")
            async with web_caller(place.port, credential="right", model="delivery") as caller:
                await caller.event("session.created")


async def test_without_a_gateway_the_error_names_the_setting() -> None:
    async with media_server(("http://127.0.0.1:9/v1",)) as place:
        status, error = await offered(place)
        assert (status, error["code"]) == (503, "gateway_unavailable")
        assert "AVB_WEBRTC_GATEWAYS" in error["message"]


async def test_only_who_shows_the_token_reaches_the_calls(served: Gateway) -> None:
    async with media_server((url_of(served),), token="s3cret") as place:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}):
            answer = await place.request("POST", "/calls", json={"call_id": "x", "sdp": "v=0"}, headers=headers)
            assert answer.status_code == 403
            assert (await place.request("GET", "/calls/x", headers=headers)).status_code == 403
            assert (await place.request("POST", "/calls/x/hangup", json={}, headers=headers)).status_code == 403
        with pytest.raises(InvalidStatus):
            async with beside(place):
                pass
        right = {"Authorization": "Bearer s3cret"}
        assert (await place.request("GET", "/calls/x", headers=right)).status_code == 404


async def test_a_page_of_another_site_can_not_call_through_its_visitors_browser(place: MediaServer) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "rebound.example"}, {"X-Forwarded-For": "1.2.3.4"}):
        answer = await place.request("POST", "/calls", json={"call_id": "x", "sdp": "v=0"}, headers=headers)
        assert answer.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"ws://127.0.0.1:{place.port}/calls/x/events", proxy=None, origin=Origin("https://evil.example")
        ):
            pass
    assert refused.value.response.status_code == 403


async def test_a_long_event_from_beside_reaches_the_session(place: MediaServer) -> None:
    async with web_caller(place.port, tenant="acme", credential="any") as caller, beside(place) as socket:
        await caller.event("session.created")
        session = {"type": "realtime", "instructions": "é" * 30_000}  # 180 kB as JSON
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        updated = await next_of(socket, "session.updated")
        assert updated["session"]["instructions"] == session["instructions"]
        await socket.send("x" * 600_000)
        assert (await next_of(socket, "error"))["error"]["code"] == "event_too_large"
        await socket.send(b"no text")
        await socket.send("{")
        assert (await next_of(socket, "error"))["error"]["code"] == "invalid_json"


async def test_whatever_is_offered_is_answered_or_refused_and_nothing_is_left(
    place: MediaServer, served: Gateway
) -> None:
    offering = WebCaller()
    lines = (await offering.offer()).splitlines()
    await offering.close()
    chance = random.Random(10)
    answers: set[int] = set()
    for number in range(60):
        changed = list(lines)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(changed))
            match chance.randrange(4):
                case 0:
                    del changed[at]
                case 1:
                    changed.insert(at, changed[chance.randrange(len(changed))])
                case 2:
                    changed[at] = changed[at][: chance.randrange(len(changed[at]) + 1)]
                case _:
                    changed[at] += chance.choice([" 99999999999", "\u0000", "=" * 5_000, "é"])
        body = {"call_id": f"rtc_0_{number}", "sdp": "\r\n".join(changed) + "\r\n", "credential": "any"}
        answer = await place.request("POST", "/calls", json=body)
        assert answer.status_code in (201, 400), answer.text
        answers.add(answer.status_code)
        if answer.status_code == 201:
            await place.request("POST", f"/calls/rtc_0_{number}/hangup", json={"tenant": ""})
    assert answers == {201, 400}
    await until(lambda: int(place.count("avb_webrtc_calls")) or len(served.state.sessions), "something is left")


async def test_a_call_ends_when_its_browser_is_silent_for_long(
    place: MediaServer, served: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.2)
    async with web_caller(place.port, credential="any") as caller:
        await caller.event("session.created")
        caller.vanish()
        await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
        assert place.count("avb_webrtc_calls_ended_total", outcome="caller_left") == 1
        await until(lambda: len(served.state.sessions), "the session has not ended")


@pytest.mark.parametrize("ending", ["", "a=end-of-candidates"])
async def test_a_browser_that_has_not_gathered_its_addresses_yet_is_connected(place: MediaServer, ending: str) -> None:
    caller = WebCaller()
    lines = (await caller.offer()).splitlines()
    kept = [line for line in lines if not line.startswith("a=candidate") and line != "a=end-of-candidates"]
    sdp = "\r\n".join([*kept, *([ending] if ending else [])]) + "\r\n"
    answer = await place.request("POST", "/calls", json={"call_id": CALL, "sdp": sdp, "credential": "any"})
    assert answer.status_code == 201, answer.text
    await caller.take_answer(answer.json()["sdp"])
    await caller.event("session.created")
    await caller.close()


async def test_a_browser_that_never_connects_has_no_call(
    place: MediaServer, served: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_call, "CONNECT_S", 0.2)
    caller = WebCaller()
    body = {"call_id": CALL, "sdp": await caller.offer(), "credential": "any"}
    assert (await place.request("POST", "/calls", json=body)).status_code == 201
    await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
    assert place.count("avb_webrtc_calls_ended_total", outcome="never_connected") == 1
    await until(lambda: len(served.state.sessions), "the session has not ended")
    await caller.close()


async def test_a_client_that_sends_too_much_is_told_and_its_call_goes_on(place: MediaServer, workers: Workers) -> None:
    async with web_caller(place.port, credential="any") as caller:
        await caller.event("session.created")
        caller.channel.send("{")
        caller.send("input_audio_buffer.append", audio="AAAA", event_id="mine")
        assert (await caller.event("error"))["error"]["code"] == "invalid_json"
        assert (await caller.event("error", 2))["error"]["event_id"] == "mine"
        for _ in range(2_000):
            caller.send("conversation.item.retrieve", item_id="item_none")
        await caller.event("error", 500)
        caller.microphone.say(samples_of(tone(400) + silence(900)))
        await caller.event("output_audio_buffer.stopped")


async def test_a_call_goes_on_at_another_gateway(redis_broker: RedisBroker, redis_url: str, workers: Workers) -> None:
    broker = RedisBroker(redis_url)
    async with gateway(redis_broker) as leaving, gateway(broker) as staying:
        gateways = url_of(leaving), url_of(staying)
        async with media_server(gateways) as place, web_caller(place.port, credential="any") as caller:
            await caller.event("session.created")
            leaving.stop.set()
            await until(lambda: not len(staying.state.sessions), "the session has not moved")
            caller.microphone.say(samples_of(tone(400) + silence(900)))
            await caller.event("response.done")
            await caller.until(lambda: caller.loud_ms() >= ANSWER_MS - 60, "the answer is heard")
            assert "agentvoicebox.resumed" not in [event["type"] for event in caller.events]
    await broker.close()


async def test_who_is_on_the_line_is_told_when_the_media_server_or_the_session_ends(
    place: MediaServer, served: Gateway
) -> None:
    async with web_caller(place.port, credential="any") as caller:
        await caller.event("session.created")
        await place.calls.drain(10)
        assert (await caller.event("error"))["error"]["code"] == "shutting_down"
        await caller.until(lambda: caller.is_closed, "the caller is told")
        status, error = await offered(place)
        assert (status, error["code"]) == (503, "shutting_down")
    await until(lambda: len(served.state.sessions), "the session has not ended")
