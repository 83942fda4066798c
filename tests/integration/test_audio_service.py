"""`/v1/audio` over a real gateway and a real store: who is served, in which order, how much, and that nothing is left behind."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from openai import APIError, AsyncOpenAI
from redis import Redis
from tests.kit.audio_requests import LONG, SAY, SPEECH, TRANSCRIPTIONS, VOICES, left_in, transcribe, web
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, calm, gateway
from tests.kit.sound_files import samples_in
from tests.kit.store import looking_into
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import AudioSynthesised, SynthesisDone, Transcribed
from agentvoicebox.engine.jobs import Synthesise, Transcribe
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.gateway.admission.request_slots import RequestSlots
from agentvoicebox.gateway.admission.service_health import BAD_CHECKS
from agentvoicebox.gateway.audio_api.speech import segments_of
from agentvoicebox.gateway.call import open_jobs
from agentvoicebox.gateway.http import streamed_answer
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.ports.broker import Broker, JobKind
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner, Task

pytestmark = pytest.mark.requirement("C9")


@pytest.fixture(autouse=True)
async def nothing_is_left(redis_url: str) -> AsyncIterator[None]:
    """However a request ends, its keys are deleted; fences of records outlive it."""
    yield
    assert left_in(redis_url) == []


# -- what is done ----------------------------------------------------------------------------------------------------


async def test_speech_is_the_chunks_of_its_segments_in_the_order_of_the_text(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    workers.is_distinct = True
    async with gateway(redis_broker, voices=VOICES) as served, web(served) as http:
        answer = await http.post(SPEECH, json={**SAY, "input": LONG, "speed": 1.5})
    jobs = [request for _, request in workers.taken if isinstance(request, Synthesise)]
    assert [" ".join(job.text for job in jobs), {job.voice for job in jobs}, {job.speed for job in jobs}] == [
        LONG, {"alloy"}, {1.5}
    ]  # fmt: skip
    in_order = dict(zip((job.text for job in jobs), workers.spoken.values(), strict=True))
    assert answer.content == b"".join(chunk for job in jobs for chunk in in_order[job.text])
    assert answer.headers["content-type"] == "audio/pcm"


@pytest.mark.parametrize(
    ("format", "content_type"),
    [("mp3", "audio/mpeg"), ("opus", "audio/ogg"), ("flac", "audio/flac"), ("wav", "audio/wav")],
)
async def test_each_format_holds_all_samples(
    redis_broker: RedisBroker, workers: Workers, format: str, content_type: str
) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await http.post(SPEECH, json={**SAY, "response_format": format})
    segments = len([1 for _, request in workers.taken if isinstance(request, Synthesise)])
    padding = 4_000 if format == "mp3" else 0
    got = samples_in(answer.content, format).size
    assert answer.headers["content-type"] == content_type
    assert 0 <= got - segments * workers.chunks * CHUNK_SAMPLES <= padding


async def test_mp3_is_the_default_and_null_means_the_default(redis_broker: RedisBroker, workers: Workers) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        asked = {**SAY, "response_format": None, "speed": None, "stream_format": None, "instructions": None}
        answer = await http.post(SPEECH, json=asked)
    assert answer.headers["content-type"] == "audio/mpeg"


async def test_a_text_without_words_is_refused_and_charged_nothing(redis_broker: RedisBroker, workers: Workers) -> None:
    workers.chunks = 0
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await http.post(SPEECH, json={**SAY, "input": "…"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


async def test_hints_reach_the_recogniser_and_pieces_come_whole(
    redis_broker: RedisBroker, workers: Workers, recording: bytes
) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await transcribe(http, recording, language="en", prompt="Oslo", temperature="0", stream="false")
    jobs = [request for _, request in workers.taken if isinstance(request, Transcribe)]
    assert len(jobs) == 2 and {(job.language, job.prompt) for job in jobs} == {("en", "Oslo")}
    assert answer.json()["text"] == f"{workers.hears} {workers.hears}"
    assert answer.json()["usage"]["type"] == "duration"
    for entries in workers.heard.values():
        assert entries[-1].mark == "end" and entries[-1].at_sample == sum(len(entry.pcm) for entry in entries) // 2


async def test_the_file_may_come_before_the_fields(
    redis_broker: RedisBroker, workers: Workers, recording: bytes
) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        head = 'Content-Disposition: form-data; name="{}"\r\n\r\n'
        body = b"--b\r\n" + head.format('file"; filename="a.wav').encode() + recording
        body += b"\r\n--b\r\n" + head.format("model").encode() + b"whisper-1"
        body += b"\r\n--b\r\n" + head.format("response_format").encode() + b"text\r\n--b--\r\n"
        kind = {"content-type": "multipart/form-data; boundary=b"}
        answer = await http.post(TRANSCRIPTIONS, content=body, headers=kind)
    assert answer.text == f"{workers.hears} {workers.hears}\n"


# -- who is served ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [SPEECH, TRANSCRIPTIONS])
async def test_without_a_good_key_nothing_is_read(redis_broker: RedisBroker, path: str) -> None:
    guarded = AdmissionConfig((CONFIGURED,))
    async with gateway(redis_broker, admission=guarded) as served, web(served, "wrong") as http:
        wrong = await http.post(path, content=b"{")
        none = await http.post(path, content=b"{", headers={"authorization": ""})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (none.status_code, none.json()["error"]["code"]) == (401, None)


@pytest.mark.parametrize("path", [SPEECH, TRANSCRIPTIONS])
async def test_a_page_of_another_site_is_not_served_without_keys(redis_broker: RedisBroker, path: str) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await http.post(path, json=SAY, headers={"origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize("path", [SPEECH, TRANSCRIPTIONS])
async def test_a_browsers_secret_opens_sessions_only(redis_broker: RedisBroker, path: str) -> None:
    async with gateway(redis_broker, admission=AdmissionConfig((CONFIGURED,))) as served:
        async with web(served, CONFIGURED) as http:
            secret = (await http.post("/v1/realtime/client_secrets", json={})).json()["value"]
        async with web(served, secret) as http:
            answer = await http.post(path, json=SAY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_permissions")


async def test_two_tenants_are_served_apart_and_each_usage_is_counted(
    town: TenantGateway, workers: Workers, recording: bytes, postgres_url: str, redis_url: str
) -> None:
    used, sessions = {}, {}
    async with recorder(town.served.state.broker, postgres_url, redis_url) as settled:
        for tenant in ("acme", "globex", "initech"):
            async with town.http((await town.key(tenant)).text) as http:
                if tenant != "initech":
                    assert (await http.post(SPEECH, json=SAY)).status_code == 200
                if tenant == "globex":
                    assert (await transcribe(http, recording)).status_code == 200
                await settled()
                used[tenant] = (await http.get("/v1/usage")).json()["total"]
                sessions[tenant] = (await http.get("/v1/realtime/sessions")).json()["data"]
    assert {tenant: data for tenant, data in sessions.items() if data} == {}  # a request is no session
    assert [used[tenant]["sessions"] for tenant in used] == [0, 0, 0]
    assert [used[tenant]["audio_out_seconds"] for tenant in used] == [0.2, 0.2, 0]
    assert used["acme"]["input_tokens"] == 7 and used["acme"]["output_tokens"] == 4
    assert used["globex"]["audio_in_seconds"] == pytest.approx(len(recording) / 48_000, abs=0.1)
    assert used["globex"]["input_tokens"] > 50


@asynccontextmanager
async def recorder(broker: Broker, postgres_url: str, redis_url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A recorder that works; what is given waits until it has nothing to do."""
    postgres = await Postgres.open(postgres_url, most_connections=2)
    work, stop = RecorderWork(Conversations(postgres), broker), asyncio.Event()
    running = asyncio.create_task(Runner(broker, JobKind.RECORD, "recorder", slots=8, work=work).run(stop))

    def waiting() -> int:
        with Redis.from_url(redis_url) as store:
            return int(store.xlen("avb:record"))

    async def settled() -> None:
        await until(waiting, "records wait")

    try:
        yield settled
    finally:
        stop.set()
        await running
        await work.close()
        await postgres.close()


