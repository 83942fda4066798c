"""Strangers at a real port: what they send costs the others nothing, and what they don't send is not waited for (C11)."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.kit.client import calling, until
from tests.kit.gateway import Gateway, gateway
from tests.kit.raw_socket import masked
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.pace import ServingPace
from agentvoicebox.http_server import http_connection, turn_queue, websocket_connection
from agentvoicebox.http_server.connection_table import ConnectionTable
from agentvoicebox.http_server.refusal import REFUSED_CLOSE_S
from agentvoicebox.http_server.websocket_connection import MAX_FRAGMENTS, WebSocketConnection
from agentvoicebox.telemetry.metrics_page import metrics_page

pytestmark = pytest.mark.requirement("C11")

KEY = "a-key-of-some-length"
TEXT, CONTINUATION, PING = 0x01, 0x00, 0x89  # without FIN, but for the ping


@pytest.fixture
async def guarded(redis_broker: RedisBroker) -> AsyncIterator[Gateway]:
    async with gateway(redis_broker, admission=AdmissionConfig((KEY,))) as served:
        yield served


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def dialled(served: Gateway, first: bytes = b"") -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(first)
        async with asyncio.timeout(PATIENCE_S):
            yield reader, writer
    finally:
        writer.transport.abort()


def upgrade(key: str = "") -> bytes:
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    return (
        "GET /v1/realtime?model=delivery HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{authorization}\r\n"
    ).encode()


async def status_of(reader: asyncio.StreamReader) -> int:
    return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the server closes; a reset counts as a close."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while more := await reader.read(1 << 16):
            found += more
    return found


def count(served: Gateway, name: str) -> float:
    page = metrics_page(served.state.metrics.registry)[0].decode()
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


async def test_a_connection_that_sends_nothing_is_closed(guarded: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_S", 0.1)
    async with dialled(guarded) as (reader, _):
        assert await rest_of(reader) == b""


async def test_an_admitted_client_may_send_a_long_body_slowly_while_it_comes(
    guarded: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "BODY_S", 0.5)
    monkeypatch.setattr(http_connection, "LEAST_BODY_BYTES", 1_000)
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900000\r\n"
    head += f"authorization: Bearer {KEY}\r\ncontent-type: multipart/form-data; boundary=b\r\n\r\n"
    async with dialled(guarded, head.encode()) as (reader, writer):
        writer.write(b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n')
        loop = asyncio.get_running_loop()
        until_s = loop.time() + 3 * http_connection.BODY_S
        while loop.time() < until_s:
            writer.write(bytes(1_000))
            await asyncio.sleep(http_connection.BODY_S / 25)
            assert not reader.at_eof()
        answer = await rest_of(reader)  # nothing more comes
    assert b" 408 " in answer.splitlines()[0]


@pytest.mark.parametrize("sent", [b"G", b"GET /health HTT", b"GET /health HTTP/1.1\r\nhost: localhost\r\na: b\r\n"])
async def test_a_head_that_does_not_end_is_answered_with_a_typed_timeout(
    guarded: Gateway, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_S", 0.1)
    async with dialled(guarded, sent) as (reader, _):
        answer = await rest_of(reader)
    assert b" 408 " in answer.splitlines()[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"


async def test_a_head_that_comes_byte_by_byte_has_the_same_time_as_a_whole_one(
    guarded: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_S", 0.3)
    async with dialled(guarded, b"GET /health HTTP/1.1\r\na: ") as (reader, writer):
        answered = asyncio.create_task(rest_of(reader))
        while not answered.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert b" 408 " in await answered


async def test_a_body_that_does_not_come_ends_the_connection(guarded: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "BODY_S", 0.1)
    head = f"POST /v1/realtime/client_secrets HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
    async with dialled(guarded, f"{head}content-length: 100\r\n\r\nhalf".encode()) as (reader, _):
        answer = await rest_of(reader)
    assert b" 408 " in answer.splitlines()[0]


async def test_those_that_wait_for_a_turn_hold_little_memory(
    redis_broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_queue, "MAX_HELD_BYTES", 1_000_000)
    for name in ("HEAD_S", "BODY_S"):  # nor does a timeout end them
        monkeypatch.setattr(http_connection, name, 10 * PATIENCE_S)
    heads = b"a: b\r\n" * 10_000
    bodies = b"content-length: 9000000\r\n\r\n" + b"x" * 150_000
    async with (
        gateway(redis_broker, pace=ServingPace(requests_per_s=0.01)) as served,
        contextlib.AsyncExitStack() as lines,
    ):
        await lines.enter_async_context(dialled(served, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"))
        opened = [
            await lines.enter_async_context(dialled(served, b"POST /v1/models HTTP/1.1\r\nhost: localhost\r\n" + rest))
            for rest in [heads] * 3 + [bodies] * 50
        ]
        for reader, _ in opened[:3]:  # refused without a turn
            assert b" 431 " in (await rest_of(reader)).splitlines()[0]

        async def most_are_gone() -> bool:
            return 0 < len(served.state.connections) < 25

        await until(most_are_gone)


@pytest.mark.parametrize(
    "head", [b"a: b\r\n" * 10_000, b"a: " + b"b" * 100_000, b"".join(b"a%d: b\r\n" % n for n in range(200))]
)
async def test_a_head_that_is_too_large_is_refused_before_it_is_read(guarded: Gateway, head: bytes) -> None:
    async with dialled(guarded, b"GET /health HTTP/1.1\r\n" + head + b"\r\n\r\n") as (reader, _):
        answer = await rest_of(reader)
    assert b" 431 " in answer.splitlines()[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_head_too_large"


async def test_requests_that_come_at_once_are_answered_one_after_the_other(guarded: Gateway) -> None:
    async with dialled(guarded, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 500) as (reader, _):
        for _ in range(500):
            assert await status_of(reader) == 200
            assert await reader.readexactly(15) == b'{"status":"ok"}'


async def test_a_body_in_many_pieces_is_read_whole(guarded: Gateway) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in json.dumps({"session": {"type": "realtime", "instructions": "x" * 5_000}}).encode():
            yield bytes((byte,))

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{guarded.port}", trust_env=False) as http:
        headers = {"Authorization": f"Bearer {KEY}", "content-type": "application/json"}
        answer = await http.post("/v1/realtime/client_secrets", content=pieces(), headers=headers)
    assert answer.json()["session"]["instructions"] == "x" * 5_000


async def test_a_stranger_without_a_key_is_refused_before_anything_is_parsed(guarded: Gateway) -> None:
    async with dialled(guarded, upgrade() + masked(b"x", TEXT) + masked(b"x", CONTINUATION) * 50_000) as (reader, _):
        assert await status_of(reader) == 401
        await rest_of(reader)
    assert count(guarded, "avb_client_events_total") == 0


async def test_nothing_of_a_refused_client_is_parsed_and_its_line_is_gone_within_a_second(
    guarded: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    monkeypatch.setattr(WebSocketConnection, "handle_cont", lambda self, event: parsed.append(1))
    monkeypatch.setattr(WebSocketConnection, "handle_ping", lambda self: parsed.append(1))
    async with dialled(guarded, upgrade("wrong")) as (reader, writer):
        assert await status_of(reader) == 101
        began_s = time.monotonic()
        gone = asyncio.create_task(rest_of(reader))
        while not gone.done():  # a flood that never answers our close
            writer.write(masked(b"", PING) * 10 + masked(b"x", CONTINUATION) * 10)
            await asyncio.sleep(0.01)
        assert b"invalid_api_key" in await gone
    assert parsed == []
    # The bound itself; the machine may take as long again.
    assert time.monotonic() - began_s < REFUSED_CLOSE_S + PATIENCE_S


async def test_a_refused_client_that_answers_the_close_is_gone_at_once(
    guarded: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_connection, "REFUSED_CLOSE_S", 3_600.0)
    async with dialled(guarded, upgrade("wrong")) as (reader, writer):
        assert await status_of(reader) == 101
        await reader.readuntil(b"invalid_request_error.invalid_api_key")
        writer.write(masked((3000).to_bytes(2, "big"), 0x88))
        await rest_of(reader)


async def test_a_message_in_too_many_fragments_ends_its_own_call_alone(guarded: Gateway) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with calling(guarded.url(), additional_headers=headers) as neighbour:
        async with dialled(guarded, upgrade(KEY)) as (reader, writer):
            assert await status_of(reader) == 101
            # Pings between the fragments don't start the count anew.
            writer.write(masked(b"{", TEXT) + (masked(b" ", CONTINUATION) + masked(b"", PING)) * MAX_FRAGMENTS)
            assert b"fragments" in await rest_of(reader)
        await neighbour.send("session.update", session={})
        await neighbour.until("session.updated")
    assert count(guarded, 'avb_tcp_connections_dropped_total{reason="fragments"}') == 0  # no observer in this gateway


async def test_a_message_in_as_many_fragments_as_allowed_is_read(guarded: Gateway) -> None:
    text = json.dumps({"type": "session.update", "session": {"instructions": "x" * (MAX_FRAGMENTS - 70)}}).encode()
    async with dialled(guarded, upgrade(KEY)) as (reader, writer):
        assert await status_of(reader) == 101
        writer.write(masked(text[:1], TEXT))
        for start in range(1, len(text) - 1):
            writer.write(masked(text[start : start + 1], CONTINUATION))
        writer.write(masked(text[-1:], 0x80))
        await reader.readuntil(b'"session.updated"')


async def test_requests_of_strangers_beyond_the_rate_wait_and_are_all_answered(redis_broker: RedisBroker) -> None:
    keyed = AdmissionConfig((KEY,))
    async with gateway(redis_broker, admission=keyed, pace=ServingPace(requests_per_s=50.0)) as served:

        async def refused() -> int:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http:
                return (await http.get("/v1/models", headers={"Authorization": "Bearer wrong"})).status_code

        began_s = time.monotonic()
        statuses = await asyncio.gather(*(refused() for _ in range(75)))
        assert set(statuses) <= {401, 429}
        assert time.monotonic() - began_s > 0.9  # 25 at once, then 50 a second


async def test_frames_beyond_the_rate_wait_and_are_all_read(redis_broker: RedisBroker) -> None:
    async with (
        gateway(redis_broker, pace=ServingPace(frames_per_s=400.0)) as served,
        dialled(served, upgrade()) as line,
    ):
        reader, writer = line
        await reader.readuntil(b"session.created")
        began_s = time.monotonic()
        writer.write(masked(b"", PING) * 150)
        pongs = 0
        while pongs < 150:
            pongs += (await reader.read(1 << 16)).count(b"\x8a\x00")
        assert time.monotonic() - began_s > 0.9  # 100 at once, then 50 a second: a ping counts as eight frames


async def test_what_waits_for_its_rate_stays_with_the_client(redis_broker: RedisBroker) -> None:
    frames = masked(b'{"type":"input_audio_buffer.append","audio":"AAAA"}')
    async with (
        gateway(redis_broker, pace=ServingPace(frames_per_s=100.0)) as served,
        dialled(served, upgrade()) as line,
    ):
        reader, writer = line
        await reader.readuntil(b"session.created")
        writer.write(frames * (48 * 1024 * 1024 // len(frames)))
        for _ in range(10):  # what is read and what the kernel holds; then no more
            writer.write(masked(b"", PING))
            left = writer.transport.get_write_buffer_size()
            await asyncio.sleep(0.1)
        assert left - writer.transport.get_write_buffer_size() < 1024 * 1024
        assert left > 24 * 1024 * 1024


async def test_events_beyond_the_rate_wait_and_are_all_answered(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker, pace=ServingPace(events_per_s=20.0)) as served, calling(served.url()) as client:
        began_s = time.monotonic()
        for number in range(120):
            await client.send("session.go_away", event_id=f"event {number}")
        for number in range(120):
            assert (await client.until("error"))["error"]["event_id"] == f"event {number}"
        assert time.monotonic() - began_s > 0.9  # 100 at once, then 20 a second


async def test_what_is_refused_is_charged_by_its_size(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker, pace=ServingPace(events_per_s=100.0)) as served, calling(served.url()) as client:
        began_s = time.monotonic()
        for number in range(10):
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 1024 * 1024}]}
            await client.send("conversation.item.create", event_id=f"event {number}", item=item)
        for number in range(10):
            error = (await client.until("error"))["error"]
            assert (error["code"], error["event_id"]) == ("event_too_large", f"event {number}")
        assert time.monotonic() - began_s > 1.0  # each counts as 129 events


async def test_silent_strangers_of_one_source_make_room_for_its_next_connection(redis_broker: RedisBroker) -> None:
    table = ConnectionTable(most=100, most_unadmitted_of_source=10)
    async with gateway(redis_broker, connections=table) as served, contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(calling(served.url()))
        silent = [await stack.enter_async_context(dialled(served)) for _ in range(50)]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http:
            assert (await http.get("/health")).status_code == 200
        await client.send("session.update", session={})
        await client.until("session.updated")
        assert await rest_of(silent[0][0]) == b""
        assert len(table) <= 12


FOREIGN = [
    {"Host": "evil.example"},
    {"Origin": "null"},
    {"Origin": "file://"},
    {"Origin": "http://["},
    {"Origin": "evil.example"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"Via": "1.1 tunnel"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_without_keys_every_route_is_for_this_machine_alone(
    redis_broker: RedisBroker, headers: dict[str, str]
) -> None:
    async with (
        gateway(redis_broker) as served,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http,
    ):
        for method, path in [
            ("GET", "/health"), ("GET", "/v1/models"), ("POST", "/v1/realtime/client_secrets"), ("GET", "/nowhere"),
            ("OPTIONS", "/v1/models"),
        ]:  # fmt: skip
            answer = await http.request(method, path, headers=headers)
            assert answer.status_code == 403
            assert answer.json()["error"]["code"].endswith("_not_allowed")
            assert "access-control-allow-origin" not in answer.headers
        request = upgrade()
        for name, value in headers.items():
            header = f"\r\n{name}: {value}\r\n".encode()
            request = request.replace(
                b"\r\nhost: localhost\r\n", header if name == "Host" else b"\r\nhost: localhost" + header
            )
        async with dialled(served, request) as (reader, _):
            assert await status_of(reader) == 403
