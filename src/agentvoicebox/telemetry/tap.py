"""Latency of a turn, split by cause, from the caller's last voiced sample to the agent's first output.

Watches engine steps and the time stamps that workers put on their results, and follows the chain of causes backwards from the
first audio: this chunk came from that segment, which came from that text, which came from that transcript. The chain is the
critical path; its parts sum to the wait exactly. What speculation did during the endpoint wait is not on the path but is a bar.

All times are wall-clock seconds, since worker and gateway are different processes. Reads no clock: times are arguments. Stamps
of a skewed clock are clipped to the order of causes, so a skewed worker shifts a boundary but never breaks the sum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

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
from agentvoicebox.wire.server_events import (
    InputAudioBufferCommitted,
    ResponseOutputTextDelta,
    ServerEvent,
)

PARTS = ("endpointing", "stt", "queue", "dialogue", "tool", "tts", "gateway")
MICROSECONDS = 1_000_000


@dataclass(slots=True)
class _Step:
    """One engine step, kept while a job that it opened or marked may still matter.

    Attributes:
        job: the job whose result was the input, if any.
        published_s: when the worker published it.
        is_client: the input came from the client, or from a timer: nothing before it is part of a wait.
    """

    at_s: float
    job: "_Job | None" = None
    published_s: float = 0.0
    heard_sample: int = -1
    is_client: bool = False


@dataclass(slots=True)
class _Job:
    job_id: str
    part: str
    response_id: str | None
    opened: _Step
    claimed_s: float = 0.0
    last_published_s: float = 0.0
    first_result: _Step | None = None
    marks: dict[int, _Step] = field(default_factory=dict)  # for utterances: mark's sample → step that set it


@dataclass(frozen=True, slots=True)
class _Output:
    """The first output of a response: the step that produced it, and the step that released it (mostly the same)."""

    made: _Step
    released: _Step


@dataclass(slots=True)
class _Answer:
    """A response whose first output was sent."""

    trace: dict[str, Any]
    t0_s: float


@dataclass(frozen=True, slots=True)
class _Span:
    part: str
    start_s: float
    end_s: float
    job_id: str | None = None


class TurnTap:
    """The latency tap of one session. Holds the jobs of the current turn, nothing older.

    Attributes:
        arrival_s: wall time at which a caller's sample arrived, or None when it is too long ago.
    """

    def __init__(self, arrival_s: Callable[[int], float | None]) -> None:
        self._arrival_s = arrival_s
        self._jobs: dict[str, _Job] = {}
        self._outputs: dict[str, _Output] = {}  # response → its first output, until it is sent
        self._answers: dict[str, _Answer] = {}
        self._turn_began_s = 0.0
        self._endpoint: _Step | None = None
        self._last_voiced_s = 0.0
        self._user_item_id: str | None = None
        self._dropped = 0

    def observe(self, at_s: float, fact: Input, effects: Sequence[Effect], record: JobResult | None = None) -> None:
        """One engine step: its input, its time, its effects, and the result that carried the input."""
        step = self._step_of(at_s, fact, record)
        if isinstance(fact, SpeechStarted):
            self._turn_began_s, self._dropped, self._user_item_id = at_s, 0, None
        elif isinstance(fact, SpeechStopped):
            arrived_s = self._arrival_s(fact.speech_end_sample)
            self._endpoint = step
            self._last_voiced_s = at_s if arrived_s is None else min(arrived_s, at_s)
        for effect in effects:
            self._track(step, effect)

    def output_left(self, response_id: str, at_s: float) -> dict[str, Any] | None:
        """Output of a response was sent. For its first: the latency ledger of the wait, otherwise None."""
        output = self._outputs.pop(response_id, None)
        if output is None:
            return None
        trace, t0_s = self._ledger(response_id, output, at_s)
        self._answers[response_id] = _Answer(trace, t0_s)
        return trace

    def response_over(self, response_id: str, at_s: float) -> dict[str, Any] | None:
        """A response ended: its ledger again, with every job it took; None when it never had output."""
        answer = self._answers.pop(response_id, None)
        self._outputs.pop(response_id, None)
        own = [job for job in self._jobs.values() if job.response_id == response_id]
        for job in own:
            del self._jobs[job.job_id]
        if answer is None:
            return None
        jobs = [
            {
                "part": job.part,
                "job_id": job.job_id,
                "opened_ms": _ms(job.opened.at_s, answer.t0_s),
                "claimed_ms": _ms(job.claimed_s, answer.t0_s) if job.claimed_s else None,
                "end_ms": _ms(job.last_published_s, answer.t0_s) if job.last_published_s else None,
            }
            for job in own
        ]
        return {**answer.trace, "phase": "done", "done_ms": _ms(at_s, answer.t0_s), "jobs": jobs}

    def _step_of(self, at_s: float, fact: Input, record: JobResult | None) -> _Step:
        if record is None:
            return _Step(at_s, is_client=isinstance(fact, ClientEventReceived | TimePassed))
        job = self._jobs.get(record.job_id)
        if job is None:
            return _Step(at_s)
        if not job.claimed_s:
            job.claimed_s = record.claimed_s
        job.last_published_s = record.published_s
        heard = fact.speech_end_sample if isinstance(fact, Transcribed) else -1
        step = _Step(at_s, job, record.published_s, heard)
        if job.first_result is None:
            job.first_result = step
        return step

    def _track(self, step: _Step, effect: Effect) -> None:
        match effect:
            case OpenJob(job_id=job_id, request=request):
                part, response_id = _part_of(request)
                self._jobs[job_id] = _Job(job_id, part, response_id, step)
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
            case SendAudio(response_id=response_id, job_id=job_id):
                self._track_output(step, response_id, self._jobs.get(job_id))
            case Send(event=event):
                self._track_event(step, event)
            case _:
                pass

    def _track_event(self, step: _Step, event: ServerEvent) -> None:
        match event:
            case ResponseOutputTextDelta(response_id=response_id):
                own = [j for j in self._jobs.values() if j.response_id == response_id and j.part == "dialogue"]
                self._track_output(step, response_id, own[-1] if own else None)
            case InputAudioBufferCommitted(item_id=item_id):
                self._user_item_id = item_id
            case _:
                pass

    def _track_output(self, step: _Step, response_id: str, job: _Job | None) -> None:
        if response_id in self._answers or response_id in self._outputs:
            return
        made = step if job is None or job.first_result is None else job.first_result
        self._outputs[response_id] = _Output(made, step)

    def _forget_utterances(self, but: str) -> None:
        """Keep the current utterance and the one before it, whose text may still arrive."""
        old = [job_id for job_id, job in self._jobs.items() if job.part == "stt" and job_id != but]
        for job_id in old[:-1]:
            del self._jobs[job_id]

    def _ledger(self, response_id: str, output: _Output, left_s: float) -> tuple[dict[str, Any], float]:
        spans, root = _chain(output, left_s)
        endpoint = self._endpoint
        if root.is_client or endpoint is None:
            t0_s = decided_s = min(root.at_s, left_s)
            speculation = "none"
        else:
            t0_s, decided_s = self._last_voiced_s, min(endpoint.at_s, left_s)
            began = [span.start_s for span in spans if span.part == "dialogue"]
            speculation = "hit" if began and began[0] < decided_s else "miss" if self._dropped else "none"
        left_us, decided_us = _us(left_s, t0_s), _us(decided_s, t0_s)
        parts_us = dict.fromkeys(PARTS, 0)
        parts_us["endpointing"] = cursor = max(0, decided_us)
        for span in spans:  # a gap before a span (withheld output) is added to the span, if it counts at all
            end = min(max(_us(span.end_s, t0_s), cursor), max(left_us, cursor))
            parts_us[span.part] += end - cursor
            cursor = end
        bars = [_bar(_Span("endpointing", t0_s, decided_s), t0_s, decided_s)] if decided_s > t0_s else []
        bars += [_bar(span, t0_s, decided_s) for span in spans if span.end_s > span.start_s]
        trace = {
            "phase": "first_output",
            "response_id": response_id,
            "item_id": None if root.is_client else self._user_item_id,
            "t0_s": round(t0_s, 6),
            "total_ms": cursor / 1000,
            "parts_ms": {part: us / 1000 for part, us in parts_us.items()},
            "marks_ms": _marks(spans, t0_s, decided_s, left_s),
            "bars": bars,
            "speculation": speculation,
            "speculations_dropped": 0 if root.is_client else self._dropped,
        }
        return trace, t0_s


def _chain(output: _Output, left_s: float) -> tuple[list[_Span], _Step]:
    """The causes of an output, oldest first, as spans; and the first known step."""
    spans = [_Span("gateway", output.released.at_s, left_s)]
    step = output.made
    while step.job is not None:
        job = step.job
        cause = job.opened
        if job.part == "stt":
            marked = job.marks.get(step.heard_sample)
            cause = marked if marked is not None and marked.at_s <= step.at_s else cause
        began_s = min(max(job.claimed_s, cause.at_s), step.published_s)
        spans.append(_Span("queue", step.published_s, step.at_s))  # the way back from the worker
        spans.append(_Span(job.part, began_s, step.published_s, job.job_id))
        spans.append(_Span("queue", cause.at_s, began_s))  # the way there, and the wait for a free worker
        step = cause
    spans.reverse()
    return spans, step


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


def _marks(spans: Sequence[_Span], t0_s: float, decided_s: float, left_s: float) -> dict[str, float | None]:
    def last(part: str, *, start: bool = False) -> float | None:
        found = [span for span in spans if span.part == part]
        return None if not found else _ms(found[-1].start_s if start else found[-1].end_s, t0_s)

    return {
        "endpoint_decided": _ms(decided_s, t0_s),
        "words_ready": last("stt"),
        "text_ready": last("dialogue"),
        "tool_started": last("tool", start=True),
        "tool_ended": last("tool"),
        "first_chunk_published": last("tts"),
        "first_output_sent": _ms(left_s, t0_s),
    }


def _bar(span: _Span, t0_s: float, decided_s: float) -> dict[str, Any]:
    is_hidden = span.part != "endpointing" and span.end_s <= decided_s
    return {
        "part": span.part,
        "start_ms": _ms(span.start_s, t0_s),
        "end_ms": _ms(span.end_s, t0_s),
        "job_id": span.job_id,
        "is_hidden": is_hidden,
    }


def _us(at_s: float, t0_s: float) -> int:
    return round((at_s - t0_s) * MICROSECONDS)


def _ms(at_s: float, t0_s: float) -> float:
    return _us(at_s, t0_s) / 1000
