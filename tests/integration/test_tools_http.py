"""A tool of somebody else's over real HTTP: signed, bounded, repeated only when that does no harm, one text for each failure."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.kit.fault_proxy import Break, Fault, FaultProxy, Reply, Request, server_error

from agentvoicebox.clock import ManualClock
from agentvoicebox.resilience.breaker import BreakerPolicy, BreakerState
from agentvoicebox.tools.addresses import Addresses
from agentvoicebox.tools.declaration import ToolDeclaration
from agentvoicebox.tools.definition import Outcome, ToolContext
from agentvoicebox.tools.http_tool import SIGNATURE, HttpTool

ACME = ToolContext("acme", "sess_1", "call_1")
AT_HOME = Addresses(is_local=True)
DONE = Reply(body=b'{\n "booked": "10:00",\n "speech": "Booked."\n}')
SECRET = "a secret of ours"
LONG_S = 10.0


@asynccontextmanager
async def tool(url: str, addresses: Addresses = AT_HOME, **more: Any) -> AsyncIterator[HttpTool]:
    made = {name: more.pop(name) for name in ("breaker", "clock", "tls", "environment", "secret") if name in more}
    declaration = ToolDeclaration(name="book", description="Book.", url=url, **{"timeout_s": LONG_S, **more})
    http = HttpTool(declaration, addresses, chance=lambda: 1.0, **made)
    yield http
    await http.close()


async def ask(plan: Iterable[Fault | None], **more: Any) -> tuple[Outcome, list[Request]]:
    async with FaultProxy(plan=plan) as server, tool(server.url + "/book?x=1", **more) as http:
        outcome = await http.run({"at": "10:00"}, ACME)
        return outcome, server.requests


async def test_a_call_says_who_asks_and_is_signed() -> None:
    outcome, (request,) = await ask(
        [DONE], secret=SECRET, headers={"Authorization": "Bearer ${TOKEN}"}, environment={"TOKEN": "t0k3n"}
    )
    assert (request.method, request.target) == ("POST", "/book?x=1")
    assert msgspec.json.decode(request.body) == {
        "name": "book", "arguments": {"at": "10:00"}, "call_id": "call_1", "session_id": "sess_1", "tenant_id": "acme",
    }  # fmt: skip
    assert request.headers["authorization"] == "Bearer t0k3n"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"].startswith("127.0.0.1:")
    at, signature = (part.partition("=")[2] for part in request.headers[SIGNATURE.lower()].split(","))
    assert signature == hmac.new(SECRET.encode(), f"{at}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert (outcome.output, outcome.speech) == ('{"booked":"10:00","speech":"Booked."}', "Booked.")
    assert outcome.data["booked"] == "10:00" and not outcome.is_error


async def test_the_idempotency_key_is_the_calls_own() -> None:
    keys = []
    async with FaultProxy(plan=lambda _: DONE) as server, tool(server.url) as http:
        for arguments, context in (
            ({}, ACME),
            ({}, ACME),
            ({"a": 1}, ACME),
            ({}, ToolContext("acme", "sess_2", "call_1")),
        ):
            await http.run(arguments, context)
        keys = [request.headers["idempotency-key"] for request in server.requests]
        assert SIGNATURE.lower() not in server.requests[0].headers
    assert keys[0] == keys[1] and len(set(keys)) == 3


@pytest.mark.parametrize("how", ["is_read_only", "is_idempotent"])
@pytest.mark.parametrize("fault", [server_error(500), server_error(429), Break.RESET, Break.HANG_UP, Break.CUT])
async def test_what_may_be_repeated_is(how: str, fault: Fault) -> None:
    outcome, requests = await ask([fault, fault, DONE], **{how: True})
    assert (outcome.code, len(requests)) == ("OK", 3)
    assert len({request.headers["idempotency-key"] for request in requests}) == 1


@pytest.mark.parametrize("fault", [Break.RESET, Break.HANG_UP, Break.CUT])
async def test_a_side_effect_that_broke_off_is_sent_once_and_left_unknown(fault: Fault) -> None:
    outcome, requests = await ask([fault, DONE])
    assert (outcome.output, len(requests)) == ('{"error":"outcome_unknown"}', 1)


@pytest.mark.parametrize("is_read_only", [True, False])
async def test_a_tool_that_says_nothing_is_left_in_time(is_read_only: bool) -> None:
    outcome, requests = await ask([Break.SILENCE] * 9, timeout_s=0.2, is_read_only=is_read_only)
    assert outcome.output == '{"error":"%s"}' % ("tool_timeout" if is_read_only else "outcome_unknown")
    assert len(requests) == 1


async def test_a_drip_is_no_way_around_the_time() -> None:
    outcome, _ = await ask([Reply(body=b"x" * 1000, drip_s=0.05)], timeout_s=0.3, is_read_only=True)
    assert outcome.output == '{"error":"tool_timeout"}'


async def test_a_side_effect_whose_server_says_that_it_failed_is_not_repeated() -> None:
    outcome, requests = await ask([server_error(503), DONE])
    assert (outcome.output, len(requests)) == ('{"error":"tool_failed","status":503}', 1)


async def test_a_request_that_never_left_is_repeated_whatever_it_does() -> None:
    """The first connection is refused; the server is there for the second."""
    async with FaultProxy(plan=lambda _: DONE) as server:
        port = int(server.url.rpartition(":")[2])
        looked_up = 0

        async def resolve(host: str, _: int) -> list[str]:
            nonlocal looked_up
            looked_up += 1
            return ["127.0.0.9"] if looked_up == 1 else ["127.0.0.9", "127.0.0.1"]

        async with tool(f"http://home:{port}", Addresses(is_local=True, resolve=resolve)) as http:
            assert (await http.run({}, ACME)).code == "OK"
        assert (looked_up, len(server.requests)) == (2, 1)
        assert server.requests[0].headers["host"] == f"home:{port}"


async def test_a_server_that_is_away_changed_nothing() -> None:
    async with FaultProxy() as server:
        url = server.url
    async with tool(url) as http:
        assert (await http.run({}, ACME)).output == '{"error":"tool_unavailable"}'


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with FaultProxy(plan=lambda _: DONE) as elsewhere:
        moved = Reply(status, headers={"location": elsewhere.url})
        outcome, requests = await ask([moved, moved, moved], is_read_only=True)
        assert (outcome.output, len(requests)) == (f'{{"error":"tool_refused","status":{status}}}', 1)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("reply", "output"),
    [
        (Reply(body=b"Booked\r\nfor ten.\xe2\x80\xa8\x00", content_type="text/plain"), "Booked for ten."),
        (Reply(body=b""), '{"result":null}'),
        (Reply(204, b""), '{"result":null}'),
        (Reply(body=b'"one\\u2028two\\nthree"'), '"one two\\nthree"'),
        (Reply(body=b"[" * 5000), "[" * 5000),
        (Reply(404), '{"error":"tool_refused","status":404}'),
        (Reply(body=b"\xff\xfe"), '{"error":"bad_result","problem":"not a text"}'),
        (Reply(body=b"x" * 8193), '{"error":"bad_result","problem":"too long"}'),
        (Reply(body=b"x" * 10_000_000), '{"error":"bad_result","problem":"too long"}'),
        (Reply(body=b"x", headers={"content-encoding": "gzip"}), '{"error":"bad_result","problem":"packed"}'),
    ],
)  # fmt: skip
async def test_every_answer_becomes_one_line(reply: Reply, output: str) -> None:
    outcome, requests = await ask([reply])
    assert outcome.output == output
    assert len(requests) == 1


async def test_an_answer_is_left_as_soon_as_it_is_too_long() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 9000)
        await reader.read()  # nothing more comes until the client leaves
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with tool(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
        assert (await http.run({}, ACME)).output == '{"error":"bad_result","problem":"too long"}'
    server.close()
    await server.wait_closed()
    for _ in range(10):  # httpx leaves its inner generators to the loop, which closes them in a few turns
        await asyncio.sleep(0)


async def test_a_breaker_spares_a_tool_that_is_down_and_probes_it_later() -> None:
    clock = ManualClock()
    policy = BreakerPolicy(failures_to_open=3, open_s=30.0)
    async with FaultProxy(plan=[server_error()] * 3) as server, tool(server.url, clock=clock, breaker=policy) as http:
        for _ in range(3):
            await http.run({}, ACME)
        states = [http.breaker_state]
        assert (await http.run({}, ACME)).output == '{"error":"tool_unavailable"}'
        assert len(server.requests) == 3
        clock.advance(31)
        server.follow(lambda _: DONE)
        assert (await http.run({}, ACME)).code == "OK"
        assert [*states, http.breaker_state] == [BreakerState.OPEN, BreakerState.CLOSED]


async def test_a_cancelled_call_gives_the_breaker_its_probe_back() -> None:
    async with FaultProxy(plan=[Break.SILENCE]) as server, tool(server.url, is_read_only=True) as http:
        calling = asyncio.create_task(http.run({}, ACME))
        await server.arrived(1)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        server.follow(lambda _: DONE)
        assert (await http.run({}, ACME)).code == "OK"


async def test_nothing_is_sent_to_an_address_that_is_not_allowed() -> None:
    async with FaultProxy(plan=lambda _: DONE) as server:
        async with tool(server.url, Addresses(is_local=False), is_read_only=True) as http:
            assert (await http.run({}, ACME)).output == '{"error":"address_not_allowed"}'
        assert server.requests == []


# -- TLS: the connection goes to the address that was looked at, the certificate is that of the name ------------------


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(a server's context for `name`, a client's that trusts it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


@pytest.mark.parametrize(("name", "output"), [("tools.example", '{"ok":true}'), ("evil.example", None)])
async def test_the_certificate_must_be_the_names_although_the_address_is_pinned(
    name: str, output: str | None, tmp_path: Path
) -> None:
    theirs, ours = certificate(tmp_path, "tools.example")
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok":true}')
        await writer.drain()
        writer.close()

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=theirs)
    url = f"https://{name}:{server.sockets[0].getsockname()[1]}/book"
    async with tool(url, Addresses(is_local=True, resolve=resolve), tls=ours, retries=0) as http:
        outcome = await http.run({}, ACME)
    server.close()
    await server.wait_closed()
    assert outcome.output == (output or '{"error":"tool_unavailable"}')
    assert len(got) == (1 if output else 0)
