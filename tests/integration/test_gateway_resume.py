"""A caller whose line or gateway is gone comes back, here or elsewhere, and hears the rest: nothing twice, nothing missing."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from tests.kit.client import SERVER_VAD, Client, calling, until
from tests.kit.gateway import Gateway, Workers, gateway, says, silence, tone
from tests.kit.resuming_client import (
    audio_of,
    free_port,
    gateway_process,
    ids_of,
    reconnected,
    refusal,
    return_query,
    session_id,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.errors import SessionTaken
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.call import session_jobs
from agentvoicebox.ports.broker import AppendAudio, AppendLog, AudioEntry, Cancel, Job, JobKind, SessionRef, Submit
from agentvoicebox.sessions.log import SessionLog

pytestmark = pytest.mark.requirement("A4.1")

LONG = "One. Two. Three. Four. Five. Six."
STARTS = "model=delivery&resume=1"


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[Gateway]:
    """A second gateway on the same store."""
    broker = RedisBroker(redis_url)
    async with gateway(broker) as made:
        yield made
    await broker.close()


@pytest.fixture
def slow(workers: Workers) -> Workers:
    """Workers that speak long enough to be cut off: 30 chunks, no two alike."""
    workers.writes, workers.chunks, workers.pace_s, workers.is_distinct = says(LONG), 30, 0.01, True
    return workers


async def hear_some(client: Client, deltas: int) -> None:
    """Until so many pieces of audio came."""
    for _ in range(deltas):
        await client.until("response.output_audio.delta")


def assert_whole(client: Client, workers: Workers) -> None:
    """Each event came once, and the audio is what was synthesised, to the byte."""
    ids = ids_of(client)
    assert len(ids) == len(set(ids))
    heard, spoken = audio_of(client), b"".join(itertools.chain(*workers.spoken.values()))
    assert len(heard) == len(spoken)
    assert heard == spoken


@pytest.mark.parametrize("at_another", [False, True])
@pytest.mark.parametrize("deltas", [1, 7, 25])
async def test_a_line_that_breaks_in_mid_answer_goes_on_without_gap_or_repeat(
    served: Gateway, other: Gateway, slow: Workers, at_another: bool, deltas: int
) -> None:
    async with calling(served.url(STARTS)) as client:
        await client.send("response.create")
        await hear_some(client, deltas)
        client.ws.transport.abort()
    where = other if at_another else served
    async with reconnected(where.url(return_query(client)), client) as client:
        resumed = await client.next()
        assert (resumed["type"], resumed["is_complete"]) == ("agentvoicebox.resumed", True)
        await client.until("response.done")
        await client.nothing_but("rate_limits.updated")
        assert_whole(client, slow)
        await client.send("response.create")
        await client.until("response.done")
        assert_whole(client, slow)


async def test_what_was_said_while_nobody_was_there_is_heard_on_return(served: Gateway, slow: Workers) -> None:
    async with calling(served.url(STARTS)) as client:
        await client.send("response.create")
        await hear_some(client, 2)
        client.ws.transport.abort()
    session = SessionRef("default", session_id(client))

    async def is_written() -> bool:
        return any(b"speech_done" in raw for raw in (await served.state.session_log.read(session)).entries)

    await until(is_written)
    async with reconnected(served.url(return_query(client)), client) as client:
        await client.until("response.done")
        assert_whole(client, slow)


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcma"])
async def test_telephone_audio_goes_on_as_the_same_stream(
    served: Gateway, other: Gateway, workers: Workers, audio_format: str
) -> None:
    workers.chunks, workers.pace_s = 20, 0.01
    heard = []
    for breaks in (False, True):
        async with calling(served.url(STARTS)) as client:
            await client.use(audio={"output": {"format": {"type": audio_format}}})
            await client.send("response.create")
            await hear_some(client, 5)
            if not breaks:
                await client.until("response.done")
            else:
                client.ws.transport.abort()
                async with reconnected(other.url(return_query(client)), client) as again:
                    await again.until("response.done")
        heard.append(audio_of(client))
    assert heard[0] == heard[1]


async def test_a_caller_cut_off_in_mid_word_is_understood_whole(
    served: Gateway, other: Gateway, workers: Workers, redis_url: str
) -> None:
    said = tone(800) + tone(1_000) + silence(700)
    cut = 960 * 45  # 900 ms
    async with calling(served.url(STARTS)) as client:
        await client.use(audio=SERVER_VAD)
        await client.append(said[:cut])
        started = await client.until("input_audio_buffer.speech_started")
        client.ws.transport.abort()
    async with reconnected(other.url(return_query(client, audio_from_ms=0, audio_until_ms=900)), client) as client:
        resumed = await client.next()
        start_ms = resumed["audio_start_ms"]
        assert 0 < start_ms <= 900
        await client.append(said[start_ms * 48 :])
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert stopped["item_id"] == started["item_id"]
        assert stopped["audio_end_ms"] == pytest.approx(1_800 + 300, abs=64)
        await client.until("response.done")
        ids = ids_of(client)
        assert len(ids) == len(set(ids))
    utterances = list(workers.heard.values())
    assert len(utterances) == 1  # one job, one stream
    positions = [(entry.at_sample, len(entry.pcm) // 2) for entry in utterances[0] if entry.mark == "audio"]
    for (at, count), (following, _) in itertools.pairwise(positions):
        assert following == at + count
    pcm = b"".join(entry.pcm for entry in utterances[0] if entry.mark == "audio")
    assert pcm == unbroken(said, positions[0][0], len(pcm))


def unbroken(said: bytes, start_sample: int, length: int) -> bytes:
    """The caller's audio as the recogniser gets it on a line that never broke."""
    from agentvoicebox.audio.pcm import bytes_of, samples_of
    from agentvoicebox.audio.resample import resample

    return bytes_of(resample(samples_of(said), 24_000, 16_000))[start_sample * 2 :][:length]


