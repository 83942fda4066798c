"""Who is served by `/v1/audio`, and how much: keys, tenants, limits, slots, workers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis import Redis
from tests.kit.audio_requests import (
    LONG,
    SAY,
    SPEECH,
    TRANSCRIPTIONS,
    left_in,
    transcribe,
    web,
    worker_doing,
)
from tests.kit.gateway import Workers, calm, gateway
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import AudioSynthesised, SynthesisDone
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.gateway.admission.request_slots import RequestSlots
from agentvoicebox.gateway.admission.service_health import BAD_CHECKS
from agentvoicebox.gateway.audio_api.speech import segments_of
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.ports.broker import Broker, JobKind
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner, Task

pytestmark = [pytest.mark.requirement("C9"), pytest.mark.usefixtures("no_request_is_left")]


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
