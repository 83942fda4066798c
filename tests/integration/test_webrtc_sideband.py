"""The sideband: a second connection to a WebRTC call's session, over a real gateway and a media role that may misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI
from tests.integration.test_webrtc_calls import code_of, post, serving, town_with
from tests.kit.fake_media_role import FakeMediaRole, media_role
from tests.kit.gateway import Gateway
from tests.kit.tenant_gateway import TenantGateway, as_key
from tests.kit.waiting import PATIENCE_S, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.cli.local_server import free_port
from agentvoicebox.gateway.http import sideband
from agentvoicebox.gateway.media import media_roles
from agentvoicebox.gateway.media.call_ids import mark_of_role, new_call_id
from agentvoicebox.gateway.pace import ServingPace

pytestmark = pytest.mark.requirement("C10")

EVENT = '{"type":"response.create","event_id":"mine"}'
TRANSCRIPT = '{"type":"response.output_audio_transcript.done","transcript":"Hello."}'


async def begin(served: Gateway, key: str) -> str:
    return (await post(served, key=key)).headers["location"].rpartition("/")[2]


def beside(served: Gateway, call_id: str, key: str) -> Any:
    return connect(served.url(f"call_id={call_id}"), **as_key(key), proxy=None)


async def refused(line: ClientConnection) -> tuple[str | None, int | None]:
    """The code of the one error that comes, and that of the close after it."""
    async with asyncio.timeout(PATIENCE_S):
        event = json.loads(await line.recv())
        assert event["type"] == "error", event
        await line.wait_closed()
    code = event["error"]["code"]
    assert line.close_reason == f"{event['error']['type']}.{code}"
    return code, line.close_code


@asynccontextmanager
async def call(redis_broker: RedisBroker, **changes: Any) -> AsyncIterator[tuple[FakeMediaRole, Gateway, str]]:
    """A call that is going on."""
    async with media_role(**changes) as role, serving(redis_broker, role.url) as served:
        yield role, served, await begin(served, KEY)


KEY = "a-key-of-some-length"

# -- as it should be -------------------------------------------------------------------------------------------------


async def test_events_pass_both_ways_unchanged(redis_broker: RedisBroker) -> None:
    long = json.dumps({"type": "session.update", "session": {"type": "realtime", "instructions": "é" * 60_000}})
    async with call(redis_broker) as (role, served, call_id), beside(served, call_id, KEY) as line:
        await line.send(EVENT)
        await line.send(long)  # which the gateway receives in fragments
        await until(lambda: len(role.said) < 2, "events have not come")
        await role.tell(TRANSCRIPT)
        assert await line.recv() == TRANSCRIPT
    assert role.said == [EVENT, long]


async def test_the_official_client_joins_by_call_id(redis_broker: RedisBroker) -> None:
    async with call(redis_broker) as (role, served, call_id):
        base = f"http://127.0.0.1:{served.port}/v1"
        async with (
            AsyncOpenAI(api_key=KEY, base_url=base, max_retries=0) as client,
            client.realtime.connect(call_id=call_id) as joined,
        ):
            await joined.response.create()
            await until(lambda: not role.said, "nothing has come")
            await role.tell(TRANSCRIPT)
            async with asyncio.timeout(PATIENCE_S):
                event = await joined.recv()
    assert event.type == "response.output_audio_transcript.done"
    assert json.loads(role.said[0])["type"] == "response.create"


async def test_a_sideband_ends_with_its_call_and_a_call_does_not_end_with_its_sideband(
    redis_broker: RedisBroker,
) -> None:
    async with call(redis_broker) as (role, served, call_id):
        async with beside(served, call_id, KEY) as first:
            await first.send(EVENT)
        await until(lambda: role.lines, "the role has not seen it leave")
        assert list(role.calls) == [call_id]
        async with beside(served, call_id, KEY) as second:
            await until(lambda: not role.lines, "it has not joined")
            assert (await post(served, f"/v1/realtime/calls/{call_id}/hangup", "")).status_code == 200
            await second.wait_closed()
    assert (second.close_code, second.close_reason) == (1000, "")


async def test_a_browser_shows_its_key_as_a_subprotocol(redis_broker: RedisBroker) -> None:
    shown = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{KEY}")]
    async with (
        call(redis_broker) as (_, served, call_id),
        connect(served.url(f"call_id={call_id}"), subprotocols=shown, proxy=None) as line,
    ):
        assert line.subprotocol == "realtime"


async def test_any_gateway_finds_the_role_that_has_the_call(redis_broker: RedisBroker) -> None:
    async with (
        media_role() as first,
        media_role() as second,
        serving(redis_broker, first.url, second.url) as one,
        serving(redis_broker, second.url, f"{first.url}/") as other,
    ):
        calls = [await begin(one, KEY) for _ in range(2)]
        assert [list(role.calls) for role in (first, second)] == [[call_id] for call_id in calls]
        for call_id in calls:
            async with beside(other, call_id, KEY) as line:
                await line.send(EVENT)
                await until(lambda: not (first.said or second.said), "nothing has come")
            assert (await post(other, f"/v1/realtime/calls/{call_id}/hangup", "")).status_code == 200
        assert not first.calls and not second.calls


async def test_a_gateway_that_ends_leaves_the_call_and_says_where_to_come_back(redis_broker: RedisBroker) -> None:
    async with (
        media_role() as role,
        serving(redis_broker, role.url) as one,
        serving(redis_broker, role.url) as other,
    ):
        call_id = await begin(one, KEY)
        async with beside(one, call_id, KEY) as line:
            await until(lambda: not role.lines, "it has not joined")
            one.stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await line.wait_closed()
        assert line.close_code == 1012 and list(role.calls) == [call_id]
        async with beside(other, call_id, KEY) as again:
            await again.send(EVENT)
            await until(lambda: not role.said, "nothing has come")


# -- whose call ------------------------------------------------------------------------------------------------------


async def test_another_tenants_key_can_not_listen(town: TenantGateway) -> None:
    ours, theirs = (await town.key()).text, (await town.key("rival")).text
    async with media_role() as role, town_with(town, role.url):
        call_id = await begin(town.served, ours)
        for each in (call_id, new_call_id(mark_of_role(role.url)), "rtc_1", "", "../../admin"):
            async with beside(town.served, each, theirs) as line:
                assert await refused(line) == ("call_not_found", 4000)
        assert role.lines == []
        async with beside(town.served, call_id, ours) as line:
            await line.send(EVENT)
            await until(lambda: not role.said, "nothing has come")


async def test_a_browsers_secret_listens_to_no_call(town: TenantGateway) -> None:
    key = (await town.key()).text
    async with media_role() as role, town_with(town, role.url), town.openai(key) as client:
        secret = await client.realtime.client_secrets.create(session={"type": "realtime"})
        call_id = await begin(town.served, secret.value)
        async with beside(town.served, call_id, secret.value) as line:
            assert await refused(line) == ("insufficient_permissions", 1008)
        async with beside(town.served, call_id, key) as line:  # of the server that minted it
            await line.send(EVENT)
            await until(lambda: not role.said, "nothing has come")


async def test_a_key_that_is_revoked_stops_listening(town: TenantGateway) -> None:
    key = await town.key()
    async with media_role() as role, town_with(town, role.url):
        call_id = await begin(town.served, key.text)
        async with beside(town.served, call_id, key.text) as line:
            await until(lambda: not role.lines, "it has not joined")
            await town.keys.suspend("acme")
            town.clock.advance(60)
            assert await refused(line) == ("account_deactivated", 1008)


async def test_a_stranger_is_refused_before_the_role_is_asked(redis_broker: RedisBroker) -> None:
    async with call(redis_broker) as (role, served, call_id):
        role.shown.clear()
        async with beside(served, call_id, "wrong") as line:
            assert await refused(line) == ("invalid_api_key", 3000)
        with pytest.raises(InvalidStatus) as none:
            await connect(served.url(f"call_id={call_id}"), proxy=None)
        assert none.value.response.status_code == 401 and role.shown == []


# -- bounds, and a role that misbehaves ------------------------------------------------------------------------------


async def test_what_is_no_event_is_refused_here_and_the_connection_stays(redis_broker: RedisBroker) -> None:
    async with call(redis_broker) as (role, served, call_id), beside(served, call_id, KEY) as line:
        for sent, code in ((b"\x00", "invalid_event"), ('{"type":"x","y":"' + "z" * 600_000 + '"}', "event_too_large")):
            await line.send(sent)
            assert json.loads(await line.recv())["error"]["code"] == code
        await line.send(EVENT)
        await until(lambda: not role.said, "nothing has come")
    assert role.said == [EVENT]


async def test_one_listener_too_many_is_refused(redis_broker: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        call(redis_broker, most_sidebands=1) as (role, served, call_id),
        beside(served, call_id, KEY),
    ):
        await until(lambda: not role.lines, "it has not joined")
        async with beside(served, call_id, KEY) as line:
            assert await refused(line) == ("rate_limit_exceeded", 1013)
        monkeypatch.setattr(media_roles, "MOST_SIDEBANDS", 1)
        async with beside(served, call_id, KEY) as line:
            assert await refused(line) == ("overloaded", 1013)


async def test_a_role_that_dies_ends_its_sidebands_with_an_error(redis_broker: RedisBroker) -> None:
    async with call(redis_broker) as (role, served, call_id), beside(served, call_id, KEY) as line:
        await until(lambda: not role.lines, "it has not joined")
        await role.end(call_id, 1011)
        assert await refused(line) == ("webrtc_unavailable", 1013)


async def test_a_role_that_is_away_is_told_to_a_listener(redis_broker: RedisBroker) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    async with (
        serving(redis_broker, gone) as served,
        beside(served, new_call_id(mark_of_role(gone)), KEY) as line,
    ):
        assert await refused(line) == ("webrtc_unavailable", 1013)


async def test_a_wrong_token_is_no_fault_of_the_listener(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        call_id = await begin(served, KEY)
        role.token = "another"
        async with beside(served, call_id, KEY) as line:
            assert await refused(line) == ("webrtc_unavailable", 1013)


async def test_a_client_sends_no_faster_than_any_client_may(redis_broker: RedisBroker) -> None:
    async with call(redis_broker) as (role, served, call_id):
        served.state.pace = ServingPace(events_per_s=2, speech_per_s=0)
        async with beside(served, call_id, KEY) as line:
            began_s = asyncio.get_running_loop().time()
            for _ in range(14):  # ten at once, then two a second
                await line.send(EVENT)
            await until(lambda: len(role.said) < 13, "events have not come")
    assert asyncio.get_running_loop().time() - began_s > 1.0


async def test_a_listener_that_does_not_read_is_dropped(
    redis_broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sideband, "STALLED_S", 0.3)
    monkeypatch.setattr(sideband, "CLOSE_S", 0.3)
    long = json.dumps({"type": "x", "y": "z" * 500_000})
    async with call(redis_broker) as (role, served, call_id):
        line = await connect(served.url(f"call_id={call_id}"), **as_key(KEY), proxy=None, max_queue=1)
        line.transport.pause_reading()
        await until(lambda: not role.lines, "it has not joined")

        async def talk() -> None:
            while True:
                await role.tell(long)

        talking = asyncio.create_task(talk())
        await until(lambda: role.lines, "it is still served", patience_s=15)  # pings would end it after 40 s
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        line.transport.abort()
        with pytest.raises(ConnectionClosed):
            await line.recv()
        assert list(role.calls) == [call_id]


async def test_a_role_that_does_not_read_is_given_up(
    redis_broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sideband, "STALLED_S", 0.3)
    long = json.dumps({"type": "x", "y": "z" * 100_000})
    async with call(redis_broker, is_deaf=True) as (_, served, call_id), beside(served, call_id, KEY) as line:
        served.state.pace = ServingPace(events_per_s=0, speech_per_s=0)

        async def talk() -> None:
            while True:
                await line.send(long)

        talking = asyncio.create_task(talk())
        assert await refused(line) == ("webrtc_unavailable", 1013)
        await asyncio.gather(talking, return_exceptions=True)


async def test_a_gateway_without_webrtc_knows_no_call(redis_broker: RedisBroker) -> None:
    async with media_role() as role, serving(redis_broker, role.url) as served:
        served.state.media, kept = None, served.state.media
        async with beside(served, new_call_id(mark_of_role(role.url)), KEY) as line:
            assert await refused(line) == ("call_not_found", 4000)
        assert code_of(await post(served)) == (404, "webrtc_not_served")
        served.state.media = kept
