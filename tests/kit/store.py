"""A Redis Cluster of three real nodes, and a look into any store from outside the code under test."""

import asyncio
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisError

from agentvoicebox.broker.cluster import SCHEMES
from agentvoicebox.supervisor.embedded import shim, valkey_binary

NODES = 3
ONLOOKER = "onlooker"
SLOTS = 16384
NODE_TIMEOUT_MS = 1000  # after which a silent node counts as dead
START_S = 20.0


class ValkeyCluster:
    """Three Valkeys on local ports, each with a third of the slots and an append-only file; no replicas.

    Args:
        folder: where their data lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(2 * NODES)
        self.processes: list[Process] = []

    @property
    def url(self) -> str:
        """For Settings.redis_url; two of the three are named."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self._ports[: NODES - 1])

    async def start(self) -> None:
        """Start the nodes and make them one cluster."""
        self.processes = [await self._start_node(number) for number in range(NODES)]
        for number in range(NODES):
            await self._until(number, "PING", lambda said: said)
        each = SLOTS // NODES + 1
        for number in range(NODES):
            with self._node(number) as node:
                node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                last = min(SLOTS, (number + 1) * each) - 1
                node.execute_command("CLUSTER", "ADDSLOTSRANGE", number * each, last)
                for other in range(NODES):
                    node.execute_command("CLUSTER", "MEET", "127.0.0.1", self._ports[other], self._ports[NODES + other])
        await self.until_whole()

    async def until_whole(self) -> None:
        """Wait until every node knows that all slots are served, and by whom."""
        for number in range(NODES):
            await self._until(number, "CLUSTER INFO", lambda said: "cluster_state:ok" in str(said))
            await self._until(number, "CLUSTER SLOTS", lambda said: isinstance(said, list) and len(said) == NODES)

    async def restart(self, number: int) -> None:
        """Start a node again that was killed."""
        await self.processes[number].wait()
        self.processes[number] = await self._start_node(number)
        await self.until_whole()

    def owner_of(self, key: str) -> int:
        """Which node has the key."""
        with self._node(0) as node:
            return min(SLOTS - 1, int(node.execute_command("CLUSTER", "KEYSLOT", key))) // (SLOTS // NODES + 1)

    async def move_slot(self, slot: int, to: int) -> None:
        """Give a slot, and the keys in it, to another node, as an operator would."""
        with self._node(to) as target:
            target_id = target.execute_command("CLUSTER", "MYID")
        source = slot // (SLOTS // NODES + 1)
        with self._node(source) as node, self._node(to) as target:
            source_id = node.execute_command("CLUSTER", "MYID")
            target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            node.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            while keys := node.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
                node.execute_command("MIGRATE", "127.0.0.1", self._ports[to], "", 0, 5000, "KEYS", *keys)
            for each in (target, node):
                each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    async def stop(self) -> None:
        """End the nodes."""
        for process in self.processes:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    async def _start_node(self, number: int) -> Process:
        folder = self._folder / f"node{number}"
        folder.mkdir(parents=True, exist_ok=True)
        program = [
            valkey_binary(),
            *("--port", str(self._ports[number]), "--bind", "127.0.0.1"),
            *("--cluster-enabled", "yes", "--cluster-port", str(self._ports[NODES + number])),
            *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            *("--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
            *("--maxmemory", "128mb", "--maxmemory-policy", "volatile-lru"),
        ]
        return await asyncio.create_subprocess_exec(
            *shim(program, die_with=signal.SIGKILL), cwd=folder, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )

    def _node(self, number: int) -> "Redis":
        return Redis(port=self._ports[number], decode_responses=True)

    async def _until(self, number: int, command: str, is_right: Callable[[object], object]) -> None:
        async with asyncio.timeout(START_S):
            while True:
                try:
                    with self._node(number) as node:
                        if is_right(node.execute_command(*command.split())):
                            return
                except (RedisError, OSError):
                    pass  # not up yet
                await asyncio.sleep(0.02)


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
