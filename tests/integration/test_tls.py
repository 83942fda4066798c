"""The gateway's port over TLS: stock clients that insist on `wss:` reach it, and strangers cost it no more than without (C11)."""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from starlette.types import Receive, Scope, Send
from tests.kit.certificates import Certificate, certificate
from tests.kit.client import SERVER_VAD, calling
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.http_line import ask
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.client.caller import open_call
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.http_server import tls_listener
from agentvoicebox.http_server.connection_table import ConnectionTable
from agentvoicebox.http_server.listening import listening_socket
from agentvoicebox.http_server.server import HttpServer, ServerConfig
from agentvoicebox.http_server.turn_queue import TurnQueue
from agentvoicebox.realtime_client.dialing import CallFailed, CallOptions

pytestmark = pytest.mark.requirement("A4.2")

KEY = "a-key-of-some-length"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def secure(redis_broker: RedisBroker, workers: Workers, own: Certificate) -> AsyncIterator[Gateway]:
    """A gateway with a key, over TLS."""
    async with gateway(redis_broker, admission=AdmissionConfig((KEY,)), tls=own.server) as served:
        yield served


def wss(served: Gateway, query: str = "model=delivery") -> str:
    return f"wss://localhost:{served.port}/v1/realtime?{query}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_the_official_client_talks_over_tls(secure: Gateway, own: Certificate, host: str) -> None:
    async with (
        DefaultAsyncHttpxClient(verify=own.client, trust_env=False) as web,
        AsyncOpenAI(api_key=KEY, base_url=f"https://{host}:{secure.port}/v1", http_client=web, max_retries=0) as client,
    ):
        assert "delivery" in [model.id async for model in client.models.list()]
        async with client.realtime.connect(
            model="gpt-realtime",
            websocket_connection_options={"ssl": own.client},  # type: ignore[typeddict-unknown-key]
        ) as line:
            await line.response.create()
            async with asyncio.timeout(PATIENCE_S):
                async for event in line:
                    if event.type == "response.done":
                        assert event.response.status == "completed"
                        break


async def test_a_spoken_turn_and_a_long_append_pass(secure: Gateway, own: Certificate) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with calling(wss(secure), ssl=own.client, additional_headers=headers) as client:
        await client.use(audio=SERVER_VAD)
        await client.speak()
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        silent = base64.b64encode(bytes(3_000_000)).decode()
        await client.send("input_audio_buffer.append", audio=silent)
        await client.use()
    assert client.of("error") == []


async def test_refusals_are_as_without_tls(secure: Gateway, own: Certificate) -> None:
    shown = {"Host": "localhost", "Authorization": f"Bearer {KEY}"}
    for method, path, status in (("GET", "/v1/realtime", 426), ("HEAD", "/v1/models", 200), ("POST", "/v1/nope", 404)):
        assert (await ask(secure.port, method, path, shown, tls=own.client)).status == status
    assert (await ask(secure.port, "GET", "/v1/models", {"Host": "localhost"}, tls=own.client)).status == 401


async def test_a_call_ends_in_order_when_the_gateway_stops(secure: Gateway, own: Certificate) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with calling(wss(secure), ssl=own.client, additional_headers=headers) as client:
        await client.use()
        secure.stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await client.ws.wait_closed()
        assert client.ws.close_code == 1001


# -- our own client --------------------------------------------------------------------------------------------------


def options(served: Gateway, scheme: str, ca_file: str = "") -> CallOptions:
    return CallOptions(base_url=f"{scheme}://localhost:{served.port}/v1", api_key=KEY, ca_file=ca_file, resumes=False)


async def test_our_own_client_calls_with_the_certificate(secure: Gateway, own: Certificate) -> None:
    async with open_call(options(secure, "https", own.cert)) as line:
        await line.type("Where is my parcel?")
        (turn,) = line.record().turns
    assert turn.problem is None or not turn.problem


@pytest.mark.parametrize(
    ("scheme", "ca", "said"),
    [
        ("https", "", "is not trusted .* --ca"),
        ("https", "other", "is not trusted .* --ca"),
        ("https", "absent", "--ca: .*absent.* can't be read"),
        ("https", "empty", "--ca: .*empty.* can't be read"),
        ("http", "", "refuses the call: This port speaks TLS"),
    ],
)
async def test_our_own_client_says_why_it_gets_no_connection(
    secure: Gateway, tmp_path: Path, scheme: str, ca: str, said: str
) -> None:
    other = certificate(tmp_path / "other").cert
    (tmp_path / "empty").touch()
    file = {"": "", "other": other}.get(ca, str(tmp_path / ca))
    with pytest.raises(CallFailed, match=said):
        async with open_call(options(secure, scheme, file)):
            pass


