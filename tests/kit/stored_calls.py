"""Calls as a version left them in the store when its gateway went, so that tests can have a later version go on with them.

`python -P tests/kit/stored_calls.py FOLDER`, started in the tree of the version that is to be recorded and with that tree's `src`
and root on PYTHONPATH, writes one file a scene. `tests/data/formats/README.md` has the whole recipe.
"""

import asyncio
import base64
import gzip
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from redis import Redis
from websockets.exceptions import ConnectionClosed

from agentvoicebox.broker import keys
from agentvoicebox.broker.envelope import pack_job
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import AudioSynthesised, SynthesisDone
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.workers.runner import Task
from tests.kit.client import SERVER_VAD, Client, calling
from tests.kit.gateway import CHUNK_SAMPLES, Workers, says, tone
from tests.kit.resuming_client import free_port, gateway_process, session_id
from tests.kit.store import ValkeyNode, looking_into

SUFFIX = ".json.gz"
TENANT = "default"
LONG = "One. Two. Three. Four. Five. Six."
LONG_ENOUGH_S = 31.0  # a snapshot is saved when it is 30 s old
SETTLED_S = 1.0


class StoredCall(msgspec.Struct, kw_only=True):
    """One call, from its first key to the moment its gateway was gone.

    Attributes:
        left_s: Unix time at which the gateway went.
        keys: of the session: name → [type, content]. Content is a dict, a list of members, or a list of [id, fields].
        events: what the client had received.
        waiting: job stream → entries of jobs that are not done, as [id, fields].
        jobs: each job that a worker took, as it lay in its stream.
        spoken: synthesised audio of all segments so far, in order, int16 at 24 kHz.
    """

    session_id: str
    left_s: float
    keys: dict[str, tuple[str, Any]]
    waiting: dict[str, Any]
    events: list[dict[str, Any]]
    jobs: list[bytes]
    spoken: bytes


def load(path: Path) -> StoredCall:
    """Read one file."""
    return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=StoredCall)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _pairs(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): _text(value) for name, value in fields.items()}


def _entries(redis: Any, stream: str | bytes) -> list[Any]:
    return [[entry.decode(), _pairs(fields)] for entry, fields in redis.xrange(stream)]


def read_keys(redis: Any, session: SessionRef) -> dict[str, tuple[str, Any]]:
    """Everything that the store holds of a session. Values are base64."""
    found: dict[str, tuple[str, Any]] = {}
    for key in sorted(redis.scan_iter(match=f"*{{{session.tenant_id}/{session.session_id}}}*", count=1000)):
        kind = redis.type(key).decode()
        if kind == "hash":
            content: Any = _pairs(redis.hgetall(key))
        elif kind == "set":
            content = sorted(_text(member) for member in redis.smembers(key))
        elif kind == "stream":
            content = _entries(redis, key)
        else:
            raise ValueError(f"a key of another type: {key!r} is a {kind}")
        found[key.decode()] = (kind, content)
    return found


def _add(redis: Any, stream: str, entries: list[Any]) -> None:
    for entry, fields in entries:
        redis.xadd(stream, {name: base64.b64decode(value) for name, value in fields.items()}, id=entry)


def write_keys(redis: Any, call: StoredCall) -> None:
    """Put a call into an empty store, as alive as it was when its gateway went."""
    for key, (kind, content) in call.keys.items():
        if kind == "hash":
            redis.hset(key, mapping={name: base64.b64decode(value) for name, value in content.items()})
        elif kind == "set":
            redis.sadd(key, *(base64.b64decode(member) for member in content))
        else:
            _add(redis, key, content)
        is_hash = key == keys.session_hash(SessionRef(TENANT, call.session_id))
        redis.expire(key, keys.SESSION_TTL_S if is_hash else keys.SESSION_DATA_TTL_S)
    for stream, entries in call.waiting.items():
        _add(redis, stream, entries)
    redis.zadd(keys.LIVE_SESSIONS, {f"{TENANT}/{call.session_id}": time.time() + keys.SESSION_TTL_S})


def level_chunk(job_id: str, number: int) -> bytes:
    """100 ms of one level, which differs from chunk to chunk and takes no room when it is compressed."""
    level = (int(job_id[-6:], 16) + 37 * number) % 16_000 - 8_000
    return np.full(CHUNK_SAMPLES, level, dtype="<i2").tobytes()


