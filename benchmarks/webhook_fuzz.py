"""Random bodies against the webhook server's public port, in process: no 5xx, no exception, no secret in a log line.

    python benchmarks/webhook_fuzz.py [--bodies 100000] [--seed 1]

Bodies begin as what the platform sends and are bent: values replaced, keys dropped and doubled, bytes cut and flipped, headers
made strange. Secrets, a phone number, words of a caller and whole tracking numbers are planted in each, and each line of the log
(at level debug) is searched for them. Prints one JSON object and a table; the exit code is 1 when anything was found.
"""

import argparse
import asyncio
import io
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.mutation import EXTREMES, Mutator  # noqa: E402

from agentvoicebox.errors import StorageLost  # noqa: E402
from agentvoicebox.kits.registry import load_settings  # noqa: E402
from agentvoicebox.kits.services import KitServices  # noqa: E402
from agentvoicebox.telemetry.logs import configure  # noqa: E402
from agentvoicebox.webhook.app import create_app  # noqa: E402
from agentvoicebox.webhook.role import build, metrics_of  # noqa: E402
from agentvoicebox.webhook.vapi import KNOWN  # noqa: E402
from agentvoicebox_delivery.parcels import tool_schema  # noqa: E402
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus  # noqa: E402
from agentvoicebox_delivery.routes import track_route  # noqa: E402
from agentvoicebox_delivery.settings import DeliverySettings  # noqa: E402
from agentvoicebox_delivery.sources.cache import CachedShipments  # noqa: E402
from agentvoicebox_delivery.sources.look_up import LookUp  # noqa: E402
from agentvoicebox_delivery.sources.metrics import LookUpMetrics  # noqa: E402
from agentvoicebox_delivery.tool import delivery_status  # noqa: E402

UPS = "1Z999AA10123456784"
PLANTED = (
    "SENSITIVE-7f3a",
    "TWILIO-9c1d",
    "+14155550123",
    "4155550123",
    "Wilhelmina",
    UPS,
    "PKG0042424",
    "hush-secret-5d",
)
ALLOWED = frozenset({200, 401, 404, 405, 413, 415, 422, 429})
ATOMS: tuple[Any, ...] = (
    *EXTREMES, UPS, "Wilhelmina", "+14155550123", "SENSITIVE-7f3a", "PKG0042424", "tool-calls", "function-call",
    "one zulu nine nine nine", "double five triple oh", "hang", "call_1", '{"tracking_id": "1Z', '"{}"',
)  # fmt: skip
KEYS = (
    "id", "type", "function", "name", "arguments", "parameters", "toolCall", "toolCallList", "toolCalls", "toolWithToolCallList",
    "functionCall", "message", "call", "chat", "tracking_id", "candidates", "args", "customer", "number", "toolCallId", "\u200b",
)  # fmt: skip
KINDS = (
    "application/json",
    "application/json; charset=utf-8",
    "text/plain",
    "",
    "application/json; charset=\x80",
    "a/b;c=d;=",
)


