"""The speech-to-text worker: when it decodes, what it publishes, how it starts over. Broker in memory, scripted recogniser."""

import asyncio
import functools
import threading
from collections.abc import Callable

import numpy as np
import pytest
from tests.kit.speech import Bench, bench, said, settled
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.engine.inputs import JobFailed, Transcribed
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.providers import Transcript
from agentvoicebox.providers.stt.scripted import ScriptedStt
from agentvoicebox.workers.stt import TAIL_SAMPLES, SttWork
from agentvoicebox.workers.urgent_threads import Due, UrgentThreads

SECOND = 16_000


def sound(seconds: float) -> Int16Array:
    return (np.random.default_rng(0).standard_normal(int(seconds * SECOND)) * 2000).astype(np.int16)


def occupy(is_busy: threading.Event, is_free: threading.Event) -> bool:
    """Hold a thread until the test frees it."""
    is_busy.set()
    return is_free.wait(PATIENCE_S)


class HeldStt:
    """A recogniser that waits for the test before each answer."""

    def __init__(self, answer: Callable[[Int16Array], str]) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.calls: list[int] = []
        self._answer = answer

    def transcribe(self, pcm: Int16Array, *, language: str | None = None, prompt: str | None = None) -> Transcript:
        self.calls.append(pcm.size)
        self.begun.release()
        assert self.may_end.acquire(timeout=PATIENCE_S)
        return Transcript(self._answer(pcm))

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


def length(pcm: Int16Array) -> str:
    return f"{pcm.size} samples"


async def heard(made: Bench) -> list[Transcribed]:
    reports = [said(record) for record in await made.until_last()]
    assert all(isinstance(report, Transcribed) for report in reports)
    return [report for report in reports if isinstance(report, Transcribed)]


async def test_a_probe_is_answered_while_the_utterance_is_open() -> None:
    async with bench(JobKind.STT) as made, made.worker(SttWork(ScriptedStt("hello"), UrgentThreads(1, name="t"))):
        await made.listen(start_sample=1000)
        await made.append(1000, sound(1.5))
        await made.mark("probe", 1000 + SECOND)
        records = await made.until(lambda records: len(records) == 1)
        assert said(records[0]) == Transcribed("job_1", "hello", 1000 + SECOND)
        await made.mark("end", 1000 + SECOND)
        assert (await heard(made))[-1] == Transcribed("job_1", "hello", 1000 + SECOND, is_final=True)


async def test_the_end_decodes_nothing_again_when_the_last_probe_reached_as_far() -> None:
    stt = ScriptedStt("hello")
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, UrgentThreads(1, name="t"))):
        await made.listen()
        await made.append(0, sound(2))
        await made.mark("probe", SECOND)
        await made.mark("end", SECOND)
        assert [h.is_final for h in await heard(made)][-1]
    assert len(stt.calls) == 1


async def test_speech_after_a_probe_is_decoded_at_the_end() -> None:
    stt = ScriptedStt(length)
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, UrgentThreads(1, name="t"))):
        await made.listen()
        await made.append(0, sound(1.5))
        await made.mark("probe", SECOND)
        await made.until(lambda records: len(records) == 1)
        await made.append(SECOND * 3 // 2, sound(1.5))
        await made.mark("end", 2 * SECOND)
        texts = [h.text for h in await heard(made)]
    assert texts == [f"{SECOND + TAIL_SAMPLES} samples", f"{2 * SECOND + TAIL_SAMPLES} samples"]


async def test_a_probe_that_a_later_mark_made_stale_is_not_published() -> None:
    stt = HeldStt(length)
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, UrgentThreads(2, name="t"))):
        await made.listen()
        await made.append(0, sound(3))
        await made.mark("probe", SECOND)
        await stt.until_begun()
        await made.mark("end", 2 * SECOND)
        await stt.until_begun()
        stt.may_end.release(2)
        assert [h.speech_end_sample for h in await heard(made)] == [2 * SECOND]


