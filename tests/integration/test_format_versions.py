"""Calls across versions: one that a former version began goes on here, and one of a newer version is left to its peers."""

import asyncio
import base64
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis
from tests.kit import stored_calls
from tests.kit.client import Client, calling
from tests.kit.gateway import Gateway, Workers, gateway, says, silence, tone
from tests.kit.resuming_client import audio_of, ids_of, reconnected, refusal, return_query, session_id
from tests.kit.store import looking_into
from tests.kit.stored_calls import SUFFIX, StoredCall, read_keys, write_keys

from agentvoicebox.broker import keys
from agentvoicebox.broker.envelope import unpack_job, unpack_result
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import SystemClock
from agentvoicebox.engine import session_format
from agentvoicebox.engine.inputs import WorkerInput
from agentvoicebox.engine.jobs import JobRequest
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.interactions.interaction import FORMAT as INTERACTION_FORMAT
from agentvoicebox.interactions.interaction import Interaction, encode
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.sessions.directory import FORMAT, OWNER
from agentvoicebox.storage.records import RecordBatch

pytestmark = pytest.mark.requirement("C13")

FORMATS = Path(__file__).parents[1] / "data" / "formats"
CALLS = sorted(FORMATS.glob(f"*/store/*{SUFFIX}"))
ANSWERS = [path for path in CALLS if "answer" in path.name or "snapshot" in path.name]
UTTERANCES = [path for path in CALLS if "utterance" in path.name]
STARTS = "model=delivery&resume=1"
NEWER = session_format.NEWEST_READ + 1


def named(path: Path) -> str:
    return f"{path.parent.parent.name}-{path.name.removesuffix(SUFFIX)}"


class ClockOfThen(SystemClock):
    """Wall time as it was a second after a stored call had lost its gateway."""

    def __init__(self, left_s: float) -> None:
        self._offset_s = left_s + 1.0 - SystemClock().wall_s()

    def wall_s(self) -> float:
        return super().wall_s() + self._offset_s


def resuming(call: StoredCall) -> Client:
    """The caller of a stored call, who has what it had received."""
    client = Client.__new__(Client)
    client.events = list(call.events)
    return client


def session_of(call: StoredCall) -> SessionRef:
    return SessionRef(stored_calls.TENANT, call.session_id)


def put_into(redis_url: str, call: StoredCall) -> None:
    with looking_into(redis_url, as_text=False) as redis:
        write_keys(redis, call)


def field_of(redis_url: str, session: SessionRef, name: str) -> Any:
    with looking_into(redis_url) as redis:
        return redis.hget(keys.session_hash(session), name)


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[Gateway]:
    """A second gateway on the same store."""
    broker = RedisBroker(redis_url)
    async with gateway(broker) as made:
        yield made
    await broker.close()


# -- what a former version wrote ---------------------------------------------------------------------------------------


def test_there_are_calls_of_a_former_version() -> None:
    assert {named(path) for path in CALLS} >= {
        "0e6754a-killed_in_mid_answer",
        "0e6754a-drained_in_mid_answer",
        "0e6754a-killed_after_a_snapshot",
        "0e6754a-killed_in_mid_utterance",
    }


@pytest.mark.parametrize("path", ANSWERS, ids=named)
async def test_an_answer_that_a_former_version_began_is_finished_without_gap_or_repeat(
    path: Path, redis_url: str, redis_broker: RedisBroker, workers: Workers
) -> None:
    call = stored_calls.load(path)
    put_into(redis_url, call)
    workers.writes, workers.chunks, workers.is_distinct = says(stored_calls.LONG), 30, True
    async with gateway(redis_broker, call_clock=ClockOfThen(call.left_s)) as served:
        client = resuming(call)
        async with reconnected(served.url(return_query(client)), client) as client:
            resumed = await client.next()
            assert (resumed["type"], resumed["is_complete"]) == ("agentvoicebox.resumed", True)
            await client.until("response.done")
            assert len(ids_of(client)) == len(set(ids_of(client)))
            here = b"".join(chunk for chunks in workers.spoken.values() for chunk in chunks)
            assert audio_of(client) == call.spoken + here
            await client.send("response.create")
            done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
            session = SessionRef("default", session_id(client))
            assert field_of(redis_url, session, FORMAT) == str(session_format.WRITTEN)


@pytest.mark.parametrize("path", UTTERANCES, ids=named)
async def test_a_sentence_that_a_former_version_began_to_hear_is_understood_whole(
    path: Path, redis_url: str, redis_broker: RedisBroker, workers: Workers
) -> None:
    call = stored_calls.load(path)
    put_into(redis_url, call)
    async with gateway(redis_broker, call_clock=ClockOfThen(call.left_s)) as served:
        client = resuming(call)
        (started,) = client.of("input_audio_buffer.speech_started")
        query = return_query(client, audio_from_ms=0, audio_until_ms=900)
        async with reconnected(served.url(query), client) as client:
            resumed = await client.next()
            await client.append(tone(900 - resumed["audio_start_ms"]) + tone(400) + silence(700))
            stopped = await client.until("input_audio_buffer.speech_stopped")
            assert stopped["item_id"] == started["item_id"]
            done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
    assert len(workers.heard) == 1  # one job, one stream, over both versions


