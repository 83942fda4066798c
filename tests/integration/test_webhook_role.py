"""The webhook server as a role: its internal port, its log, its shutdown, and its answers when no parcels can be read."""

import asyncio
import io
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.kit.fault_proxy import Break, FaultProxy, answer, server_error
from tests.kit.sanity import document
from tests.kit.waiting import PATIENCE_S
from tests.kit.webhook import UPS, Backend, asking, captured, code, over, parcel, running, server_over

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BadProviderAnswer, InfrastructureError, StorageLost
from agentvoicebox.http_server.serving import serving
from agentvoicebox.interactions.day_files import read
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.telemetry.logs import configure
from agentvoicebox.webhook.internal import create_internal_app
from agentvoicebox.webhook.role import webhook_server
from agentvoicebox_delivery.sources.sanity_webhook import sign


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    lines = io.StringIO()
    configure(service="webhook", level="debug", out=lines)
    yield lines
    configure(service="tests")


def sanity(url: str, **more: Any) -> dict[str, Any]:
    return {"shipments": "sanity", "sanity_base_url": url, "sanity_token": "sk-hush", **more}


@pytest.mark.requirement("A17", "B3.1-3.3")
async def test_health_and_readiness_are_reported(parcels_url: str) -> None:
    async with running(postgres_url=parcels_url) as line:
        assert (await line.internal.get("/healthz")).json() == {"status": "ok"}
        await _until(line.internal, lambda told: told["status"] != "not ready")  # until the source has been asked
        for path in ("/readyz", "/ready"):
            response = await line.internal.get(path)
            assert response.status_code == 200
            assert response.json() == {
                "status": "ready",
                "dependencies": {"shipments": {"source": "catalogue", "status": "ok"}},
            }


@pytest.mark.requirement("B3.1-3.3")
@pytest.mark.parametrize(
    ("first", "then", "status", "told"),
    [
        (None, None, 200, "ready"),
        (StorageLost("away"), StorageLost("away"), 503, "not ready"),
        (None, StorageLost("away"), 200, "degraded"),  # it still has answers, or an honest sentence
        (None, BadProviderAnswer("the token is wrong"), 503, "not ready"),
    ],
)
async def test_readiness_tells_a_passing_fault_from_one_to_mend(
    first: Exception | None, then: Exception | None, status: int, told: str
) -> None:
    backend = Backend(fails=first)
    leaving = asyncio.Event()
    async with server_over(backend) as (server, source):
        app = create_internal_app([source], [], server.metrics, leaving)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/readyz")).status_code == 503  # not checked yet
        await source.check()
        backend.fails = then
        await source.check()
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (status, told)
        leaving.set()
        assert (await client.get("/readyz")).json()["status"] == "leaving"


async def test_a_dataset_that_looks_empty_for_want_of_a_token_is_not_ready() -> None:
    async with FaultProxy(plan=lambda _: answer(0)) as proxy, running(**sanity(proxy.url)) as line:
        await proxy.arrived(1)
        await _until(line.internal, lambda told: "AVB_SANITY_TOKEN" in json.dumps(told))
        response = await line.internal.get("/readyz")
        assert response.status_code == 503


