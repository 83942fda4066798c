"""A process that is stopped (SIGSTOP) neither works nor ends: each kind is killed and replaced, and callers read what is away."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest
from tests.conftest import ServerLoop
from tests.kit.client import Client, calling
from tests.kit.client import until as reached
from tests.kit.cluster import SCRIPTED
from tests.kit.processes import family, pid_of
from tests.kit.waiting import until

from agentvoicebox.cli.local_server import LocalServer, local_server
from agentvoicebox.supervisor.child_process import HUNG_AFTER_S
from agentvoicebox.supervisor.liveness import TICK_S

pytestmark = pytest.mark.requirement("C4", "A14.2")

ASK_S = 1.0
VALKEY = "valkey-server unixsocket"  # the title that it gives itself
ROLES = ("speech", "worker", "webhook", "gateway")


class Watched:
    """A whole server, and what it has printed."""

    def __init__(self, server: LocalServer, progress: list[str]) -> None:
        self.server = server
        self.progress = progress

    @property
    def call_url(self) -> str:
        return self.server.url.replace("http", "ws") + "/realtime?model=delivery"

    def stop(self, name: str) -> int:
        """Stop a process, and those that it has started; its pid."""
        pid = pid_of(self.server.pid, name)
        for member in reversed(family(pid)):
            os.kill(member.pid, signal.SIGSTOP)
        return pid

    async def until_replaced(self, name: str, pid: int) -> None:
        """Until another process stands in its place, and all of the system is ready."""

        def members() -> set[int]:
            return {member.pid for member in family(self.server.pid) if member.name == name}

        await until(lambda: pid in members() or not members(), f"{name} is not replaced")
        await self.until_ready()

    async def until_ready(self) -> None:
        """Until all of the system works."""
        async with httpx.AsyncClient(trust_env=False, timeout=ASK_S) as web:

            async def works() -> bool:
                with suppress(httpx.HTTPError):
                    ready = (await web.get(f"{self.server.internal_url}/ready")).json()
                    return bool(ready["status"] == "ready" and not ready["degraded"])
                return False

            await reached(works)

    def said(self, words: str) -> int:
        return self.server.log.read_text().count(words)


@pytest.fixture(scope="module")
def watched(server_loop: ServerLoop) -> Iterator[Watched]:
    """A server of this module's own, with engines that answer at once."""
    stack, made = AsyncExitStack(), list[Watched]()

    async def start(folder: Path) -> None:
        progress: list[str] = []
        server = await stack.enter_async_context(local_server(folder, settings=SCRIPTED, progress=progress.append))
        made.append(Watched(server, progress))

    with tempfile.TemporaryDirectory(prefix="avb-hung-", ignore_cleanup_errors=True) as folder:
        server_loop.run(start(Path(folder)))
        yield made[0]
        server_loop.run(stack.aclose())


async def answer(client: Client) -> str:
    """A typed turn, and how its answer ends."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create", response={"output_modalities": ["text"]})
    return str((await client.until("response.done"))["response"]["status"])


async def until_told(client: Client, mode: str) -> None:
    """Until the client has been told of a degraded mode."""
    while mode not in (await client.until("session.updated"))["session"].get("degraded", []):
        pass


async def until_well(client: Client) -> None:
    """Until the client has been told that everything works again."""
    while (await client.until("session.updated"))["session"].get("degraded"):
        pass


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("speech", "speech_recognition_unavailable"),
        ("speech", "speech_synthesis_unavailable"),
        ("worker", "language_model_unavailable"),
        (VALKEY, "store_unavailable"),
    ],
)
async def test_what_hangs_is_told_to_callers_and_replaced(watched: Watched, name: str, mode: str) -> None:
    async with calling(watched.call_url) as client:
        pid = watched.stop(name)
        await until_told(client, mode)
        await until_well(client)
        await watched.until_replaced(name, pid)
        assert await answer(client) == "completed"
    assert watched.said("is hung and is killed")
    assert any(line.split()[:2] == ["valkey" if name == VALKEY else name, "died"] for line in watched.progress)


async def test_a_database_that_hangs_is_replaced_and_calls_go_on(watched: Watched) -> None:
    async with calling(watched.call_url) as client:
        pid = watched.stop("postgres")
        assert await answer(client) == "completed"
        await watched.until_replaced("postgres", pid)
        assert await answer(client) == "completed"


async def test_a_gateway_that_hangs_is_replaced_and_takes_calls(watched: Watched) -> None:
    pid = watched.stop("gateway")
    await watched.until_replaced("gateway", pid)
    async with calling(watched.call_url) as client:
        assert await answer(client) == "completed"


async def test_nothing_is_killed_after_the_whole_system_was_stopped(watched: Watched) -> None:
    """A suspended machine, or a frozen container."""
    killed, everybody = watched.said("is hung and is killed"), family(watched.server.pid)
    for member in everybody:
        os.kill(member.pid, signal.SIGSTOP)
    await asyncio.sleep(HUNG_AFTER_S + 2)
    for member in everybody:
        os.kill(member.pid, signal.SIGCONT)
    await asyncio.sleep(2 * TICK_S)  # the supervisor judges each second
    assert watched.said("is hung and is killed") == killed
    await watched.until_ready()
    async with calling(watched.call_url) as client:
        assert await answer(client) == "completed"
    roles = {member.pid for member in everybody if member.name in ROLES}
    assert roles <= {member.pid for member in family(watched.server.pid)}