async def test_our_own_client_says_that_a_server_speaks_no_tls(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker) as served:
        with pytest.raises(CallFailed, match=r"does not speak TLS .* http://"):
            async with open_call(options(served, "https")):
                pass


# -- strangers, on both event loops that serve -----------------------------------------------------------------------

Scenario = Callable[["Port"], Coroutine[Any, Any, None]]


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    """The application behind the port."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


class Port:
    """A TLS port with an application that greets.

    Attributes:
        dropped: why connections were dropped.
    """

    def __init__(self, own: Certificate, number: int, table: ConnectionTable, dropped: list[str]) -> None:
        self.own, self.number, self.table, self.dropped = own, number, table, dropped

    async def is_greeted(self) -> bool:
        answer = await ask(self.number, "GET", "/", {"Host": "localhost"}, tls=self.own.client)
        return answer.body == b"hi"

    async def dial(self, first: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        writer.write(first)
        return reader, writer


class Dropped:
    """Sees why connections are dropped."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def set_limit(self, most: int) -> None: ...

    def connections_changed(self, total: int, unadmitted: int) -> None: ...

    def connection_dropped(self, reason: str) -> None:
        self.reasons.append(reason)


@contextlib.asynccontextmanager
async def opened(own: Certificate, *, most: int = 100, turns_per_s: float = 0) -> AsyncIterator[Port]:
    seen = Dropped()
    table = ConnectionTable(most=most, observer=seen)
    config = ServerConfig(greet, table, drain_s=1, has_websockets=False, turns=TurnQueue(turns_per_s), tls=own.server)
    server, listener = HttpServer(config), listening_socket("127.0.0.1", 0, setting="AVB_PORT")
    number = listener.getsockname()[1]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await server.is_open.wait()
            yield Port(own, number, table, seen.reasons)
            while len(table):  # noqa: ASYNC110 (nobody announces that a connection is gone)
                await asyncio.sleep(0.01)
    finally:
        server.should_exit = True
        await serving
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "TLS handshake"]
    assert not left


async def drained(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


async def plain_http(port: Port) -> None:
    """Every kind of plain request is told which protocol this is, however long it is."""
    for sent in (
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"G",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n" + b"x" * 300_000,
        b"\x00\x00\x00",
    ):
        reader, writer = await port.dial(sent)
        head, _, body = (await drained(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and b"content-length: %d" % len(body) in head
        error = json.loads(body)["error"]
        assert error["code"] == "tls_required" and "https:// and wss://" in error["message"]
        writer.close()
    assert set(port.dropped) == {"plain_http"}
    assert await port.is_greeted()


async def hello_that_stops(port: Port) -> None:
    """Half a handshake, a damaged one, one that is left at once, and silence: each is dropped, and nobody waits for it."""
    hello = client_hello()
    for sent in (b"", hello[:1], hello[:100], b"\x16" + b"\xff" * 200, b"\x16\x03\x01\x00\x05hello"):
        reader, writer = await port.dial(sent)
        assert await port.is_greeted()
        assert b"HTTP" not in await drained(reader)
        writer.close()
    _, writer = await port.dial(hello)
    writer.transport.abort()
    assert {"silent", "tls_handshake"} <= set(port.dropped)


async def crowd(port: Port) -> None:
    """Silent connections are counted before they shake hands, and make room for others."""
    silent = [await port.dial() for _ in range(30)]
    assert await port.is_greeted()
    assert port.dropped.count("limit") >= 30 + 1 - 20
    assert len(port.table) <= 20
    for _, writer in silent:
        writer.close()


async def distrust(port: Port) -> None:
    """A client that does not trust the certificate leaves; the next one is served."""
    for context in (ssl.create_default_context(), old_tls()):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(port.number, "GET", "/", {"Host": "localhost"}, tls=context)
    assert await port.is_greeted()


async def many(port: Port) -> None:
    """Handshakes of strangers take turns, and all get one."""
    assert all(await asyncio.gather(*(port.is_greeted() for _ in range(40))))


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def old_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def scene(scenario: Callable[[Port], Awaitable[None]], own: Certificate, **bounds: Any) -> None:
    async with opened(own, **bounds) as port:
        await scenario(port)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("scenario", "bounds"),
    [
        (plain_http, {}),
        (hello_that_stops, {}),
        (crowd, {"most": 20}),
        (distrust, {}),
        (many, {"turns_per_s": 200}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_stranger_is_bounded_before_the_handshake(
    scenario: Scenario, bounds: dict[str, Any], loop: Any, own: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scenario is hello_that_stops:
        monkeypatch.setattr(tls_listener, "HANDSHAKE_S", 0.3)
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene(scenario, own, **bounds))