class Report(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        statuses: how often each was answered.
        broken: exceptions, statuses that may not be, answers that are no JSON, tool calls without a result.
        leaks: lines of the log that hold something planted.
    """

    bodies: int
    seconds: float
    statuses: dict[str, int]
    broken: list[str]
    leaks: list[str]
    slowest_ms: float


class Source:
    """Parcels, and now and then none of them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See ports.shipments; one look-up in twenty fails."""
        match self._chance.randrange(20):
            case 0:
                raise StorageLost("away")
            case 1:
                raise ZeroDivisionError(UPS)
        return [Shipment(each, ShipmentStatus.IN_TRANSIT, "UPS") for each in tracking_ids if each == UPS]

    async def check(self) -> None:
        """Always well."""


def message(chance: random.Random) -> dict[str, Any]:
    """A body as the platform writes it, in one of its shapes."""
    arguments: Any = {"tracking_id": chance.choice((UPS, "PKG0042424", "P K G zero zero four", 123456789012))}
    if chance.random() < 0.4:
        arguments = json.dumps(arguments)
    name = chance.choice(("track_shipment", "get_delivery_status", "pizza"))
    call: dict[str, Any] = {"id": f"call_{chance.randrange(50)}", "type": "function", "function": {"name": name}}
    call["function"][chance.choice(("arguments", "parameters"))] = arguments
    if chance.random() < 0.3:
        call = {"id": call["id"], "name": name, "arguments": arguments}
    around = {
        "call": {"id": f"b1223960-{chance.randrange(50)}", "customer": {"number": "+14155550123"}, "squadId": None},
        "phoneNumber": {"twilioAuthToken": "TWILIO-9c1d"},
        "customer": {"number": "+14155550123"},
        "artifact": {"messages": [{"role": "user", "message": "this is Wilhelmina", "time": 1722032455940}]},
        "timestamp": 1767225600000,
    }
    tool = {"type": "function", "server": {"secret": "SENSITIVE-7f3a"}, "function": {"name": name}, "toolCall": call}
    match chance.randrange(6):
        case 0:
            return {"message": {"type": chance.choice(sorted(KNOWN)), **around}}
        case 1:
            part = {"name": name, "parameters": arguments}
            return {"message": {"type": "function-call", "functionCall": part, **around}}
        case 2:
            return {"tracking_id": UPS, "args": {"tracking_id": UPS}, "call": around["call"]}
        case 3:
            return {"message": {"type": "tool-calls", "toolWithToolCallList": [tool], **around}}
    batch = [call, {**call, "id": "call_z"}][: chance.randrange(1, 3)]
    return {"message": {"type": "tool-calls", "toolCallList": batch, "toolWithToolCallList": [tool], **around}}


def headers(chance: random.Random) -> list[tuple[bytes, bytes]]:
    """Mostly good ones, with a credential."""
    kind = "application/json" if chance.random() < 0.95 else chance.choice(KINDS)
    found = [(b"content-type", kind.encode("latin-1"))]
    found.append(
        (b"x-vapi-secret", b"hush-secret-5d" if chance.random() < 0.95 else bytes([chance.randrange(256)] * 9))
    )
    if chance.random() < 0.05:
        name = chance.choice(
            (b"authorization", b"x-signature", b"x-correlation-id", b"content-encoding", b"x-forwarded-for")
        )
        found.append((name, chance.choice((b"\xff\x00", b"gzip", b"Bearer hush-secret-5d", b"", b"a b", b"9" * 99))))
    return found


async def fuzz(bodies: int, seed: int, *, settings: dict[str, Any] | None = None) -> Report:
    """Send so many bodies and judge every answer."""
    chance = random.Random(seed)
    mutator = Mutator(chance, ATOMS, KEYS)
    lines = io.StringIO()
    configure(service="fuzz", level="debug", out=lines)
    loaded = load_settings(
        vapi_secrets="hush-secret-5d",
        vapi_bearer_tokens="hush-secret-5d",
        webhook_source_limit=0,
        limit_wrong_credentials=0,
        **(settings or {}),
    )
    registry = CollectorRegistry()
    cache = CachedShipments(Source(chance), fresh_s=0.0, negative_fresh_s=0.0)
    look_up = LookUp("fuzz", Source(chance), cache, LookUpMetrics(registry))
    services = KitServices(
        tools=(delivery_status(look_up.find),),
        aliases=dict.fromkeys(DeliverySettings.of(loaded).tool_names, tool_schema.NAME),
        tool_routes=(track_route(),),
    )
    server = build(loaded, [services], metrics_of([services], registry))
    app = create_app(server)
    statuses: Counter[str] = Counter()
    broken: list[str] = []
    leaks: list[str] = []
    slowest_s = 0.0
    began_s = time.perf_counter()
    for number in range(bodies):
        body = message(chance)
        for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
            body = mutator.bend(body)
        raw = mutator.written(body)
        is_webhook = isinstance(body, dict) and "message" in body
        path = "/vapi/webhook" if is_webhook != (chance.random() < 0.05) else "/v1/track"
        method = "POST" if chance.random() < 0.99 else chance.choice(("GET", "PUT", "DELETE"))
        sent_s = time.perf_counter()
        try:
            status, answer = await _post(app, path, raw, headers(chance), method)
        except Exception as error:
            broken.append(f"body {number}: {type(error).__name__}")
            continue
        slowest_s = max(slowest_s, time.perf_counter() - sent_s)
        statuses[str(status)] += 1
        broken += [f"body {number}: {fault}" for fault in _faults(status, answer)]
        if number % 500 == 0 or number == bodies - 1:
            for line in lines.getvalue().splitlines():
                leaks += [line for planted in PLANTED if planted in line]
            lines.seek(0)
            lines.truncate()
    await server.dispatch.close()
    await cache.close()
    seconds = time.perf_counter() - began_s
    return Report(bodies, round(seconds, 1), dict(sorted(statuses.items())), broken, leaks, round(slowest_s * 1000, 1))


def _faults(status: int, answer: bytes) -> list[str]:
    if status not in ALLOWED:
        return [f"status {status}"]
    try:
        told = json.loads(answer)
    except ValueError:
        return ["the answer is no JSON"]
    if status == 422 and not told.get("detail"):
        return ["a 422 without details"]
    results = told.get("results", []) if status == 200 else []
    return [
        "a result that no platform reads"
        for each in results
        if not (isinstance(each.get("result", each.get("error")), str) and "toolCallId" in each and "name" in each)
    ]


async def _post(app: Any, path: str, body: bytes, headers: list[tuple[bytes, bytes]], method: str) -> tuple[int, bytes]:
    """One request over ASGI."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers, "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
    }  # fmt: skip
    parts = [body[: len(body) // 2], body[len(body) // 2 :]]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        part = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Fuzz of the webhook.")
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report = asyncio.run(fuzz(arguments.bodies, arguments.seed))
    print(json.dumps({"benchmark": "webhook_fuzz", "seed": arguments.seed, **msgspec.to_builtins(report)}))
    table = Table("bodies", "seconds", "statuses", "broken", "leaks", "slowest ms", title="webhook fuzz")
    told = ", ".join(f"{status}: {count}" for status, count in report.statuses.items())
    table.add_row(
        str(report.bodies),
        str(report.seconds),
        told,
        str(len(report.broken)),
        str(len(report.leaks)),
        str(report.slowest_ms),
    )
    Console().print(table)
    return 1 if report.broken or report.leaks else 0


if __name__ == "__main__":
    sys.exit(main())
