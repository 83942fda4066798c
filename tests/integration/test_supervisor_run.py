"""The supervisor as its user meets it: a real process tree with scripted roles, real servers, real signals."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.kit.waiting import PATIENCE_S

ROLES = "tests.kit.scripted_roles"

# The same call that the command line makes, with scripted children.
MAIN = """
from tests.kit.waiting import PATIENCE_S
import asyncio, sys
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.roles import ChildSpec, Role
from agentvoicebox.supervisor.run import serve

specs = tuple(
    ChildSpec(name, (Role(name, f"tests.kit.scripted_roles:{function}"),), 1.0, faces_callers=name == "gateway")
    for name, function in (argument.split("=") for argument in sys.argv[2:])
)
settings = Settings.load(data_dir=sys.argv[1])
on_status = lambda status: print("STATUS", status, flush=True)
sys.exit(asyncio.run(serve(settings, on_status=on_status, out=sys.stdout, children=specs)))
"""


class Serving:
    """A supervisor process and what it has said so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, words: str) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.process.stdout.readline()).decode().rstrip():
                self.lines.append(line)
                if words in line:
                    return line
        raise AssertionError(f"never said {words!r}; it said {self.lines}")

    async def end(self) -> int:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            rest = await self.process.stdout.read()
            self.lines += rest.decode().splitlines()
            return await self.process.wait()


@asynccontextmanager
async def serving(data_dir: Path, **roles: str) -> AsyncIterator[Serving]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AVB_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, str(data_dir)),
        *(f"{name}={function}" for name, function in roles.items()),
        cwd=Path(__file__).parents[2],
        env={**environment, "PYTHONPATH": "src:."},
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    try:
        yield Serving(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def processes_of(data_dir: Path) -> list[str]:
    """Command lines of living processes that speak of the data folder, or were told of it by environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(data_dir) in told:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def left_in(data_dir: Path) -> set[str]:
    return {path.name for path in data_dir.iterdir() if not path.name.startswith("idle-")}


async def test_ctrl_c_drains_the_gateway_first_and_leaves_nothing_but_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle", gateway="idle") as server:
        await server.until("STATUS system ready")
        server.process.send_signal(signal.SIGINT)
        assert await server.end() == 0
        said = [line.removeprefix("STATUS ") for line in server.lines if line.startswith("STATUS")]
        order = [
            "system ready",
            "gateway stopped",
            "stt stopping",
            "stt stopped",
            "postgres stopping",
            "valkey stopped",
        ]
        assert [said.index(each) for each in order] == sorted(said.index(each) for each in order)
        assert sum("idle speaks from" in line for line in server.lines) == 2  # one log
    assert processes_of(data) == []
    assert left_in(data) == {"valkey", "postgres", "log"}
    assert {path.read_text() for path in data.glob("idle-*")} == {"drained"}


async def test_what_callers_say_is_for_the_servers_user_alone_in_new_and_in_older_folders(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "interactions" / "archive").mkdir(parents=True)
    older = [data, data / "interactions", data / "interactions" / "archive", data / "interactions" / "older.jsonl"]
    older[-1].touch()
    for path in older:
        path.chmod(0o777 if path.is_dir() else 0o666)
    for _ in range(2):
        async with serving(data, stt="idle") as server:
            await server.until("STATUS system ready")
            found = [data, *data.rglob("*")]
            open_to_others = [path for path in found if path.lstat().st_mode & 0o077 and not path.is_socket()]
            server.process.send_signal(signal.SIGINT)
            assert await server.end() == 0
        assert {path.name for path in found} >= {"appendonlydir", "PG_VERSION", "valkey.log", "older.jsonl"}
        assert open_to_others == []
        said = [line for line in server.lines if "other users could read" in line]
        assert len(said) == (1 if older else 0)  # once, and no more once it is done
        older = []


async def test_a_dead_worker_is_started_again_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle") as server:
        pid = int((await server.until("idle speaks from")).split()[-1])
        await server.until("STATUS system ready")
        os.kill(pid, signal.SIGKILL)
        await server.until("STATUS stt died")
        again = int((await server.until("idle speaks from")).split()[-1])
        assert again != pid
        await server.until("STATUS stt ready")
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0
    assert processes_of(data) == []


async def test_a_killed_server_comes_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle") as server:
        await server.until("STATUS system ready")
        os.kill(int((data / "valkey" / "valkey.pid").read_text()), signal.SIGKILL)
        await server.until("STATUS valkey died")
        await server.until("STATUS valkey ready")
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0
    assert left_in(data) == {"valkey", "postgres", "log"}


async def test_a_child_that_can_not_start_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle", tts="misconfigured") as server:
        assert await server.end() != 0
        assert any("the model lies nowhere; pull it" in line for line in server.lines)
        assert any("tts can't start" in line for line in server.lines)
    assert processes_of(data) == []
    assert left_in(data) == {"valkey", "postgres", "log"}


@pytest.mark.parametrize("patience", ["killed after its time", "second signal"])
async def test_a_child_that_does_not_drain_is_killed(tmp_path: Path, patience: str) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="deaf") as server:
        await server.until("STATUS system ready")
        server.process.send_signal(signal.SIGINT)
        if patience == "second signal":
            await server.until("STATUS stt stopping")
            server.process.send_signal(signal.SIGINT)
        assert await server.end() == 0
    assert processes_of(data) == []
    assert left_in(data) == {"valkey", "postgres", "log"}


async def test_everything_dies_with_a_killed_supervisor_and_the_next_start_works(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle", gateway="idle") as server:
        await server.until("STATUS system ready")
        server.process.kill()
        await server.end()
    async with serving(data, stt="idle") as server:
        await server.until("STATUS system ready")
        server.process.send_signal(signal.SIGINT)
        assert await server.end() == 0
    assert processes_of(data) == []
    assert left_in(data) == {"valkey", "postgres", "log"}


@pytest.mark.parametrize("moment", ["STATUS postgres starting", "STATUS migrations starting", "STATUS stt starting"])
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_in_the_middle_of_starting_leaves_nothing(
    tmp_path: Path, moment: str, which: signal.Signals
) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle", gateway="idle") as server:
        await server.until(moment)
        server.process.send_signal(which)
        assert await server.end() == 128 + which  # it did not serve
    assert processes_of(data) == []
    assert left_in(data) <= {"valkey", "postgres", "postgres.draft", "log"}


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_the_program_is_loaded_ends_it_without_a_trace(which: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-m", "agentvoicebox.cli", "serve"),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "src:."},
        stdout=PIPE,
        stderr=STDOUT,
        # A shell that runs the tests in the background ignores SIGINT, and so would the program.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        while not (await process.stdout.readline()).rstrip().endswith(b"typer"):
            pass
        process.send_signal(which)
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == -which
    assert "Traceback" not in rest and "KeyboardInterrupt" not in rest
