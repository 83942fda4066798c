"""The speech-to-text role: one job per utterance, read while it is spoken, decoded when the caller pauses.

Decides when to decode and which results are stale; the engine decides what to do with the text. Each probe mark is answered
with the text so far, the end mark with the final text, which needs no decoding when the last probe covered the same audio.
Invariants: audio beyond the utterance's end is not in its text, even if it arrived before the mark; cut points and texts
depend on the audio alone, so another worker that starts again from entry 0 gives the same; a result that a later mark made stale
is not published.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
import structlog

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine.inputs import Transcribed, WorkerInput
from agentvoicebox.engine.jobs import Transcribe
from agentvoicebox.errors import AgentVoiceBoxError, BadProviderAnswer
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.providers import Int16Array, Stt
from agentvoicebox.processes.cores import slots
from agentvoicebox.processes.priority import yield_processor
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import build_stt
from agentvoicebox.providers.stt.cutting import LONGEST_PIECE_S, quietest_cut
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.health import WorkerHealth, single_engine_check
from agentvoicebox.workers.runner import Runner, Task, store_check, worker_name
from agentvoicebox.workers.urgent_threads import Due, EngineThreads, UrgentThreads
from agentvoicebox.workers.utterance_audio import UtteranceAudio

TAIL_SAMPLES = INPUT_RATE_HZ * 200 // 1000  # a final consonant is quieter than what the detector calls voice
# A probe's text is needed when the turn's end is decided, a few hundred ms after the pause; a decided turn comes first.
PROBE_WITHIN_S = 0.3
PIECE_WITHIN_S = 5.0  # the text of a piece of a long utterance is needed at the next pause, not at once
WARM_UP_S = 2

_log = structlog.get_logger(__name__)


class SttWork:
    """The runner's work function for `stt` jobs."""

    def __init__(self, stt: Stt, threads: UrgentThreads, *, clock: Clock | None = None) -> None:
        """Decode with `stt` on `threads`."""
        self._stt = stt
        self._threads = threads
        self._clock = clock or SystemClock()

    async def warm_up(self) -> None:
        """Decode a little noise, so that the first caller does not wait for the model's first run."""
        noise = (np.random.default_rng(0).standard_normal(WARM_UP_S * INPUT_RATE_HZ) * 300).astype(np.int16)
        await self._threads.run(lambda: self._stt.transcribe(noise), due=self.due(0.0))

    async def __call__(self, task: Task) -> None:
        """Transcribe one utterance; returns when its final text is published or the job is cancelled."""
        listening = asyncio.create_task(_UtteranceTask(self, task).run())
        cancelled = asyncio.create_task(task.cancelled.wait())
        try:
            await asyncio.wait((listening, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                await listening
        finally:
            listening.cancel()
            cancelled.cancel()
            await asyncio.gather(listening, cancelled, return_exceptions=True)

    def due(self, within_s: float, *, is_guess: bool = False) -> Due:
        """The deadline in `within_s` seconds from now."""
        return Due(self._clock.monotonic_s() + within_s, is_guess)

    def make_certain(self, due: Due, within_s: float) -> None:
        """The turn has ended where it was guessed: its text is needed in `within_s` seconds."""
        due.at_s, due.is_guess = self._clock.monotonic_s() + within_s, False
        self._threads.reconsider()

    async def decode(self, samples: Int16Array, request: Transcribe, due: Due) -> str:
        """The text of some samples."""
        if samples.size == 0:
            return ""
        answer = await self._threads.run(
            lambda: self._stt.transcribe(samples, language=request.language, prompt=request.prompt), due=due
        )
        return answer.text


class _UtteranceTask:
    """One utterance: its audio so far, its results, and the running decoding."""

    def __init__(self, work: SttWork, task: Task) -> None:
        if not isinstance(task.request, Transcribe):
            raise BadProviderAnswer(f"an stt job must ask to transcribe, not {type(task.request).__name__}")
        self._work = work
        self._task = task
        self._request = task.request
        self._audio = UtteranceAudio(task.request.start_sample)
        self._cut_sample = task.request.start_sample  # up to here the utterance is decoded in pieces
        self._pieces: dict[int, asyncio.Task[str]] = {}  # by first sample
        self._texts: dict[int, str] = {}  # by where the speech ended
        self._published: set[int] = set()
        self._probe: asyncio.Task[None] | None = None
        self._probe_sample = -1
        self._probe_due = work.due(0.0)

    async def run(self) -> None:
        for record in await self._task.published():
            said = msgspec.msgpack.decode(record.body, type=WorkerInput)
            if isinstance(said, Transcribed):
                self._texts[said.speech_end_sample] = said.text
                self._published.add(said.speech_end_sample)
        try:
            async for entry in self._task.utterance():
                match entry.mark:
                    case "audio":
                        self._audio.add(entry.at_sample, entry.pcm)
                        self._cut_if_long()
                    case "probe":
                        await self._begin_probe(entry.at_sample)
                    case "resume":
                        # a spelled number pauses at each letter: most probes end here, before they begin
                        await self._drop_probe()
                    case "end":
                        await self._truncate(entry.end_sample)
                        await self._finish(entry.at_sample)
                        return
                    case unknown:
                        _log.warning("unknown mark in an utterance", mark=unknown, job_id=self._task.claim.job.job_id)
            raise BadProviderAnswer("the utterance's audio ended without its end mark")
        finally:
            running = [each for each in (*self._pieces.values(), self._probe) if each is not None]
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _cut_if_long(self) -> None:
        while self._audio.end_sample - self._cut_sample >= LONGEST_PIECE_S * INPUT_RATE_HZ:
            rest = self._audio.between(self._cut_sample, self._audio.end_sample)
            cut = quietest_cut(rest)
            piece = self._work.decode(rest[:cut].copy(), self._request, self._work.due(PIECE_WITHIN_S))
            self._pieces[self._cut_sample] = asyncio.create_task(piece)
            self._cut_sample += cut

    async def _truncate(self, end_sample: int | None) -> None:
        """The next utterance's audio had already arrived: drop it, and the pieces that reach into it."""
        if end_sample is None:
            return
        self._audio.end_at(end_sample)
        while self._cut_sample > end_sample and self._pieces:
            self._cut_sample, piece = self._pieces.popitem()
            piece.cancel()
            await asyncio.gather(piece, return_exceptions=True)

    async def _begin_probe(self, speech_end_sample: int) -> None:
        if speech_end_sample in self._published or speech_end_sample == self._probe_sample:
            return
        await self._drop_probe()
        self._probe_sample = speech_end_sample
        self._probe = asyncio.create_task(self._answer_probe(speech_end_sample))

    async def _drop_probe(self) -> None:
        """Drop the last probe, which a later mark made stale: before it begins at no cost, afterwards its text is discarded.

        An error in it will occur again where it matters.
        """
        if self._probe is not None:
            if self._probe_sample not in self._texts:  # otherwise it is being published and must not be interrupted
                self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
            self._probe = None
            self._probe_sample = -1

    async def _answer_probe(self, speech_end_sample: int) -> None:
        self._probe_due = self._work.due(PROBE_WITHIN_S, is_guess=True)
        text = await self._text_until(speech_end_sample, self._probe_due)
        self._texts[speech_end_sample] = text
        await self._task.publish(Transcribed(self._task.claim.job.job_id, text, speech_end_sample))

    async def _finish(self, speech_end_sample: int) -> None:
        if self._probe is not None and self._probe_sample == speech_end_sample:
            self._work.make_certain(self._probe_due, self._request.within_s or 0.0)
            with contextlib.suppress(AgentVoiceBoxError):  # a failed probe is tried again below
                await self._probe
        else:
            await self._drop_probe()
        text = self._texts.get(speech_end_sample)
        if text is None:
            text = await self._text_until(speech_end_sample, self._work.due(self._request.within_s or 0.0))
        heard = Transcribed(self._task.claim.job.job_id, text, speech_end_sample, is_final=True)
        await self._task.publish(heard, is_last=True)

    async def _text_until(self, speech_end_sample: int, due: Due) -> str:
        rest = self._audio.between(self._cut_sample, speech_end_sample + TAIL_SAMPLES)
        tail = self._work.decode(rest, self._request, due)
        texts = await asyncio.gather(*(asyncio.shield(piece) for piece in self._pieces.values()), tail)
        return " ".join(text for text in texts if text)


async def serve_stt(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: load and warm up the recogniser, announce readiness, then work until `stop` is set.

    A claimed utterance mostly waits for its caller, so there are as many job slots as calls; `stt_slots` bounds decoding.

    Raises:
        ProviderUnavailable: the recogniser or its model is missing. BrokerLost: never; claiming waits for the store.
    """
    yield_processor()
    at_a_time = slots(settings.stt_slots)
    catalogue = ModelCatalogue.of(settings.models_dir, settings.data_dir)
    stt = await asyncio.to_thread(
        build_stt,
        settings.stt_profile,
        catalogue,
        threads=at_a_time,
        device=settings.stt_device,
        compute_type=settings.stt_compute_type,
    )
    metrics, kind = report.workers, JobKind.STT
    threads = UrgentThreads(
        at_a_time, name="stt", on_run=partial(metrics.engine_ran, kind), engine_threads=EngineThreads.of_process()
    )
    metrics.has_engine(kind, at_a_time, lambda: threads.waiting)
    broker = RedisBroker(settings.redis_url, on_dead_letter=metrics.dead_letter)
    try:
        work = SttWork(stt, threads)
        await work.warm_up()
        name = worker_name(kind)
        health = WorkerHealth(StoreHealthMonitor(broker.connection), kind, name, single_engine_check(work.warm_up))
        jobs = max(settings.most_calls, at_a_time)
        runner = Runner(broker, kind, name, slots=jobs, work=work, on_failure=health.suspect, metrics=metrics)
        report.needs("store", store_check(broker, kind))
        report.needs("recogniser", health.state)
        announce_ready()
        async with health.watching():
            await runner.run(stop)
    finally:
        threads.close()
        await broker.close()
