"""Latency of a turn, split by cause, from the arrival of the caller's last voiced sample to the agent's first output.

Watches engine steps and the time stamps that workers put on their results, and follows the chain of causes backwards from the
first audio: this chunk came from that segment, which came from that text, which came from that transcript. The chain is the
critical path; its parts sum to the wait exactly. It begins on the wire: what the deciding frame waited in the socket
(`socket`) and in the gateway until the engine's step (`ingest`) is on it, too. What speculation did during the endpoint wait
is not on the path but is a bar.

All times are wall-clock seconds, since worker and gateway are different processes. Reads no clock: times are arguments. Stamps
of a skewed clock are clipped to the order of causes, so a skewed worker shifts a boundary but never breaks the sum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine.effects import CancelJob, Effect, EndUtterance, OpenJob, ProbeUtterance, Send, SendAudio
from agentvoicebox.engine.inputs import (
    ClientEventReceived,
    Input,
    SpeechStarted,
    SpeechStopped,
    TimePassed,
    Transcribed,
)
from agentvoicebox.engine.jobs import CallTool, Generate, JobRequest, Synthesise, Transcribe
from agentvoicebox.ports.broker import JobResult
from agentvoicebox.telemetry.critical_path import (
    CausalJob,
    CausalStep,
    Output,
    bar_of,
    chain_of,
    marks_of,
    ms_since,
    us_since,
    way_in,
)
from agentvoicebox.telemetry.turn_account import JobTimes, PathPart, TurnAccount
from agentvoicebox.wire.server_events import (
    InputAudioBufferCommitted,
    ResponseOutputTextDelta,
    ServerEvent,
)

PARTS = ("endpointing", "socket", "ingest", "stt", "queue", "dialogue", "tool", "tts", "gateway")


@dataclass(slots=True)
class _Answer:
    """A response whose first output was sent."""

    trace: dict[str, Any]
    t0_s: float
    path: tuple[PathPart, ...]


class TurnTap:
    """The latency tap of one session. Holds the jobs of the current turn, nothing older.

    Attributes:
        arrival_s: wall time at which a caller's sample arrived, or None when it is too long ago.
        votes_ms: how much silence each part of the rule asked for that ended the last turn.
        decision_s: wall times at which that arrived and was taken which ended the turn whose speech ended at a sample, or None.
    """

    def __init__(
        self,
        arrival_s: Callable[[int], float | None],
        votes_ms: Callable[[], dict[str, float]] = dict,
        decision_s: Callable[[int], tuple[float, float] | None] = lambda speech_end_sample: None,
    ) -> None:
        self._arrival_s = arrival_s
        self._votes_ms = votes_ms
        self._decision_s = decision_s
        self._jobs: dict[str, CausalJob] = {}
        self._outputs: dict[str, Output] = {}  # response → its first output, until it is sent
        self._answers: dict[str, _Answer] = {}
        self._cancelled: dict[str, list[JobTimes]] = {}  # response → its jobs that were cut in this turn
        self._turn_began_s = 0.0
        self._endpoint: CausalStep | None = None
        self._last_voiced_s = 0.0
        self._last_voiced_sample = 0
        self._votes: dict[str, float] = {}
        self._user_item_id: str | None = None
        self._dropped = 0

    def observe(
        self,
        at_s: float,
        fact: Input,
        effects: Sequence[Effect],
        record: JobResult | None = None,
        came_s: tuple[float, float] | None = None,
    ) -> None:
        """One engine step: its input, its time, its effects; the result that carried the input; when the client's event came."""
        step = self._step_of(at_s, fact, record)
        step.came_s = came_s
        if isinstance(fact, SpeechStarted):
            self._turn_began_s, self._dropped, self._user_item_id = at_s, 0, None
            self._cancelled.clear()
        elif isinstance(fact, SpeechStopped):
            arrived_s = self._arrival_s(fact.speech_end_sample)
            self._endpoint = step
            step.came_s = self._decision_s(fact.speech_end_sample)
            self._last_voiced_sample = fact.speech_end_sample
            self._votes = self._votes_ms()
            self._last_voiced_s = at_s if arrived_s is None else min(arrived_s, at_s)
        for effect in effects:
            self._track(step, effect)

    def output_left(self, response_id: str, at_s: float) -> dict[str, Any] | None:
        """Output of a response was sent. For its first: the latency ledger of the wait, otherwise None."""
        output = self._outputs.pop(response_id, None)
        if output is None:
            return None
        answer = self._answers[response_id] = self._ledger(response_id, output, at_s)
        return answer.trace

    def account(self, response_id: str, at_s: float) -> TurnAccount | None:
        """What spans of a response are made from; ask before `response_over`. None when it had neither output nor a job."""
        answer = self._answers.get(response_id)
        own = (
            *self._cancelled.get(response_id, ()),
            *(_times_of(job) for job in self._jobs.values() if job.response_id == response_id),
        )
        if answer is None:
            began_s = min((job.opened_s for job in own), default=at_s)
            return TurnAccount(response_id, began_s, at_s, jobs=own) if own else None
        trace = answer.trace
        return TurnAccount(
            response_id,
            answer.t0_s,
            at_s,
            path=answer.path,
            jobs=own,
            item_id=trace["item_id"],
            speculation=trace["speculation"],
        )

    def response_over(self, response_id: str, at_s: float) -> dict[str, Any] | None:
        """A response ended: its ledger again, with every job it took; None when it never had output."""
        answer = self._answers.pop(response_id, None)
        self._outputs.pop(response_id, None)
        self._cancelled.pop(response_id, None)
        own = [job for job in self._jobs.values() if job.response_id == response_id]
        for job in own:
            del self._jobs[job.job_id]
        if answer is None:
            return None
        jobs = [
            {
                "part": job.part,
                "job_id": job.job_id,
                "opened_ms": ms_since(job.opened.at_s, answer.t0_s),
                "claimed_ms": ms_since(job.claimed_s, answer.t0_s) if job.claimed_s else None,
                "end_ms": ms_since(job.last_published_s, answer.t0_s) if job.last_published_s else None,
            }
            for job in own
        ]
        return {**answer.trace, "phase": "done", "done_ms": ms_since(at_s, answer.t0_s), "jobs": jobs}

    def _step_of(self, at_s: float, fact: Input, record: JobResult | None) -> CausalStep:
        if record is None:
            return CausalStep(at_s, is_client=isinstance(fact, ClientEventReceived | TimePassed))
        job = self._jobs.get(record.job_id)
        if job is None:
            return CausalStep(at_s)
        if not job.claimed_s:
            job.claimed_s = record.claimed_s
        job.last_published_s = record.published_s
        heard = fact.speech_end_sample if isinstance(fact, Transcribed) else -1
        step = CausalStep(at_s, job, record.published_s, heard)
        if job.first_result is None:
            job.first_result = step
        return step

    def _track(self, step: CausalStep, effect: Effect) -> None:
        match effect:
            case OpenJob(job_id=job_id, request=request):
                part, response_id = _part_of(request)
                self._jobs[job_id] = CausalJob(job_id, part, response_id, step, *_subject_of(request))
                if isinstance(request, Transcribe):
                    self._forget_utterances(but=job_id)
            case (
                ProbeUtterance(job_id=job_id, speech_end_sample=sample)
                | EndUtterance(job_id=job_id, speech_end_sample=sample)
            ):
                if job_id in self._jobs:
                    # a probe that already covers the end is not decoded again: the first mark is the cause
                    self._jobs[job_id].marks.setdefault(sample, step)
            case CancelJob(job_id=job_id):
                job = self._jobs.pop(job_id, None)
                if job is not None and job.part == "dialogue" and job.opened.at_s >= self._turn_began_s:
                    self._dropped += 1
                if job is not None and job.response_id is not None:
                    cut = msgspec.structs.replace(_times_of(job), ended_s=step.at_s, is_cancelled=True)
                    self._cancelled.setdefault(job.response_id, []).append(cut)
            case SendAudio(response_id=response_id, job_id=job_id):
                self._track_output(step, response_id, self._jobs.get(job_id))
            case Send(event=event):
                self._track_event(step, event)
            case _:
                pass

    def _track_event(self, step: CausalStep, event: ServerEvent) -> None:
        match event:
            case ResponseOutputTextDelta(response_id=response_id):
                own = [j for j in self._jobs.values() if j.response_id == response_id and j.part == "dialogue"]
                self._track_output(step, response_id, own[-1] if own else None)
            case InputAudioBufferCommitted(item_id=item_id):
                self._user_item_id = item_id
            case _:
                pass

    def _track_output(self, step: CausalStep, response_id: str, job: CausalJob | None) -> None:
        if response_id in self._answers or response_id in self._outputs:
            return
        made = step if job is None or job.first_result is None else job.first_result
        self._outputs[response_id] = Output(made, step)

    def _forget_utterances(self, but: str) -> None:
        """Keep the current utterance and the one before it, whose text may still arrive."""
        old = [job_id for job_id, job in self._jobs.items() if job.part == "stt" and job_id != but]
        for job_id in old[:-1]:
            del self._jobs[job_id]

    def _ledger(self, response_id: str, output: Output, left_s: float) -> _Answer:
        spans, root = chain_of(output, left_s)
        endpoint = self._endpoint
        if root.is_client or endpoint is None:
            came_s = min(root.at_s, root.came_s[0]) if root.came_s else root.at_s
            t0_s, decided_s, cause = min(came_s, left_s), min(root.at_s, left_s), root
            speculation, speech_end_ms = "none", None
        else:
            speech_end_ms = self._last_voiced_sample * 1000 / INPUT_RATE_HZ
            t0_s, decided_s, cause = self._last_voiced_s, min(endpoint.at_s, left_s), endpoint
            began = [span.start_s for span in spans if span.part == "dialogue"]
            speculation = "hit" if began and began[0] < decided_s else "miss" if self._dropped else "none"
        left_us = us_since(left_s, t0_s)
        begins = way_in(cause, t0_s, decided_s, is_typed=speech_end_ms is None)
        parts_us, cursor = dict.fromkeys(PARTS, 0), 0
        path: list[PathPart] = []
        # A gap before a span (withheld output) is added to the span, if it counts at all.
        for span in (*begins, *spans):
            end = min(max(us_since(span.end_s, t0_s), cursor), max(left_us, cursor))
            parts_us[span.part] += end - cursor
            if end > cursor:
                path.append(PathPart(span.part, cursor, end, span.job_id))
            cursor = end
        bars = [bar_of(span, t0_s, t0_s) for span in begins if span.end_s > span.start_s]
        bars += [bar_of(span, t0_s, decided_s) for span in spans if span.end_s > span.start_s]
        trace = {
            "phase": "first_output",
            "response_id": response_id,
            "item_id": None if root.is_client else self._user_item_id,
            "t0_s": round(t0_s, 6),
            "speech_end_ms": speech_end_ms,
            "votes_ms": {} if root.is_client else self._votes,
            "total_ms": cursor / 1000,
            "parts_ms": {part: us / 1000 for part, us in parts_us.items()},
            "marks_ms": marks_of(spans, t0_s, decided_s, left_s),
            "bars": bars,
            "speculation": speculation,
            "speculations_dropped": 0 if root.is_client else self._dropped,
        }
        return _Answer(trace, t0_s, tuple(path))


def _part_of(request: JobRequest) -> tuple[str, str | None]:
    match request:
        case Transcribe():
            return "stt", None
        case Generate(response_id=response_id):
            return "dialogue", response_id
        case CallTool(response_id=response_id):
            return "tool", response_id
        case Synthesise(response_id=response_id):
            return "tts", response_id


def _subject_of(request: JobRequest) -> tuple[str, str]:
    """What a job is done with, for its span; and the id of a tool call."""
    match request:
        case Generate(language_model=language_model):
            return language_model, ""
        case CallTool(name=name, call_id=call_id):
            return name, call_id
        case Synthesise(voice=voice):
            return voice, ""
        case _:
            return "", ""


def _times_of(job: CausalJob) -> JobTimes:
    return JobTimes(
        part=job.part,
        job_id=job.job_id,
        opened_s=job.opened.at_s,
        subject=job.subject,
        call_id=job.call_id,
        claimed_s=job.claimed_s,
        first_s=0.0 if job.first_result is None else job.first_result.published_s,
        ended_s=job.last_published_s,
    )
