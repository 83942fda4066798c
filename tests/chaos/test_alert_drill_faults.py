"""Faults of what surrounds a server, each told by a real Prometheus and Alertmanager, and told to be over.

Opt-in: `make alert-drill`. Rates are taken over less than a minute, so that alerts on budgets of days end while one waits.
"""

import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.kit.alert_drill import Drill, alert_drill
from tests.kit.chat_server import ChatServer, chat_server
from tests.kit.client import Client, calling
from tests.kit.fault_proxy import FaultProxy, Reply
from tests.kit.gateway import silence
from tests.kit.processes import family
from tests.kit.rules import needs_prometheus
from tests.kit.speech import CACHE
from tests.kit.waiting import PATIENCE_S
from websockets.exceptions import WebSocketException

import agentvoicebox
from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.cli.database import database_url
from agentvoicebox.cli.local_server import free_port
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.settings import Settings

pytestmark = [
    pytest.mark.requirement("A13"),
    needs_prometheus,
    pytest.mark.skipif(not os.environ.get("ALERT_DRILL"), reason="takes fifteen minutes: make alert-drill"),
]

SCRIPTED = {"AVB_STT_PROFILE": "scripted", "AVB_TTS_ORDER": "scripted", "AVB_MAX_CALLS": "40"}
SLOW_S = 1.6
ANSWER_S = 2.5  # longer than one plays
CONNECTIONS = 20
LATE_S = 0.4
STATUS_UPDATE = b'{"message": {"type": "status-update", "status": "ended"}}'
FAULTY_KIT = """
from contextlib import asynccontextmanager
from agentvoicebox.kits.agent_kit import AgentKit
from agentvoicebox.kits.services import KitServices, NoticeRoute

def handle(body, headers, wall_s):
    raise KeyError("a bug")

@asynccontextmanager
async def serve(settings):
    yield KitServices(notice_routes=(NoticeRoute("/faulty", "faulty", "A route with a bug.", handle),))

class FaultyKit(AgentKit):
    name = "faulty"

    def serve(self, settings, context):
        return serve(settings)
"""
KEYS = base64.b64encode(bytes(32)).decode()  # destinations' secrets are stored encrypted


@asynccontextmanager
async def with_a_model(folder: Path, **settings: str) -> AsyncIterator[tuple[Drill, ChatServer]]:
    """A drill whose agent asks a language model server."""
    async with chat_server() as model:
        given = {**SCRIPTED, "AVB_LLM_BASE_URL": model.url, "AVB_LLM_MODEL": "m", "NO_PROXY": "127.0.0.1", **settings}
        async with alert_drill(folder, settings=given, has_short_windows=True) as drill:
            yield drill, model


def assistant(drill: Drill) -> str:
    return drill.socket.replace("model=delivery", "model=assistant")


