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
from typing import TextIO

import structlog

from agentvoicebox.errors import SettingsError
from agentvoicebox.supervisor.child import EXIT_CONFIG
from agentvoicebox.supervisor.liveness import Liveness
from agentvoicebox.supervisor.roles import ChildSpec

FIRST_PAUSE_S = 0.5  # the first restart is immediate, the second waits this long, and so on, doubling
LONGEST_PAUSE_S = 10.0
STABLE_S = 30.0  # a child that lived this long starts with a clean record
TRIES_BEFORE_READY = 3  # after this many failed starts a child counts as broken
HUNG_AFTER_S = 12.0  # replaced within 15 s of its last sign of life
READ_BYTES = 65_536
LAST_WORDS_S = 1.0

_log = structlog.get_logger(__name__)


class ChildProcess:
    """Keeps one child alive.

    Args:
        environment: the child's whole environment.
        out: receives its output, line by line.
        on_change: called with `starting`, `ready`, `died`, `stopping`, `stopped`.
        on_death: awaited with the pid of a child that died unexpectedly, before the next is started.
    """

    def __init__(
        self,
        spec: ChildSpec,
        environment: dict[str, str],
        out: TextIO,
        *,
        on_change: Callable[[str, str], None],
        on_death: Callable[[ChildSpec, int], Awaitable[None]],
    ) -> None:
        self.spec = spec
        self.process: Process | None = None
        self._environment = environment
        self._out = out
        self._on_change = on_change
        self._on_death = on_death
        self._stopping = False
        self._ready: asyncio.Future[None] | None = None
        self._supervisor_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            SettingsError: it can't start; the reason is in the log.
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
            pid, status = await self._run_once()
            if self._stopping:
                return
            deaths = 1 if loop.time() - born_s > STABLE_S else deaths + 1
            self._on_change(self.spec.name, "died")
            _log.error("a child died", child=self.spec.name, status=status, deaths=deaths)
            if not self._ready.done() and (status == EXIT_CONFIG or deaths >= TRIES_BEFORE_READY):
                reason = SettingsError(f"{self.spec.name} can't start (status {status}); the log above says why")
                self._ready.set_exception(reason)
                return
            await self._on_death(self.spec, pid)
            if deaths > 1:
                await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** (deaths - 2), LONGEST_PAUSE_S))

    async def _run_once(self) -> tuple[int, int]:
        """Run the process once; returns its pid and exit status."""
        reading, writing = os.pipe()
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "agentvoicebox.supervisor.child"),
                f"--parent={os.getpid()}",
                f"--life-fd={writing}",
                self.spec.name,
                *(f"{role.name}={role.target}" for role in self.spec.roles),
                env=self._environment,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=(writing,),
                start_new_session=True,  # Ctrl-C in the terminal is handled by the parent, not by the children
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        loop = asyncio.get_running_loop()
        life = Liveness(HUNG_AFTER_S)
        loop.add_reader(reading, self._on_life, reading, life)
        speaking = asyncio.create_task(self._pass_on_output(self.process))
        watching = asyncio.create_task(self._kill_if_hung(life), name=f"life of {self.spec.name}")
        try:
            status = await self.process.wait()
            # Read the last output, with a timeout: a grandchild may keep the pipe open.
            await asyncio.wait({speaking}, timeout=LAST_WORDS_S)
            return self.process.pid, status
        finally:
            for task in (speaking, watching):
                task.cancel()
            await asyncio.gather(speaking, watching, return_exceptions=True)
            loop.remove_reader(reading)
            os.close(reading)

    def _on_life(self, reading: int, life: Liveness) -> None:
        if not os.read(reading, READ_BYTES):  # it closed the pipe: it is dying
            asyncio.get_running_loop().remove_reader(reading)
            return
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
            if lines:
                self._out.write(b"\n".join(lines).decode(errors="replace") + "\n")
                self._out.flush()
        if rest:
            self._out.write(rest.decode(errors="replace") + "\n")
            self._out.flush()