async def _until(client: httpx.AsyncClient, holds: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds((await client.get("/readyz")).json()):
            pass


@pytest.mark.requirement("B2.3")
async def test_the_breaker_opens_shows_itself_and_is_reset_by_hand() -> None:
    async with FaultProxy(plan=lambda _: server_error(404)) as proxy, running(**sanity(proxy.url)) as line:
        page = (await line.internal.get("/metrics")).text
        assert 'avb_breaker_open{name="sanity"} 0.0' in page  # from the start: an alert can tell closed from unknown
        assert 'avb_breaker_open{name="sanity_rate_limit"} 0.0' in page
        proxy.follow(lambda _: Break.HANG_UP)
        for index in range(5):
            (result,) = await line.results(asking(f"PKG00{index}"))
            assert code(result) == "UNAVAILABLE"
        await _until(line.internal, lambda told: told["dependencies"]["shipments"]["breaker"] == "open")
        asked = len(proxy.requests)
        (result,) = await line.results(asking("PKG009"))
        assert code(result) == "UNAVAILABLE"
        assert len(proxy.requests) == asked
        page = (await line.internal.get("/metrics")).text
        assert 'avb_breaker_open{name="sanity"} 1.0' in page
        assert 'avb_breaker_changes_total{name="sanity",to="open"} 1.0' in page
        proxy.follow(lambda _: answer([document("PKG001")]))
        assert (await line.internal.post("/breaker/reset")).json() == {"breaker": "closed"}
        (result,) = await line.results(asking("PKG001"))
        assert code(result) == "FOUND"


async def test_a_source_without_a_breaker_says_so(parcels_url: str) -> None:
    async with running(postgres_url=parcels_url) as line:
        assert (await line.internal.post("/breaker/reset")).status_code == 404


@pytest.mark.requirement("B2.1")
async def test_the_memory_can_be_read_and_emptied() -> None:
    async with FaultProxy(plan=lambda _: answer([document("PKG001")])) as proxy, running(**sanity(proxy.url)) as line:
        for index in range(3):
            await line.results(asking("PKG001", call={"id": f"c{index}"}))
        told = (await line.internal.get("/cache")).json()
        assert (told["hits"], told["misses"]) == (2, 1)
        assert (await line.internal.delete("/cache/pkg-001")).json() == {"forgotten": 1}
        assert (await line.internal.delete("/cache/pkg-001")).json() == {"forgotten": 0}
        assert (await line.internal.delete("/cache/x")).status_code == 422
        assert set((await line.internal.delete("/cache")).json()) == {"forgotten"}
        assert 'avb_cache_lookups_total{result="hits"} 2.0' in (await line.internal.get("/metrics")).text


async def test_a_parcel_that_changed_in_sanity_is_forgotten() -> None:
    body = b'{"_type":"shipment","trackingId":"PKG001"}'
    async with (
        FaultProxy(plan=lambda _: answer([document("PKG001")])) as proxy,
        running(**sanity(proxy.url, sanity_webhook_secret="whs")) as line,
    ):
        await line.results(asking("PKG001"))
        headers = {"content-type": "application/json", "sanity-webhook-signature": "t=1,v1=x"}
        assert (await line.public.post("/sanity/webhook", content=body, headers=headers)).status_code == 401
        headers["sanity-webhook-signature"] = sign(body, "whs", wall_s=time.time())
        response = await line.public.post("/sanity/webhook", content=body, headers=headers)
        assert (response.status_code, response.json()) == (200, {"forgotten": 1})


@pytest.mark.requirement("B2.4")
async def test_the_last_known_state_is_told_with_its_age_while_the_source_is_away(manual_clock: ManualClock) -> None:
    backend = Backend(parcel())
    async with over(backend, clock=manual_clock) as line:
        await line.results(asking())
        backend.fails = StorageLost("away")
        manual_clock.advance(600)
        (result,) = await line.results(asking())
        outcome = json.loads(result["result"])
        assert (outcome["status"], outcome["code"]) == ("stale", "FOUND")
        assert "ten minutes ago" in result["message"]["content"]


@pytest.mark.requirement("A12.4", "B1.5", "B3.1-3.3")
async def test_the_log_holds_no_secret_number_word_or_whole_id(parcels_url: str, log_lines: io.StringIO) -> None:
    async with running(postgres_url=parcels_url, vapi_secrets="hush-secret-5d") as line:
        for body in (captured({"tracking_id": UPS}), captured('{"tracking_id": "1Z99'), {"message": {"type": UPS}}):
            await line.vapi(body, **{"x-vapi-secret": "hush-secret-5d", "x-correlation-id": "corr-1"})
        await line.vapi(b"Wilhelmina", **{"x-vapi-secret": "hush-secret-5d"})
        await line.vapi(captured({"tracking_id": UPS}), **{"x-vapi-secret": "wrong-hush-secret-5d"})
    told = log_lines.getvalue()
    lines = [json.loads(each) for each in told.splitlines()]
    mine = [each for each in lines if each["correlation_id"] == "corr-1"]
    assert {"tool call", "request"} <= {each["message"] for each in mine}
    assert {each["session_id"] for each in mine if each["message"] == "tool call"} == {"…ec2f"}
    for planted in ("SENSITIVE", "TWILIO", "4155550123", "Wilhelmina", UPS, "hush-secret-5d", "b1223960"):
        assert planted not in told, planted


async def test_an_address_that_is_taken_is_named_with_its_setting(parcels_url: str) -> None:
    async with running(postgres_url=parcels_url) as line:
        port = line.public.base_url.port
        taken = load_settings(postgres_url=parcels_url, webhook_port=port, internal_port=0)
        with pytest.raises(InfrastructureError, match="AVB_WEBHOOK_PORT"):
            async with webhook_server(taken, asyncio.Event()):
                raise AssertionError("it listens twice")


async def test_a_port_that_closes_waits_for_who_is_inside() -> None:
    inside, may_go = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inside.set()
        await may_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    may_close = asyncio.Event()
    opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with serving(app, host="127.0.0.1", port=0, drain_s=PATIENCE_S, setting="AVB_WEBHOOK_PORT") as port:
            opened.set_result(port)
            await may_close.wait()

    closing = asyncio.create_task(serve())
    async with httpx.AsyncClient(trust_env=False) as client:
        waiting = asyncio.create_task(client.get(f"http://127.0.0.1:{await opened}/"))
        await asyncio.wait_for(inside.wait(), PATIENCE_S)
        may_close.set()
        assert not (await asyncio.wait({closing}, timeout=0.5))[0]
        may_go.set()
        assert (await waiting).text == "ok"
        await asyncio.wait_for(closing, PATIENCE_S)


@pytest.mark.requirement("B4.3")
async def test_sigterm_lets_the_last_caller_have_an_answer_and_lets_nobody_else_in(tmp_path: Path) -> None:
    """A real child process as the supervisor starts it, and a Sanity that keeps silent."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if "count" not in head:
            asked.set()
            await may_answer.wait()
        body = json.dumps({"result": [document("PKG001")] if "count" not in head else 1}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        writer.close()

    upstream = await asyncio.start_server(slow, "127.0.0.1", 0)
    port, internal_port = free_port(), free_port()
    reading, writing = os.pipe()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AVB_")} | {
        "PYTHONPATH": "src",
        "AVB_DATA_DIR": str(tmp_path),
        "AVB_SHIPMENTS": "sanity",
        "AVB_SANITY_BASE_URL": f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}",
        "AVB_WEBHOOK_PORT": str(port),
        "AVB_INTERNAL_PORT": str(internal_port),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentvoicebox.supervisor.child", f"--parent={os.getpid()}", f"--life-fd={writing}"),
        *("webhook", "webhook=agentvoicebox.webhook.role:serve_webhook"),
        cwd=Path(__file__).parents[2],
        env=environment,
        pass_fds=(writing,),
        stderr=PIPE,
    )
    os.close(writing)
    try:
        assert await asyncio.wait_for(asyncio.to_thread(os.read, reading, 1), PATIENCE_S) == b"."
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S
        ) as client:
            waiting = asyncio.create_task(client.post("/vapi/webhook", json=asking("PKG001")))
            await asyncio.wait_for(asked.wait(), PATIENCE_S)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                    except (ConnectionRefusedError, ConnectionResetError):  # closed, or closing
                        break
            response = await waiting  # Sanity is still silent, so the budget of 0.5 s answers
            assert response.status_code == 200
            assert code(response.json()["results"][0]) == "UNAVAILABLE"
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
        (kept,) = read(tmp_path / "interactions")  # its last answer, too
        assert [use.code for use in kept.tool_calls] == ["UNAVAILABLE"]
    finally:
        may_answer.set()
        os.close(reading)
        if process.returncode is None:
            process.kill()
            await process.wait()
        assert process.stderr is not None
        await process.stderr.read()
        upstream.close()
