"""A child process: serves its roles until it is stopped, and dies with its parent.

    python -m agentvoicebox.supervisor.child --parent=PID --life-fd=N NAME ROLE=MODULE:FUNCTION…

Settings are read from the environment. The first byte in the pipe N says that each role is ready. From then on the event loop
writes one each second, so that a loop that is stuck is silent.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable

import structlog
import uvloop

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.roles import load
from agentvoicebox.telemetry.logs import configure

BEAT_S = 1.0
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: a restart would fail again
PR_SET_PDEATHSIG = 1  # linux/prctl.h

_log = structlog.get_logger(__name__)


async def serve(roles: dict[str, str], settings: Settings, on_ready: Callable[[], None]) -> None:
    """Serve `roles` (name → `module:function`) until SIGTERM or SIGINT; call `on_ready` once each is ready.

    Raises what a role raises, in a group; then the others are cancelled.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    missing = set(roles)

    def announce(name: str) -> None:
        if name in missing:
            missing.discard(name)
            if not missing:
                # Imported objects live as long as the process. Freeze them: collecting them took 90 ms during calls.
                gc.collect()
                gc.freeze()
                on_ready()

    async with asyncio.TaskGroup() as group:
        for name, target in roles.items():
            group.create_task(_serve_one(name, target, settings, lambda name=name: announce(name), stop), name=name)  # type: ignore[misc]


async def _serve_one(
    name: str, target: str, settings: Settings, announce: Callable[[], None], stop: asyncio.Event
) -> None:
    await load(target)(settings, announce, stop)
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
        configure(service=name, level=settings.log_level, format=settings.log_format)
        uvloop.run(serve(roles, settings, lambda: _prove_life(life_fd)))
    except AgentVoiceBoxError as error:
        return _explain([error])
    except BaseExceptionGroup as group:
        expected, foreign = group.split(AgentVoiceBoxError)
        if foreign is not None:
            raise
        return _explain(_leaves(group) if expected is not None else [])
    return 0


def _explain(errors: list[AgentVoiceBoxError]) -> int:
    """Log a known error as one line, not a stack trace; the exit status says whether a restart makes sense."""
    for error in errors:
        _log.error("can't go on", code=error.code, reason=error.message)
    return 1 if all(error.retryable for error in errors) else EXIT_CONFIG


def _prove_life(fd: int) -> None:
    """Write one byte now and one each second, from the event loop."""
    with contextlib.suppress(BlockingIOError, BrokenPipeError):  # a parent that does not read, or has ended
        os.write(fd, b".")
    asyncio.get_running_loop().call_later(BEAT_S, _prove_life, fd)


def _leaves(group: BaseExceptionGroup) -> list[AgentVoiceBoxError]:
    found: list[AgentVoiceBoxError] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found.extend(_leaves(error))
        elif isinstance(error, AgentVoiceBoxError):
            found.append(error)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
