"""Spans of a call, made after the fact from its turns' own times. Pure: knows neither clocks nor OpenTelemetry's packages.

    call
      turn                   from the caller's last voiced sample to the end of the answer
        wait                 to the first output
          endpointing, queue, stt, …      the critical path: these sum to the wait exactly
        chat MODEL, execute_tool NAME, speech     the jobs of the answer, from claim to last result

Names of attributes are OpenTelemetry's `gen_ai.*` where it has one, else `avb.*`. No attribute holds what people say.
"""

from collections.abc import Iterator, Mapping

import msgspec

from agentvoicebox.telemetry.trace_ids import span_id_of, trace_id_of
from agentvoicebox.telemetry.turn_account import JobTimes, TurnAccount
from agentvoicebox.wire.response import Response

MICROSECONDS = 1_000_000
NS_PER_US = 1_000

Attributes = dict[str, str | int | float | bool]


class SpanFacts(msgspec.Struct, frozen=True):
    """One span.

    Attributes:
        trace_id: 32 hex digits.
        span_id, parent_id: 16 hex digits; an empty parent: the root.
        start_ns, end_ns: wall time, nanoseconds since 1970.
        error: the code of the failure; empty: it did not fail.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: Attributes = {}
    error: str = ""


class CallFacts(msgspec.Struct, frozen=True):
    """What all spans of a call say about it.

    Attributes:
        opened_s: wall time at which its session was opened, at whatever gateway.
        is_resumed: it went on here after another connection.
    """

    tenant_id: str
    session_id: str
    agent: str
    opened_s: float
    dialect: str = ""
    is_resumed: bool = False


class TurnEnd(msgspec.Struct, frozen=True):
    """How a response ended, without its words.

    Attributes:
        status: as on the wire.
        reason: why it was cancelled or is incomplete; empty: neither.
        error: code of the failure.
    """

    status: str
    reason: str = ""
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0

    @classmethod
    def of(cls, response: Response) -> "TurnEnd":
        """Read it from the response of `response.done`."""
        details, usage = response.status_details, response.usage
        reason = details.reason if details is not None and isinstance(details.reason, str) else ""
        failure = details.error if details is not None else None
        return cls(
            status=response.status,
            reason=reason,
            error=failure.code if isinstance(failure, msgspec.Struct) else "",
            input_tokens=0 if usage is None else usage.input_tokens,
            output_tokens=0 if usage is None else usage.output_tokens,
        )


def call_span(call: CallFacts, ended_s: float, turns: int) -> SpanFacts:
    """The root, once the session is over. `turns`: how many were answered here."""
    attributes: Attributes = {
        **_of_call(call),
        "gen_ai.operation.name": "invoke_agent",
        "avb.call.dialect": call.dialect,
        "avb.call.is_resumed": call.is_resumed,
        "avb.call.turns": turns,
    }
    start_us = _us(call.opened_s)
    return SpanFacts(
        "call", trace_id_of(call.session_id), _root_of(call), "", *_between(start_us, _us(ended_s)), attributes
    )


def turn_spans(call: CallFacts, account: TurnAccount, end: TurnEnd) -> list[SpanFacts]:
    """A turn, its wait with the parts of it, and its jobs."""
    trace_id, turn_id = trace_id_of(call.session_id), span_id_of(account.response_id)
    began_us = _us(account.began_s)
    wait_us = account.path[-1].end_us if account.path else 0
    ended_us = max(_us(account.ended_s), began_us + wait_us)
    attributes: Attributes = {
        **_of_call(call),
        "gen_ai.response.id": account.response_id,
        "gen_ai.usage.input_tokens": end.input_tokens,
        "gen_ai.usage.output_tokens": end.output_tokens,
        "avb.response.status": end.status,
        "avb.turn.is_interrupted": end.reason == "turn_detected",
        "avb.turn.speculation": account.speculation,
    }
    if account.item_id is not None:
        attributes["avb.item.id"] = account.item_id
    if account.path:
        attributes["avb.turn.wait_ms"] = wait_us / 1_000
    if end.reason:
        attributes["avb.response.reason"] = end.reason
    if end.error:
        attributes["error.type"] = end.error
    turn = SpanFacts(
        "turn", trace_id, turn_id, _root_of(call), *_between(began_us, ended_us), attributes, error=end.error
    )
    return [turn, *_wait_spans(turn, account, began_us), *_job_spans(turn, account)]


def _wait_spans(turn: SpanFacts, account: TurnAccount, began_us: int) -> Iterator[SpanFacts]:
    if not account.path:
        return
    wait_id = span_id_of(account.response_id, "wait")
    whole = _between(began_us, began_us + account.path[-1].end_us)
    yield SpanFacts("wait", turn.trace_id, wait_id, turn.span_id, *whole)
    for number, piece in enumerate(account.path):
        attributes: Attributes = {"avb.part": piece.part}
        if piece.job_id is not None:
            attributes["avb.job.id"] = piece.job_id
        piece_id = span_id_of(account.response_id, "wait", str(number))
        times = _between(began_us + piece.start_us, began_us + piece.end_us)
        yield SpanFacts(piece.part, turn.trace_id, piece_id, wait_id, *times, attributes)


def _job_spans(turn: SpanFacts, account: TurnAccount) -> Iterator[SpanFacts]:
    for job in account.jobs:
        if not job.claimed_s:
            continue  # no worker has taken it
        start_us = max(_us(job.claimed_s), _us(job.opened_s))  # a worker's clock may be behind
        end_us = max(_us(job.ended_s or account.ended_s), start_us)
        name, attributes = _described(job)
        if job.is_cancelled:
            attributes["avb.job.is_cancelled"] = True
        attributes |= {"avb.job.id": job.job_id, "avb.job.queued_ms": (start_us - _us(job.opened_s)) / 1_000}
        job_id = span_id_of(account.response_id, "job", job.job_id)
        yield SpanFacts(name, turn.trace_id, job_id, turn.span_id, *_between(start_us, end_us), attributes)


def _described(job: JobTimes) -> tuple[str, Attributes]:
    match job.part:
        case "dialogue":
            attributes: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": job.subject}
            if job.first_s:
                attributes["gen_ai.response.time_to_first_chunk"] = max(0.0, round(job.first_s - job.claimed_s, 6))
            return f"chat {job.subject}", attributes
        case "tool":
            return f"execute_tool {job.subject}", {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": job.subject,
                "gen_ai.tool.call.id": job.call_id,
            }
    # OpenTelemetry has no names for speech.
    return "speech", {"avb.part": job.part, "avb.voice": job.subject}


def _of_call(call: CallFacts) -> Mapping[str, str]:
    return {
        "gen_ai.conversation.id": call.session_id,
        "gen_ai.agent.name": call.agent,
        "avb.tenant.id": call.tenant_id,
    }


def _root_of(call: CallFacts) -> str:
    return span_id_of("call", call.session_id)


def _us(at_s: float) -> int:
    return round(at_s * MICROSECONDS)


def _between(start_us: int, end_us: int) -> tuple[int, int]:
    return start_us * NS_PER_US, max(start_us, end_us) * NS_PER_US