async def test_unknown_foreign_and_ended_sessions_are_refused_alike(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    async with gateway(redis_broker, admission=AdmissionConfig(("good", "second"))) as served:
        good = {"additional_headers": {"Authorization": "Bearer good"}}
        async with calling(served.url(STARTS), **good) as client:
            real = session_id(client)
            await redis_broker.connection.commands.hset(  # another tenant's
                keys.session_hash(SessionRef("acme", "sess_" + "a" * 20)), mapping={"owner": "x", "key": "y"}
            )
            await redis_broker.connection.commands.expire(keys.session_hash(SessionRef("acme", "sess_" + "a" * 20)), 9)
            second = {"additional_headers": {"Authorization": "Bearer second"}}
            refusals = [
                await refusal(served.url(f"session_id={real}"), **second),
                await refusal(served.url("session_id=sess_" + "0" * 20), **good),
                await refusal(served.url("session_id=sess_" + "a" * 20), **good),
                await refusal(served.url("session_id=../../etc"), **good),
            ]
            with pytest.raises(InvalidStatus):
                await refusal(served.url(f"session_id={real}"))
            await client.nothing_but()  # the session never noticed
        refusals.append(await refusal(served.url(f"session_id={real}"), **good))
        assert {repr(each) for each in refusals} == {repr(refusals[0])}
        error, code, reason = refusals[0]
        assert (error["code"], code) == ("session_not_found", 4000)
        assert reason == "invalid_request_error.session_not_found"


async def test_of_two_who_come_back_at_once_one_goes_on(served: Gateway, other: Gateway, slow: Workers) -> None:
    async with calling(served.url(STARTS)) as client:
        await client.send("response.create")
        await hear_some(client, 3)
        client.ws.transport.abort()

    async def come_back(where: Gateway) -> Client:
        made = Client.__new__(Client)
        made.events = list(client.events)
        async with reconnected(where.url(return_query(client)), made) as again:
            try:
                await again.until("response.done")
            except ConnectionClosed:
                assert again.ws.close_code in (1012, 1013)
            return again

    both = await asyncio.gather(come_back(served), come_back(other))
    finished = [each for each in both if each.events[-1]["type"] == "response.done"]
    assert len(finished) == 1
    assert_whole(finished[0], slow)


async def test_a_refused_resume_leaves_the_first_call_running_with_its_place(
    served: Gateway, slow: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_lost(*_: object, **__: object) -> bool:
        return False

    async with calling(served.url(STARTS)) as client:
        await client.send("response.create")
        await hear_some(client, 3)
        with monkeypatch.context() as patch:
            patch.setattr(served.state.directory, "take_over", is_lost)
            error, code, _ = await refusal(served.url(return_query(client)))
            assert (error["code"], code) == ("session_busy", 1013)
        assert len(served.state.sessions) == 1
        assert list(served.state.admission.counts._own) == [SessionRef("default", session_id(client))]
        await client.until("response.done")
        assert_whole(client, slow)


async def test_the_former_owner_is_dropped_and_its_late_writes_do_not_land(
    served: Gateway, other: Gateway, slow: Workers
) -> None:
    async with calling(served.url(STARTS)) as client:
        await client.send("response.create")
        await hear_some(client, 3)
        seen = len(client.events)
        rival = Client.__new__(Client)
        rival.events = list(client.events)
        async with reconnected(other.url(return_query(client)), rival) as rival:
            await rival.until("response.done")
            with pytest.raises(ConnectionClosed):
                while True:
                    await client.next()
            assert client.ws.close_code == 1012
            assert all(event in rival.events for event in client.events[seen:])  # nothing that the other did not say
            assert_whole(rival, slow)
            assert len(served.state.sessions) == 0


async def test_nothing_of_a_dispatch_without_ownership_happens(redis_broker: RedisBroker, redis_url: str) -> None:
    session = SessionRef("acme", "sess_1")
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(keys.session_hash(session), "owner", "new")
        await redis.expire(keys.session_hash(session), 30)
        job = Job("job_1", JobKind.TTS, session, b"", 0.0)
        await redis_broker.dispatch([Submit(job)], owner="new")
        await redis.delete(keys.job_stream(JobKind.TTS))
        for action in (
            AppendLog(session, b"late"),
            AppendAudio(session, "job_2", AudioEntry("audio", 0, b"ab")),
            Cancel("job_1", JobKind.TTS, session),
            Submit(Job("job_3", JobKind.TTS, session, b"", 0.0)),
            Submit(Job("rec_1", JobKind.RECORD, session, b"", 0.0)),
        ):
            with pytest.raises(SessionTaken):
                await redis_broker.dispatch([action], owner="old")
        await SessionLog(redis_broker.connection).save_snapshot(session, b"late", 1, owner="old")
        assert not await redis.exists(
            keys.log(session),
            keys.audio_in(session, "job_2"),
            keys.snapshot(session),
            keys.job(JobKind.TTS, session, "job_3"),
        )
        assert await redis.hget(keys.job(JobKind.TTS, session, "job_1"), "cancelled") is None
        for kind in (JobKind.TTS, JobKind.RECORD):
            assert await redis_broker.claim(kind, "w", slots=1, wait_s=0.05) == []
        await redis_broker.forget(session)


async def test_a_client_without_the_flag_leaves_nothing_behind_when_its_line_breaks(
    served: Gateway, workers: Workers
) -> None:
    async with calling(served.url()) as client:
        client.ws.transport.abort()

    async def is_gone() -> bool:
        return await served.state.directory.get(SessionRef("default", session_id(client))) is None

    await until(is_gone)


async def test_a_session_whose_caller_stays_away_ends(redis_broker: RedisBroker, workers: Workers) -> None:
    async with gateway(redis_broker, resume_s=0.2) as served:
        async with calling(served.url(STARTS)) as client:
            client.ws.transport.abort()

        async def is_gone() -> bool:
            return await served.state.directory.get(SessionRef("default", session_id(client))) is None

        await until(is_gone)
        error, code, _ = await refusal(served.url(return_query(client)))
        assert (error["code"], code) == ("session_not_found", 4000)


async def test_an_event_too_old_is_told_and_nothing_is_sent_again(served: Gateway, workers: Workers) -> None:
    async with calling(served.url(STARTS)) as client:
        await client.use(instructions="Be kind.")
        client.ws.transport.abort()
    query = f"resume=1&session_id={session_id(client)}&last_event_id=event_unknown"
    async with reconnected(served.url(query), client) as client:
        resumed = await client.next()
        assert (resumed["type"], resumed["is_complete"]) == ("agentvoicebox.resumed", False)
        assert (await client.use())["instructions"] == "Be kind."


async def test_a_gateway_that_drains_hands_its_sessions_over(
    redis_url: str, redis_broker: RedisBroker, other: Gateway, slow: Workers
) -> None:
    async with gateway(redis_broker) as leaving:
        async with calling(leaving.url(STARTS)) as client:
            await client.send("response.create")
            await hear_some(client, 4)
            leaving.stop.set()
            with pytest.raises(ConnectionClosed):
                while True:
                    await client.next()
            assert client.ws.close_code == 1012
        async with reconnected(other.url(return_query(client)), client) as client:
            await client.until("response.done")
            assert_whole(client, slow)


async def test_a_snapshot_that_was_saved_and_the_log_since_are_enough(
    served: Gateway, other: Gateway, slow: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentvoicebox.gateway.call.session_log_writer.SNAPSHOT_EVERY", 10)
    monkeypatch.setattr("agentvoicebox.gateway.call.session_log_writer.REPLAY_S", 0.02)
    slow.pace_s = 0.03
    async with calling(served.url(STARTS)) as client:
        await client.send("response.create")
        await hear_some(client, 22)
        client.ws.transport.abort()
    assert (await served.state.session_log.read(SessionRef("default", session_id(client)))).state is not None
    async with reconnected(other.url(return_query(client)), client) as client:
        assert (await client.next())["is_complete"]
        await client.until("response.done")
        assert_whole(client, slow)


async def test_a_killed_gateway_costs_a_pause_and_nothing_else(redis_url: str, other: Gateway, slow: Workers) -> None:
    port = free_port()
    async with gateway_process(redis_url, port) as process:
        async with calling(f"ws://127.0.0.1:{port}/v1/realtime?{STARTS}") as client:
            await client.send("response.create")
            await hear_some(client, 8)
            process.kill()
            with pytest.raises(ConnectionClosed):
                while True:
                    await client.next()
        async with reconnected(other.url(return_query(client)), client) as client:
            await client.until("response.done")
            assert_whole(client, slow)


@pytest.mark.requirement("C8")
async def test_an_item_whose_audio_went_with_its_gateway_is_given_up_openly(
    served: Gateway, other: Gateway, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(served.url(STARTS)) as client:
        transcription = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
        await client.use(output_modalities=["text"], audio=transcription)
        monkeypatch.setattr(session_jobs, "whole_utterance", lambda pcm: [])  # the gateway dies before it sends them
        part = {"type": "input_audio", "audio": base64.b64encode(tone(300)).decode()}
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        await client.until("conversation.item.done")
        await workers.wait_for(JobKind.STT)
        client.ws.transport.abort()
    async with reconnected(other.url(return_query(client)), client) as client:
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == "audio_lost"
        await client.send("response.create")
        await client.until("response.done")