class RecordedWorkers(Workers):
    """Workers that keep each job as it came, and speak in levels."""

    def __init__(self, broker: RedisBroker) -> None:
        super().__init__(broker, writes=says(LONG))
        self.jobs: list[bytes] = []

    async def _work(self, task: Task) -> None:
        self.jobs.append(pack_job(task.claim.job))
        job_id = task.claim.job.job_id
        if not isinstance(task.request, Synthesise):
            await super()._work(task)
            return
        self.spoken[job_id] = []
        for number in range(self.chunks):
            await asyncio.sleep(self.pace_s)
            self.spoken[job_id].append(level_chunk(job_id, number))
            audio = self.spoken[job_id][-1]
            await task.publish(AudioSynthesised(job_id, number + 1, CHUNK_SAMPLES), audio=audio)
        await task.publish(SynthesisDone(job_id), is_last=True)


async def _hear(client: Client, deltas: int) -> None:
    for _ in range(deltas):
        await client.until("response.output_audio.delta")


async def _mid_answer(client: Client, workers: RecordedWorkers) -> None:
    workers.chunks = 30
    await client.use(instructions="Be kind.")
    await client.send("response.create", event_id="mine")
    await _hear(client, 8)


async def _after_a_snapshot(client: Client, workers: RecordedWorkers) -> None:
    """Enough inputs for a snapshot, long enough ago to be saved, and an answer that began after it."""
    workers.chunks = 40
    await client.send("response.create")
    await client.until("response.done")
    await asyncio.sleep(LONG_ENOUGH_S)
    await client.use(instructions="Be brief.")
    workers.chunks = 30
    await client.send("response.create")
    await _hear(client, 8)


async def _mid_utterance(client: Client, workers: RecordedWorkers) -> None:
    await client.use(audio=SERVER_VAD)
    await client.append(tone(900))
    await client.until("input_audio_buffer.speech_started")


SCENES: dict[str, tuple[Callable[..., Any], int]] = {
    "killed_in_mid_answer": (_mid_answer, signal.SIGKILL),
    "drained_in_mid_answer": (_mid_answer, signal.SIGTERM),
    "killed_after_a_snapshot": (_after_a_snapshot, signal.SIGKILL),
    "killed_in_mid_utterance": (_mid_utterance, signal.SIGKILL),
}


@asynccontextmanager
async def _working(url: str) -> AsyncIterator[RecordedWorkers]:
    broker = RedisBroker(url)
    workers, stop = RecordedWorkers(broker), asyncio.Event()
    workers.pace_s = 0.01
    running = asyncio.create_task(workers.run(stop))
    yield workers
    stop.set()
    await running
    await broker.close()


async def record(name: str, folder: Path) -> None:
    """Play a scene, end its gateway, and write what is left."""
    play, signal_number = SCENES[name]
    with tempfile.TemporaryDirectory() as data:
        valkey = ValkeyNode(Path(data))
        await valkey.start()
        port = free_port()
        async with _working(valkey.url) as workers, gateway_process(valkey.url, port) as process:
            async with calling(f"ws://127.0.0.1:{port}/v1/realtime?model=delivery&resume=1") as client:
                await play(client, workers)
                process.send_signal(signal_number)
                try:
                    while True:
                        await client.next()
                except ConnectionClosed:
                    left_s = time.time()
            await process.wait()
            await asyncio.sleep(SETTLED_S)  # workers finish what was handed out
            session = SessionRef(TENANT, session_id(client))
            with looking_into(valkey.url, as_text=False) as redis:
                assert isinstance(redis, Redis)
                found = read_keys(redis, session)
                waiting = {keys.job_stream(kind): _entries(redis, keys.job_stream(kind)) for kind in JobKind}
        await valkey.kill()
    spoken = b"".join(chunk for chunks in workers.spoken.values() for chunk in chunks)
    call = StoredCall(
        session_id=session.session_id, left_s=left_s, keys=found, waiting=waiting, events=client.events,
        jobs=workers.jobs, spoken=spoken,
    )  # fmt: skip
    (folder / f"{name}{SUFFIX}").write_bytes(gzip.compress(msgspec.json.encode(call), mtime=0))
    kinds = {key.split(":")[1] for key in found}
    left = {stream: len(entries) for stream, entries in waiting.items()}
    print(json.dumps({"scene": name, "keys": sorted(kinds), "events": len(client.events), "waiting": left}))


if __name__ == "__main__":
    to = Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    for scene in sys.argv[2:] or SCENES:
        asyncio.run(record(scene, to))
