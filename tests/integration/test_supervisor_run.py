"""The supervisor as its user meets it: a real process tree with scripted roles, real servers, real signals."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.telemetry.logs import REQUIRED_FIELDS

ROLES = "tests.kit.scripted_roles"

# The same call that the command line makes, with scripted children.
MAIN = """
from tests.kit.waiting import PATIENCE_S
import asyncio, os, sys
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.roles import ChildSpec, Role
from agentvoicebox.supervisor.run import serve
from agentvoicebox.telemetry.logs import configure

specs = tuple(
    ChildSpec(name, (Role(name, f"tests.kit.scripted_roles:{function}"),), 1.0, faces_callers=name == "gateway")
    for name, function in (argument.split("=") for argument in sys.argv[2:])
)
settings = Settings.load(data_dir=sys.argv[1], log_format=os.environ["LOGS"])
configure(service="supervisor", format=settings.log_format, out=sys.stdout)
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
async def serving(data_dir: Path, logs: str = "console", **roles: str) -> AsyncIterator[Serving]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AVB_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, str(data_dir)),
        *(f"{name}={function}" for name, function in roles.items()),
        cwd=Path(__file__).parents[2],
        env={**environment, "PYTHONPATH": "src:.", "LOGS": logs, "AVB_STORE_MEMORY_MB": "96"},
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


@pytest.mark.requirement("A1.1")
async def test_the_embedded_store_has_the_memory_of_the_settings(tmp_path: Path) -> None:
    data = tmp_path / "d"  # short, so that the sockets are beside the data
    async with serving(data, stt="idle") as server:
        await server.until("STATUS system ready")
        async with Redis(unix_socket_path=str(next(data.rglob("valkey.sock"))), decode_responses=True) as redis:
            assert await redis.config_get("maxmemory") == {"maxmemory": str(96 * 1024 * 1024)}
        server.process.send_signal(signal.SIGINT)
        assert await server.end() == 0


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
    assert left_in(data) == {"valkey", "postgres", "log", "targets"}
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


async def test_libraries_of_a_role_start_no_threads_of_their_own(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", stt="idle") as server:
        pid = int((await server.until("idle speaks from")).split()[-1])
        environment = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
        assert b"OPENBLAS_NUM_THREADS=1" in environment.split(b"\0")
        await server.until("STATUS system ready")
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0


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


async def test_what_a_library_prints_is_a_field_of_a_log_line(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", logs="json", stt="idle") as server:
        line = json.loads(await server.until("idle speaks from"))
        await server.until("STATUS system ready")
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0
    assert tuple(line)[:7] == REQUIRED_FIELDS
    assert (line["service"], line["level"]) == ("stt", "warning")
    assert line["text"].startswith("idle speaks from")


async def test_a_killed_server_comes_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle") as server:
        await server.until("STATUS system ready")
        os.kill(int((data / "valkey" / "valkey.pid").read_text()), signal.SIGKILL)
        await server.until("STATUS valkey died")
        await server.until("STATUS valkey ready")
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0
    assert left_in(data) == {"valkey", "postgres", "log", "targets"}


@pytest.mark.parametrize(
    ("role", "starts", "reason"),
    [
        ("misconfigured", 1, "the model lies nowhere; pull it"),
        ("uninstalled", 1, "the model ears is not installed: type `agentvoicebox models pull ears`"),
        ("storeless", 3, "the store is away"),
        ("broken", 3, "unexpected KeyError; the log has its traceback"),
    ],
)
async def test_a_child_that_can_not_start_is_tried_again_only_if_that_may_help_and_its_reason_is_said_last(
    tmp_path: Path, role: str, starts: int, reason: str
) -> None:
    data = tmp_path / "data"
    async with serving(data, stt="idle", tts=role) as server:
        assert await server.end() != 0
        assert server.lines.count("STATUS tts starting") == starts
        assert server.lines[-1].endswith(f"StartFailed: tts can't start: {reason}")
    assert processes_of(data) == []
    assert left_in(data) == {"valkey", "postgres", "log", "targets"}


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
    assert left_in(data) == {"valkey", "postgres", "log", "targets"}


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
    assert left_in(data) == {"valkey", "postgres", "log", "targets"}


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
    assert left_in(data) <= {"valkey", "postgres", "postgres.draft", "log", "targets"}


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