async def ask(client: Client) -> None:
    """A typed question, to its answer's end."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Good day."}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create")
    await client.until("response.done")


@asynccontextmanager
async def going_on(work: Callable[[], object], every_s: float = 0.0) -> AsyncIterator[None]:
    """Do it again and again for the duration of the block."""

    async def repeat() -> None:
        while True:
            result = work()
            if asyncio.iscoroutine(result):
                await result
            await asyncio.sleep(every_s)

    repeating = asyncio.create_task(repeat())
    try:
        yield
        if repeating.done():
            repeating.result()
    finally:
        repeating.cancel()
        await asyncio.gather(repeating, return_exceptions=True)


@contextmanager
def all_stopped(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def test_a_language_model_that_fails_burns_the_budget_of_jobs_and_opens_its_breaker(tmp_path: Path) -> None:
    async with with_a_model(tmp_path) as (drill, model):
        model.trouble = "500"
        async with calling(assistant(drill)) as client, going_on(lambda: ask(client), 0.3):
            await drill.told("firing", "BreakerOpen")
            await drill.told("firing", "JobErrorBudgetBurn")
            model.trouble = ""
            await drill.told("resolved", "BreakerOpen")
            await _leaks_after_it_has_burnt(drill, "JobErrorBudget")


async def _leaks_after_it_has_burnt(drill: Drill, budget: str) -> None:
    """While a budget burns nobody is told that it leaks; the longest windows end last."""
    await drill.told("resolved", f"{budget}Burn")
    await drill.told("firing", f"{budget}Leak")
    await drill.told("resolved", f"{budget}Leak")


async def test_slow_answers_and_turns_that_were_ended_too_early_are_told_of(tmp_path: Path) -> None:
    """A caller who pauses inside each turn for longer than the session waits, and a model that takes its time."""
    async with with_a_model(tmp_path) as (drill, model):
        model.delay_s = SLOW_S
        async with contextlib.AsyncExitStack() as stack:
            callers = [await stack.enter_async_context(calling(assistant(drill))) for _ in range(8)]
            detection = {"type": "server_vad", "silence_duration_ms": 200}
            for caller in callers:
                await caller.use(audio={"input": {"turn_detection": detection}})

            (line,) = await asyncio.to_thread(speak_lines, ["Where is my parcel?"], cache_dir=CACHE)
            said = bytes_of(line.pcm) + silence(400)

            async def turn() -> None:
                await asyncio.gather(*(_hesitant_turn(caller, said) for caller in callers))

            async with going_on(turn):
                await drill.told("firing", "TurnLatencyBudgetBurn")
                await drill.told("firing", "FalseCutoffs")
                model.delay_s = 0.0
                await _leaks_after_it_has_burnt(drill, "TurnLatencyBudget")
            await drill.told("resolved", "FalseCutoffs")


async def _hesitant_turn(caller: Client, said: bytes) -> None:
    """Words, a pause that ends the turn, and more words at once; then the answer, to its end."""
    for _ in range(2):
        await caller.append(said)
        await caller.until("input_audio_buffer.speech_stopped")
    while (await caller.until("response.done"))["response"]["status"] != "completed":
        pass
    await asyncio.sleep(ANSWER_S)


async def test_workers_that_have_no_slot_left_are_told_of(tmp_path: Path) -> None:
    async with with_a_model(tmp_path, AVB_LLM_SLOTS="1") as (drill, model):
        model.trouble = "hang"
        async with calling(assistant(drill)) as client:
            await client.send("response.create")
            await drill.told("firing", "WorkersBusy", kind="llm")
            await client.send("response.cancel")
            await drill.told("resolved", "WorkersBusy", kind="llm")


async def test_work_that_kills_its_worker_at_each_attempt_is_told_of(tmp_path: Path) -> None:
    async with with_a_model(tmp_path) as (drill, model):
        model.trouble = "hang"
        killed: set[int] = set()

        def kill() -> None:
            pid = drill.pid("worker")
            if pid and pid not in killed and len(model.asked) > len(killed):
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)

        async with calling(assistant(drill)) as client:
            await client.send("response.create")
            async with going_on(kill, 0.05):
                await drill.told("firing", "JobsDeadLettered", kind="llm")
        await drill.told("resolved", "JobsDeadLettered", kind="llm")


async def test_a_record_that_nobody_can_read_is_told_of(tmp_path: Path) -> None:
    async with alert_drill(tmp_path, settings=SCRIPTED, has_short_windows=True) as drill:
        broker = RedisBroker(f"unix://{drill.server.data_dir}/run/valkey.sock")
        job = Job("record_1", JobKind.RECORD, SessionRef("default", "sess_drill"), b"no record", time.time())
        await broker.dispatch([Submit(job)])
        await broker.close()
        await drill.told("firing", "RecordsRefused")
        await drill.told("resolved", "RecordsRefused")


async def test_a_database_that_hangs_is_told_of_by_the_requests_that_it_costs(tmp_path: Path) -> None:
    async with alert_drill(tmp_path, settings=SCRIPTED, has_short_windows=True) as drill:
        url = f"{drill.server.url}/realtime/sessions"
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:

            async def read() -> None:
                await asyncio.gather(*(http.get(url) for _ in range(4)))

            assert (await http.get(url)).status_code == 200
            with all_stopped(_servers(drill, "postgres")):
                async with going_on(read, 0.2):
                    await drill.told("firing", "RestErrors")
            async with going_on(read, 0.5):
                await drill.told("resolved", "RestErrors")


async def test_records_that_wait_for_a_database_that_hangs_are_told_of(tmp_path: Path) -> None:
    async with alert_drill(tmp_path, settings=SCRIPTED, has_short_windows=True) as drill:
        with all_stopped(_servers(drill, "postgres")):
            async with going_on(lambda: _type_much(drill)):
                await drill.told("firing", "RecordsWaiting", kind="record")
        await drill.told("resolved", "RecordsWaiting", kind="record")


async def _type_much(drill: Drill) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Good day."}]}
    async with calling(drill.socket) as client:
        for _ in range(100):
            await client.send("conversation.item.create", item=item)
        await client.nothing_but("conversation.item.added", "conversation.item.done")


async def test_calls_that_a_full_store_refuses_burn_their_budget(tmp_path: Path) -> None:
    async with alert_drill(tmp_path, settings=SCRIPTED, has_short_windows=True) as drill:

        async def call() -> None:
            with contextlib.suppress(WebSocketException):
                async with calling(drill.socket):
                    pass

        async with going_on(call, 0.3):
            with drill.filled(0.8):
                await drill.told("firing", "RefusedCallBudgetBurn")
            await _leaks_after_it_has_burnt(drill, "RefusedCallBudget")


async def test_limits_that_are_counted_without_the_store_are_told_of(tmp_path: Path) -> None:
    async with alert_drill(tmp_path, settings=SCRIPTED, has_short_windows=True) as drill:
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:

            async def read() -> None:
                await http.get(f"{drill.server.url}/realtime/sessions")

            with all_stopped(_servers(drill, "valkey")):
                async with going_on(read, 0.2):
                    await drill.told("firing", "LimitsCountedLocally")
        await drill.told("resolved", "LimitsCountedLocally")


async def test_strangers_that_fill_the_port_are_told_of(tmp_path: Path) -> None:
    settings = {**SCRIPTED, "AVB_LIMIT_CONNECTIONS": str(CONNECTIONS)}
    async with alert_drill(tmp_path, settings=settings, has_short_windows=True) as drill:
        port = int(drill.server.url.rpartition(":")[2].partition("/")[0])
        writers: list[asyncio.StreamWriter] = []

        async def fill() -> None:
            """A connection that says nothing is closed after a while, so there are always new ones."""
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)

        async with going_on(fill, 0.05):
            await drill.told("firing", "ConnectionsNearLimit")
        for writer in writers:
            writer.close()
        await drill.told("resolved", "ConnectionsNearLimit")


async def test_a_gateway_that_gets_too_little_of_its_processor_is_told_of(tmp_path: Path) -> None:
    async with alert_drill(tmp_path, settings=SCRIPTED, has_short_windows=True) as drill:

        async def starve() -> None:
            with all_stopped([drill.pid("gateway")]):
                await asyncio.sleep(LATE_S)

        async with going_on(starve, 0.2):
            await drill.told("firing", "GatewayLoopLag")
        await drill.told("resolved", "GatewayLoopLag")


async def test_a_webhook_server_that_answers_late_is_told_of(tmp_path: Path) -> None:
    port = free_port()
    settings = {**SCRIPTED, "AVB_WEBHOOK_PORT": str(port)}
    async with alert_drill(tmp_path, settings=settings, has_short_windows=True) as drill:
        for _ in range(3):
            await asyncio.gather(*(_post_around_a_stop(drill, port) for _ in range(4)))
        await drill.told("firing", "WebhookSlow")
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:

            async def post() -> None:
                await http.post(
                    f"http://127.0.0.1:{port}/vapi/webhook",
                    content=STATUS_UPDATE,
                    headers={"Content-Type": "application/json"},
                )

            async with going_on(post, 0.2):
                await drill.told("resolved", "WebhookSlow")


async def _post_around_a_stop(drill: Drill, port: int) -> None:
    """The server has read half of the request when it stops, for less than its supervisor waits."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /vapi/webhook HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    writer.write(
        f"{head}Connection: close\r\nContent-Length: {len(STATUS_UPDATE)}\r\n\r\n".encode() + STATUS_UPDATE[:10]
    )
    await writer.drain()
    await asyncio.sleep(0.2)
    with all_stopped([drill.pid("webhook")]):
        writer.write(STATUS_UPDATE[10:])
        await asyncio.sleep(4.2)
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_a_kit_that_raises_is_told_of_by_the_webhook_requests_that_it_costs(tmp_path: Path) -> None:
    port = free_port()
    kits = tmp_path / "kits"
    kits.mkdir()
    (kits / "faulty_kit.py").write_text(FAULTY_KIT)
    python_path = os.pathsep.join([str(kits), os.environ.get("PYTHONPATH", "")])
    settings = {"AVB_WEBHOOK_PORT": str(port), "AVB_KITS": "delivery,faulty_kit:FaultyKit", "PYTHONPATH": python_path}
    async with (
        alert_drill(tmp_path, settings={**SCRIPTED, **settings}, has_short_windows=True) as drill,
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http,
    ):

        async def post(route: str) -> int:
            url, headers = f"http://127.0.0.1:{port}{route}", {"Content-Type": "application/json"}
            return (await http.post(url, content=STATUS_UPDATE, headers=headers)).status_code

        assert await post("/faulty") == 500
        async with going_on(lambda: post("/faulty"), 0.2):
            await drill.told("firing", "WebhookErrors")
        async with going_on(lambda: post("/vapi/webhook"), 0.2):
            await drill.told("resolved", "WebhookErrors")


