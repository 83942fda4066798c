"""Runs the system on one machine, all of it or some roles: starts servers, migrations and children, and stops them in order.

Start: embedded servers (where no URL is set), migrations, then all children at once. Stop: the gateway first, so that every call
gets its closing events, then the workers, then the servers.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import IO, TextIO

import msgspec
import structlog

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.errors import AgentVoiceBoxError, BrokerLost
from agentvoicebox.http_server.internal_port import internal_port
from agentvoicebox.http_server.probes import Probes
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.processes.descriptors import raise_descriptor_limit
from agentvoicebox.processes.native_threads import without_library_threads
from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.child_process import ChildProcess
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.erasure import Erasure
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.supervisor.embedded.watch import until_ended
from agentvoicebox.supervisor.private_files import create_private, make_private
from agentvoicebox.supervisor.roles import ChildSpec, all_children, needs
from agentvoicebox.telemetry.process_report import CheckResult, ProcessReport
from agentvoicebox.telemetry.scrape_target import sweep
from agentvoicebox.telemetry.supervisor_metrics import SupervisorMetrics
from agentvoicebox.workers.runner import worker_name

_log = structlog.get_logger(__name__)

NAME = "supervisor"
SERVER_PAUSE_S = 0.5
RELEASE_TIMEOUT_S = 0.5  # the restart of a dead worker must not wait for an unavailable store


class Status(msgspec.Struct, frozen=True):
    """A step of starting or stopping.

    Attributes:
        name: `valkey`, `postgres`, `migrations`, a child's name, or `system`.
        state: `starting`, `ready`, `died`, `stopping`, `stopped`; `system` becomes `ready` once, when everything is.
    """

    name: str
    state: str

    def __str__(self) -> str:
        """For a terminal: `gateway ready`."""
        return f"{self.name} {self.state}"


class Supervisor:
    """Everything that `serve` runs. Call `start` once, then `stop` once.

    Args:
        settings: of the whole system; empty URLs mean embedded servers.
        on_status: called for each step.
        out: log of all processes.
        children: processes with their roles; None: all that the settings ask for.
        is_whole: whether to start embedded servers where no URL is set. Otherwise roles run without the servers that they don't
            need.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_status: Callable[[Status], None],
        out: TextIO = sys.stderr,
        children: tuple[ChildSpec, ...] | None = None,
        is_whole: bool = True,
    ) -> None:
        self.settings = settings
        self._on_status = on_status
        self._out = out
        self._specs = all_children(settings) if children is None else children
        self._is_whole = is_whole
        self._folder: DataFolder | None = None
        self._servers: list[EmbeddedValkey | EmbeddedPostgres] = []
        self._logs: list[IO[bytes]] = []
        self._children: list[ChildProcess] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._broker: RedisBroker | None = None
        self._states: dict[str, str] = {}
        self._leaving = asyncio.Event()
        self._process_report = ProcessReport(NAME, leaving=self._leaving)
        self._metrics = SupervisorMetrics(self._process_report.registry)
        self._open = contextlib.AsyncExitStack()  # the internal port, and what belongs to it

    async def start(self) -> None:
        """Start everything and wait until all of it is ready. On an error, call `stop`.

        Raises:
            SettingsError: the data folder is in use, or a package is missing.
            StartFailed: a child can't start.
            BrokerLost, StorageLost: a server can't be reached.
        """
        await asyncio.to_thread(make_private, self.settings.data_dir)
        await self._open_port()
        if self._is_whole:
            await self._start_servers()
        if self._is_whole or needs("postgres_url", self._specs, self.settings):
            await self._migrate()
        if self.settings.redis_url:
            self._broker = RedisBroker(self.settings.redis_url, retry_for_s=RELEASE_TIMEOUT_S)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AVB_")}
        environment = without_library_threads(environment) | self.settings.to_environment()
        self._children = [
            ChildProcess(
                spec,
                environment,
                self._out,
                is_json=self.settings.log_format == "json",
                on_change=self._report,
                on_death=self._release_jobs,
            )
            for spec in self._specs
        ]
        await _all([child.start() for child in self._children])
        self._process_report.is_ready(NAME)
        self._report("system", "ready")

    async def _open_port(self) -> None:
        """The supervisor's own internal port: which of its processes live."""
        sweep(self.settings.targets_folder)
        report = self._process_report
        report.serves(NAME)
        for spec in self._specs:
            self._watch_state(spec.name)
        await self._open.enter_async_context(report.process.watching_loop())
        port = internal_port(Probes(report), self.settings, "supervisor_internal_port", process=NAME)
        await self._open.enter_async_context(port)

    def _watch_state(self, name: str) -> None:
        """Show the state of a process or an embedded server in metrics and readiness."""

        async def check() -> CheckResult:
            return CheckResult() if self._states[name] == "ready" else CheckResult("down", self._states[name])

        self._states[name] = "not started"
        self._metrics.knows(name)
        self._process_report.needs(name, check)

    async def stop(self) -> None:
        """Drain the gateway and the webhook server, then the workers, then stop the servers. Idempotent.

        Leaves no process, socket or lock.
        """
        self._leaving.set()
        for faces_callers in (True, False):
            await asyncio.gather(*(each.stop() for each in self._children if each.spec.faces_callers is faces_callers))
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if self._broker is not None:
            await self._broker.close()
            self._broker = None
        for server in reversed(self._servers):
            self._report(server.name, "stopping")
            await server.stop()
            self._report(server.name, "stopped")
        self._servers = []
        for log in self._logs:
            log.close()
        self._logs = []
        await self._open.aclose()
        sweep(self.settings.targets_folder)  # what killed processes left
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def kill(self) -> None:
        """Kill every process at once; `stop` then only cleans up."""
        for child in self._children:
            child.kill()
        for watcher in self._watchers:
            watcher.cancel()
        for server in self._servers:
            server.kill()

    async def _start_servers(self) -> None:
        if self.settings.redis_url and self.settings.postgres_url:
            return
        self._folder = DataFolder(self.settings.data_dir)
        logs = self._folder.path / "log"
        logs.mkdir(exist_ok=True)
        urls = {}
        if not self.settings.redis_url:
            valkey = EmbeddedValkey(
                self._folder.path / "valkey",
                self._folder.sockets,
                self._log_file(logs, "valkey"),
                memory_mb=self.settings.store_memory_mb,
            )
            urls["redis_url"] = valkey.url
            self._servers.append(valkey)
        if not self.settings.postgres_url:
            postgres = EmbeddedPostgres(
                self._folder.path / "postgres", self._folder.sockets, self._log_file(logs, "postgres")
            )
            urls["postgres_url"] = postgres.url
            self._servers.append(postgres)
        for server in self._servers:
            self._watch_state(server.name)
        await _all([self._start_server(server) for server in self._servers])
        self.settings = self.settings.model_copy(update=urls)
        self._watchers = [asyncio.create_task(self._watch(server)) for server in self._servers]
        self._watchers += [
            asyncio.create_task(Erasure(server.erasure_url).run(), name="erasure of deleted rows")
            for server in self._servers
            if isinstance(server, EmbeddedPostgres)
        ]

    def _log_file(self, folder: Path, name: str) -> IO[bytes]:
        log = (folder / f"{name}.log").open("wb")  # overwritten at each start, so it stays small
        self._logs.append(log)
        return log

    async def _start_server(self, server: EmbeddedValkey | EmbeddedPostgres) -> None:
        self._report(server.name, "starting")
        await server.start()
        self._report(server.name, "ready")

    async def _watch(self, server: EmbeddedValkey | EmbeddedPostgres) -> None:
        """Restart a server when it dies or hangs; clients reconnect by themselves."""
        while True:
            if server.process is not None:
                status = await until_ended(server)
                self._report(server.name, "died")
                _log.error("a server died", server=server.name, status=status)
            try:
                await self._start_server(server)
            except AgentVoiceBoxError as error:
                _log.error("a server can't be restarted", server=server.name, reason=error.message)
                await asyncio.sleep(SERVER_PAUSE_S)

    async def _migrate(self) -> None:
        from agentvoicebox.kits.migrate import migrate_all  # late: Alembic takes a third of a second to load

        self._report("migrations", "starting")
        await migrate_all(self.settings.postgres_url, kits_of(self.settings))
        self._report("migrations", "ready")
        if any(isinstance(server, EmbeddedPostgres) for server in self._servers):
            await self._seed()

    async def _seed(self) -> None:
        """Insert the kits' example data into an embedded server. The operator's own server is never seeded."""
        postgres = await Postgres.open(self.settings.postgres_url, most_connections=1)
        try:
            for kit in kits_of(self.settings):
                database = kit.database()
                if database is not None and database.seed is not None:
                    await database.seed(self.settings, postgres)
        finally:
            await postgres.close()

    async def _release_jobs(self, spec: ChildSpec, pid: int) -> None:
        """Release the jobs of a dead worker at once, instead of after two seconds of silence, and unlist its internal port."""
        sweep(self.settings.targets_folder)
        for role in spec.roles:
            if role.kind is not None and self._broker is not None:
                with contextlib.suppress(BrokerLost):  # then other workers claim the jobs after two seconds
                    await self._broker.release_consumer(role.kind, worker_name(role.kind, pid))

    def _report(self, name: str, state: str) -> None:
        if name in self._states:
            self._states[name] = state
            self._metrics.changed(name, state)
        self._on_status(Status(name, state))


