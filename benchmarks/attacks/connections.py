"""TCP connections of strangers without a key: silent, slow, endless or senseless."""

import asyncio

from benchmarks.attacks.attack import Attacker, Observations, beside, check
from benchmarks.attacks.connection import Connection, dial, dialled
from benchmarks.attacks.server import WEBHOOK_SECRET, AttackedServer

SILENT = 1_100  # more than the file descriptors of a process that was started from a shell
SLOW = 200
STRANGERS = 2_000
COMES_EVERY_S = 4.0
CLOSED_S = 15.0  # ten seconds for a request, and some for a busy machine
GIVEN_UP_S = 25.0
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))


async def _hold(
    attacker: Attacker, count: int, first: bytes, *, sources: int, more: bytes = b"", port: int = 0
) -> None:
    """Open so many connections from so many addresses, send the first bytes, then `more` once a second, until time is over."""
    held: list[Connection] = []
    try:
        while not attacker.is_over:
            while len(held) < count and not attacker.is_over:
                try:
                    connection = await dial(attacker.target, len(held) % sources, port=port)
                except (OSError, TimeoutError) as error:
                    attacker.count(type(error).__name__)
                    break
                connection.drop_input()
                held.append(connection)
                attacker.count("opened")
                await connection.send(first)
            for connection in held if more else ():
                await connection.send(more)
            await asyncio.sleep(min(1.0, attacker.left_s))
        attacker.count("still_open", sum(not each.is_closed for each in held))
    finally:
        await asyncio.gather(*(each.close() for each in held))


@beside("none", holds="all figures are those of a quiet server: what differs is the noise of the measurement")
async def nothing(attacker: Attacker) -> None:
    """The attacker sleeps."""
    attacker.count("slept")
    await asyncio.sleep(attacker.left_s)


@beside("4", holds="served as before, also a new caller; descriptors are left for others")
async def silent_connections(attacker: Attacker) -> None:
    """1,100 connections that send nothing, all from one address."""
    await _hold(attacker, SILENT, b"", sources=1)


@beside("4", holds="served as before, also a new caller; descriptors are left for others")
async def silent_connections_of_many(attacker: Attacker) -> None:
    """1,100 connections that send nothing, from 249 addresses."""
    await _hold(attacker, SILENT, b"", sources=249)


@beside("4")
async def half_request_lines(attacker: Attacker) -> None:
    """400 connections send half a request line and wait."""
    await _hold(attacker, 400, b"GET /v1/rea", sources=100)


@beside("4")
async def endless_headers(attacker: Attacker) -> None:
    """200 connections send a header a second, and never the empty line."""
    first = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    await _hold(attacker, SLOW, first, sources=100, more=b"X-A: " + b"b" * 200 + b"\r\n")


@beside("4")
async def headers_byte_by_byte(attacker: Attacker) -> None:
    """200 connections send one byte a second of a request."""
    await _hold(attacker, SLOW, b"GET /", sources=100, more=b"a")


@beside("4")
async def bodies_that_never_come(attacker: Attacker) -> None:
    """200 connections announce a body of 200 kB and do not send it."""
    first = b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200000\r\n\r\n{"
    await _hold(attacker, SLOW, first, sources=100)


@beside("4")
async def silent_at_the_webhook(attacker: Attacker) -> None:
    """1,100 connections that send nothing, at the webhook server's port."""
    await _hold(attacker, SILENT, b"", sources=249, port=attacker.target.webhook_port)


@check("4", holds=f"the server answers or closes each within {CLOSED_S:.0f} s, at every port")
async def requests_that_never_end(server: AttackedServer, observed: Observations) -> None:
    """Connections that are silent, end in the middle of a request, go on without end, or go on byte by byte."""
    target = server.target
    common = f"HTTP/1.1\r\nHost: {target.host}\r\nContent-Type: application/json\r\nX-Vapi-Secret: {WEBHOOK_SECRET}\r\n"
    common += f"Authorization: Bearer {target.acme_key}\r\n"
    ports = {
        "gateway": (target.port, "/v1/realtime/client_secrets"),
        "webhook": (target.webhook_port, "/vapi/webhook"),
        "internal": (target.internal_port, "/breaker/reset"),
    }

    def kinds(path: str) -> dict[str, tuple[bytes, bytes]]:
        head = f"POST {path} {common}".encode()
        return {
            "silent": (b"", b""),
            "half a request line": (b"GET /v1/rea", b""),
            "a byte a second": (b"GET /", b"a"),
            "headers that never end": (head, b"X-A: b\r\n"),
            "a body that never comes": (head + b"Content-Length: 200\r\n\r\n{", b""),
            "a body byte by byte": (head + b"Content-Length: 200000\r\n\r\n{", b" "),
        }

    async def one(where: str, port: int, kind: str, first: bytes, more: bytes) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with dialled(target, port=port) as connection:
            await connection.send(first)
            while loop.time() - began_s < GIVEN_UP_S:
                if await connection.is_answered(1.0) or not await connection.send(more):
                    break
            took_s = loop.time() - began_s
        observed.figures[f"{where}, {kind}"] = round(took_s, 1)
        observed.expect(took_s <= CLOSED_S, f"{where}, {kind}: open after {took_s:.0f} s")

    await asyncio.gather(
        *(one(where, port, kind, *sent) for where, (port, path) in ports.items() for kind, sent in kinds(path).items())
    )


@beside("own")
async def strangers(attacker: Attacker) -> None:
    """2,000 strangers of 249 addresses: a quarter silent, a quarter slow, the rest with garbage or a guess every four seconds."""
    guess = f"sk-avb-{'0' * 12}-{'x' * 43}"
    wrong_key = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {guess}\r\n\r\n".encode()

    async def one(number: int) -> None:
        await asyncio.sleep(number / STRANGERS * COMES_EVERY_S)
        async with dialled(attacker.target, number) as connection:
            attacker.count("opened")
            match number % 4:
                case 0:
                    await connection.until_closed(attacker.left_s)
                case 1:
                    await connection.send(b"GET /")
                    while not attacker.is_over and await connection.send(b"a"):
                        await connection.until_closed(COMES_EVERY_S)
                case 2:
                    await connection.send(CLIENT_HELLO)
                case _:
                    await connection.send(wrong_key)
            await asyncio.sleep(COMES_EVERY_S / 2)

    await attacker.crowd(STRANGERS, one)


@beside("own")
async def connects_and_resets(attacker: Attacker) -> None:
    """Connections without a request, opened and reset at once, as many a second as go."""

    async def one(number: int) -> None:
        connection = await dial(attacker.target, attacker.seen["opened"])
        connection.abort()
        attacker.count("opened")

    await attacker.crowd(32, one)


@beside("own")
async def garbage(attacker: Attacker) -> None:
    """TLS greetings, HTTP/2 prefaces and noise, as fast as the server closes on them."""
    lines = (CLIENT_HELLO, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), bytes(range(256)) * 64, b"\r\n" * 5_000)

    async def one(number: int) -> None:
        async with dialled(attacker.target, attacker.seen["sent"]) as connection:
            await connection.send(lines[attacker.seen["sent"] % len(lines)])
            attacker.count("sent")
            await connection.until_closed(1.0)

    await attacker.crowd(16, one)


@beside("own")
async def half_closed_requests(attacker: Attacker) -> None:
    """Connections send a request that ends after half its body, end their side, and stay."""

    async def one(number: int) -> None:
        async with dialled(attacker.target, attacker.seen["sent"]) as connection:
            await connection.send(b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            connection.writer.write_eof()
            attacker.count("sent")
            await connection.until_closed(2.0)

    await attacker.crowd(64, one)
