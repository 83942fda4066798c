"""A whole cluster of real processes on one machine: gateways and workers, each a `serve --role` of its own, on one Valkey
(append-only file) and one PostgreSQL, behind a balancer. Servers that are killed are started again, as an init system would.

A node is a supervisor and its children. `kill` kills the child that serves a role; the supervisor starts another.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.cli.places import share_models
from agentvoicebox.cli.serve import EVERYTHING_READY
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.processes.child_command import child_command
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.supervisor.roles import children
from agentvoicebox_delivery.sources.demo_data import seed
from tests.kit.balancer import READY
from tests.kit.kits import migrate
from tests.kit.processes import pid_of
from tests.kit.waiting import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
START_S = 2 * PATIENCE_S
END_S = PATIENCE_S
AGAIN_S = 0.5
WORKERS = (
    ("stt",),
    ("llm",),
    ("tts",),
    ("tool",),
    ("recorder",),
    ("janitor",),
    ("events",),
    ("webhook",),
)  # a process each
COMPACT = (
    ("stt", "tts", "llm", "tool", "recorder", "janitor", "events", "webhook"),
)  # fewer supervisors, as many processes that work
SCRIPTED = {"AVB_STT_PROFILE": "scripted", "AVB_TTS_ORDER": "scripted"}  # engines that answer at once


class Node:
    """One `serve --role …`.

    Attributes:
        name: `gateway-1`.
        roles: that it serves.
        port: of a gateway; 0 for workers.
        internal_port: of a gateway.
    """

    def __init__(
        self, name: str, roles: tuple[str, ...], environment: Mapping[str, str], folder: Path, port: int
    ) -> None:
        self.name = name
        self.roles = roles
        self.port = port
        self.internal_port = free_port() if port else 0
        self._environment = environment
        self._log = folder / f"{name}.log"
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._is_up = asyncio.Event()
        self._states: dict[str, str] = {}

    async def start(self) -> None:
        """Start it and wait until its roles are ready."""
        self._is_up.clear()
        options = [part for role in self.roles for part in ("--role", role)]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *child_command([sys.executable, "-m", "agentvoicebox.cli", "serve", *options], die_with=signal.SIGKILL),
                cwd=ROOT,
                env={
                    **self._environment,
                    "AVB_PORT": str(self.port),
                    "AVB_GATEWAY_INTERNAL_PORT": str(self.internal_port),
                },
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._reading = asyncio.create_task(self._read(self._process), name=f"{self.name} output")
        opening = asyncio.create_task(self._is_up.wait())
        done, _ = await asyncio.wait((opening, self._reading), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        assert opening in done, f"{self.name} did not start; its log is {self._log.read_text(errors='replace')[-2000:]}"

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        async for (
            line
        ) in process.stdout:  # `  stt        ready after 1.2 s`, `  stt        died`; at last `ready after 2.1 s`
            if line.startswith(EVERYTHING_READY.encode()):
                self._is_up.set()
            elif len(words := line.decode().split()) > 1:
                self._states[words[0]] = words[1]

    async def stop(self) -> float:
        """SIGTERM, and the seconds until nothing of it was left. Idempotent."""
        if self._process is None:
            return 0.0
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        self._process = None
        return loop.time() - began_s

    async def kill(self, role: str) -> None:
        """SIGKILL to the process that serves a role."""
        assert self._process is not None
        await self.is_back(role)
        os.kill(pid_of(self._process.pid, self._child_of(role)), signal.SIGKILL)
        await until(lambda: self._states.get(self._child_of(role)) == "ready", f"{role} of {self.name} lives")

    def _child_of(self, role: str) -> str:
        """The name of the process that serves a role."""
        specs = children(self.roles)
        return next(spec.name for spec in specs if role in {each.name for each in spec.roles})

    async def is_back(self, role: str) -> None:
        """Wait until the process that serves a role is ready, after its first start and after each kill."""
        await until(
            lambda: self._states.get(self._child_of(role)) != "ready", f"no {role} on {self.name}", patience_s=START_S
        )


class Server:
    """Valkey or PostgreSQL, started again whenever it dies.

    Attributes:
        outages_s: how long each of its deaths lasted.
    """

    def __init__(self, server: EmbeddedValkey | EmbeddedPostgres) -> None:
        self.server = server
        self.outages_s: list[float] = []
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.server.start()
        self._keeper = asyncio.create_task(self._keep(), name=f"{self.server.name} keeper")

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            assert self.server.process is not None
            await self.server.process.wait()
            died_s = loop.time()
            while True:
                try:
                    await self.server.start()
                    break
                except AgentVoiceBoxError:  # what the dead one left may still be in the way
                    await asyncio.sleep(AGAIN_S)
            self.outages_s.append(loop.time() - died_s)

    def kill(self) -> None:
        """SIGKILL; it comes back by itself."""
        self.server.kill()

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self.server.stop()


class Cluster:
    """All of it, ready.

    Attributes:
        url: of the balancer, as an OpenAI client knows it.
        gateways, workers: the nodes.
    """

    def __init__(self, port: int, valkey: Server, postgres: Server, gateways: list[Node], workers: list[Node]) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.valkey = valkey
        self.postgres = postgres
        self.gateways = gateways
        self.workers = workers

    def of(self, role: str) -> list[Node]:
        """The nodes that serve a role."""
        return [node for node in (*self.gateways, *self.workers) if role in node.roles]

    async def busy_gateways(self) -> list[Node]:
        """Those that hold a call just now."""
        busy = []
        async with httpx.AsyncClient() as http:
            for node in self.gateways:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"http://127.0.0.1:{node.internal_port}/ready")).json()["calls"]:
                        busy.append(node)
        return busy

    async def until_ready(self, node: Node) -> None:
        """Wait until a gateway answers 200 at `/ready`."""
        async with httpx.AsyncClient() as http, asyncio.timeout(START_S):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"http://127.0.0.1:{node.port}/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def cluster(
    folder: Path,
    *,
    gateways: int = 3,
    workers: tuple[tuple[str, ...], ...] = WORKERS,
    copies: int = 2,
    settings: Mapping[str, str] | None = None,
    models_cache: Path | None = None,
) -> AsyncIterator[Cluster]:
    """Start a cluster; everything of it is gone at the end of the block.

    Args:
        folder: for data and logs.
        workers: roles of each kind of worker node, of which there are `copies`.
        settings: further `AVB_…` variables of every node.
        models_cache: where prepared voices stay between runs.
    """
    data = DataFolder(folder / "data")
    if models_cache is not None:
        share_models(models_cache, data.path)
    logs = folder / "log"
    logs.mkdir(parents=True)
    valkey = Server(EmbeddedValkey(data.path / "valkey", data.sockets))
    postgres = Server(EmbeddedPostgres(data.path / "postgres", data.sockets))
    port, ports = free_port(), [free_port() for _ in range(gateways)]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AVB_")},
        "AVB_REDIS_URL": valkey.server.url,
        "AVB_POSTGRES_URL": postgres.server.url,
        "AVB_DATA_DIR": str(data.path),
        "AVB_GATEWAYS": str(gateways),
        "AVB_WEBHOOK_PORT": "0",  # each node has its own
        "AVB_INTERNAL_PORT": "0",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "200",
        **(settings or {}),
    }
    calling = [Node(f"gateway-{index}", ("gateway",), environment, logs, at) for index, at in enumerate(ports, 1)]
    working = [
        Node(f"{roles[0]}-{index}", roles, environment, logs, 0) for roles in workers for index in range(1, copies + 1)
    ]
    made = Cluster(port, valkey, postgres, calling, working)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(data.close)
        for server in (valkey, postgres):
            stack.push_async_callback(server.stop)
        await asyncio.gather(valkey.start(), postgres.start())
        await migrate(postgres.server.url)
        pool = await Postgres.open(postgres.server.url, most_connections=1)
        await seed(pool, DEFAULT_TENANT)
        await pool.close()
        stack.push_async_callback(_stop_all, working)
        stack.push_async_callback(_stop_all, calling)
        await stack.enter_async_context(balancer(port, ports))
        await asyncio.gather(*(node.start() for node in (*calling, *working)))
        await asyncio.gather(*(made.until_ready(node) for node in calling))
        yield made


async def _stop_all(nodes: list[Node]) -> None:
    await asyncio.gather(*(node.stop() for node in nodes))


@asynccontextmanager
async def balancer(port: int, backends: list[int]) -> AsyncIterator[None]:
    """A balancer on `port` in front of these ports, until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *child_command(
            [sys.executable, "-m", "tests.kit.balancer", str(port), *map(str, backends)], die_with=signal.SIGKILL
        ),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src:."},
        stdout=PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            assert (await process.stdout.readline()).decode().strip() == READY
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
