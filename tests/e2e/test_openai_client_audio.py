"""OpenAI's own client speaks and listens through `/v1/audio` of a whole server, with real voices and a real recogniser."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from openai import APIConnectionError, AsyncOpenAI, AsyncStream
from openai.types.audio.transcription_stream_event import TranscriptionStreamEvent
from redis import Redis
from tests.kit.processes import pid_of
from tests.kit.sound_files import FILES, file_of, samples_in
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.resample import resample
from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.gateway.audio.recording import CHILD

WORDS = "Your parcel will arrive tomorrow."
LONG = " ".join(f"This is sentence number {number} of a long story about a parcel." for number in range(1, 13))
NUMBERS = "one two three four five six seven eight nine ten eleven twelve"
FORMATS = ("wav", "pcm", "mp3", "opus", "flac")

pytestmark = pytest.mark.requirement("C9")


@pytest.fixture
async def openai(server: LocalServer, store: Redis) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's client, which tries again when the machine is busy. Its requests leave no key in the store, however they end."""
    async with AsyncOpenAI(api_key="any-key", base_url=server.url, max_retries=30, timeout=PATIENCE_S) as made:
        yield made
    await until(lambda: left_keys(store), "keys of requests are left")


def left_keys(store: Redis) -> list[str]:
    return [key for key in map(str, store.scan_iter()) if "/audio_" in key and not key.startswith("avb:job:record:")]


async def spoken(openai: AsyncOpenAI, text: str, **changes: object) -> bytes:
    """A text as a file."""
    asked = {"model": "gpt-4o-mini-tts", "voice": "alloy", "response_format": "wav", **changes}
    async with openai.audio.speech.with_streaming_response.create(input=text, **asked) as answer:  # type: ignore[arg-type]
        return await answer.read()


async def heard(openai: AsyncOpenAI, file: bytes, name: str = "speech.wav") -> str:
    return (await openai.audio.transcriptions.create(model="whisper-1", file=(name, file))).text


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


@pytest.mark.parametrize("format", FORMATS)
async def test_what_is_spoken_in_each_format_is_heard_again(openai: AsyncOpenAI, format: str) -> None:
    data = await spoken(openai, WORDS, response_format=format)
    samples = samples_in(data, format)
    assert 1.0 < samples.size / 24_000 < 4.0
    assert words(await heard(openai, file_of(samples))) == words(WORDS)


@pytest.mark.parametrize("kind", FILES)
async def test_a_recording_in_each_format_is_understood(
    openai: AsyncOpenAI, say: Callable[[str], SpokenLine], kind: str
) -> None:
    assert words(await heard(openai, file_of(say(WORDS).pcm, kind), f"speech.{kind}")) == words(WORDS)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
async def test_a_stereo_recording_at_any_usual_rate_is_understood(
    openai: AsyncOpenAI, say: Callable[[str], SpokenLine], rate_hz: int
) -> None:
    mono = resample(say(WORDS).pcm, 24_000, rate_hz)
    assert words(await heard(openai, file_of(np.stack((mono, mono), axis=1), "wav", rate_hz))) == words(WORDS)


async def test_a_long_text_is_spoken_whole_and_in_order(openai: AsyncOpenAI) -> None:
    text = await heard(openai, await spoken(openai, LONG, response_format="mp3"), "long.mp3")
    spelled = {word: number for number, word in enumerate(NUMBERS.split(), start=1)}
    numbers = [spelled.get(word) or int(word) for word in words(text) if word in spelled or word.isdigit()]
    assert numbers == list(range(1, 13))


async def test_twice_the_speed_takes_about_half_the_time(openai: AsyncOpenAI) -> None:
    slow, fast = [samples_in(await spoken(openai, WORDS, speed=speed)) for speed in (1.0, 2.0)]
    assert 0.35 < fast.size / slow.size < 0.7


async def test_the_first_bytes_come_before_the_last_sentence_is_synthesised(openai: AsyncOpenAI, store: Redis) -> None:
    asked = {"model": "tts-1", "voice": "alloy", "response_format": "pcm"}
    async with openai.audio.speech.with_streaming_response.create(input=LONG, **asked) as answer:  # type: ignore[arg-type]
        parts = answer.iter_bytes(4_800)
        await anext(parts)
        assert any("/audio_" in key for key in map(str, store.scan_iter()))
        size = 4_800 + sum([len(part) async for part in parts])
    assert size / 48_000 > 20


