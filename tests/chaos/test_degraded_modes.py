"""The five degraded modes: each real thing is taken away in the middle of a call, and given back.

A call never ends by it. Its client is told what does not work, by `session.updated` with `degraded`, which every stock client
reads as any other update, and is told again when it works.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis import Redis
from tests.kit.client import SERVER_VAD, Client, calling, until
from tests.kit.gateway import Gateway, Workers, calm, gateway
from websockets.asyncio.client import connect

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import ALL, StoreHealthMonitor
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.workers.health import WorkerHealth, single_engine_check
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner, Task, worker_name

pytestmark = pytest.mark.requirement("A14.2")

ABSENT_S = 0.6
LOOK_S = 0.1
BALLAST_BYTES = 64_000_000
TALKERS = (JobKind.STT, JobKind.LLM, JobKind.TTS, JobKind.TOOL)


class Crew:
    """Workers whose kinds come and go one by one, each with its own line to the store."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._leaving: dict[JobKind, tuple[asyncio.Event, asyncio.Task[None], RedisBroker]] = {}

    async def come(self, *kinds: JobKind) -> None:
        for kind in kinds:
            broker, stop = RedisBroker(self._url), asyncio.Event()
            working = Workers(broker).run(stop, [kind]) if kind in TALKERS else _record_nowhere(broker, stop)
            running = asyncio.create_task(working, name=f"{kind} workers")
            self._leaving[kind] = (stop, running, broker)

    async def go(self, *kinds: JobKind) -> None:
        for kind in kinds:
            stop, running, broker = self._leaving.pop(kind)
            stop.set()
            await running
            await broker.close()

    async def go_all(self) -> None:
        await self.go(*self._leaving)


async def _record_nowhere(broker: RedisBroker, stop: asyncio.Event) -> None:
    async def work(task: Task) -> None:
        pass

    await Runner(broker, JobKind.RECORD, worker_name(JobKind.RECORD), slots=64, work=work).run(stop)


@asynccontextmanager
async def running_gateway(url: str, *, has_recorder: bool = False) -> AsyncIterator[tuple[Gateway, Crew]]:
    """A gateway that looks around ten times a second, and workers of every kind."""
    async with AsyncExitStack() as stack:
        broker = RedisBroker(url, retry_for_s=0.5)
        stack.push_async_callback(broker.close)
        crew = Crew(url)
        stack.push_async_callback(crew.go_all)
        await crew.come(*TALKERS, *(() if has_recorder else (JobKind.RECORD,)))
        served = await stack.enter_async_context(
            gateway(broker, check_interval_s=LOOK_S, health=calm(absent_s=ABSENT_S))
        )
        yield served, crew


async def told(client: Client, *degraded: str) -> None:
    """Wait until the client has been told that exactly this does not work."""
    updates = client.of("session.updated")
    while not updates or updates[-1]["session"].get("degraded") != list(degraded):
        updates = [await client.until("session.updated")]


