"""A webhook request and its answer as an interaction. Pure; the front door calls it once the answer is made."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agentvoicebox import __version__
from agentvoicebox.interactions.interaction import Door, Interaction, ToolUse, Wait
from agentvoicebox.interactions.of_log import code_of, iso_time
from agentvoicebox.interactions.recording import Recording

MOST_BYTES = 256 * 1024  # of a body that is kept; platforms send whole transcripts along


def tool_use(name: str, arguments: object, output: str, *, took_ms: float | None = None) -> ToolUse:
    """A tool call of a webhook.

    Args:
        arguments: as the platform sent them: JSON text, or an object.
        output: the tool's answer as JSON (`track.Outcome.as_json()`); "" when it failed.
    """
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return ToolUse(name=name, arguments=text, output=output, code=code_of(output), took_ms=took_ms)


def record_webhook(
    recording: Recording,
    *,
    began_s: float,
    took_ms: float,
    correlation_id: str,
    call_id: str,
    source: str,
    request: bytes,
    status: int,
    answer: bytes,
    tool_calls: Sequence[ToolUse] = (),
    parts_ms: Mapping[str, float] | None = None,
    door: Door = "webhook",
) -> None:
    """Keep one request. Never blocks, never raises; secrets in it are cut out before it is written.

    Args:
        began_s: Unix time at which the request came.
        took_ms: until the answer was made.
        call_id: the platform's id of the call, or "".
        source: whose spelling it was (`vapi`, `rest`, …).
        request, answer: the bodies.
        parts_ms: where the time went (`tool`, `queue`, …); the rest counts as `webhook`.
    """
    parts = dict(parts_ms or {})
    parts["webhook"] = took_ms - sum(parts.values())
    interaction = Interaction(
        timestamp=iso_time(began_s),
        began_s=began_s,
        correlation_id=correlation_id,
        call_id=call_id,
        door=door,
        software=__version__,
        source=source,
        has_words=True,
        tool_calls=tuple(tool_calls),
        waits=(Wait(total_ms=took_ms, parts_ms=parts),),
        status=status,
        request=_body(request),
        answer=_body(answer),
    )
    recording.put(interaction)


def _body(body: bytes) -> Any:
    """JSON as data; what is none, or too much, by its length alone."""
    if len(body) <= MOST_BYTES:
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            pass
    return {"bytes": len(body)}
