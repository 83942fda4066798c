"""What the wait for an answer went to: the causes of its first output, one after the other. Times are wall seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MICROSECONDS = 1_000_000


@dataclass(slots=True)
class CausalStep:
    """One engine step, kept while a job that it opened or marked may still matter.

    Attributes:
        job: the job whose result was the input, if any.
        published_s: when the worker published it.
        is_client: the input came from the client, or from a timer: nothing before it is part of a wait.
        came_s: when the client's event arrived at the socket and when it was taken from there; at the latest `at_s`.
    """

    at_s: float
    job: "CausalJob | None" = None
    published_s: float = 0.0
    heard_sample: int = -1
    is_client: bool = False
    came_s: tuple[float, float] | None = None


@dataclass(slots=True)
class CausalJob:
    """A job of the present turn, with the steps that its results caused."""

    job_id: str
    part: str
    response_id: str | None
    opened: CausalStep
    subject: str = ""  # the language model, the tool or the voice
    call_id: str = ""
    claimed_s: float = 0.0
    last_published_s: float = 0.0
    first_result: CausalStep | None = None
    marks: dict[int, CausalStep] = field(default_factory=dict)  # for utterances: mark's sample → step that set it


@dataclass(frozen=True, slots=True)
class Output:
    """The first output of a response: the step that produced it, and the step that released it (mostly the same)."""

    made: CausalStep
    released: CausalStep


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the path, or beside it."""

    part: str
    start_s: float
    end_s: float
    job_id: str | None = None


def chain_of(output: Output, left_s: float) -> tuple[list[Span], CausalStep]:
    """The causes of an output, oldest first, as spans; and the first known step."""
    spans = [Span("gateway", output.released.at_s, left_s)]
    step = output.made
    while step.job is not None:
        job = step.job
        cause = job.opened
        if job.part == "stt":
            marked = job.marks.get(step.heard_sample)
            cause = marked if marked is not None and marked.at_s <= step.at_s else cause
        began_s = min(max(job.claimed_s, cause.at_s), step.published_s)
        spans.append(Span("queue", step.published_s, step.at_s))  # the way back from the worker
        spans.append(Span(job.part, began_s, step.published_s, job.job_id))
        spans.append(Span("queue", cause.at_s, began_s))  # the way there, and the wait for a free worker
        step = cause
    spans.reverse()
    return spans, step


def way_in(cause: CausalStep, t0_s: float, decided_s: float, *, is_typed: bool) -> list[Span]:
    """From the beginning of the wait to the engine's step: waiting for what caused it, its way in, the rest."""
    arrived_s, taken_s = cause.came_s or (decided_s, decided_s)
    arrived_s = t0_s if is_typed else min(max(t0_s, arrived_s), max(t0_s, decided_s))
    taken_s = min(max(arrived_s, taken_s), max(arrived_s, decided_s))
    return [
        Span("endpointing", t0_s, arrived_s),
        Span("socket", arrived_s, taken_s),
        Span("ingest", taken_s, max(taken_s, decided_s)),
    ]


def marks_of(spans: Sequence[Span], t0_s: float, decided_s: float, left_s: float) -> dict[str, float | None]:
    """When the milestones of the path were reached, ms after `t0_s`; None: not on this path."""

    def last(part: str, *, start: bool = False) -> float | None:
        found = [span for span in spans if span.part == part]
        return None if not found else ms_since(found[-1].start_s if start else found[-1].end_s, t0_s)

    return {
        "endpoint_decided": ms_since(decided_s, t0_s),
        "words_ready": last("stt"),
        "text_ready": last("dialogue"),
        "tool_started": last("tool", start=True),
        "tool_ended": last("tool"),
        "first_chunk_published": last("tts"),
        "first_output_sent": ms_since(left_s, t0_s),
    }


def bar_of(span: Span, t0_s: float, decided_s: float) -> dict[str, Any]:
    """A span as it is sent; hidden when it was over before the end of the turn was decided."""
    return {
        "part": span.part,
        "start_ms": ms_since(span.start_s, t0_s),
        "end_ms": ms_since(span.end_s, t0_s),
        "job_id": span.job_id,
        "is_hidden": span.end_s <= decided_s,
    }


def us_since(at_s: float, t0_s: float) -> int:
    """Whole microseconds from `t0_s` to `at_s`."""
    return round((at_s - t0_s) * MICROSECONDS)


def ms_since(at_s: float, t0_s: float) -> float:
    """The same in milliseconds."""
    return us_since(at_s, t0_s) / 1000