async def test_marks_already_in_the_stream_are_not_decoded_one_by_one() -> None:
    stt = HeldStt(length)
    async with bench(JobKind.STT) as made:
        await made.listen("busy")
        await made.append(0, sound(1), "busy")
        await made.mark("end", SECOND, "busy")
        await made.listen()
        await made.append(0, sound(3))
        for at_sample in range(4000, 40_000, 4000):
            await made.mark("probe", at_sample)
        await made.mark("end", 2 * SECOND)
        async with made.worker(SttWork(stt, UrgentThreads(1, name="t"))):
            await stt.until_begun()
            stt.may_end.release(20)
            assert [h.speech_end_sample for h in await heard(made)] == [2 * SECOND]
    assert len(stt.calls) == 2


async def test_a_cancelled_utterance_publishes_nothing_and_frees_its_slot_at_once() -> None:
    stt = HeldStt(length)
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, UrgentThreads(1, name="t")), slots=1) as runner:
        await made.listen()
        await made.append(0, sound(2))
        await made.mark("probe", SECOND)
        await stt.until_begun()
        await made.cancel()
        await settled(lambda: runner.busy == 0)  # the thread is still decoding: the slot does not wait for it
        assert stt.calls == [SECOND + TAIL_SAMPLES]
        stt.may_end.release(5)
        await made.listen("job_2")
        await made.append(0, sound(1), "job_2")
        await made.mark("end", SECOND, "job_2")
        records = await made.until_last("job_2")
    assert {record.job_id for record in made.records} == {"job_2"}
    assert len(records) == 1


async def test_another_worker_starts_over_and_repeats_no_published_text() -> None:
    stt = ScriptedStt("hello")
    async with bench(JobKind.STT) as made:
        await made.listen()
        await made.append(0, sound(2))
        await made.mark("probe", SECOND)
        async with made.worker(SttWork(stt, UrgentThreads(1, name="t"))) as runner:
            await made.until(lambda records: len(records) == 1)
            for running in list(runner._running):  # the worker dies
                running.cancel()
        # The dead worker's claim comes back by the runner's burial of its own name.
        async with made.worker(SttWork(stt, UrgentThreads(1, name="t"))):
            await made.mark("end", SECOND)
            reports = await heard(made)
    assert [(h.text, h.is_final) for h in reports] == [("hello", False), ("hello", True)]
    assert len(stt.calls) == 1


async def test_a_long_utterance_is_decoded_in_pieces_while_the_caller_speaks() -> None:
    stt = ScriptedStt(length)
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, UrgentThreads(1, name="t"))):
        await made.listen()
        await made.append(0, sound(60))
        await made.mark("probe", 60 * SECOND)
        text = said((await made.until(lambda records: len(records) == 1))[0])
        await made.mark("end", 60 * SECOND)
        await made.until_last()
    assert isinstance(text, Transcribed)
    lengths = [int(word) for word in text.text.split() if word.isdigit()]
    assert sum(lengths) == 60 * SECOND
    assert len(lengths) >= 3
    assert max(lengths) < 25 * SECOND


@pytest.mark.parametrize("end_s", [1, 20, 30])
async def test_what_was_said_behind_the_end_is_not_heard_however_much_came_before_the_mark(end_s: int) -> None:
    async with bench(JobKind.STT) as made, made.worker(SttWork(ScriptedStt(length), UrgentThreads(1, name="t"))):
        await made.listen(start_sample=1000)
        await made.append(1000, sound(60))
        end_sample = 1000 + end_s * SECOND
        await made.mark("end", end_sample, end_sample=end_sample)
        (report,) = await heard(made)
    assert sum(int(word) for word in report.text.split() if word.isdigit()) == end_s * SECOND


async def test_silence_is_a_final_empty_text() -> None:
    async with bench(JobKind.STT) as made, made.worker(SttWork(ScriptedStt("you"), UrgentThreads(1, name="t"))):
        await made.listen()
        await made.append(0, np.zeros(SECOND, np.int16))
        await made.mark("end", SECOND)
        assert [(h.text, h.is_final) for h in await heard(made)] == [("", True)]


async def test_an_utterance_without_audio_ends_with_an_empty_text() -> None:
    stt = ScriptedStt("you")
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, UrgentThreads(1, name="t"))):
        await made.listen()
        await made.mark("end", 0)
        assert [(h.text, h.is_final) for h in await heard(made)] == [("", True)]
    assert stt.calls == []


