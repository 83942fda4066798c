"""`agentvoicebox serve` with one wrong setting at a time: seconds until it ends, its exit status, and the last sentence.

    python benchmarks/wrong_settings.py [--within-s 3] [--only NAME] [--json FILE]

Each start is a real process with an empty data folder. Prints one JSON object and a table; the exit code is 1 when a start took
longer than allowed, succeeded, or ended without the sentence that names the setting.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # the servers live with the tests

from tests.kit.certificates import certificate
from tests.kit.old_postgres import postgres_of_version
from tests.kit.silent_server import silent_server
from tests.kit.store import ValkeyNode

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.needs import STT_NEEDS
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres

GIVEN_UP_S = 120.0
PORTS = ("AVB_PORT", "AVB_GATEWAY_INTERNAL_PORT", "AVB_WEBHOOK_PORT", "AVB_INTERNAL_PORT")
PASSWORD = "a-password-that-is-shown-nowhere"


@dataclass(frozen=True)
class Wrong:
    """One start.

    Attributes:
        name: what is wrong.
        settings: `AVB_…` variables.
        said: the last sentence holds each of these.
        arguments: of `serve`.
    """

    name: str
    settings: dict[str, str]
    said: tuple[str, ...]
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """How it ended."""

    name: str
    seconds: float
    status: int | None
    last: str
    problems: list[str] = field(default_factory=list)


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """URL of a role that may not create tables."""
    data = DataFolder(folder)
    server = EmbeddedPostgres(folder / "postgres", data.sockets)
    try:
        await server.start()
        connection = await asyncpg.connect(server.owner_url)
        await connection.execute("CREATE ROLE reader LOGIN")
        await connection.close()
        yield server.url.replace("agentvoicebox@", "reader@")
    finally:
        await server.stop()
        data.close()


@asynccontextmanager
async def guarded_store(folder: Path) -> AsyncIterator[str]:
    """URL of a store with the wrong password."""
    server = ValkeyNode(folder)
    try:
        await server.start()
        server.ask("CONFIG", "SET", "requirepass", "right")
        yield server.url.replace("redis://", f"redis://:{PASSWORD}@")
    finally:
        await server.kill()


@asynccontextmanager
async def faults(folder: Path) -> AsyncIterator[list[Wrong]]:
    """Every start; their servers run as long as the block."""
    agents = folder / "agents"
    agents.mkdir()
    (agents / "florist.toml").write_text('instructions = "Sell flowers."\nvoise = "alloy"\n')
    one, other = certificate(folder / "one"), certificate(folder / "other")
    async with AsyncExitStack() as stack:
        taken, inner = stack.enter_context(silent_server()), stack.enter_context(silent_server())
        old = await stack.enter_async_context(postgres_of_version("13.4"))
        reader = await stack.enter_async_context(database(folder / "database"))
        store = await stack.enter_async_context(guarded_store(folder / "store"))
        busy = stack.enter_context(in_use(folder / "busy"))
        twice, absent = str(free_port()), absent_recogniser()
        yield [
            Wrong("port taken", {"AVB_PORT": str(taken)}, ("AVB_PORT", str(taken))),
            Wrong("internal port taken", {"AVB_INTERNAL_PORT": str(inner)}, ("AVB_INTERNAL_PORT", str(inner))),
            Wrong(
                "two of our ports equal",
                {"AVB_PORT": twice, "AVB_GATEWAY_INTERNAL_PORT": twice},
                ("AVB_GATEWAY_INTERNAL_PORT", "AVB_PORT", twice),
            ),
            Wrong("port is no number", {"AVB_PORT": "abc"}, ("AVB_PORT: 'abc' is not a whole number",)),
            Wrong("host of another machine", {"AVB_INTERNAL_HOST": "192.0.2.1"}, ("AVB_INTERNAL_HOST=192.0.2.1",)),
            Wrong("unknown setting", {"AVB_PROT": "80"}, ("AVB_PROT", "AVB_PORT")),
            Wrong("unknown speech engine", {"AVB_TTS_ORDER": "piperr"}, ("AVB_TTS_ORDER=piperr", "piper")),
            Wrong("recogniser without model", {"AVB_STT_PROFILE": absent}, (f"AVB_STT_PROFILE={absent}", "type")),
            Wrong("no folder of models", {"AVB_MODELS_DIR": "/nonexistent"}, ("AVB_MODELS_DIR=/nonexistent",)),
            Wrong("no folder of agents", {"AVB_AGENTS_DIR": "/nonexistent"}, ("AVB_AGENTS_DIR=/nonexistent",)),
            Wrong("bad agent file", {"AVB_AGENTS_DIR": str(agents)}, ("florist.toml", "voise")),
            Wrong("unknown default agent", {"AVB_DEFAULT_AGENT": "nobody"}, ("AVB_DEFAULT_AGENT=nobody",)),
            Wrong("default agent without model", {"AVB_DEFAULT_AGENT": "assistant"}, ("AVB_DEFAULT_AGENT", "AVB_LLM")),
            Wrong("unknown kit", {"AVB_KITS": "delivry"}, ("AVB_KITS", "delivry")),
            Wrong("unknown role", {}, ("--role", "boss"), ("--role", "boss")),
            Wrong("role without store", {}, ("AVB_REDIS_URL", "stt"), ("--role", "stt")),
            Wrong(
                "store unreachable",
                {"AVB_REDIS_URL": "redis://127.0.0.1:1/0"},
                ("AVB_REDIS_URL=redis://127.0.0.1:1/0",),
            ),
            Wrong(
                "store silent",
                {"AVB_REDIS_URL": f"redis://127.0.0.1:{taken}/0"},
                (f"AVB_REDIS_URL=redis://127.0.0.1:{taken}/0", "no answer within"),
            ),
            Wrong(
                "database silent",
                {"AVB_POSTGRES_URL": f"postgresql://me@127.0.0.1:{inner}/records"},
                ("AVB_POSTGRES_URL=postgresql://me@127.0.0.1", "no answer within"),
            ),
            Wrong(
                "store's host unknown", {"AVB_REDIS_URL": "redis://store.invalid/0"}, ("AVB_REDIS_URL", "store.invalid")
            ),
            Wrong("wrong password of the store", {"AVB_REDIS_URL": store}, ("AVB_REDIS_URL=redis://:***@", "password")),
            Wrong(
                "database unreachable",
                {"AVB_POSTGRES_URL": f"postgresql://me:{PASSWORD}@127.0.0.1:1/records"},
                ("AVB_POSTGRES_URL=postgresql://me:***@127.0.0.1:1/records",),
            ),
            Wrong("database too old", {"AVB_POSTGRES_URL": old}, ("AVB_POSTGRES_URL", "13", "15")),
            Wrong(
                "no right to create tables",
                {"AVB_POSTGRES_URL": reader},
                ("AVB_POSTGRES_URL", "create the tables", "reader"),
            ),
            Wrong("data folder read-only", {"AVB_DATA_DIR": read_only(folder)}, ("AVB_DATA_DIR",)),
            Wrong("data folder in use", {"AVB_DATA_DIR": str(busy)}, ("AVB_DATA_DIR", "in use")),
            Wrong(
                "key of another certificate",
                {"AVB_TLS_CERT": one.cert, "AVB_TLS_KEY": other.key},
                ("AVB_TLS_KEY", other.key),
            ),
            Wrong("no folder of rules", {"AVB_POLICY_DIR": "/nonexistent"}, ("AVB_POLICY_DIR", "/nonexistent")),
            Wrong("reachable without keys", {"AVB_HOST": "0.0.0.0"}, ("AVB_API_KEYS",)),
        ]


def absent_recogniser() -> str:
    """A recogniser that is not installed; `accurate` where its model is not there."""
    catalogue = ModelCatalogue.of("", "/nonexistent")
    names = sorted(STT_NEEDS, key=lambda name: name != "accurate")
    return next((name for name in names if STT_NEEDS[name].missing(catalogue)), "accurate")


@contextmanager
def in_use(folder: Path) -> Iterator[Path]:
    """A data folder that is locked."""
    data = DataFolder(folder)
    try:
        yield folder
    finally:
        data.close()


def read_only(folder: Path) -> str:
    """A folder in which nothing can be created, not even by root."""
    if os.getuid() == 0:
        return "/proc/agentvoicebox"
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    return str(locked / "data")


async def start(wrong: Wrong, within_s: float) -> Ended:
    """Start it, and wait for its end."""
    with tempfile.TemporaryDirectory(prefix="avb-wrong-", ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AVB_")}
        environment |= {"AVB_DATA_DIR": folder, "COLUMNS": "80", **{name: str(free_port()) for name in PORTS}}
        began_s = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agentvoicebox.cli", "serve", *wrong.arguments),
            env=environment | wrong.settings,
            cwd=folder,
            stdout=PIPE,
            stderr=STDOUT,
        )
        try:
            async with asyncio.timeout(GIVEN_UP_S):
                output, _ = await process.communicate()
            seconds = time.monotonic() - began_s
        except TimeoutError:
            process.terminate()
            output, _ = await process.communicate()
            return Ended(wrong.name, GIVEN_UP_S, None, "", ["it did not end"])
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return judged(wrong, seconds, process.returncode, lines, within_s)


def judged(wrong: Wrong, seconds: float, status: int | None, lines: list[str], within_s: float) -> Ended:
    """An end with its problems."""
    last = lines[-1] if lines else ""
    problems = [f"{words!r} is not in the last sentence" for words in wrong.said if words not in last]
    if seconds > within_s:
        problems.append(f"took longer than {within_s:g} s")
    if status != 1:
        problems.append(f"exit status {status}")
    if any(PASSWORD in line for line in lines):
        problems.append("a password is shown")
    if any("Traceback" in line for line in lines):
        problems.append("a stack trace is shown")
    return Ended(wrong.name, round(seconds, 2), status, last, problems)


async def run(only: str, within_s: float) -> list[Ended]:
    """One start after the other."""
    with tempfile.TemporaryDirectory(prefix="avb-wrong-", ignore_cleanup_errors=True) as folder:
        async with faults(Path(folder)) as rows:
            return [await start(row, within_s) for row in rows if only in row.name]


def figures(ended: list[Ended]) -> dict[str, Any]:
    """Everything measured, as one JSON-able object."""
    return {
        "benchmark": "wrong_settings",
        "cores": os.cpu_count(),
        "slowest_s": max((each.seconds for each in ended), default=0.0),
        "starts": [
            {
                "fault": each.name,
                "seconds": each.seconds,
                "status": each.status,
                "last": each.last,
                "problems": each.problems,
            }
            for each in ended
        ],
    }


def show(ended: list[Ended]) -> None:
    """The table, for people."""
    table = Table("wrong", "s", "status", "last sentence", title="Starts with one wrong setting", title_justify="left")
    for each in ended:
        problems = "".join(f"\n[red]{escape(problem)}[/]" for problem in each.problems)
        table.add_row(each.name, f"{each.seconds:.2f}", str(each.status), escape(each.last) + problems)
    Console(stderr=True, width=160).print(table)


def main() -> int:
    """Measure and print; exit code 1 when a start was not as it should be."""
    parser = argparse.ArgumentParser(description="Starts with one wrong setting at a time.")
    parser.add_argument("--within-s", type=float, default=3.0, help="how long a start may take")
    parser.add_argument("--only", default="", help="only those whose name holds this")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    options = parser.parse_args()
    ended = asyncio.run(run(options.only, options.within_s))
    result = json.dumps(figures(ended))
    print(result)
    if options.json:
        options.json.write_text(result + "\n")
    show(ended)
    return 1 if any(each.problems for each in ended) else 0


if __name__ == "__main__":
    sys.exit(main())