async def test_a_receiver_that_refuses_events_is_told_of_and_so_are_the_events_that_are_given_up(
    tmp_path: Path,
) -> None:
    settings = {**SCRIPTED, "AVB_EVENTS_RETRY_HOURS": "0.001", "AVB_HISTORY_KEYS": KEYS}
    async with (
        FaultProxy(plan=lambda _: Reply(500)) as receiver,
        alert_drill(tmp_path, settings=settings, has_short_windows=True) as drill,
    ):
        await asyncio.to_thread(_add_destination, drill, receiver.url)

        async def call() -> None:
            async with calling(drill.socket) as client:
                await ask(client)

        async with going_on(call, 0.5):
            await drill.told("firing", "EventsRefused")
            await drill.told("firing", "EventsDead")
        await drill.told("resolved", "EventsRefused")
        await drill.told("resolved", "EventsDead")


async def test_a_process_of_another_version_is_told_of(tmp_path: Path) -> None:
    """As in an upgrade that stopped half-way: a webhook server of a second installation, with a data folder of its own."""
    async with alert_drill(tmp_path, settings=SCRIPTED, has_short_windows=True) as drill:
        with _other_version(tmp_path / "other", drill.server.data_dir):
            await drill.told("firing", "MixedVersions")
        await drill.told("resolved", "MixedVersions")