async def test_speech_as_events(openai: AsyncOpenAI, server: LocalServer) -> None:
    body = {
        "model": "tts-1",
        "input": WORDS,
        "voice": {"id": "alloy"},
        "response_format": "pcm",
        "stream_format": "sse",
    }
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:
        answer = await http.post(f"{server.url}/audio/speech", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [
        httpx.Response(200, content=line.removeprefix("data: ")).json() for line in answer.text.split("\n\n") if line
    ]
    assert [event["type"] for event in events[:-1]] == ["speech.audio.delta"] * (len(events) - 1)
    usage = events[-1]["usage"]
    assert events[-1]["type"] == "speech.audio.done"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 20


async def two_sentences(openai: AsyncOpenAI) -> tuple[bytes, Int16Array]:
    first = samples_in(await spoken(openai, "The first sentence is about the weather."))
    second = samples_in(await spoken(openai, "The second one is about the news."))
    whole = np.concatenate((np.zeros(24_000, np.int16), first, np.zeros(48_000, np.int16), second))
    return file_of(whole, "flac"), whole


async def test_times_of_segments_are_those_of_the_speech(openai: AsyncOpenAI) -> None:
    file, whole = await two_sentences(openai)
    given = await openai.audio.transcriptions.create(
        model="whisper-1", file=("two.flac", file), response_format="verbose_json", timestamp_granularities=["segment"]
    )
    assert given.segments is not None and len(given.segments) == 2
    first, second = given.segments
    assert given.duration == pytest.approx(whole.size / 24_000, abs=0.01)
    assert first.start == pytest.approx(1.0, abs=0.3) and second.end == pytest.approx(given.duration, abs=0.5)
    assert 1.5 < second.start - first.end < 3.0
    assert "weather" in first.text and "news" in second.text
    assert given.text == f"{first.text} {second.text}"


@pytest.mark.parametrize(
    ("format", "pattern"),
    [
        ("text", r"^The first sentence.*news\.?\n$"),
        ("srt", r"^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nThe first .*\n\n2\n00:.*\n\n$"),
        ("vtt", r"^WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}\nThe first .*\n\n00:.*\n\n$"),
    ],
)
async def test_each_text_format(openai: AsyncOpenAI, format: str, pattern: str) -> None:
    file, _ = await two_sentences(openai)
    given = await openai.audio.transcriptions.create(  # type: ignore[call-overload]
        model="whisper-1", file=("two.flac", file), response_format=format
    )
    assert re.match(pattern, str(given), re.DOTALL), given


async def test_a_streamed_transcript_comes_piece_by_piece(openai: AsyncOpenAI) -> None:
    file, _ = await two_sentences(openai)
    stream: AsyncStream[TranscriptionStreamEvent] = await openai.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("two.flac", file), stream=True
    )
    events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert "".join(deltas) == events[-1].text  # type: ignore[union-attr]


async def test_silence_has_no_words(openai: AsyncOpenAI) -> None:
    noise = (np.random.default_rng(1).standard_normal(24_000 * 40) * 30).astype(np.int16)
    assert await heard(openai, file_of(noise)) == ""


async def test_a_recording_longer_than_a_recogniser_reads_at_once(openai: AsyncOpenAI) -> None:
    whole = samples_in(await spoken(openai, LONG))
    assert whole.size / 24_000 > 30
    assert words(await heard(openai, file_of(whole))).count("sentence") == 12


async def test_a_client_that_leaves_leaves_nothing(openai: AsyncOpenAI) -> None:
    for _ in range(3):
        asked = {"model": "tts-1", "voice": "alloy", "response_format": "pcm"}
        async with openai.audio.speech.with_streaming_response.create(input=LONG, **asked) as answer:  # type: ignore[arg-type]
            await anext(answer.iter_bytes(4_800))


async def test_a_client_that_leaves_in_mid_transcription_leaves_nothing(openai: AsyncOpenAI) -> None:
    file = file_of(samples_in(await spoken(openai, LONG)))
    asked = openai.audio.transcriptions.create(model="whisper-1", file=("long.wav", file))
    task = asyncio.ensure_future(asked)
    await until(lambda: not running(CHILD) and not task.done(), "no process reads the recording")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: running(CHILD), "the process goes on")


async def test_a_gateway_killed_in_mid_transcription_takes_the_reading_process_with_it(
    openai: AsyncOpenAI, server: LocalServer
) -> None:
    file = file_of(samples_in(await spoken(openai, LONG)))
    asking = asyncio.ensure_future(
        openai.with_options(max_retries=0).audio.transcriptions.create(model="whisper-1", file=("long.wav", file))
    )
    await until(lambda: not running(CHILD) and not asking.done(), "no process reads the recording")
    os.kill(pid_of(server.pid, "gateway"), signal.SIGKILL)
    with pytest.raises(APIConnectionError):
        await asking
    await until(lambda: running(CHILD), "the process goes on")
    assert await heard(openai.with_options(max_retries=100), file)  # by the next gateway


def running(module: str) -> list[int]:
    """Processes that run a module."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if module.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


async def test_no_word_of_a_request_is_in_the_log(openai: AsyncOpenAI, server: LocalServer) -> None:
    said = "A quetzal flies over the volcano."
    assert "volcano" in words(await heard(openai, await spoken(openai, said)))
    logged = server.log.read_text().lower()
    assert "a request for audio is over" in logged
    assert not {"quetzal", "volcano"} & set(words(logged))


@pytest.mark.parametrize("role", ["tts", "stt"])
async def test_a_worker_killed_in_the_middle_costs_no_word(openai: AsyncOpenAI, server: LocalServer, role: str) -> None:
    if role == "tts":
        asked = {"model": "tts-1", "voice": "alloy", "response_format": "pcm"}
        async with openai.audio.speech.with_streaming_response.create(input=LONG, **asked) as answer:  # type: ignore[arg-type]
            parts = answer.iter_bytes(4_800)
            first = await anext(parts)
            os.kill(pid_of(server.pid, "speech"), signal.SIGKILL)
            pcm = first + b"".join([part async for part in parts])
        assert abs(len(pcm) - len(await spoken(openai, LONG, response_format="pcm"))) < 4_800
        return
    file = file_of(samples_in(await spoken(openai, LONG)))
    stream = await openai.audio.transcriptions.create(model="whisper-1", file=("long.wav", file), stream=True)
    events = [await anext(aiter(stream))]
    os.kill(pid_of(server.pid, "speech"), signal.SIGKILL)
    events += [event async for event in stream]
    assert events[-1].type == "transcript.text.done"
    assert words(events[-1].text).count("sentence") == 12
