"""Strangers by the thousand beside twenty calls that speak: how late is their audio?

The gateway is alone on the first core. Store, workers, callers and, at a low priority, the strangers share the others. Workers
publish each answer as thirty chunks of 100 ms in real time, stamped, as in `gateway_density`. Measured is how much later a chunk
reaches its caller than it has to be played once the answer's first chunk has come, and than it was published. Every call also
streams a quiet room, a frame each 20 ms.
"""

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import random
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import uvloop
from benchmarks.attacks.attack import attacks
from benchmarks.attacks.neighbour import Newcomers
from benchmarks.attacks.process import attacker_process
from benchmarks.attacks.server import CONFIGURED_KEY, DESCRIPTORS, NEIGHBOUR, inherited, known_settings
from benchmarks.attacks.target import Target
from benchmarks.attacks.trial import spread
from tests.kit.cluster import Node
from tests.kit.instant_engines import CHUNK_S, STAMP, as_child, cpu_s, instant, process, serve_workers
from tests.kit.kits import migrate
from tests.kit.processes import pid_of
from tests.kit.raw_socket import RawSocket, dial, masked

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.key_format import new_key

CALLS = 20
CHUNKS = 30  # of an answer
FRAME_S = 0.02
ROOM_RMS = 30
PAUSE_S = 0.5
WARM_S = 5.0
ROUNDS = 2
WANTED_P99_MS = 20.0
ATTACK = "strangers"
DELTA = b'"delta":"'
ASK = masked(
    json.dumps(
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is it"}]},
        }
    ).encode()
) + masked(json.dumps({"type": "response.create"}).encode())


class SpeakingCall:
    """One call: streams a quiet room, asks, and notes how late each chunk of the answer is.

    Attributes:
        playout_ms: how late a chunk was for its playing, 0 when it was in time.
        transit_ms: from its publication by the worker to here.
        counts: of answers that were `completed` or not, and of errors.
    """

    def __init__(self, frames: list[bytes], first: int) -> None:
        self._frames = itertools.islice(itertools.cycle(frames), first, None)
        self._ws: RawSocket | None = None
        self._created: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._began_s = 0.0  # of the present answer
        self._chunks = 0
        self.playout_ms = array("d")
        self.transit_ms = array("d")
        self.counts: Counter[str] = Counter()

    async def start(self, target: Target) -> None:
        """Connect, and begin to stream and to ask."""
        self._ws = await dial(target.port, "/v1/realtime?model=delivery", self._heard, key=target.rival_key)
        await self._created
        self._due_s = time.monotonic()
        self._stream()
        self._ask()

    def stop(self) -> None:
        """Hang up."""
        if self._timer is not None:
            self._timer.cancel()
        if self._ws is not None:
            self._ws.close()

    @property
    def is_open(self) -> bool:
        """Whether the connection is the first one still."""
        return self._ws is not None and not self._ws.closed.done()

    def forget(self) -> None:
        """Count from now on."""
        self.playout_ms, self.transit_ms, self.counts = array("d"), array("d"), Counter()

    def _stream(self) -> None:
        assert self._ws is not None
        while self._due_s <= time.monotonic() and self.is_open:
            self._ws.write(next(self._frames))
            self._due_s += FRAME_S
        self._timer = asyncio.get_running_loop().call_later(self._due_s - time.monotonic(), self._stream)

    def _ask(self) -> None:
        assert self._ws is not None
        if self.is_open:
            self._ws.write(ASK)

    def _heard(self, payload: bytes) -> None:
        now_s = time.monotonic()
        if payload.startswith(b'{"type":"response.output_audio.delta"'):
            if not self._chunks:
                self._began_s = now_s
            self.playout_ms.append(max(0.0, now_s - self._began_s - self._chunks * CHUNK_S) * 1000)
            at = payload.index(DELTA) + len(DELTA)
            (published_s,) = STAMP.unpack(base64.b64decode(payload[at : at + 12])[: STAMP.size])
            self.transit_ms.append((now_s - published_s) * 1000)
            self._chunks += 1
        elif payload.startswith(b'{"type":"response.done"'):
            is_whole = json.loads(payload)["response"]["status"] == "completed" and self._chunks == CHUNKS
            self.counts["completed" if is_whole else "refused"] += 1
            self._chunks = 0
            asyncio.get_running_loop().call_later(PAUSE_S, self._ask)
        elif payload.startswith(b'{"type":"session.created"'):
            self._created.set_result(None)
        elif payload.startswith(b'{"type":"error"'):
            self.counts[str(json.loads(payload)["error"]["code"])] += 1


@dataclass
class Storm:
    """What the run measured. `broken`: connections of speaking calls that did not last."""

    seconds: float
    calls: int = CALLS
    playout_late_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    transit_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    answers: dict[str, dict[str, int]] = field(default_factory=dict)
    chunks: dict[str, int] = field(default_factory=dict)
    gateway_core_share: dict[str, float] = field(default_factory=dict)
    newcomers_served: int = 0
    newcomers_refused: dict[str, int] = field(default_factory=dict)
    strangers: dict[str, int] = field(default_factory=dict)
    broken: int = 0

    @property
    def holds(self) -> bool:
        """Audio in time, every answer whole, every connection kept."""
        late = self.playout_late_ms["beside"].get("p99", float("inf"))
        others = set(self.answers["beside"]) - {"completed"}
        return late <= WANTED_P99_MS and not others and not self.broken and not self.newcomers_refused

    def as_json(self) -> dict[str, object]:
        """All of it, with the verdict."""
        return {**asdict(self), "holds": self.holds}


