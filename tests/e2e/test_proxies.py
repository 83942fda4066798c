"""Calls through the proxies of `deploy/proxies`: TLS, WebSockets, audio both ways, and limits by the caller's own address."""

import asyncio
import contextlib
import itertools
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.conftest import ServerLoop
from tests.kit.certificates import Certificate, certificate
from tests.kit.proxies import FOLDER, PROXIES, proxy
from tests.kit.waiting import EVERY_S, PATIENCE_S

from agentvoicebox.cli.local_server import LocalServer, local_server
from agentvoicebox.client.caller import open_call
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = pytest.mark.requirement("A17")

KEY = "a-key-of-the-tests"
WRONG = 3
LONGEST_CALL_S = 3_600
SETTINGS = {
    "AVB_API_KEYS": KEY,
    "AVB_STT_PROFILE": "scripted",
    "AVB_TTS_ORDER": "scripted",
    "AVB_TRUSTED_PROXY_HEADER": "X-Forwarded-For",
    "AVB_LIMIT_WRONG_CREDENTIALS": str(WRONG),
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def behind(server_loop: ServerLoop) -> Iterator[LocalServer]:
    """A server that trusts the header of a proxy, with engines that answer at once."""
    stack = contextlib.AsyncExitStack()
    started: list[LocalServer] = []

    async def start() -> None:
        started.append(await stack.enter_async_context(local_server(Path(folder), settings=SETTINGS)))

    with tempfile.TemporaryDirectory(prefix="avb-proxies-", ignore_cleanup_errors=True) as folder:
        server_loop.run(start())
        yield started[0]
        server_loop.run(stack.aclose())


@pytest.mark.parametrize("name", PROXIES)
async def test_a_call_goes_through_and_each_caller_is_limited_alone(
    name: str, behind: LocalServer, shown: Certificate, tmp_path: Path
) -> None:
    gateway = httpx.URL(behind.url).port
    assert gateway is not None
    async with proxy(name, gateway, shown, tmp_path) as port:
        root = f"https://127.0.0.1:{port}"
        await until_ready(root, shown)
        options = CallOptions(f"{root}/v1", api_key=KEY, model="delivery", ca_file=shown.cert)
        async with open_call(options) as call:
            turn = await call.type("Where is my parcel?")  # a short answer: it is played in real time
        assert not turn.problem and "number" in turn.replied
        assert call.record().agent_pcm.any()  # spoken, too
        await wrong_keys_are_counted_by_the_address_that_the_proxy_saw(root, shown)


async def until_ready(root: str, shown: Certificate) -> None:
    """Until the proxy's own health check has found the gateway."""
    async with httpx.AsyncClient(verify=shown.client) as http:
        deadline_s = time.monotonic() + PATIENCE_S
        for _ in itertools.count():
            if (await http.get(f"{root}/ready")).status_code == 200:
                return
            assert time.monotonic() < deadline_s
            await asyncio.sleep(EVERY_S)


async def wrong_keys_are_counted_by_the_address_that_the_proxy_saw(root: str, shown: Certificate) -> None:
    async def statuses(address: str) -> list[int]:
        found = []
        transport = httpx.AsyncHTTPTransport(verify=shown.client, local_address=address)
        async with httpx.AsyncClient(transport=transport) as http:
            for number in range(WRONG + 2):
                lie = {"X-Forwarded-For": f"198.51.100.{number}", "Authorization": "Bearer wrong"}
                found.append((await http.get(f"{root}/v1/models", headers=lie)).status_code)
        return found

    taken = port_number(root) % 200 + 2  # each proxy has addresses of its own, since the gateway remembers
    for address in (f"127.0.1.{taken}", f"127.0.2.{taken}"):
        assert await statuses(address) == [401] * WRONG + [429] * 2, address


def port_number(root: str) -> int:
    return int(root.rpartition(":")[2])


def test_no_proxy_ends_a_call_before_the_gateway_does() -> None:
    for name, pattern in (
        ("nginx.conf", r"proxy_(?:read|send)_timeout (\d+)s;"),
        ("haproxy.cfg", r"timeout tunnel (\d+)s"),
    ):
        found = [int(each) for each in re.findall(pattern, (FOLDER / name).read_text())]
        assert found and min(found) > LONGEST_CALL_S
    assert "stream_timeout" not in (FOLDER / "Caddyfile").read_text()  # none is its default