@pytest.mark.parametrize("path", CALLS, ids=named)
def test_jobs_and_results_of_a_former_version_are_read(path: Path) -> None:
    call = stored_calls.load(path)
    for raw in call.jobs:
        job = unpack_job(raw)
        assert job.session == session_of(call)
        msgspec.msgpack.decode(job.payload, type=JobRequest)
    for _, fields in call.waiting[keys.job_stream(JobKind.RECORD)]:
        batch = unpack_job(base64.b64decode(fields["j"]))
        msgspec.msgpack.decode(batch.payload, type=RecordBatch)
    for key in (keys.results(session_of(call)), keys.audio_out(session_of(call))):
        _, entries = call.keys.get(key, ("stream", []))
        for _, fields in entries:
            record = unpack_result(base64.b64decode(fields["r"]))
            msgspec.msgpack.decode(record.body, type=WorkerInput)


# -- what a newer version wrote ----------------------------------------------------------------------------------------


def mark_as_newer(redis: Redis, session: SessionRef) -> None:
    redis.hset(keys.session_hash(session), FORMAT, NEWER)


async def test_a_session_of_a_newer_version_is_refused_untouched_and_a_newer_gateway_goes_on_with_it(
    served: Gateway, other: Gateway, workers: Workers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.writes, workers.chunks, workers.pace_s, workers.is_distinct = says(stored_calls.LONG), 30, 0.01, True
    async with calling(served.url(STARTS)) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        session = SessionRef("default", session_id(client))
        served.state.directory.stop_renewing(
            session, field_of(redis_url, session, OWNER)
        )  # its next heartbeat would undo this
        with Redis.from_url(redis_url) as redis:
            mark_as_newer(redis, session)
            owner = redis.hget(keys.session_hash(session), OWNER)
            left = redis.ttl(keys.session_hash(session))
            error, code, reason = await refusal(other.url(return_query(client)))
            assert (error["code"], code, reason) == ("newer_format", 1013, "server_error.newer_format")
            assert f"format {NEWER}" in error["message"] and "Upgrade" in error["message"]
            assert redis.hget(keys.session_hash(session), OWNER) == owner
            assert redis.ttl(keys.session_hash(session)) <= left, "a refusal keeps no session alive"
        assert len(other.state.sessions) == 0
        await client.until("response.output_audio.delta")  # its gateway has noticed nothing
        client.ws.transport.abort()
    monkeypatch.setattr(session_format, "NEWEST_READ", NEWER)
    async with reconnected(other.url(return_query(client)), client) as client:
        assert (await client.next())["is_complete"]
        await client.until("response.done")
        assert audio_of(client) == b"".join(chunk for chunks in workers.spoken.values() for chunk in chunks)
        assert field_of(redis_url, session, FORMAT) == str(NEWER), "the format of a session never falls"


async def test_somebody_without_the_sessions_key_does_not_learn_its_format(
    redis_broker: RedisBroker, redis_url: str
) -> None:
    async with gateway(redis_broker, admission=AdmissionConfig(("good", "second"))) as served:
        good, second = ({"additional_headers": {"Authorization": f"Bearer {key}"}} for key in ("good", "second"))
        async with calling(served.url(STARTS), **good) as client:
            with Redis.from_url(redis_url) as redis:
                mark_as_newer(redis, SessionRef("default", session_id(client)))
            error, _, _ = await refusal(served.url(return_query(client)), **second)
            assert error["code"] == "session_not_found"
            error, _, _ = await refusal(served.url(return_query(client)), **good)
            assert error["code"] == "newer_format"


async def test_a_newer_snapshot_that_is_found_after_the_take_over_is_left_to_peers(
    served: Gateway, other: Gateway, workers: Workers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(served.url(STARTS)) as client:
        session = SessionRef("default", session_id(client))
        owner = field_of(redis_url, session, OWNER)
        snapshot = msgspec.msgpack.encode({"format": NEWER})
        await served.state.session_log.save_snapshot(session, snapshot, 1, owner=owner)
        client.ws.transport.abort()
    with looking_into(redis_url, as_text=False) as redis:
        before = read_keys(redis, session)
        error, code, _ = await refusal(other.url(return_query(client)))
        assert (error["code"], code) == ("newer_format", 1013)
        after = read_keys(redis, session)
    hash_key = keys.session_hash(session)
    assert {key: value for key, value in after.items() if key != hash_key} == {
        key: value for key, value in before.items() if key != hash_key
    }
    await other.state.directory.heartbeat()
    seen = await other.state.directory.find(session)
    assert seen is not None and len(other.state.sessions) == 0
    assert await served.state.directory.take_over(session, seen, owner="a peer")


async def test_the_commands_name_interactions_of_a_newer_version_and_go_on_with_the_rest(tmp_path: Path) -> None:
    line = Interaction(timestamp="", began_s=0.0, correlation_id="", call_id="later", channel="rest")
    newer = encode(line).replace(b'"format":%d' % INTERACTION_FORMAT, b'"format":%d' % (INTERACTION_FORMAT + 1))
    *_, last = (FORMATS / "0e6754a" / "interactions.jsonl").read_bytes().splitlines(keepends=True)
    file = tmp_path / "interactions-2026-11-29.jsonl"
    file.write_bytes(newer + b"\n" + last + newer + b"\n")
    command = [
        sys.executable,
        "-m",
        "agentvoicebox.cli",
        "eval",
        "replay",
        str(file),
    ]  # its own logging, its own process
    running = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()
    assert b"written by a newer version" in said and b"lines=2" in said
    assert b"same" in said
