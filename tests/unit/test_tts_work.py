"""The text-to-speech worker: order, second attempts, cancelling. Broker in memory, scripted voice."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
from tests.kit.speech import audio_of, bench, said, settled, spoken_by
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.inputs import AudioSynthesised, JobFailed, SynthesisDone
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.tts.scripted import ScriptedTts
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech
from agentvoicebox.workers.tts import TtsWork
from agentvoicebox.workers.urgent_threads import UrgentThreads

TEXT = "Your parcel is on its way and will be with you tomorrow."


class EndlessTts:
    """A voice that never ends by itself, one chunk for each permit of the test."""

    def __init__(self) -> None:
        self.may_go_on = threading.Semaphore(0)
        self.begun = 0
        self.rendered = 0
        self.was_interrupted = threading.Event()

    def voices(self) -> list[Voice]:
        return []

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        return StoppableSpeech(self._chunks)

    def _chunks(self, stop: Stop) -> Iterator[Int16Array]:
        while True:
            with stop.interrupting(self._interrupt):
                self.begun += 1
                assert self.may_go_on.acquire(timeout=PATIENCE_S)
            self.rendered += 1
            yield np.ones(100, np.int16)

    def _interrupt(self) -> None:
        self.was_interrupted.set()
        self.may_go_on.release()


async def test_a_segment_comes_in_order_and_ends_once() -> None:
    tts = ScriptedTts(chunk_ms=100)
    async with bench(JobKind.TTS) as made, made.worker(TtsWork(tts, UrgentThreads(2, name="t"))):
        await made.speak(TEXT)
        records = await made.until_last()
    assert np.array_equal(audio_of(records), spoken_by(tts, TEXT))
    assert [r.sequence for r in records] == list(range(1, len(records) + 1))
    assert [type(said(r)) for r in records] == [AudioSynthesised] * (len(records) - 1) + [SynthesisDone]


async def test_nothing_speakable_is_done_at_once() -> None:
    async with bench(JobKind.TTS) as made, made.worker(TtsWork(ScriptedTts(), UrgentThreads(1, name="t"))):
        await made.speak("")
        assert [said(r) for r in await made.until_last()] == [SynthesisDone("job_1")]


async def test_a_second_worker_goes_on_at_the_very_sample() -> None:
    whole = spoken_by(ScriptedTts(), TEXT)
    async with bench(JobKind.TTS) as made:
        await made.speak(TEXT)
        dying = TtsWork(ScriptedTts(chunk_ms=70, fails_after_chunks=9), UrgentThreads(1, name="t"))
        async with made.worker(dying):
            await made.until(lambda records: len(records) >= 9)
        async with made.worker(TtsWork(ScriptedTts(chunk_ms=110), UrgentThreads(1, name="t"))):
            records = await made.until_last()
    assert {record.attempt for record in records} > {1}
    assert np.array_equal(audio_of(records), whole)


async def test_cancelling_interrupts_the_engine_and_publishes_no_more() -> None:
    tts = EndlessTts()
    async with bench(JobKind.TTS) as made, made.worker(TtsWork(tts, UrgentThreads(1, name="t"))) as runner:
        await made.speak(TEXT)
        tts.may_go_on.release(2)
        await made.until(lambda records: len(records) == 2)
        await settled(lambda: tts.begun == 3)
        await made.cancel()
        assert await asyncio.to_thread(tts.was_interrupted.wait, PATIENCE_S)
        await settled(lambda: runner.busy == 0)
        await made.speak("", job_id="job_2")
        await made.cancel("job_2")
    assert [record.job_id for record in made.records] == ["job_1", "job_1"]
    assert tts.rendered <= 3


async def test_a_new_segment_waits_for_no_chunk_that_is_not_yet_due() -> None:
    """One thread, one long segment far ahead of its playout: another caller's first chunk comes before its rest."""
    tts, threads = EndlessTts(), UrgentThreads(1, name="t")
    async with bench(JobKind.TTS) as made, made.worker(TtsWork(tts, threads, clock=ManualClock())):
        await made.speak(TEXT)
        tts.may_go_on.release(30)
        await made.until(lambda records: len(records) == 30)
        await settled(lambda: tts.begun == 31)  # the one thread renders job_1's next chunk
        await made.speak(TEXT, job_id="job_2")
        await settled(lambda: threads.waiting > 0)  # and job_2 stands in line
        tts.may_go_on.release(3)
        records = await made.until(lambda records: len(records) == 33)
        await made.cancel()
        await made.cancel("job_2")
    assert "job_2" in {record.job_id for record in records[30:32]}  # at most the chunk that was under way comes before


async def test_a_callers_segment_comes_before_one_that_may_wait() -> None:
    """One thread: what was asked for later, but is due sooner, is rendered first."""
    tts, threads = EndlessTts(), UrgentThreads(1, name="t")
    async with bench(JobKind.TTS) as made, made.worker(TtsWork(tts, threads, clock=ManualClock())):
        await made.speak(TEXT, job_id="job_busy")
        await settled(lambda: tts.begun == 1)
        await made.submit(Synthesise("", TEXT, "", within_s=60.0), "job_patient")
        await settled(lambda: threads.waiting == 1)
        await made.speak(TEXT, job_id="job_caller")
        await settled(lambda: threads.waiting == 2)
        tts.may_go_on.release(20)
        records = await made.until(lambda records: len(records) >= 20)
        for job_id in ("job_busy", "job_patient", "job_caller"):
            await made.cancel(job_id)
    assert [record.job_id for record in records[:2]] == ["job_busy", "job_caller"]


async def test_a_voice_that_can_not_speak_ends_the_job_with_its_reason() -> None:
    class Broken(ScriptedTts):
        def _chunks(self, text: str, speed: float, stop: Stop) -> Iterator[Int16Array]:
            raise BadProviderAnswer("it makes no sense")

    async with bench(JobKind.TTS) as made, made.worker(TtsWork(Broken(), UrgentThreads(1, name="t"))):
        await made.speak(TEXT)
        assert said((await made.until_last())[-1]) == JobFailed("job_1", "bad_provider_answer", "it makes no sense")
