"""One child process, seen from its parent: started, awaited until ready, killed when it hangs, restarted when it dies, stopped.

Handles one process; the order in which processes start and stop is in `run`.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TextIO

import structlog

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.supervisor.child import EXIT_CONFIG
from agentvoicebox.supervisor.life_pipe import LifePipe
from agentvoicebox.supervisor.liveness import Liveness
from agentvoicebox.supervisor.roles import WORKER_PORT, ChildSpec

FIRST_PAUSE_S = 0.5  # the first restart is immediate, the second waits this long, and so on, doubling
LONGEST_PAUSE_S = 10.0
STABLE_S = 30.0  # a child that lived this long starts with a clean record
TRIES_BEFORE_READY = 3  # after this many failed starts a child counts as broken; after one if a restart can't help
HUNG_AFTER_S = 12.0  # replaced within 15 s of its last sign of life
READ_BYTES = 65_536
LAST_WORDS_S = 1.0
JSON_OBJECT = b'{"'
FOREIGN_BYTES = 2_000  # of a line that is no log line

_log = structlog.get_logger(__name__)


class StartFailed(AgentVoiceBoxError):
    """A process of the server can't start. The message says which, and why."""

    code = "start_failed"


class _End(NamedTuple):
    """How a process ended."""

    pid: int
    status: int
    reason: str


class ChildProcess:
    """Keeps one child alive.

    Args:
        environment: the child's whole environment.
        out: receives its log lines.
        is_json: its log lines are JSON; what else it writes (a native library's words) is logged as a field of a line.
        on_change: called with `starting`, `ready`, `died`, `stopping`, `stopped`.
        on_death: awaited with the pid of a child that died unexpectedly, before the next is started.
    """

    def __init__(
        self,
        spec: ChildSpec,
        environment: dict[str, str],
        out: TextIO,
        *,
        is_json: bool = True,
        on_change: Callable[[str, str], None],
        on_death: Callable[[ChildSpec, int], Awaitable[None]],
    ) -> None:
        self.spec = spec
        self.process: Process | None = None
        self._environment = environment
        self._out = out
        self._is_json = is_json
        self._on_change = on_change
        self._on_death = on_death
        self._stopping = False
        self._ready: asyncio.Future[None] | None = None
        self._supervisor_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            StartFailed: it can't start; the message ends with its reason.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._supervisor_task = asyncio.create_task(self._supervise(), name=f"child-{self.spec.name}")
        await self._ready

    async def stop(self) -> None:
        """Let it drain; kill it when it takes longer than allowed. Idempotent."""
        if self._supervisor_task is None:
            return
        self._stopping = True
        if self.process is not None and self.process.returncode is None:
            self._on_change(self.spec.name, "stopping")
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.spec.drain_s):
                    await self.process.wait()
            self.kill()
            await self.process.wait()
        await asyncio.wait({self._supervisor_task}, timeout=LAST_WORDS_S if self.process is not None else 0)
        self._supervisor_task.cancel()
        await asyncio.gather(self._supervisor_task, return_exceptions=True)
        if self._ready is not None and not self._ready.done():
            self._ready.cancel()
        self._supervisor_task = None
        self._on_change(self.spec.name, "stopped")

    def kill(self) -> None:
        """Kill it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, which: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(which)

    async def _supervise(self) -> None:
        assert self._ready is not None
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self._stopping:
            born_s = loop.time()
            self._on_change(self.spec.name, "starting")
            end = await self._run_once()
            if self._stopping:
                return
            deaths = 1 if loop.time() - born_s > STABLE_S else deaths + 1
            self._on_change(self.spec.name, "died")
            if not self._ready.done() and (end.status == EXIT_CONFIG or deaths >= TRIES_BEFORE_READY):
                self._ready.set_exception(StartFailed(f"{self.spec.name} can't start: {end.reason}"))
                return
            _log.error("a child died", child=self.spec.name, status=end.status, deaths=deaths, reason=end.reason)
            await self._on_death(self.spec, end.pid)
            if deaths > 1:
                await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** (deaths - 2), LONGEST_PAUSE_S))

    async def _run_once(self) -> "_End":
        """Run the process once."""
        life = Liveness(HUNG_AFTER_S)
        pipe = LifePipe(lambda: self._on_life(life))
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "agentvoicebox.supervisor.child"),
                f"--parent={os.getpid()}",
                f"--life-fd={pipe.writing}",
                *([f"--port={WORKER_PORT}"] if not any(role.has_port for role in self.spec.roles) else ()),
                self.spec.name,
                *(f"{role.name}={role.target}" for role in self.spec.roles),
                env=self._environment,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=(pipe.writing,),
                start_new_session=True,  # Ctrl-C in the terminal is handled by the parent, not by the children
            )
        except BaseException:
            pipe.close()
            raise
        pipe.close_writing()
        loop = asyncio.get_running_loop()
        loop.add_reader(pipe.reading, lambda: pipe.read() or loop.remove_reader(pipe.reading))
        speaking = asyncio.create_task(self._pass_on_output(self.process))
        watching = asyncio.create_task(self._kill_if_hung(life), name=f"life of {self.spec.name}")
        try:
            status = await self.process.wait()
            # Read the last output, with a timeout: a grandchild may keep the pipe open.
            await asyncio.wait({speaking}, timeout=LAST_WORDS_S)
            pipe.read_to_end()
            return _End(self.process.pid, status, pipe.reason or _described(status))
        finally:
            for task in (speaking, watching):
                task.cancel()
            await asyncio.gather(speaking, watching, return_exceptions=True)
            loop.remove_reader(pipe.reading)
            pipe.close()

    def _on_life(self, life: Liveness) -> None:
        is_first = not life.has_begun
        life.heard()
        if is_first:
            self._on_change(self.spec.name, "ready")
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)

    async def _kill_if_hung(self, life: Liveness) -> None:
        silent_s = await life.until_hung()
        _log.error("a child is hung and is killed", child=self.spec.name, silent_s=round(silent_s, 1))
        self.kill()

    async def _pass_on_output(self, process: Process) -> None:
        """Whole lines, so that lines of several children never mix."""
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            self._pass_on(lines)
        if rest:
            self._pass_on([rest])

    def _pass_on(self, lines: list[bytes]) -> None:
        passed = [line for line in lines if not self._is_json or line.startswith(JSON_OBJECT)]
        if passed:
            self._out.write(b"\n".join(passed).decode(errors="replace") + "\n")
            self._out.flush()
        for line in lines if self._is_json else []:
            if line.strip() and not line.startswith(JSON_OBJECT):
                text = line[:FOREIGN_BYTES].decode(errors="replace")
                _log.warning("output that is no log line", service=self.spec.name, text=text)


def _described(status: int) -> str:
    """The end of a process that did not say why; `status` is negative for a signal."""
    if status >= 0:
        return f"it exited with status {status} and gave no reason"
    name = signal.Signals(-status).name
    return f"it was killed by {name}" + ("; is there enough memory?" if -status == signal.SIGKILL else "")