async def type_in(client: Client) -> dict[str, object]:
    """A typed turn; gives the final response."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is my parcel"}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create")
    response: dict[str, object] = (await client.until("response.done"))["response"]
    return response


def audio_of(client: Client, response: dict[str, object]) -> int:
    """How many pieces of audio a response had."""
    return sum(1 for each in client.of("response.output_audio.delta") if each["response_id"] == response["id"])


def words_of(response: dict[str, object]) -> str:
    """What it said."""
    return str(response["output"][0]["content"][0]["transcript"])  # type: ignore[index]


async def test_without_speech_synthesis_the_words_still_come_and_sound_comes_back(redis_url: str) -> None:
    async with running_gateway(redis_url) as (served, crew), calling(served.url()) as client:
        assert audio_of(client, await type_in(client))
        await crew.go(JobKind.TTS)
        silent = await type_in(client)  # asked while nobody has noticed yet: it is not left to rot
        assert silent["status"] == "completed" and words_of(silent) == "It is on its way."
        assert not audio_of(client, silent)
        await told(client, "speech_synthesis_unavailable")
        again = await type_in(client)
        assert again["status"] == "completed" and not audio_of(client, again)
        await crew.come(JobKind.TTS)
        await told(client)
        assert audio_of(client, await type_in(client))


async def test_without_a_language_model_there_is_a_spoken_apology(redis_url: str) -> None:
    async with running_gateway(redis_url) as (served, crew), calling(served.url()) as client:
        await crew.go(JobKind.LLM)
        await told(client, "language_model_unavailable")
        sorry = await type_in(client)
        assert sorry["status"] == "failed"
        assert sorry["status_details"]["error"]["code"] == "language_model_unavailable"  # type: ignore[index]
        assert "I'm sorry" in words_of(sorry) and audio_of(client, sorry)
        await crew.come(JobKind.LLM)
        await told(client)
        assert (await type_in(client))["status"] == "completed"


async def test_without_recognition_a_spoken_turn_fails_by_name_and_a_typed_one_works(redis_url: str) -> None:
    async with running_gateway(redis_url) as (served, crew), calling(served.url()) as client:
        await client.use(audio={"input": {"transcription": {"model": "whisper-1"}, **SERVER_VAD["input"]}})
        await crew.go(JobKind.STT)
        await told(client, "speech_recognition_unavailable")
        await client.speak()
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == "speech_recognition_unavailable"
        sorry = (await client.until("response.done"))["response"]
        assert sorry["status"] == "failed" and "say it again" in words_of(sorry)
        assert (await type_in(client))["status"] == "completed"
        await crew.come(JobKind.STT)
        await told(client)
        await client.speak()
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "where is my parcel"
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def refused(url: str) -> tuple[dict[str, str], int]:
    """How a new call is turned away."""
    async with connect(url) as ws:
        error = json.loads(await ws.recv())["error"]
        await ws.wait_closed()
        return error, ws.close_code or 0


@pytest.mark.parametrize(("trouble", "mode"), [("full", "store_full"), ("read only", "store_unavailable")])
async def test_with_a_store_that_takes_nothing_new_old_calls_go_on_and_new_ones_are_refused(
    own_data_folder: DataFolder, trouble: str, mode: str
) -> None:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    try:
        async with running_gateway(server.url) as (served, _), calling(served.url()) as client:
            with Redis.from_url(server.url) as redis:
                if trouble == "full":
                    # The store makes the ballast itself: one that is sent lies in the connection's input buffer too, for up
                    # to a second, and counts twice. It is so big that a twentieth of it is room for a call.
                    redis.setrange("avb:test:ballast", BALLAST_BYTES - 1, b"\0")
                    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / 0.95))
                else:
                    redis.config_set("min-replicas-to-write", 1)
                await told(client, mode)
                error, code = await refused(served.url())
                assert (error["type"], error["code"], code) == ("server_error", mode, 1013)
                response = await type_in(client)
                if trouble == "full":  # the room that is left belongs to the turns of those who are there
                    assert [each["error"]["code"] for each in client.of("error")] == ["store_full"]
                    assert response["status"] == "completed" and audio_of(client, response)
                else:
                    assert response["status_details"]["error"]["code"] == "broker_lost"  # type: ignore[index]
                redis.config_set("maxmemory", 0)
                redis.config_set("min-replicas-to-write", 0)
            await told(client)
            async with calling(served.url()) as newcomer:
                assert (await type_in(newcomer))["status"] == "completed"
            assert (await type_in(client))["status"] == "completed"
    finally:
        await server.stop()


async def test_a_store_that_restarts_in_mid_call_is_a_pause_and_no_mode(own_data_folder: DataFolder) -> None:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    try:
        async with running_gateway(server.url) as (served, _), calling(served.url()) as client:
            assert (await type_in(client))["status"] == "completed"
            await server.stop()
            await server.start()
            assert (await type_in(client))["status"] == "completed"
    finally:
        await server.stop()


async def test_without_postgresql_calls_go_on_and_every_record_comes_later(
    own_data_folder: DataFolder, redis_url: str
) -> None:
    server = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    await server.start()
    await migrate(server.url)
    postgres, broker = await Postgres.open(server.url), RedisBroker(redis_url)
    name, stop = worker_name(JobKind.RECORD), asyncio.Event()
    health = WorkerHealth(
        StoreHealthMonitor(broker.connection), JobKind.RECORD, name, single_engine_check(postgres.check), every_s=LOOK_S
    )
    work = RecorderWork(Conversations(postgres), broker, on_failure=health.suspect)

    async def record() -> None:
        async with health.watching():
            await Runner(broker, JobKind.RECORD, name, slots=64, work=work).run(stop)

    recording = asyncio.create_task(record())
    try:
        async with running_gateway(redis_url, has_recorder=True) as (served, _), calling(served.url()) as client:
            session_id = client.events[0]["session"]["id"]
            await type_in(client)
            await server.stop()
            responses = [await type_in(client) for _ in range(3)]
            assert [each["status"] for each in responses] == ["completed"] * 3
            await told(client, "records_delayed")
            assert (await type_in(client))["status"] == "completed"
            await server.start()
            await told(client)

            async def is_all_there() -> bool:
                async with postgres.tenant_transaction("default") as connection:
                    rows = await connection.fetchval("SELECT count(*) FROM responses WHERE session_id = $1", session_id)
                return bool(rows == 5)

            await until(is_all_there)
    finally:
        stop.set()
        await recording
        await work.close()
        await postgres.close()
        await broker.close()
        await server.stop()


async def test_an_engine_that_is_away_is_told_by_its_living_worker(redis_url: str) -> None:
    async with running_gateway(redis_url) as (served, _), calling(served.url()) as client:
        broker = RedisBroker(redis_url)
        signs = StoreHealthMonitor(broker.connection)
        crew = (await signs.read()).worker_pools[JobKind.TTS]
        for worker in crew.alive:
            await signs.report_unhealthy(JobKind.TTS, worker, frozenset({ALL}))
        await told(client, "speech_synthesis_unavailable")
        for worker in crew.alive:
            await signs.report_unhealthy(JobKind.TTS, worker, frozenset())
        await told(client)
        await broker.close()
