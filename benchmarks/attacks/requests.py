"""HTTP requests beside the calls: pipelined, oversized, or costly for the database."""

import asyncio

import httpx
from benchmarks.attacks.attack import MIB, Attacker, beside
from benchmarks.attacks.connection import dialled, source
from benchmarks.attacks.target import bearer

PIPELINED = 10_000


def _tenant(attacker: Attacker, number: int) -> httpx.AsyncClient:
    """A REST client with the attacker's key, from an address of its own."""
    transport = httpx.AsyncHTTPTransport(local_address=source(number))
    headers = bearer(attacker.target.acme_key)
    return httpx.AsyncClient(base_url=attacker.target.rest, transport=transport, headers=headers)


@beside("own")
async def pipelined_requests(attacker: Attacker) -> None:
    """Two connections without a key send 10,000 requests in one go, again and again."""
    requests = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * PIPELINED

    async def one(number: int) -> None:
        async with dialled(attacker.target, number) as connection:
            connection.drop_input()
            while not attacker.is_over and await connection.send(requests):
                attacker.count("requests", PIPELINED)

    await attacker.crowd(2, one)


@beside("own")
async def pipelined_unread(attacker: Attacker) -> None:
    """Eight connections without a key send 10,000 requests each for the metrics page and read no answer."""
    requests = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * PIPELINED

    async def one(number: int) -> None:
        async with dialled(attacker.target, number) as connection:
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            attacker.count("requests", PIPELINED)
            async with asyncio.timeout(attacker.left_s):
                await connection.send(requests)
            await asyncio.sleep(attacker.left_s)

    await attacker.crowd(8, one)


@beside("own")
async def long_addresses(attacker: Attacker) -> None:
    """Requests whose address has 1 MiB, or which have 20,000 headers or query parameters."""
    requests = (
        b"GET /" + b"a" * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"GET /v1/realtime/sessions?" + b"after=a&" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/realtime?model=" + b"%41" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    )

    async def one(number: int) -> None:
        async with dialled(attacker.target, number) as connection:
            connection.drop_input()
            await connection.send(requests[attacker.seen["requests"] % len(requests)])
            attacker.count("requests")
            await asyncio.sleep(0.02)

    await attacker.crowd(4, one)


@beside("own")
async def history_pages(attacker: Attacker) -> None:
    """A tenant with a good key reads pages of its history and its usage over a year, from sixteen connections without a pause."""
    paths = (
        "/v1/realtime/sessions?limit=100&order=asc",
        "/v1/realtime/sessions?limit=100&after=sess_00000000000000000000",
        "/v1/usage?from=2026-01-01&to=2026-12-31",
        "/v1/realtime/sessions/sess_00000000000000000000/items?limit=100&order=asc",
    )

    async def one(number: int) -> None:
        async with _tenant(attacker, number) as http:
            while not attacker.is_over:
                try:
                    answer = await http.get(paths[attacker.seen["requests"] % len(paths)])
                    attacker.count(f"status_{answer.status_code}")
                except httpx.HTTPError as error:
                    attacker.count(type(error).__name__)
                attacker.count("requests")

    await attacker.crowd(16, one)


@beside("own")
async def minted_secrets(attacker: Attacker) -> None:
    """A tenant with a good key mints secrets with 200 kB of instructions each, as many as go."""
    body = {"session": {"type": "realtime", "instructions": "x" * 200_000}, "expires_after": {"seconds": 7_200}}

    async def one(number: int) -> None:
        async with _tenant(attacker, number) as http:
            while not attacker.is_over:
                try:
                    answer = await http.post("/v1/realtime/client_secrets", json=body)
                    attacker.count(f"status_{answer.status_code}")
                except httpx.HTTPError as error:
                    attacker.count(type(error).__name__)

    await attacker.crowd(8, one)
