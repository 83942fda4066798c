"""What a web page, a rebound name or a tunnel gets from a keyless server, and malformed headers from any."""

import asyncio
from collections.abc import Iterable

from benchmarks.attacks.attack import Observations, check
from benchmarks.attacks.connection import dialled
from benchmarks.attacks.server import AttackedServer
from benchmarks.attacks.target import Target, bearer

JSON = {"Content-Type": "application/json"}
FOREIGN: dict[str, dict[str, str]] = {
    "Origin null": {"Origin": "null"},
    "Origin of another page": {"Origin": "https://evil.example"},
    "Origin without a scheme": {"Origin": "evil.example"},
    "Origin file": {"Origin": "file://"},
    "malformed Origin": {"Origin": "http://["},
    "Origin that begins like ours": {"Origin": "http://127.0.0.1.evil.example"},
    "foreign Host": {"Host": "evil.example"},
    "Host that begins like ours": {"Host": "localhost.evil.example"},
    "X-Forwarded-For": {"X-Forwarded-For": "203.0.113.7"},
    "Forwarded": {"Forwarded": "for=203.0.113.7"},
    "Via": {"Via": "1.1 tunnel"},
}
OURS: dict[str, dict[str, str]] = {
    "no Origin": {},
    "Origin of this machine": {"Origin": "http://localhost:3000"},
    "Host localhost": {"Host": "localhost"},
}
GATEWAY = (
    ("GET", "/v1/models", b""),
    ("GET", "/v1/realtime/sessions", b""),
    ("GET", "/v1/usage", b""),
    ("POST", "/v1/realtime/client_secrets", b"{}"),
)
WEBHOOK = (
    ("POST", "/v1/track", b'{"trackingId":"PKG004"}'),
    ("POST", "/vapi/webhook", b'{"message":{"type":"status-update","status":"ended"}}'),
)
INTERNAL = (("POST", "/breaker/reset", b""), ("GET", "/cache", b""), ("DELETE", "/cache", b""))
Route = tuple[str, str, bytes]


async def _ask(target: Target, port: int, route: Route, more: dict[str, str]) -> int:
    method, path, body = route
    headers = {"Host": target.host, **JSON, **more}
    headers["Host"] += f":{port}"
    async with dialled(target, port=port) as connection:
        return await connection.request(method, path, headers=headers, body=body)


async def _every_route(server: AttackedServer, observed: Observations, port: int, routes: Iterable[Route]) -> None:
    """Foreign requests get a 4xx on each route, our own do not."""
    for route in routes:
        where = f"{route[0]} {route[1]}"
        for name, headers in FOREIGN.items():
            status = await _ask(server.target, port, route, headers)
            observed.expect(400 <= status < 500, f"{where}, {name}: {status}")
        for name, headers in OURS.items():
            status = await _ask(server.target, port, route, headers)
            observed.expect(status not in (0, 401, 403) and status < 500, f"{where}, {name}: refused with {status}")
    observed.figures["requests"] = len(tuple(routes)) * len(FOREIGN | OURS)


@check("6", holds="foreign requests are refused with a 4xx, those of this machine are not", server="keyless")
async def keyless_rest(server: AttackedServer, observed: Observations) -> None:
    """A page, a rebound name and a tunnel ask the gateway's REST routes."""
    await _every_route(server, observed, server.target.port, GATEWAY)


@check("6", holds="foreign requests are refused with a 4xx, those of this machine are not", server="keyless")
async def keyless_webhook(server: AttackedServer, observed: Observations) -> None:
    """The same at the webhook server's public port."""
    await _every_route(server, observed, server.target.webhook_port, WEBHOOK)


@check("6", holds="foreign requests are refused with a 4xx, those of this machine are not", server="keyless")
async def keyless_internal_port(server: AttackedServer, observed: Observations) -> None:
    """The same at the webhook server's internal port."""
    await _every_route(server, observed, server.target.internal_port, INTERNAL)


@check("6", holds="no session for foreign requests, one for those of this machine", server="keyless")
async def keyless_socket(server: AttackedServer, observed: Observations) -> None:
    """The same at the Realtime socket."""
    for name, headers in {**FOREIGN, **OURS}.items():
        host = headers.get("Host", "")
        more = "".join(f"{header}: {value}\r\n" for header, value in headers.items() if header != "Host")
        async with dialled(server.target) as connection:
            agreed = await connection.upgrade(server.target, host=host, more=more)
            first = await connection.first_event() if agreed else {}
        has_session = first.get("type") == "session.created"
        observed.expect(has_session == (name in OURS), f"{name}: {first.get('type', 'no event')}")
        observed.expect(bool(first) or not agreed, f"{name}: the connection breaks without a word")
    await asyncio.sleep(0.2)
    observed.expect("Traceback" not in server.log(), "the log has a trace")


@check("14", holds="typed refusals: no 5xx, no trace in the log")
async def malformed_headers(server: AttackedServer, observed: Observations) -> None:
    """Malformed Origin, Host, Authorization and bodies at a server with keys."""
    target = server.target
    good = bearer(target.acme_key)
    for name, headers in {
        "malformed Origin": {**good, "Origin": "http://["},
        "Host with a bracket": {**good, "Host": "["},
        "Authorization with bytes": {"Authorization": "Bearer \xff\xfe"},
        "Authorization of 60 kB": {"Authorization": "Bearer " + "x" * 60_000},
        "negative Content-Length": {**good, "Content-Length": "-1"},
    }.items():
        for route in (("GET", "/v1/models", b""), ("POST", "/v1/realtime/client_secrets", b"\xff\xfe")):
            status = await _ask(target, target.port, route, headers)
            observed.expect(status < 500, f"{route[0]} {route[1]}, {name}: {status}")
    observed.expect("Traceback" not in server.log(), "the log has a trace")