@pytest.mark.parametrize("path", [SPEECH, TRANSCRIPTIONS])
async def test_a_tenant_beyond_its_requests_waits(
    redis_broker: RedisBroker, workers: Workers, recording: bytes, path: str
) -> None:
    limits = LimitConfig(tenant=Allowance(1, None, 3_600.0))
    async with gateway(redis_broker, admission=AdmissionConfig(limits=limits)) as served, web(served) as http:
        answers = [
            await (http.post(SPEECH, json=SAY) if path == SPEECH else transcribe(http, recording)) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", [SPEECH, TRANSCRIPTIONS])
async def test_what_is_used_is_charged_to_the_tenants_tokens(
    redis_broker: RedisBroker, workers: Workers, recording: bytes, path: str
) -> None:
    limits = LimitConfig(tenant=Allowance(None, 5, 3_600.0))
    async with gateway(redis_broker, admission=AdmissionConfig(limits=limits)) as served, web(served) as http:
        answers = [
            await (http.post(SPEECH, json=SAY) if path == SPEECH else transcribe(http, recording)) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "tenant.tokens" in answers[1].json()["error"]["message"]


async def test_each_second_of_a_recording_is_charged_as_a_request(
    redis_broker: RedisBroker, workers: Workers, recording: bytes
) -> None:
    limits = LimitConfig(tenant=Allowance(4, None, 3_600.0))
    async with gateway(redis_broker, admission=AdmissionConfig(limits=limits)) as served, web(served) as http:
        answers = [await transcribe(http, recording) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


async def test_beyond_the_slots_requests_are_refused_and_then_served_again(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    workers.pace_s = 0.05
    async with gateway(redis_broker, request_slots=RequestSlots(2, wait_s=0.0)) as served, web(served) as http:
        answers = await asyncio.gather(*(http.post(SPEECH, json={**SAY, "input": LONG}) for _ in range(5)))
        again = await http.post(SPEECH, json=SAY)
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 200, 503, 503, 503] and again.status_code == 200
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["error"]["code"] == "overloaded" and refused.headers["retry-after"] == "2"


async def test_requests_beyond_the_slots_wait_for_one(redis_broker: RedisBroker, workers: Workers) -> None:
    slots = RequestSlots(2, wait_s=PATIENCE_S)
    async with gateway(redis_broker, request_slots=slots) as served, web(served) as http:
        answers = await asyncio.gather(*(http.post(SPEECH, json=SAY) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8


async def test_one_tenant_has_half_of_the_slots(redis_broker: RedisBroker, workers: Workers) -> None:
    workers.pace_s = 0.05
    slots = RequestSlots(4, is_shared=True, wait_s=0.0)
    async with gateway(redis_broker, request_slots=slots) as served, web(served) as http:
        answers = await asyncio.gather(*(http.post(SPEECH, json={**SAY, "input": LONG}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]


@pytest.mark.parametrize(
    ("path", "code"),
    [(SPEECH, "speech_synthesis_unavailable"), (TRANSCRIPTIONS, "speech_recognition_unavailable")],
)
async def test_without_workers_of_the_kind_a_request_fails_at_once(
    redis_broker: RedisBroker, recording: bytes, path: str, code: str
) -> None:
    health = calm(absent_s=0.1)
    async with gateway(redis_broker, health=health, check_interval_s=0.05) as served, web(served) as http:
        await until(lambda: len(health.absent) < 2, "nobody is missed")
        answer = await (http.post(SPEECH, json=SAY) if path == SPEECH else transcribe(http, recording))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("path", [SPEECH, TRANSCRIPTIONS])
async def test_workers_that_go_away_in_the_middle_fail_the_request(
    redis_broker: RedisBroker, recording: bytes, path: str
) -> None:
    health = calm(absent_s=0.5)
    async with gateway(redis_broker, health=health, check_interval_s=0.05) as served, web(served) as http:
        answer = await (http.post(SPEECH, json=SAY) if path == SPEECH else transcribe(http, recording))
    assert answer.status_code == 503 and answer.json()["error"]["code"].endswith("_unavailable")


async def test_workers_that_come_back_go_on_with_what_was_begun(redis_broker: RedisBroker, redis_url: str) -> None:
    health = calm(absent_s=0.2)
    async with gateway(redis_broker, health=health, check_interval_s=0.05) as served, web(served) as http:
        async with worker_doing(redis_url, JobKind.TTS, speak_a_chunk):
            asking = asyncio.create_task(http.post(SPEECH, json={**SAY, "input": LONG}))
            await until(lambda: not [key for key in left_in(redis_url) if "audio:out" in key], "no worker has begun")
        await until(lambda: JobKind.TTS not in health.absent, "nobody is missed")
        async with worker_doing(redis_url, JobKind.TTS, speak_a_chunk):
            answer = await asking
    assert len(answer.content) == len(segments_of(LONG)) * 4_800


async def speak_a_chunk(task: Task) -> None:
    await asyncio.sleep(0.05)
    await task.publish(AudioSynthesised(task.claim.job.job_id, 1, 2_400), audio=bytes(4_800))
    await task.publish(SynthesisDone(task.claim.job.job_id), is_last=True)


async def test_a_store_that_goes_away_in_the_middle_fails_the_request(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    workers.pace_s = 3_600.0
    async with gateway(redis_broker) as served, web(served) as http:
        asking = asyncio.create_task(http.post(SPEECH, json=SAY))
        await workers.wait_for(JobKind.TTS)
        for _ in range(BAD_CHECKS):
            served.state.health.store_failed()
        answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "broker_lost")


async def test_a_gateway_that_drains_takes_no_new_request(redis_broker: RedisBroker, workers: Workers) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        served.state.sessions.is_draining = True
        answer = await http.post(SPEECH, json=SAY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")


# -- how a request ends ----------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_cancels_its_jobs(
    redis_broker: RedisBroker, workers: Workers, redis_url: str
) -> None:
    workers.pace_s, workers.chunks = 0.05, 1_000
    async with gateway(redis_broker) as served:
        reader, writer = await ask(served, {**SAY, "input": LONG})
        await reader.readexactly(1_000)
        writer.transport.abort()
        await until(lambda: left_in(redis_url), "keys are left")
        count = len(workers.spoken)
        async with web(served) as http:
            workers.pace_s, workers.chunks = 0.0, 1
            assert (await http.post(SPEECH, json=SAY)).status_code == 200
    assert count == 2


async def test_a_client_that_leaves_before_the_first_byte_cancels_its_jobs(
    redis_broker: RedisBroker, workers: Workers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(open_jobs.TIMEOUT_S, JobKind.TTS, 3_600.0)
    workers.pace_s = 3_600.0
    async with gateway(redis_broker) as served:
        _, writer = await ask(served, SAY)
        await workers.wait_for(JobKind.TTS)
        writer.transport.abort()
        await until(lambda: left_in(redis_url), "keys are left")


async def test_a_client_that_stops_reading_stops_the_synthesis_and_is_left(
    redis_broker: RedisBroker, workers: Workers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed_answer, "STALLED_S", 0.5)
    workers.chunks = 60  # 6 s a segment, so that the whole text is far more than sockets hold
    async with gateway(redis_broker) as served:
        _, writer = await ask(served, {**SAY, "input": LONG})
        await workers.wait_for(JobKind.TTS, 2)
        await until(lambda: left_in(redis_url), "keys are left")
        await until(lambda: len(served.state.connections), "the connection is still open")
        writer.transport.abort()
    assert 2 <= len(workers.spoken) < len(segments_of(LONG)) - 10


async def test_while_a_request_lasts_all_its_keys_have_a_time_to_live(store_url: str, recording: bytes) -> None:
    """So a gateway that dies leaves nothing that lasts, on one server and in a cluster."""
    brokers = [RedisBroker(store_url), RedisBroker(store_url)]
    workers, stop = Workers(brokers[1]), asyncio.Event()
    workers.pace_s = 0.05
    working = asyncio.create_task(workers.run(stop))
    async with gateway(brokers[0]) as served, web(served) as http:
        asking = asyncio.create_task(http.post(SPEECH, json={**SAY, "input": LONG}))
        await workers.wait_for(JobKind.TTS, 4)
        with looking_into(store_url) as store:
            lives = {key: store.ttl(key) for key in map(str, store.scan_iter()) if "/audio_" in key}
        assert len(lives) > 3 and min(lives.values()) > 0, lives
        assert (await asking).status_code == 200
        assert (await transcribe(http, recording)).json()["text"] == f"{workers.hears} {workers.hears}"
        with looking_into(store_url) as store:
            left = [key for key in map(str, store.scan_iter()) if "/audio_" in key and "record:" not in key]
    stop.set()
    await working
    for broker in brokers:
        await broker.close()
    assert left == []


async def test_a_gateway_that_drains_finishes_what_it_serves(redis_broker: RedisBroker, workers: Workers) -> None:
    workers.pace_s = 0.1
    async with gateway(redis_broker) as served, web(served) as http:
        asking = asyncio.create_task(http.post(SPEECH, json={**SAY, "input": LONG}))
        await workers.wait_for(JobKind.TTS, 2)
        served.stop.set()
        answer = await asking
    assert len(answer.content) == len(segments_of(LONG)) * workers.chunks * CHUNK_SAMPLES * 2


async def test_a_job_that_fails_is_told_with_its_code(redis_broker: RedisBroker, redis_url: str) -> None:
    async def fail(task: Task) -> None:
        raise ValueError("no words of a caller here")

    async with worker_doing(redis_url, JobKind.TTS, fail), gateway(redis_broker) as served, web(served) as http:
        answer = await http.post(SPEECH, json=SAY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")


@asynccontextmanager
async def worker_doing(redis_url: str, kind: JobKind, work: Callable[[Task], Awaitable[None]]) -> AsyncIterator[None]:
    """A worker that does something else."""
    broker, stop = RedisBroker(redis_url), asyncio.Event()
    running = asyncio.create_task(Runner(broker, kind, "other", slots=4, work=work).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await broker.close()


@pytest.mark.parametrize("format", ["pcm", "mp3"])
async def test_a_failure_in_the_middle_breaks_the_file_off(
    redis_broker: RedisBroker, redis_url: str, format: str
) -> None:
    async with (
        worker_doing(redis_url, JobKind.TTS, speak_once_then_fail),
        gateway(redis_broker) as served,
        web(served) as http,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(SPEECH, json={**SAY, "input": LONG, "response_format": format})


async def test_a_failure_in_the_middle_is_the_last_event(redis_broker: RedisBroker, redis_url: str) -> None:
    async with (
        worker_doing(redis_url, JobKind.TTS, speak_once_then_fail),
        gateway(redis_broker) as served,
        web(served) as http,
    ):
        answer = await http.post(SPEECH, json={**SAY, "input": LONG, "stream_format": "sse"})
    events = [json.loads(each.removeprefix("data: ")) for each in answer.text.split("\n\n") if each]
    assert [each["type"] for each in events] == ["speech.audio.delta", "error"]
    assert events[1]["error"]["code"] == "bad_provider_answer"


async def test_a_failure_in_the_middle_of_a_streamed_transcript_reaches_openais_client(
    redis_broker: RedisBroker, redis_url: str, recording: bytes
) -> None:
    async def hear_once(task: Task) -> None:
        async for entry in task.utterance():
            if entry.mark == "end":
                assert isinstance(task.request, Transcribe)
                if int(task.request.item_id.removeprefix("piece_")) > 16_000:  # the second sentence
                    raise BadProviderAnswer("it makes no sense")
                await task.publish(Transcribed(task.claim.job.job_id, "Words.", entry.at_sample, True), is_last=True)

    async with worker_doing(redis_url, JobKind.STT, hear_once), gateway(redis_broker) as served:
        base = f"http://127.0.0.1:{served.port}/v1"
        async with AsyncOpenAI(api_key="any", base_url=base, max_retries=0, timeout=PATIENCE_S) as client:
            stream = await client.audio.transcriptions.create(model="w", file=("a.wav", recording), stream=True)
            assert (await anext(aiter(stream))).type == "transcript.text.delta"
            with pytest.raises(APIError, match="makes no sense"):
                [event async for event in stream]


async def speak_once_then_fail(task: Task) -> None:
    if not isinstance(task.request, Synthesise) or "number 0" not in task.request.text:
        raise BadProviderAnswer("it makes no sense")
    await task.publish(AudioSynthesised(task.claim.job.job_id, 1, 48_000), audio=bytes(96_000))
    await task.publish(SynthesisDone(task.claim.job.job_id), is_last=True)


async def ask(served: Gateway, body: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request over a socket of one's own, whose answer is not read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1_024)
    content = httpx.Request("POST", "http://x", json=body).content
    writer.write(b"POST %s HTTP/1.1\r\nhost: localhost\r\n" % SPEECH.encode())
    writer.write(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
    await writer.drain()
    return reader, writer
