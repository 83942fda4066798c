"""The server under attack: `agentvoicebox serve` with its embedded Valkey and PostgreSQL, and engines that answer at once.

Two tenants with stored keys: `acme`, which attacks, and `rival`, whose calls are measured. The server has every core but the last
one, which belongs to the neighbour and, at a low priority, to the attacker; with one core they share it. The server starts
with 1,024 file descriptors, as from a shell or by systemd.
"""

import asyncio
import contextlib
import os
import resource
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from benchmarks.attacks.attack import ServerSetup
from benchmarks.attacks.target import Target
from redis import Redis
from redis.exceptions import RedisError
from tests.kit.processes import Member, family

from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox.settings import PREFIX, Settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import POSTGRES_PORT
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.key_format import new_key

ATTACKER, NEIGHBOUR = "acme", "rival"
CONFIGURED_KEY = "a-configured-key"
WEBHOOK_SECRET = "a-webhook-secret"
DESCRIPTORS = 1_024
STORE_TIMEOUT_S = 2.0
SCRIPTED = {"AVB_STT_PROFILE": "scripted", "AVB_TTS_ORDER": "scripted", "AVB_LOG_LEVEL": "warning"}
IDLE_S = 10.0
IDLE = {"idle_s": str(IDLE_S)}  # for the kind `idle`


class AttackedServer:
    """A running server.

    Attributes:
        target: its addresses and keys.
        configured_key, acme_key, rival_key: what `target` names.
    """

    def __init__(self, server: LocalServer, target: Target, sockets: Path) -> None:
        self.target = target
        self._server = server
        self._sockets = sockets

    def processes(self) -> list[Member]:
        """The supervisor and all its processes."""
        return family(self._server.pid)

    def pid(self, name: str) -> int:
        """The process of a role, or the first of a server (`valkey`, `postgres`); 0 when there is none."""
        return next((member.pid for member in self.processes() if member.name.startswith(name)), 0)

    def log(self) -> str:
        """The server's log so far."""
        return self._server.log.read_text(errors="replace")

    def store_info(self, section: str = "") -> dict[str, float]:
        """Numbers that Valkey tells of itself; empty when it does not answer within two seconds."""
        try:
            with Redis(unix_socket_path=str(self._sockets / "valkey.sock"), socket_timeout=STORE_TIMEOUT_S) as redis:
                told = redis.info(section) if section else redis.info()
        except RedisError:
            return {}
        return {name: float(value) for name, value in told.items() if isinstance(value, int | float)}

    @property
    def _database(self) -> str:
        return f"postgresql://postgres@/agentvoicebox?host={self._sockets}&port={POSTGRES_PORT}"

    @asynccontextmanager
    async def database(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection of PostgreSQL's superuser, who sees every tenant's rows."""
        connection = await asyncpg.connect(self._database)
        try:
            yield connection
        finally:
            await connection.close()

    async def new_keys(self, tenant: str, count: int = 1) -> list[str]:
        """Keys of a tenant that the server has never seen."""
        postgres = await Postgres.open(self._database.replace("postgres@", "agentvoicebox@"), most_connections=1)
        try:
            keys = [new_key() for _ in range(count)]
            for key in keys:
                await ApiKeys(postgres).create(tenant, key)
        finally:
            await postgres.close()
        return [key.text for key in keys]


def known_settings(wanted: dict[str, str]) -> dict[str, str]:
    """Those of these settings that this version has, as variables: a server refuses unknown ones."""
    return {f"{PREFIX}{name.upper()}": value for name, value in wanted.items() if name in Settings.model_fields}


def cores() -> tuple[set[int], set[int]]:
    """The server's cores, and those of neighbour and attacker."""
    free = sorted(os.sched_getaffinity(0))
    return (set(free[:-1]), {free[-1]}) if len(free) > 1 else (set(free), set(free))


@contextmanager
def inherited(own: set[int], descriptors: int) -> Iterator[None]:
    """Processes that are started in this block get these cores and this soft limit of file descriptors."""
    cores_before, limit = os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_NOFILE)
    os.sched_setaffinity(0, own)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(descriptors, limit[1]), limit[1]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores_before)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


@asynccontextmanager
async def attacked_server(kind: ServerSetup = "keys") -> AsyncIterator[AttackedServer]:
    """Start one; all of it is gone at the end of the block."""
    ports = {name: free_port() for name in ("webhook", "internal")}
    chosen = {
        **SCRIPTED,
        **known_settings({"gateway_internal_port": str(free_port()), **(IDLE if kind == "idle" else {})}),
        "AVB_WEBHOOK_PORT": str(ports["webhook"]),
        "AVB_INTERNAL_PORT": str(ports["internal"]),
    }
    if kind != "keyless":
        chosen |= {"AVB_API_KEYS": CONFIGURED_KEY, "AVB_VAPI_SECRETS": WEBHOOK_SECRET}
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avb-attack-")))
        with inherited(cores()[0], DESCRIPTORS):
            running = await stack.enter_async_context(local_server(folder, settings=chosen))
        target = Target(
            port=int(running.root_url.rpartition(":")[2]),
            webhook_port=ports["webhook"],
            internal_port=ports["internal"],
        )
        made = AttackedServer(running, target, folder / "run")
        if kind != "keyless":
            (acme,), (rival,) = await asyncio.gather(made.new_keys(ATTACKER), made.new_keys(NEIGHBOUR))
            made.target = Target(
                port=target.port,
                webhook_port=target.webhook_port,
                internal_port=target.internal_port,
                configured_key=CONFIGURED_KEY,
                acme_key=acme,
                rival_key=rival,
            )
        yield made
