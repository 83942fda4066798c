"""A Redis Cluster of three real nodes, and a look into any store from outside the code under test."""

import asyncio
import contextlib
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisError

from agentvoicebox.broker.cluster import SCHEMES
from agentvoicebox.processes.child_command import child_command
from agentvoicebox.supervisor.embedded.valkey import valkey_binary
from tests.kit.waiting import PATIENCE_S

NODES = 3
ONLOOKER = "onlooker"
SLOTS = 16384
THIRD = SLOTS // NODES + 1
NODE_TIMEOUT_MS = 10_000  # after which a silent node counts as dead; a busy machine must not look like that


class ValkeyNode:
    """A Valkey on a local port.

    Args:
        folder: where its data lie.
        options: words of its command line.
        port: where it listens; any free one unless given.
    """

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self._folder = folder
        self._options = options
        self.port = port or _free_ports(1)[0]
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """For Settings.redis_url."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        program = [valkey_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = await asyncio.create_subprocess_exec(
            *child_command([*program, "--save", "", *self._options], die_with=signal.SIGKILL),
            cwd=self._folder, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        await self.until("PING", lambda said: said)

    async def kill(self) -> None:
        """Kill it at once. Idempotent."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def ask(self, *words: str | int) -> Any:
        """Send it one command."""
        with Redis(port=self.port, decode_responses=True, client_name=ONLOOKER) as redis:
            return redis.execute_command(*words)

    async def until(self, command: str, is_right: Callable[[Any], object]) -> None:
        """Ask until the answer is right."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(RedisError, OSError):  # not up yet
                    if is_right(self.ask(*command.split())):
                        return
                await asyncio.sleep(0.02)


class ValkeyCluster:
    """Three Valkeys, each with a third of the slots and an append-only file; no replicas.

    Args:
        folder: where their data lie.
    """

    def __init__(self, folder: Path) -> None:
        ports = _free_ports(2 * NODES)
        self._bus_ports = ports[NODES:]
        self.nodes = [
            ValkeyNode(
                folder / f"node{number}",
                *("--cluster-enabled", "yes", "--cluster-port", str(ports[NODES + number])),
                *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
                *("--appendonly", "yes", "--appendfsync", "no"),  # written before each answer: it outlives kill -9
                *("--maxmemory", "128mb", "--maxmemory-policy", "volatile-lru"),
                port=ports[number],
            )
            for number in range(NODES)
        ]

    @property
    def url(self) -> str:
        """For Settings.redis_url; two of the three are named."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[: NODES - 1])

    async def start(self) -> None:
        """Start the nodes and make them one cluster."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * THIRD, min(SLOTS, (number + 1) * THIRD) - 1)
        for other, bus_port in zip(self.nodes, self._bus_ports, strict=True):
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus_port)
        await self.until_whole()

    async def until_whole(self) -> None:
        """Wait until every node knows that all slots are served, and by whom."""
        for node in self.nodes:
            await node.until("CLUSTER INFO", lambda said: "cluster_state:ok" in said.replace(" ", ""))
            await node.until("CLUSTER SLOTS", lambda said: len({str(part[2]) for part in said}) == NODES)

    def owner_of(self, key: str) -> int:
        """Which node has the key, before any slot was moved."""
        return self.slot_of(key) // THIRD

    def slot_of(self, key: str) -> int:
        """The key's slot."""
        return int(self.nodes[0].ask("CLUSTER", "KEYSLOT", key))

    def move(self, slot: int, to: int) -> None:
        """Give a slot, and the keys in it, to another node, as an operator would."""
        source, target = self.nodes[slot // THIRD], self.nodes[to]
        target_id = target.ask("CLUSTER", "MYID")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for each in (target, source):
            each.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    async def stop(self) -> None:
        """End the nodes."""
        for node in self.nodes:
            await node.kill()


@contextmanager
def looking_into(url: str, *, as_text: bool = True) -> Iterator[Redis | RedisCluster]:
    """A client of the store that a URL names, for a test to see what lies there."""
    client: Redis | RedisCluster
    if url.startswith(SCHEMES):
        node = "redis://" + url.partition("://")[2].partition(",")[0]
        client = RedisCluster.from_url(node, decode_responses=as_text, client_name=ONLOOKER)
    else:
        client = Redis.from_url(url, decode_responses=as_text, client_name=ONLOOKER)
    try:
        yield client
    finally:
        client.close()


def connections_to(store: Redis | RedisCluster) -> dict[str, str]:
    """Who is connected to a store, onlookers aside: a name for each connection, and its last command."""
    if isinstance(store, RedisCluster):
        nodes = {node.name: node.redis_connection for node in store.get_primaries()}
    else:
        nodes = {"valkey": store}
    return {
        f"{name} {client['id']}": client["cmd"]
        for name, node in nodes.items()
        for client in node.client_list()
        if client["name"] != ONLOOKER
    }


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