async def _all(steps: list[Coroutine[None, None, None]]) -> None:
    """Run steps concurrently; the first failure cancels the others before it is raised."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def serve(
    settings: Settings,
    *,
    on_status: Callable[[Status], None],
    out: TextIO = sys.stderr,
    children: tuple[ChildSpec, ...] | None = None,
    is_whole: bool = True,
) -> int:
    """Run everything until SIGINT or SIGTERM, then drain. A second signal kills all remaining processes.

    Returns:
        The exit status: 0 if everything was ready before the signal, else 128 and the signal's number, as shells give it.

    Raises:
        SettingsError, StartFailed, BrokerLost, StorageLost: the system can't start; no process is left running.
    """
    raise_descriptor_limit()
    create_private()
    supervisor = Supervisor(settings, on_status=on_status, out=out, children=children, is_whole=is_whole)
    asked = asyncio.Event()
    status = 0
    loop = asyncio.get_running_loop()

    def on_signal(which: signal.Signals) -> None:
        nonlocal status
        if asked.is_set():
            supervisor.kill()
        elif not starting.done():
            status = 128 + which
        asked.set()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, on_signal, each)
    starting = asyncio.create_task(supervisor.start())
    asking = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({starting, asking}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await asking
    finally:
        for task in (starting, asking):
            task.cancel()
        await asyncio.gather(starting, asking, return_exceptions=True)
        await supervisor.stop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
    return status