def room() -> list[bytes]:
    """Ten seconds of a quiet room, as frames for the wire."""
    chance = np.random.default_rng(0)
    pieces = (chance.normal(0, ROOM_RMS, 480).astype("<i2").tobytes() for _ in range(500))
    return [
        masked(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(each).decode()}).encode())
        for each in pieces
    ]


@asynccontextmanager
async def speaking_server() -> AsyncIterator[tuple[Target, int, list[str]]]:
    """A gateway on the first core, and its servers and workers on the others: where it is, its pid, and fresh keys."""
    own = os.sched_getaffinity(0)
    async with contextlib.AsyncExitStack() as stack:
        folder = DataFolder(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avb-storm-"))))
        stack.callback(folder.close)
        valkey = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        postgres = EmbeddedPostgres(folder.path / "postgres", folder.sockets)
        for server in (valkey, postgres):
            stack.push_async_callback(server.stop)
        os.sched_setaffinity(0, own - {min(own)} or own)
        await asyncio.gather(valkey.start(), postgres.start())
        await migrate(postgres.url)
        keys = await _keys(postgres.url, 40)
        command = ["-m", "benchmarks.attacks.storm", "--role", "workers", "--url", valkey.url]
        await stack.enter_async_context(process(command))
        port = free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AVB_")},
            "AVB_REDIS_URL": valkey.url,
            "AVB_POSTGRES_URL": postgres.url,
            "AVB_DATA_DIR": str(folder.path),
            "AVB_API_KEYS": CONFIGURED_KEY,
            "AVB_MAX_CALLS": str(3 * CALLS),
            "AVB_LOG_LEVEL": "error",
            "PYTHONUNBUFFERED": "1",
            **known_settings(
                {"gateway_internal_port": str(free_port()), "limit_tenant_sessions": "0", "limit_key_sessions": "0"}
            ),
        }
        logs = folder.path / "log"
        logs.mkdir()
        node = Node("gateway", ("gateway",), environment, logs, port)
        stack.push_async_callback(node.stop)
        with inherited({min(own)}, DESCRIPTORS):
            await node.start()
        target = Target(port=port, webhook_port=port, internal_port=port, rival_key=keys[0])
        yield target, pid_of(os.getpid(), "gateway"), keys[1:]


async def _keys(url: str, count: int) -> list[str]:
    postgres = await Postgres.open(url, most_connections=1)
    try:
        keys = [new_key() for _ in range(count)]
        for key in keys:
            await ApiKeys(postgres).create(NEIGHBOUR, key)
    finally:
        await postgres.close()
    return [key.text for key in keys]


@dataclass
class _Part:
    """What was measured in all spans of one kind: quiet or beside."""

    playout_ms: "array[float]" = field(default_factory=lambda: array("d"))
    transit_ms: "array[float]" = field(default_factory=lambda: array("d"))
    answers: Counter[str] = field(default_factory=Counter)
    used_s: float = 0.0


async def storm(seconds: float) -> Storm:
    """Twenty calls speak; quiet, beside, quiet, beside, each for so many seconds."""
    assert ATTACK in attacks()
    result, frames, chance = Storm(seconds), room(), random.Random(4)
    parts = {"quiet": _Part(), "beside": _Part()}
    async with speaking_server() as (target, pid, keys):
        calls = [SpeakingCall(frames, chance.randrange(len(frames))) for _ in range(CALLS)]
        newcomers = Newcomers(target, itertools.cycle(keys))
        try:
            for each in calls:
                await each.start(target)
                await asyncio.sleep(chance.random() * 0.2)
            await asyncio.sleep(WARM_S)
            for _ in range(ROUNDS):
                async with attacker_process(ATTACK, target, seconds) as attacker:
                    async with _measured(parts["quiet"], calls, pid):
                        await Newcomers(target, itertools.cycle(keys)).come(seconds)
                    async with _measured(parts["beside"], calls, pid):
                        seen, _ = await asyncio.gather(attacker.run(), newcomers.come(seconds))
                result.strangers = {name: seen.get(name, 0) + result.strangers.get(name, 0) for name in seen}
                await asyncio.sleep(WARM_S)
            result.broken = sum(not each.is_open for each in calls)
        finally:
            for each in calls:
                each.stop()
    for name, part in parts.items():
        result.playout_late_ms[name], result.transit_ms[name] = spread(part.playout_ms), spread(part.transit_ms)
        result.answers[name], result.chunks[name] = dict(part.answers), len(part.playout_ms)
        result.gateway_core_share[name] = round(part.used_s / (ROUNDS * seconds), 3)
    result.newcomers_served, result.newcomers_refused = newcomers.served, dict(newcomers.refused)
    return result


@asynccontextmanager
async def _measured(part: _Part, calls: list[SpeakingCall], pid: int) -> AsyncIterator[None]:
    """Add what the calls notice in this block."""
    for each in calls:
        each.forget()
    before_s = cpu_s(pid)
    yield
    part.used_s += cpu_s(pid) - before_s
    for each in calls:
        part.playout_ms.extend(each.playout_ms)
        part.transit_ms.extend(each.transit_ms)
        part.answers += each.counts


def main() -> None:
    """Be the workers' process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", choices=("workers",), required=True)
    parser.add_argument("--url", required=True)
    options = parser.parse_args()
    uvloop.run(as_child("workers", lambda stop: serve_workers(options.url, stop, instant(CHUNKS))))


if __name__ == "__main__":
    main()