async def test_a_recogniser_that_can_not_answer_ends_the_job_with_its_reason() -> None:
    class Broken:
        def transcribe(self, pcm: Int16Array, *, language: str | None = None, prompt: str | None = None) -> Transcript:
            raise BadProviderAnswer("it makes no sense")

    async with bench(JobKind.STT) as made, made.worker(SttWork(Broken(), UrgentThreads(1, name="t"))):
        await made.listen()
        await made.append(0, sound(1))
        await made.mark("probe", SECOND)
        await made.mark("end", SECOND)
        records = await made.until_last()
    assert said(records[-1]) == JobFailed("job_1", "bad_provider_answer", "it makes no sense")


async def test_the_most_urgent_work_goes_first() -> None:
    threads, gate = UrgentThreads(1, name="t"), threading.Event()
    order: list[float] = []
    first = threads.run(lambda: gate.wait(PATIENCE_S), due=Due(0.0))
    others = [threads.run(functools.partial(order.append, due), due=Due(due)) for due in (3.0, 1.0, 2.0)]
    gate.set()
    await asyncio.gather(first, *others)
    threads.close()
    assert order == [1.0, 2.0, 3.0]


async def test_work_that_nobody_awaits_is_never_begun() -> None:
    threads, gate = UrgentThreads(1, name="t"), threading.Event()
    begun: list[int] = []
    first = threads.run(lambda: gate.wait(PATIENCE_S), due=Due(0.0))
    dropped = asyncio.ensure_future(threads.run(lambda: begun.append(1), due=Due(1.0)))
    dropped.cancel()
    await settled(lambda: all(work.future.cancelled() for work in threads.queued))
    gate.set()
    await first
    await threads.run(lambda: None, due=Due(2.0))
    threads.close()
    assert begun == []
    with pytest.raises(RuntimeError, match="closed"):
        threads.run(lambda: None, due=Due(0.0))


async def test_a_probe_that_no_thread_has_begun_is_not_decoded_once_the_caller_goes_on() -> None:
    stt, threads = ScriptedStt(length), UrgentThreads(1, name="t")
    is_busy, is_free = threading.Event(), threading.Event()
    busy = asyncio.ensure_future(threads.run(functools.partial(occupy, is_busy, is_free), due=Due(0.0)))
    assert await asyncio.to_thread(is_busy.wait, PATIENCE_S)
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, threads)):
        await made.listen()
        await made.append(0, sound(2))
        await made.mark("probe", SECOND)
        await settled(lambda: threads.waiting == 1)
        await made.mark("resume", SECOND + 2_000)
        await settled(lambda: all(work.future.cancelled() for work in threads.queued))
        is_free.set()
        await made.mark("end", 2 * SECOND)
        assert [h.speech_end_sample for h in await heard(made)] == [2 * SECOND]
    await busy
    assert len(stt.calls) == 1


async def test_the_words_of_a_decided_turn_go_before_another_callers_guess() -> None:
    stt, threads = HeldStt(length), UrgentThreads(1, name="t")
    async with bench(JobKind.STT) as made, made.worker(SttWork(stt, threads)):
        is_busy, is_free, order = threading.Event(), threading.Event(), []
        busy = asyncio.ensure_future(threads.run(functools.partial(occupy, is_busy, is_free), due=Due(0.0)))
        assert await asyncio.to_thread(is_busy.wait, PATIENCE_S)
        await made.listen()
        await made.append(0, sound(2))
        await made.mark("probe", SECOND)
        await settled(lambda: threads.waiting == 1)
        due = threads.queued[0].due
        rival = asyncio.ensure_future(threads.run(lambda: order.append("rival"), due=Due(due.at_s - 0.1)))
        await made.mark("end", SECOND)
        await settled(lambda: due.at_s < threads.queued[1].due.at_s)
        is_free.set()
        await stt.until_begun()
        assert order == []
        stt.may_end.release()
        assert [h.is_final for h in await heard(made)][-1]
    await asyncio.gather(busy, rival)
