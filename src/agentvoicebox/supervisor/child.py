"""A child process: serves its roles until it is stopped, and dies with its parent.

    python -m agentvoicebox.supervisor.child --parent=PID --life-fd=N [--port=SETTING] NAME ROLE=MODULE:FUNCTION…

With a port it opens the internal port of this setting for its roles; without one they have their own, or none.

Settings are read from the environment. The first sign of life in the pipe N says that each role is ready. From then on the event
loop writes one each second, so that a loop that is stuck is silent. A child that can't go on writes the reason there, and its
supervisor logs it.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

import uvloop

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.http_server.internal_port import internal_port
from agentvoicebox.http_server.probes import Probes
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.life_pipe import give_reason, prove_life
from agentvoicebox.supervisor.roles import load
from agentvoicebox.telemetry.logs import as_service, configure, get_logger
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.telemetry.unhandled import log_unhandled, log_unhandled_of_tasks

BEAT_S = 1.0
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: a restart would fail again
PR_SET_PDEATHSIG = 1  # linux/prctl.h

_log = get_logger(__name__)


async def serve(
    name: str, roles: dict[str, str], settings: Settings, on_ready: Callable[[], None], *, port: str = ""
) -> None:
    """Serve roles until SIGTERM or SIGINT. Raises what a role raises, in a group; then the others are cancelled.

    Args:
        name: of the process.
        roles: name → `module:function`.
        settings: of the deployment.
        on_ready: called once each role is ready.
        port: the setting of the internal port to open for them; empty: none.
    """
    stop = asyncio.Event()
    report = ProcessReport(name, leaving=stop)
    loop = asyncio.get_running_loop()
    log_unhandled_of_tasks(loop)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    missing = set(roles)

    def announce(name: str) -> None:
        report.is_ready(name)
        if name in missing:
            missing.discard(name)
            if not missing:
                # Imported objects live as long as the process. Freeze them: collecting them took 90 ms during calls.
                gc.collect()
                gc.freeze()
                on_ready()

    for role in roles:
        report.serves(role)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(report.process.watching_loop())
        if port:
            await stack.enter_async_context(internal_port(Probes(report), settings, port, process=name))
        async with asyncio.TaskGroup() as group:
            for role, target in roles.items():
                serving = _serve_one(role, target, settings, partial(announce, role), stop, report)
                group.create_task(serving, name=role)


async def _serve_one(
    name: str,
    target: str,
    settings: Settings,
    announce: Callable[[], None],
    stop: asyncio.Event,
    report: ProcessReport,
) -> None:
    with as_service(name):
        await load(target)(settings, announce, stop, report)
    if not stop.is_set():
        raise RuntimeError(f"the role {name} ended by itself")


def set_parent_death_signal(parent: int) -> None:
    """Have the kernel kill this process when the process `parent` ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the request
            sys.exit("the parent is gone")


def main(arguments: list[str]) -> int:
    """Entry point; the exit status."""
    options = dict(argument.removeprefix("--").split("=", 1) for argument in arguments if argument.startswith("--"))
    name, *role_arguments = [argument for argument in arguments if not argument.startswith("--")]
    roles = dict(argument.split("=", 1) for argument in role_arguments)
    set_parent_death_signal(int(options["parent"]))
    life_fd = int(options["life-fd"])
    os.set_blocking(life_fd, False)
    try:
        settings = load_settings()
        levels = {role: settings.log_level_of(role) for role in roles}
        configure(service=name, level=settings.log_level_of(name), levels=levels, format=settings.log_format)
        log_unhandled()
        port = options.get("port", "")
        uvloop.run(serve(name, roles, settings, lambda: _live(life_fd), port=port))
    except Exception as error:
        errors = _leaves(error)
        give_reason(life_fd, "; ".join(dict.fromkeys(_reason(each) for each in errors)))
        unexpected = [each for each in errors if not isinstance(each, AgentVoiceBoxError)]
        for each in unexpected:
            _log.critical("unexpected error", exc_info=each)
        if unexpected:
            return 1
        can_heal = all(isinstance(each, AgentVoiceBoxError) and each.retryable for each in errors)
        return 1 if can_heal else EXIT_CONFIG
    return 0


def _live(fd: int) -> None:
    """A sign of life now and each second, from the event loop."""
    prove_life(fd)
    asyncio.get_running_loop().call_later(BEAT_S, _live, fd)


def _reason(error: Exception) -> str:
    """A known error in a sentence. The text of any other may hold a caller's words, so it is named only."""
    if isinstance(error, AgentVoiceBoxError):
        return error.message
    return f"unexpected {type(error).__name__}; the log has its traceback"


def _leaves(error: Exception) -> list[Exception]:
    """The errors of a group and of its groups; an error that is no group alone."""
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in _leaves(each)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
