"""`/v1/audio` over a real gateway and a real store: what clients get."""

import pytest
from tests.kit.audio_requests import LONG, SAY, SPEECH, TRANSCRIPTIONS, VOICES, transcribe, web
from tests.kit.gateway import CHUNK_SAMPLES, Workers, gateway
from tests.kit.sound_files import samples_in

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.jobs import Synthesise, Transcribe

pytestmark = [pytest.mark.requirement("C9"), pytest.mark.usefixtures("no_request_is_left")]


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