def _servers(drill: Drill, program: str) -> list[int]:
    """Processes of an embedded server."""
    pids = [member.pid for member in family(drill.server.pid) if member.name.startswith(program)]
    assert pids, f"no process of {program}"
    return pids


def _add_destination(drill: Drill, url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "agentvoicebox.cli", "events", "add", url],
        env={**os.environ, "AVB_DATA_DIR": str(drill.server.data_dir), "AVB_HISTORY_KEYS": KEYS},
        capture_output=True,
        check=True,
    )


@contextmanager
def _other_version(folder: Path, data_dir: Path) -> Iterator[None]:
    """A webhook server of the same code under another version, beside the server of `data_dir` and on its database."""
    package = Path(agentvoicebox.__file__).parent
    shutil.copytree(package.parent, folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    first = folder / "src" / package.name / "__init__.py"
    first.write_text(re.sub(r'__version__ = ".*"', '__version__ = "0.0.1"', first.read_text()))
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "AVB_DATA_DIR": str(folder / "data"),
        "AVB_TARGETS_DIR": str(data_dir / "targets"),
        "AVB_POSTGRES_URL": database_url(Settings(data_dir=str(data_dir))),
        "AVB_WEBHOOK_PORT": str(free_port()),
        "AVB_INTERNAL_PORT": "0",
    }
    command = [sys.executable, "-m", "agentvoicebox.cli", "serve", "--role", "webhook"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
