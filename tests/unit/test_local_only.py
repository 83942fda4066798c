"""Which requests can only have come from this machine."""

import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from agentvoicebox.http_server.local_only import LocalOnly, find_foreign

LOCAL_HOSTS = ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "127.8.9.1"]
FOREIGN_HOSTS = [
    "evil.example:8130",
    "localhost.evil.example",
    "10.0.0.1",
    "[fe80::1]:80",
    "",
    "[",
    "localhost@evil.example",
    "0.0.0.0",
]
LOCAL_ORIGINS = ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173"]
FOREIGN_ORIGINS = [
    "null", "file://", "file:///home/page.html", "evil.example", "http://evil.example", "http://[", "http://localhost.evil.example",
    "http://localhost:port", "", "localhost", "chrome-extension://abc", "http://localhost@evil.example", "http://[::1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL_HOSTS)
def test_a_request_that_names_this_machine_is_served(host: str) -> None:
    assert find_foreign({"host": host}) is None


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_request_that_names_another_host_is_foreign(host: str) -> None:
    foreign = find_foreign({"host": host})
    assert foreign is not None
    assert (foreign.code, "AVB_API_KEYS" in foreign.message) == ("host_not_allowed", True)


@pytest.mark.parametrize("origin", LOCAL_ORIGINS)
def test_a_page_of_this_machine_is_served(origin: str) -> None:
    assert find_foreign({"host": "localhost", "origin": origin}) is None


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize("checks_host", [True, False])
def test_any_other_page_is_foreign(origin: str, checks_host: bool) -> None:
    foreign = find_foreign({"host": "localhost", "origin": origin}, checks_host=checks_host)
    assert foreign is not None
    assert foreign.code == "origin_not_allowed"


@pytest.mark.parametrize(
    "header", ["x-forwarded-for", "via", "forwarded", "x-real-ip", "x-forwarded-host", "cf-connecting-ip"]
)
def test_what_came_through_a_proxy_is_foreign(header: str) -> None:
    foreign = find_foreign({"host": "localhost", header: "127.0.0.1"})
    assert foreign is not None
    assert foreign.code == "proxy_not_allowed"


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_the_refusal_is_a_typed_403_and_nothing_behind_it_runs(kind: str) -> None:
    sent: list[Message] = []
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing of the request is read")

    served = LocalOnly(app, is_exempt=lambda headers: headers.get("authorization") == "Bearer ours")
    scope: dict[str, Any] = {
        "type": kind,
        "path": "/v1/models",
        "headers": [(b"host", b"localhost"), (b"origin", b"null")],
    }
    await served(scope, receive, send)
    assert sent[0]["status"] == 403
    assert json.loads(sent[1]["body"])["error"]["code"] == "origin_not_allowed"
    assert all(message["type"].startswith(f"{kind}." if kind == "websocket" else "http.response") for message in sent)
    assert reached == []
    await served({**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer ours")]}, receive, send)
    await served({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
    assert reached == ["/v1/models", "/v1/models"]
