"""The webhook server's addresses: what each takes, and the typed error that every other request gets, on both ports (B1.1)."""

from collections.abc import AsyncIterator

import pytest
from tests.kit.webhook import WebhookClients, running

pytestmark = pytest.mark.requirement("B1.1")

PUBLIC = [
    ("GET", "/vapi/webhook", 405, "method_not_allowed", "POST"),
    ("HEAD", "/vapi/webhook", 405, None, "POST"),
    ("OPTIONS", "/v1/track", 405, "method_not_allowed", "POST"),
    ("DELETE", "/v1/tools/get_delivery_status", 405, "method_not_allowed", "POST"),
    ("GET", "/vapi/webhook/", 405, "method_not_allowed", "POST"),  # a slash at the end changes nothing
    ("POST", "/", 404, "unknown_url", None),
    ("GET", "/", 404, "unknown_url", None),
    ("HEAD", "/", 404, None, None),
    ("POST", "/vapi", 404, "unknown_url", None),
    ("POST", "//vapi/webhook", 404, "unknown_url", None),
    ("POST", "/v1/tools/open_door", 404, "unknown_url", None),
]
INTERNAL = [
    ("GET", "/healthz", 200, None, None),
    ("HEAD", "/healthz", 200, None, None),
    ("HEAD", "/metrics", 200, None, None),
    ("GET", "/healthz/", 200, None, None),
    ("POST", "/healthz", 405, "method_not_allowed", "GET, HEAD"),
    ("GET", "/breaker/reset", 405, "method_not_allowed", "POST"),
    ("GET", "/nothing", 404, "unknown_url", None),
]


@pytest.fixture
async def line(parcels_url: str) -> AsyncIterator[WebhookClients]:
    async with running(postgres_url=parcels_url) as made:
        yield made


@pytest.mark.parametrize(
    ("port", "row"), [*(("public", row) for row in PUBLIC), *(("internal", row) for row in INTERNAL)], ids=str
)
async def test_every_request_gets_the_status_and_the_error_of_the_table(
    line: WebhookClients, port: str, row: tuple[str, str, int, str | None, str | None]
) -> None:
    method, path, status, code, allowed = row
    answer = await getattr(line, port).request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allowed)
    if method == "HEAD":
        assert answer.content == b""
    elif code is not None:
        error = answer.json()["error"]
        assert sorted(error) == ["code", "message", "param", "type"]
        assert (error["code"], error["type"]) == (code, "invalid_request_error")
        assert "realtime" not in error["message"]
