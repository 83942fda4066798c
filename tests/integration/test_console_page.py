"""The page at `/`: whole, compressed, cached, and unable to load anything from elsewhere."""

import gzip
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.kit.gateway import Gateway, gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.console.files import PAGE, load_files
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig

pytestmark = pytest.mark.requirement("C6")

MAX_COMPRESSED_BYTES = 100_000
NAMESPACE = "http://www.w3.org/"  # of SVG and XHTML: names, not addresses


@pytest.fixture
async def served(redis_broker: RedisBroker) -> AsyncIterator[Gateway]:
    async with gateway(redis_broker, admission=AdmissionConfig(("a-key-of-some-length",))) as running:
        yield running


@pytest.fixture
async def client(served: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://localhost:{served.port}") as opened:
        yield opened


async def test_the_page_and_all_that_it_loads_come_without_a_key(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(loaded) >= 3
    for path in loaded:
        assert path.startswith("/console/"), f"{path} is not of this server"
        assert (await client.get(path)).status_code == 200


async def test_the_page_may_load_and_connect_to_its_own_server_alone(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/")).headers
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in headers


def test_no_file_names_an_address_of_elsewhere_and_no_script_is_inline() -> None:
    files = load_files()
    for name, file in files.items():
        addresses = set(re.findall(r"(?:https?|wss?)://[a-z][^\s\"'`)\\]*", file.body.decode()))
        assert not {each for each in addresses if not each.startswith(NAMESPACE)}, name
    page = files[PAGE].body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)


def test_the_whole_page_is_small() -> None:
    sizes = {name: len(file.gzipped) for name, file in load_files().items() if name != "realtime.js"}
    assert sum(sizes.values()) <= MAX_COMPRESSED_BYTES, sizes


async def test_a_file_is_compressed_and_asked_for_again_by_its_tag(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/console/console.js", headers={"accept-encoding": "gzip"}) as compressed:
        body = b"".join([piece async for piece in compressed.aiter_raw()])
    assert compressed.headers["content-encoding"] == "gzip"
    plain = await client.get("/console/console.js", headers={"accept-encoding": "identity"})
    assert gzip.decompress(body) == plain.content
    again = await client.get("/console/console.js", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_pages_of_others_may_import_the_client_module_alone(client: httpx.AsyncClient) -> None:
    module = await client.get("/console/realtime.js")
    assert module.headers["access-control-allow-origin"] == "*" and "RealtimeCall" in module.text
    assert "access-control-allow-origin" not in (await client.get("/console/console.js")).headers


async def test_the_console_can_be_switched_off(redis_broker: RedisBroker) -> None:
    async with (
        gateway(redis_broker, has_console=False) as running,
        httpx.AsyncClient(base_url=f"http://localhost:{running.port}") as client,
    ):
        answers = [await client.get(path) for path in ("/", "/console/console.js")]
    assert [(each.status_code, each.json()["error"]["code"]) for each in answers] == [(404, "unknown_url")] * 2


async def test_a_server_without_keys_gives_the_page_to_this_machine_alone(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker) as running:
        url = f"http://127.0.0.1:{running.port}/"
        async with httpx.AsyncClient() as client:
            here = await client.get(url)
            rebound = await client.get(url, headers={"host": "evil.example"})
            framed = await client.get(url, headers={"origin": "https://evil.example"})
    assert (here.status_code, rebound.status_code, framed.status_code) == (200, 403, 403)
